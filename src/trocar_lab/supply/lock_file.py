"""Locks as of PEP 751: read strictly, written canonically, without any address of an index."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError
from packaging.tags import Tag
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.targets import PLATFORMS

__all__ = [
    "WHEELHOUSE",
    "Lock",
    "LockedPackage",
    "LockedWheel",
    "lock_text",
    "read_lock",
    "requirement_lines",
    "selected",
]

WHEELHOUSE: Final = "wheelhouse"
_HEAD: Final = """\
# Written by `python -m trocar_lab.supply lock --write`; do not edit. Form: PEP 751.
# Wheels are named by file and digest; where they came from is of no account.
"""


@dataclass(frozen=True)
class LockedWheel:
    """One file of a package: a wheel, or the source archive where there is no wheel.

    Attributes:
        name: File name.
        sha256: Digest in hexadecimal.
        path: Where the lock says that it lies.
    """

    name: str
    sha256: str
    path: str

    @property
    def is_source(self) -> bool:
        """Return whether it is a source archive."""
        return not self.name.endswith(".whl")

    def serves(self, platform: str) -> bool:
        """Return whether the tags of the file name fit a platform; a source archive fits each.

        Args:
            platform: As in ``PLATFORMS``.
        """
        return self.is_source or any(
            _fits(tag, PLATFORMS[platform]) for tag in parse_wheel_filename(self.name)[3]
        )


def _fits(tag: Tag, machine: str) -> bool:
    """Return whether a tag is for any machine or for this one under Linux."""
    return tag.platform == "any" or (
        tag.platform.endswith(f"_{machine}") and "linux" in tag.platform
    )


@dataclass(frozen=True)
class LockedPackage:
    """One package.

    Attributes:
        name: Normalised name.
        version: Exact version; empty where the lock names none.
        wheels: Its files.
        dependencies: Names of the packages that it asks for.
        extra: Extra that brings it; empty where it is always installed.
        other_sources: Keys that name a source other than wheels.
        licence: What its own metadata say.
        supplier: Author or maintainer as its own metadata say; empty where they name none.
    """

    name: str
    version: str
    wheels: tuple[LockedWheel, ...]
    dependencies: tuple[str, ...] = ()
    extra: str = ""
    other_sources: tuple[str, ...] = ()
    licence: str = ""
    supplier: str = ""

    def wheel_for(self, platform: str) -> LockedWheel:
        """Return the one wheel for a platform.

        Raises:
            SupplyError: There is none, or more than one.
        """
        found = [wheel for wheel in self.wheels if wheel.serves(platform)]
        if len(found) != 1:
            raise SupplyError(f"{self.name}: {len(found)} wheels for {platform}, expected one")
        return found[0]


@dataclass(frozen=True)
class Lock:
    """One lock.

    Attributes:
        packages: In the order of names.
        requirements: What it was made from.
        omitted: Packages that metadata asks for and that are left out.
        extras: What an installation may ask for.
        platforms: What it is for.
    """

    packages: tuple[LockedPackage, ...]
    requirements: tuple[str, ...] = ()
    omitted: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()

    def version_of(self, name: str) -> str | None:
        """Return the locked version of a package; None when it is not in the lock."""
        return next((p.version for p in self.packages if p.name == name), None)


def read_lock(path: Path) -> Lock:
    """Return a lock.

    Args:
        path: File ``pylock.<name>.toml``.

    Raises:
        SupplyError: It is missing, no TOML, or no valid lock.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        Pylock.from_dict(table)
        return _lock(table)
    except FileNotFoundError as exc:
        raise SupplyError(f"{path.name} is not there; write it with `supply lock`") from exc
    except (PylockValidationError, PylockUnsupportedVersionError) as exc:
        raise SupplyError(f"{path.name} is no valid lock: {exc}") from exc
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SupplyError(f"{path.name} cannot be read: {exc}") from exc
    except (InvalidSdistFilename, InvalidWheelFilename, KeyError, TypeError, ValueError) as exc:
        raise SupplyError(f"{path.name} is not as `supply lock` writes it: {exc!r}") from exc


def _lock(table: Mapping[str, Any]) -> Lock:
    """Return the values of a lock that is valid."""
    tool = table.get("tool", {}).get("trocar", {})
    return Lock(
        packages=tuple(_package(row) for row in table["packages"]),
        requirements=tuple(tool.get("requirements", ())),
        omitted=tuple(tool.get("omitted", ())),
        extras=tuple(table.get("extras", ())),
        platforms=tuple(tool.get("platforms", ())),
    )


