"""What is inside a package, read from its wheel or from where it is installed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.lock_file import LockedPackage, LockedWheel
from trocar_lab.supply.native import SharedObject, is_shared_object, read_shared_object

__all__ = [
    "Contents",
    "DeclaredBill",
    "checked_wheel",
    "installed_contents",
    "wheel_contents",
]

_FILE_BYTES_MAX: Final = 2_000_000_000
_BILL_BYTES_MAX: Final = 20_000_000
_BILL: Final = re.compile(r"[^/]+\.dist-info/sboms/[^/]+")


@dataclass(frozen=True)
class DeclaredBill:
    """A bill of materials that a package brings (PEP 770).

    Attributes:
        name: File name.
        components: What it lists, nested ones behind those that they are in.
        fault: Why it could not be merged; empty when it was.
    """

    name: str
    components: tuple[dict[str, Any], ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Contents:
    """Inside of one package.

    Attributes:
        objects: Its shared objects with the digest of each.
        bills: Bills of materials that it brings.
    """

    objects: tuple[tuple[SharedObject, str], ...] = ()
    bills: tuple[DeclaredBill, ...] = ()


def checked_wheel(folder: Path, wheel: LockedWheel) -> Path:
    """Return where a wheel lies, which must be the very file of the lock.

    Args:
        folder: Wheelhouse.
        wheel: What the lock says of it.

    Raises:
        SupplyError: It is missing or another file.
    """
    path = folder / wheel.name
    if not path.is_file():
        raise SupplyError(f"{wheel.name} is not in {folder}; bring it with `supply fetch`")
    if file_sha256(path) != wheel.sha256:
        raise SupplyError(f"{wheel.name} is not the file of the lock: its SHA-256 differs")
    return path


def wheel_contents(folder: Path, wheel: LockedWheel) -> Contents:
    """Return what a wheel holds, which must be the very file of the lock.

    Args:
        folder: Wheelhouse.
        wheel: What the lock says of it.

    Raises:
        SupplyError: It is missing, another file, or damaged.
    """
    path = checked_wheel(folder, wheel)
    try:
        if wheel.is_source:
            return _source_contents(path)
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            return _contents(names, lambda name, size: _zip_read(archive, name, size))
    except (OSError, zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as exc:
        raise SupplyError(f"{wheel.name} cannot be read: {exc}") from exc


def _zip_read(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """Return the first bytes of a member."""
    with archive.open(name) as stream:
        return stream.read(size)


def _source_contents(path: Path) -> Contents:
    """Return what a source archive holds: no shared object, or it is none."""
    with tarfile.open(path) as archive:
        names = [member.name for member in archive.getmembers() if member.isfile()]
    found = [name for name in names if is_shared_object(name, b"")]
    return Contents(objects=tuple((SharedObject(path=name), "") for name in found))


def installed_contents(package: LockedPackage) -> Contents:
    """Return what an installed package holds.

    Args:
        package: What the lock says of it.

    Raises:
        SupplyError: It is not installed, or in another version.
    """
    try:
        distribution = importlib.metadata.distribution(package.name)
    except importlib.metadata.PackageNotFoundError as exc:
        raise SupplyError(f"{package.name} is neither in the wheelhouse nor installed") from exc
    if distribution.version != package.version:
        raise SupplyError(
            f"{package.name} {distribution.version} is installed, locked is {package.version}"
        )
    paths = {str(file): Path(str(file.locate())) for file in distribution.files or ()}
    there = sorted(name for name, path in paths.items() if path.is_file())
    return _contents(there, lambda name, size: _file_read(paths[name], size))


def _file_read(path: Path, size: int) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as stream:
        return stream.read(size)


def _contents(names: Iterable[str], read: Callable[[str, int], bytes]) -> Contents:
    """Return shared objects and bills among the files of a package."""
    objects: list[tuple[SharedObject, str]] = []
    bills: list[DeclaredBill] = []
    for name in sorted(names):
        if _BILL.fullmatch(name):
            bills.append(_declared(name.rpartition("/")[2], read(name, _BILL_BYTES_MAX + 1)))
        elif is_shared_object(name, read(name, 20)):
            content = read(name, _FILE_BYTES_MAX)
            found = read_shared_object(name, content)
            objects.append((found, hashlib.sha256(content).hexdigest()))
    return Contents(objects=tuple(objects), bills=tuple(bills))


def _declared(name: str, content: bytes) -> DeclaredBill:
    """Return what a bill of materials inside a package lists."""
    if len(content) > _BILL_BYTES_MAX:
        return DeclaredBill(name, fault=f"larger than {_BILL_BYTES_MAX} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as exc:
        return DeclaredBill(name, fault=f"no JSON: {type(exc).__name__}")
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX":
        return DeclaredBill(name, fault="not CycloneDX")
    waiting, found = [document.get("components")], list[dict[str, Any]]()
    while waiting:
        rows = waiting.pop(0)
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and isinstance(row.get("name"), str):
                found.append(row)
                waiting.append(row.get("components"))
    return DeclaredBill(name, components=tuple(found))
