"""The device's lock: one line for each wheel of the wheelhouse, one digest a line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from trocar_lab.evidence.source.device_source import normalised_name
from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.release.errors import NotReleasableError

__all__ = ["LOCK", "PYLOCK", "LockedPackage", "lock_text", "read_locked", "wheels_of"]

LOCK: Final = "device.lock"
PYLOCK: Final = "pylock.device-cpu.toml"
_WHEEL: Final = re.compile(
    r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-]+)(-\d[^-]*)?(-[^-]+){3}\.whl"
)


def wheels_of(folder: Path) -> list[Path]:
    """Return the wheels of a wheelhouse by name.

    Args:
        folder: The wheelhouse.

    Raises:
        NotReleasableError: It holds none, or something that is no wheel.
    """
    if not folder.is_dir():
        raise NotReleasableError(f"no wheelhouse at {folder}")
    found = sorted(folder.iterdir())
    strange = [path.name for path in found if path.is_symlink() or not _WHEEL.fullmatch(path.name)]
    if strange or not found:
        raise NotReleasableError(
            f"{folder} must hold wheels and nothing else, got {', '.join(strange) or 'nothing'}"
        )
    return found


class LockedPackage(NamedTuple):
    """What a lock allows of one package.

    Attributes:
        sha256: Digests of its wheels.
        is_needed: Every installation has it; it belongs to no extra.
    """

    sha256: frozenset[str]
    is_needed: bool


_Locked = Mapping[tuple[str, str], LockedPackage]


def read_locked(path: Path) -> _Locked:
    """Return what a lock in the form of PEP 751 allows, by name and version.

    Args:
        path: The lock.

    Raises:
        NotReleasableError: It cannot be read.
    """
    try:
        table: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return {
            (normalised_name(row["name"]), str(row["version"])): LockedPackage(
                frozenset(wheel["hashes"]["sha256"] for wheel in row.get("wheels", [])),
                "marker" not in row,
            )
            for row in table.get("packages", [])
            if "version" in row
        }
    except (OSError, KeyError, TypeError, ValueError) as exc:
        raise NotReleasableError(f"{path.name} cannot be read: {exc!r}; write it again") from exc


def lock_text(wheels: list[Path], locked: _Locked | None) -> str:
    """Return the lock of a device.

    Args:
        wheels: Wheels of the wheelhouse.
        locked: What the reviewed lock allows; None when there is none yet.

    Raises:
        NotReleasableError: A wheel is not the locked one, a package is missing or there twice.
    """
    lines: dict[str, str] = {}
    faults, seen = [], set()
    for path in wheels:
        match = _WHEEL.fullmatch(path.name)
        name, version = (normalised_name(match["name"]), match["version"]) if match else ("", "")
        digest = file_sha256(path)
        if name in lines:
            faults.append(f"{name} lies twice in the wheelhouse")
        allowed = locked.get((name, version)) if locked is not None else None
        if locked is not None and (allowed is None or digest not in allowed.sha256):
            faults.append(f"{path.name} is not a wheel that {PYLOCK} allows")
        seen.add((name, version))
        lines[name] = f"{name}=={version} --hash=sha256:{digest}"
    if locked is not None:
        needed = {key for key, package in locked.items() if package.is_needed}
        faults += [
            f"{name} {version} is locked, but not in the wheelhouse"
            for name, version in sorted(needed - seen)
        ]
    if faults:
        raise NotReleasableError(*faults)
    return "".join(f"{lines[name]}\n" for name in sorted(lines))