def _package(row: Mapping[str, Any]) -> LockedPackage:
    """Return one package; a marker is only known in the form that ``lock_text`` writes."""
    marker = str(row.get("marker", ""))
    extra = marker.removesuffix("' in extras").removeprefix("'").removesuffix('" in extras')
    extra = extra.removeprefix('"')
    if marker and marker not in {f"'{extra}' in extras", f'"{extra}" in extras'}:
        raise ValueError(f"marker {marker}")
    rows = [*row.get("wheels", ()), *([row["sdist"]] if "sdist" in row else ())]
    files = [
        LockedWheel(
            name=str(file["name"]),
            sha256=str(file["hashes"].get("sha256", "")),
            path=str(file.get("path", "")),
        )
        for file in rows
    ]
    for file in files:
        (parse_sdist_filename if file.is_source else parse_wheel_filename)(file.name)
    sources = {"vcs", "directory", "archive", "index"} & set(row)
    urls = {"url" for file in rows if "url" in file}
    return LockedPackage(
        name=str(row["name"]),
        version=str(row.get("version", "")),
        wheels=tuple(files),
        dependencies=tuple(str(d["name"]) for d in row.get("dependencies", ())),
        extra=extra,
        other_sources=tuple(sorted(sources | urls)),
        licence=str(row.get("tool", {}).get("trocar", {}).get("licence", "")),
        supplier=str(row.get("tool", {}).get("trocar", {}).get("supplier", "")),
    )


def lock_text(lock: Lock) -> str:
    """Return the one text of a lock; equal locks give equal bytes."""
    machines = [PLATFORMS[platform] for platform in lock.platforms]
    environments = [f"sys_platform == 'linux' and platform_machine == '{m}'" for m in machines]
    lines = [
        _HEAD,
        'lock-version = "1.0"',
        *_array("environments", environments),
        'requires-python = "==3.11.*"',
        *(_array("extras", lock.extras) if lock.extras else ()),
        'created-by = "trocar_lab.supply"',
    ]
    for package in sorted(lock.packages, key=lambda p: p.name):
        lines += ["", *_package_lines(package)]
    lines += ["", "[tool.trocar]", *_array("platforms", lock.platforms)]
    lines += [*_array("requirements", lock.requirements), *_array("omitted", lock.omitted)]
    return "\n".join(lines) + "\n"


def _package_lines(package: LockedPackage) -> list[str]:
    """Return the table of one package."""
    names = ", ".join(f"{{ name = {_text(name)} }}" for name in sorted(package.dependencies))
    lines = ["[[packages]]", f"name = {_text(package.name)}", f"version = {_text(package.version)}"]
    if package.extra:
        lines.append(f"marker = \"'{package.extra}' in extras\"")
    if names:
        lines.append(f"dependencies = [{names}]")
    files = sorted(package.wheels, key=lambda w: w.name)
    lines += [f"sdist = {_file(file)}" for file in files if file.is_source]
    wheels = [f"  {_file(file)}," for file in files if not file.is_source]
    lines += ["wheels = [", *wheels, "]"] if wheels else []
    lines += ["[packages.tool.trocar]", f"licence = {_text(package.licence)}"]
    return [*lines, f"supplier = {_text(package.supplier)}"]


def _file(file: LockedWheel) -> str:
    """Return the inline table of one file."""
    digest = f"hashes = {{ sha256 = {_text(file.sha256)} }}"
    return f"{{ name = {_text(file.name)}, path = {_text(file.path)}, {digest} }}"


def _array(key: str, values: Iterable[str]) -> list[str]:
    """Return an array of texts, one a line."""
    rows = [f"  {_text(value)}," for value in values]
    return [f"{key} = [", *rows, "]"] if rows else [f"{key} = []"]


def _text(value: str) -> str:
    """Return a basic string of TOML; the escapes of JSON are a subset of its own."""
    return json.dumps(value, ensure_ascii=False)


def selected(lock: Lock, *, extras: Iterable[str] = ()) -> tuple[LockedPackage, ...]:
    """Return the packages of an installation, in the order of names.

    Args:
        lock: The lock.
        extras: What it asks for in addition.

    Raises:
        SupplyError: The lock does not offer one of them.
    """
    wanted = set(extras)
    unknown = wanted - set(lock.extras)
    if unknown:
        raise SupplyError(f"the lock offers no extra {', '.join(sorted(unknown))}")
    found = [p for p in lock.packages if not p.extra or p.extra in wanted]
    return tuple(sorted(found, key=lambda p: p.name))


def requirement_lines(lock: Lock, *, platform: str, extras: Iterable[str] = ()) -> str:
    """Return ``name==version --hash=sha256:...``, one a line, exactly one digest each.

    Args:
        lock: The lock.
        platform: As in ``PLATFORMS``.
        extras: What the installation asks for in addition.

    Raises:
        SupplyError: A package has no wheel, or more than one, for the platform.
    """
    if platform not in PLATFORMS:
        raise SupplyError(f"no platform {platform}; known: {', '.join(PLATFORMS)}")
    lines = [
        f"{package.name}=={package.version} --hash=sha256:{package.wheel_for(platform).sha256}"
        for package in selected(lock, extras=extras)
    ]
    return "\n".join(lines) + "\n"
