"""What lies in an installed release, file by file, and whether it still is what was installed."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import SLOT_FILE_COUNT_MAX

__all__ = ["check_installed", "differences", "take_inventory"]

_CHUNK_BYTES: Final = 1024 * 1024
_HOOKS: Final = frozenset({"sitecustomize", "usercustomize", "site"})
"""Modules that an interpreter runs at its start, whatever was asked of it, in any form."""

_BUILD_AGAIN: Final = "the wheels of this release are not sound; get another release"


def take_inventory(folder: Path) -> dict[str, str]:
    """Return each file below a folder by name, with its digest; of a link, with its target.

    Args:
        folder: The folder.

    Raises:
        InstallError: Something is neither file, folder nor link, or there is too much.
        OSError: It cannot be read.
    """
    found = {}
    for path, status in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if stat.S_ISLNK(status.st_mode):
            found[name] = f"link:{os.readlink(path)}"  # noqa: PTH115 - the text of the link as it stands
        elif stat.S_ISREG(status.st_mode):
            found[name] = f"sha256:{_digest(path).hex()}"
        else:
            raise InstallError(
                f"expected files and links only, {name} is something else", advice=_BUILD_AGAIN
            )
        if len(found) > SLOT_FILE_COUNT_MAX:
            raise InstallError(
                f"expected at most {SLOT_FILE_COUNT_MAX} files, got more", advice=_BUILD_AGAIN
            )
    return found


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """Return in words how two inventories differ, by name."""
    words = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            words.append(f"{name} is missing")
        elif name not in expected:
            words.append(f"{name} was added")
        elif expected[name] != found[name]:
            words.append(f"{name} was changed")
    return tuple(words)


# @need-ids: SRS_INST_006, RCM_INST_006
def check_installed(
    environment: Path, site_packages: Path, before: Mapping[str, str]
) -> dict[str, str]:
    """Check an environment after the installation of wheels.

    Each file that was not there before must be listed in the RECORD of one package, with the digest
    and size that it has; nothing that was there may have changed; nothing may be there that runs
    at each start of the interpreter.

    Args:
        environment: The environment.
        site_packages: Its folder of packages.
        before: Its inventory before the installation.

    Returns:
        Its inventory.

    Raises:
        InstallError: It is otherwise.
        OSError: It cannot be read.
    """
    after = take_inventory(environment)
    changed = [name for name, content in before.items() if after.get(name) != content]
    recorded = _recorded(environment, site_packages)
    extra = sorted(after.keys() - before.keys() - recorded.keys())
    wrong = [name for name, digest in recorded.items() if digest and after.get(name) != digest]
    hooks = [name for name in after if _is_hook(name)]
    for names, fault in (
        (changed, "was changed by a wheel"),
        (extra, "belongs to no package"),
        (wrong, "is not what its package records"),
        (hooks, "would run at each start of the interpreter"),
    ):
        if names:
            raise InstallError(
                f"expected only what the wheels record, {names[0]} {fault} "
                f"({len(names)} such files)",
                advice=_BUILD_AGAIN,
            )
    return after


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield all that is below a folder but folders, links not followed."""
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for one in sorted(entries, key=lambda entry: entry.name):
                status = one.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(Path(one.path))
                else:
                    yield Path(one.path), status


def _digest(path: Path) -> bytes:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest()


def _recorded(environment: Path, site_packages: Path) -> dict[str, str]:
    """Return what the RECORD files list, by name in the environment; empty for themselves."""
    found: dict[str, str] = {}
    root = os.path.normpath(environment)
    for record in sorted(site_packages.glob("*.dist-info/RECORD")):
        with record.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
        for row in rows:
            path = os.path.normpath(site_packages / row[0])
            if not path.startswith(root + os.sep):
                raise InstallError(
                    f"expected files inside the environment, a package records {row[0]!a}",
                    advice=_BUILD_AGAIN,
                )
            name = os.path.relpath(path, root)
            digest = "" if Path(path) == record else _recorded_digest(row)
            if found.setdefault(name, digest) != digest:
                raise InstallError(
                    f"expected each file in one package, {name} is in two", advice=_BUILD_AGAIN
                )
    return found


def _recorded_digest(row: list[str]) -> str:
    """Return the digest in a row of a RECORD in the form of an inventory; it must have one."""
    algorithm, _, text = (row[1] if len(row) > 1 else "").partition("=")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raw = b""
    if algorithm != "sha256" or len(raw) != hashlib.sha256().digest_size:
        raise InstallError(
            f"expected a SHA-256 for {row[0]!a} in the RECORD of its package",
            advice=_BUILD_AGAIN,
        )
    return f"sha256:{raw.hex()}"


def _is_hook(name: str) -> bool:
    """Return whether an interpreter runs a file of this name at its start."""
    # A package, bytecode or a compiled module is imported by the same name as plain text.
    module = name.partition("/site-packages/")[2].partition("/")[0].partition(".")[0]
    return name.endswith(".pth") or module in _HOOKS
