"""Installed files that the device does without, as a signed list of the release names them.

A supplier's package may hold tools, tests and a second copy of a library that nothing loads. Each
file is compared with the RECORD of its package first; then exactly the listed ones are removed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import (
    INSTALL_RECORD_BYTES_MAX,
    RELEASE_BYTES_MAX,
    RELEASE_NAME_LENGTH_MAX,
    SLOT_FILE_COUNT_MAX,
)

__all__ = ["LEFT_OUT_NAME", "LeftOut", "leave_out", "left_out_names", "read_left_out"]

LEFT_OUT_NAME: Final = "device.leftout"
"""Name of the list in a release folder; without it nothing is left out."""

_PRODUCT: Final = "trocar"
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._+@=,~-]+")
_GET_AGAIN: Final = "build the release again with its wheels, or get it again from its maker"


@dataclass(frozen=True)
class LeftOut:
    """What was left out of an installation.

    Attributes:
        files: How many files.
        size_bytes: Their size together.
    """

    files: int = 0
    size_bytes: int = 0


def read_left_out(path: Path) -> tuple[str, ...]:
    """Return the files that a list names; none where there is no list.

    Args:
        path: The list, a copy that was compared with its signed digest.

    Raises:
        InstallError: It is not in its one form.
    """
    if not path.exists():
        return ()
    with path.open("rb") as stream:
        return left_out_names(stream.read(INSTALL_RECORD_BYTES_MAX + 1))


# @need-ids: SRS_INST_014
def left_out_names(raw: bytes) -> tuple[str, ...]:
    """Return the files that a list names, relative to the folder of packages.

    Args:
        raw: The list: one relative path a line, sorted, each once.

    Raises:
        InstallError: It has another form, is too long, or names what always stays.
    """
    if len(raw) > INSTALL_RECORD_BYTES_MAX:
        raise _refused(f"at most {INSTALL_RECORD_BYTES_MAX} bytes", f"{len(raw)} or more")
    if not raw.isascii() or (raw and not raw.endswith(b"\n")):
        raise _refused("plain text in whole lines", "other bytes")
    names = tuple(raw.decode("ascii").split("\n")[:-1])
    if len(names) > SLOT_FILE_COUNT_MAX:
        raise _refused(f"at most {SLOT_FILE_COUNT_MAX} files", f"{len(names)}")
    for name in names:
        _check(name)
    for one, following in itertools.pairwise(names):
        if one >= following:
            raise _refused("each file once and in order", f"{following!a} after {one!a}")
    return names


# @need-ids: SRS_INST_014
def leave_out(
    environment: Path, site_packages: Path, names: tuple[str, ...], installed: Mapping[str, str]
) -> LeftOut:
    """Remove exactly the named files of an environment, and the folders that are empty then.

    Args:
        environment: The environment.
        site_packages: Its folder of packages.
        names: What to remove, as ``left_out_names`` returns it.
        installed: Each file of the environment, as it was compared with the RECORD of its package.

    Returns:
        How much that was.

    Raises:
        InstallError: A name is not that of an installed file, or it is too much; nothing was
            removed.
        OSError: A file cannot be removed.
    """
    below = site_packages.relative_to(environment).as_posix()
    for name in names:
        if not installed.get(f"{below}/{name}", "").startswith("sha256:"):
            raise _refused("installed files", f"{name!a}, which is none")
    size_bytes = sum((site_packages / name).lstat().st_size for name in names)
    if size_bytes > RELEASE_BYTES_MAX:
        raise _refused(f"at most {RELEASE_BYTES_MAX} bytes of files", f"{size_bytes}")
    for name in names:
        path = site_packages / name
        path.unlink()
        folder = path.parent
        while folder != site_packages and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
    return LeftOut(len(names), size_bytes)


def _check(name: str) -> None:
    """Refuse a name that leaves the folder of packages, and one of what always stays."""
    parts = name.split("/")
    is_plain = all(_SEGMENT.fullmatch(one) and one not in {".", ".."} for one in parts)
    if not is_plain or len(name) > RELEASE_NAME_LENGTH_MAX:
        raise _refused("plain relative names", f"{name!a}")
    if parts[0].casefold() == _PRODUCT or any(one.endswith(".dist-info") for one in parts):
        raise _refused("no file of Trocar and no record of a package", f"{name!a}")


def _refused(expected: str, got: str) -> InstallError:
    """Return the error about a list that is not taken."""
    return InstallError(f"expected {expected} in {LEFT_OUT_NAME}, got {got}", advice=_GET_AGAIN)
