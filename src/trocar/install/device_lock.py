"""The list of packages that a device installs, and the wheels that belong to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import DEVICE_LOCK_LINE_COUNT_MAX

__all__ = ["LOCK_NAME", "LockedWheel", "locked_wheels", "requirements_text"]

LOCK_NAME: Final = "device.lock"
"""Name of the list in a release folder."""

_PRODUCT: Final = "trocar"
_LINE: Final = re.compile(
    r"(?P<name>[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)==(?P<version>[A-Za-z0-9.!+_-]+)"
    r" --hash=sha256:(?P<sha256>[0-9a-f]{64})"
)
_GET_AGAIN: Final = "build the release again with its wheels, or get it again from its maker"


@dataclass(frozen=True)
class LockedWheel:
    """One package that will be installed.

    Attributes:
        name: Its normalised name.
        version: Its version.
        sha256: Digest of its wheel.
        file: The wheel, relative to the release folder.
    """

    name: str
    version: str
    sha256: str
    file: str


# @need-ids: SRS_INST_004
def locked_wheels(text: str, subjects: Mapping[str, str]) -> tuple[LockedWheel, ...]:
    """Return the wheels that a lock names, each of which is a signed file of the release.

    The wheel of Trocar itself, which lies beside the lock, is added where the lock does not name
    it, so that what is installed is always the whole.

    Args:
        text: The lock, one ``name==version --hash=sha256:...`` a line.
        subjects: The signed files of the release by name, with their SHA-256.

    Raises:
        InstallError: A line has another form, a package stands twice, or a wheel is not there.
    """
    lines = text.splitlines()
    if not 1 <= len(lines) <= DEVICE_LOCK_LINE_COUNT_MAX:
        raise InstallError(
            f"expected 1 to {DEVICE_LOCK_LINE_COUNT_MAX} lines in {LOCK_NAME}, got {len(lines)}",
            advice=_GET_AGAIN,
        )
    by_digest = {sha256: name for name, sha256 in subjects.items() if name.endswith(".whl")}
    wheels: dict[str, LockedWheel] = {}
    for number, line in enumerate(lines, start=1):
        wheel = _wheel(line, number, by_digest)
        if wheels.setdefault(wheel.name, wheel) is not wheel:
            raise InstallError(f"expected {wheel.name} once in {LOCK_NAME}", advice=_GET_AGAIN)
    product = _product_wheel(subjects)
    if wheels.setdefault(_PRODUCT, product) != product:
        raise InstallError(
            f"expected {LOCK_NAME} to name {product.file}, it names another wheel of Trocar",
            advice=_GET_AGAIN,
        )
    return tuple(wheels[name] for name in sorted(wheels))


def requirements_text(wheels: tuple[LockedWheel, ...]) -> str:
    """Return what pip is given: each package with its only allowed digest."""
    lines = (f"{one.name}=={one.version} --hash=sha256:{one.sha256}\n" for one in wheels)
    return "".join(lines)


def _wheel(line: str, number: int, by_digest: Mapping[str, str]) -> LockedWheel:
    """Return the wheel that one line names."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise InstallError(
            f"expected name==version --hash=sha256:... in line {number} of {LOCK_NAME}",
            advice=_GET_AGAIN,
        )
    name, version = _normal(match["name"]), match["version"]
    file = by_digest.get(match["sha256"])
    if file is None or _name_and_version(file) != (name, version):
        raise InstallError(
            f"expected a wheel of {name} {version} with the digest in {LOCK_NAME}; the release "
            "does not hold it",
            advice=_GET_AGAIN,
        )
    return LockedWheel(name, version, match["sha256"], file)


def _product_wheel(subjects: Mapping[str, str]) -> LockedWheel:
    """Return the one wheel of Trocar, beside the lock."""
    found = [
        LockedWheel(*_name_and_version(file), sha256, file)
        for file, sha256 in subjects.items()
        if file.endswith(".whl") and "/" not in file
    ]
    if len(found) != 1 or found[0].name != _PRODUCT:
        raise InstallError(
            "expected exactly one wheel beside the lock, that of Trocar", advice=_GET_AGAIN
        )
    return found[0]


def _name_and_version(file: str) -> tuple[str, str]:
    """Return name and version in the name of a wheel."""
    name, _, rest = PurePosixPath(file).name.partition("-")
    return _normal(name), rest.partition("-")[0]


def _normal(name: str) -> str:
    """Return the normalised name of a package.

    Source:
        Python packaging specifications, "Name normalization".
    """
    return re.sub(r"[-_.]+", "-", name).lower()
