"""The list of files that a device leaves out, made from rules and from the wheels' own records."""

from __future__ import annotations

import csv
import fnmatch
import io
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from trocar_lab.supply.contents import checked_wheel
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.lock_file import LockedPackage, LockedWheel
from trocar_lab.supply.register import LeftOutFiles

__all__ = ["left_out_text", "matching", "recorded_files"]

_RECORD_BYTES_MAX: Final = 20_000_000
_ALWAYS_THERE: Final = ("trocar/*", "*.dist-info/*", "*.data/*", "../*", "/*")
"""What no rule may take away, whatever its patterns are."""


def left_out_text(
    packages: Sequence[LockedPackage],
    rules: Iterable[LeftOutFiles],
    *,
    platform: str,
    folder: Path,
) -> str:
    """Return the paths that a device leaves out, one a line, sorted.

    Args:
        packages: What the device installs; a rule about another package is not meant.
        rules: The rules of the register.
        platform: As in ``PLATFORMS``.
        folder: Wheelhouse.

    Raises:
        SupplyError: A wheel is not the one of the lock, or a pattern is of no use.
    """
    wheels = {package.name: package.wheel_for(platform) for package in packages}
    found = {
        name
        for rule in rules
        if rule.package in wheels
        for name in matching(rule, recorded_files(folder, wheels[rule.package]))
    }
    return "".join(f"{name}\n" for name in sorted(found))


def matching(rule: LeftOutFiles, names: Sequence[str]) -> list[str]:
    """Return which of a package's files a rule names.

    Args:
        rule: The rule; ``*`` in a pattern also stands for folders.
        names: The files, relative to the folder of packages.

    Raises:
        SupplyError: A pattern matches nothing, or what has to stay.
    """
    found: set[str] = set()
    for pattern in rule.patterns:
        hits = fnmatch.filter(names, pattern)
        if not hits:
            raise SupplyError(f"{rule.package}: no file is called {pattern}; correct the rule")
        for always in _ALWAYS_THERE:
            if kept := fnmatch.filter(hits, always):
                raise SupplyError(f"{rule.package}: {pattern} takes {kept[0]}, which has to stay")
        found.update(hits)
    return sorted(found)


def recorded_files(folder: Path, wheel: LockedWheel) -> list[str]:
    """Return the files that a wheel records, relative to the folder of packages.

    Args:
        folder: Wheelhouse.
        wheel: What the lock says of it.

    Raises:
        SupplyError: It is not the file of the lock, or has no sound record.
    """
    path = checked_wheel(folder, wheel)
    try:
        with zipfile.ZipFile(path) as archive:
            records = fnmatch.filter(archive.namelist(), "*.dist-info/RECORD")
            if len(records) != 1:
                raise SupplyError(f"{wheel.name} has {len(records)} records, expected one")
            with archive.open(records[0]) as stream:
                text = stream.read(_RECORD_BYTES_MAX).decode("utf-8")
        return [row[0] for row in csv.reader(io.StringIO(text)) if row]
    except (OSError, ValueError, csv.Error, zipfile.BadZipFile, zlib.error) as exc:
        raise SupplyError(f"{wheel.name} cannot be read: {exc}") from exc
