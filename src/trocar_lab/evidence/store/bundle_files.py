"""Unpack a bundle from another machine: bounded, and nothing but plain files below one folder."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, Final, NamedTuple

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.evidence_files import (
    FILE_BYTES_MAX,
    SEAL_NAME,
    files_below,
    path_fault,
)
from trocar_lab.evidence.store.run_reader import open_regular

_CHUNK_BYTES: Final = 1024 * 1024
_READ_BYTES_MAX: Final = 16 * _CHUNK_BYTES
_PLAIN_TAR: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})
_PLAIN_ZIP: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DAMAGE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


class Bounds(NamedTuple):
    """How much a bundle may hold.

    Attributes:
        file_count: Files.
        file_bytes: Size of one file, unpacked.
        total_bytes: Size of all files, unpacked.
    """

    file_count: int = 10_000
    file_bytes: int = 2 * 1024**3
    total_bytes: int = 8 * 1024**3


class _Content(NamedTuple):
    """One file of a bundle that was not unpacked yet."""

    name: str
    open: Callable[[], IO[bytes]]


def unpack(bundle: Path, target: Path, *, bounds: Bounds = Bounds()) -> Path:  # noqa: B008 - a constant
    """Copy a bundle into a fresh folder and return the folder that holds its seal.

    Args:
        bundle: A folder, or a ``.tar.gz``, ``.tgz`` or ``.zip`` file.
        target: Folder to make.
        bounds: How much the bundle may hold.

    Raises:
        EvidenceError: It is damaged, too large, or holds anything but plain files below one folder.
    """
    target.mkdir()
    try:
        if bundle.is_symlink():
            raise EvidenceError(f"{bundle.name}: is a link")
        if bundle.is_dir():
            _copy(_folder_content(bundle), target, bounds)
        elif bundle.name.endswith((".tar.gz", ".tgz")):
            with open_regular(bundle, bytes_max=bounds.total_bytes) as packed:
                _unpack_tar(packed, target, bounds)
        elif bundle.name.endswith(".zip"):
            with open_regular(bundle, bytes_max=bounds.total_bytes) as packed:
                _unpack_zip(packed, target, bounds)
        else:
            raise EvidenceError(f"{bundle.name}: not a folder, .tar.gz or .zip file")
    except _DAMAGE as exc:
        raise EvidenceError(f"{bundle.name}: cannot be unpacked: {str(exc)[:200]}") from exc
    inner = list(target.iterdir())
    if len(inner) == 1 and inner[0].is_dir() and inner[0].name != SEAL_NAME:
        return inner[0]
    return target


def _folder_content(folder: Path) -> Iterator[_Content]:
    """Yield the files of a folder.

    Raises:
        EvidenceError: There is something else in it.
    """
    names, strays = files_below(folder)
    for name, reason in strays.items():
        raise EvidenceError(f"{name[:80]!r} {reason}")
    if (folder / SEAL_NAME).exists():
        names.append(SEAL_NAME)
    for name in names:
        path = folder / name
        yield _Content(name, partial(open_regular, path, bytes_max=FILE_BYTES_MAX))


def _unpack_tar(packed: BinaryIO, target: Path, bounds: Bounds) -> None:
    """Copy the files of a compressed tar archive."""
    with gzip.GzipFile(fileobj=packed) as plain:
        bounded = _Bounded(plain, 2 * bounds.total_bytes)
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            _copy(_tar_content(archive), target, bounds)


def _tar_content(archive: tarfile.TarFile) -> Iterator[_Content]:
    """Yield the files of a tar archive.

    Raises:
        EvidenceError: A member is a link, a device, or sparse.
    """
    for member in archive:
        if member.isdir():
            continue
        if member.type not in _PLAIN_TAR or member.issparse():
            raise EvidenceError(f"{member.name[:80]!r} is a link or not a regular file")
        yield _Content(member.name, partial(_member, archive, member))


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """Return the content of one member."""
    stream = archive.extractfile(member)
    if stream is None:
        raise EvidenceError(f"{member.name[:80]!r} has no content")
    return stream


def _unpack_zip(packed: BinaryIO, target: Path, bounds: Bounds) -> None:
    """Copy the files of a zip archive."""
    with zipfile.ZipFile(packed) as archive:
        if len(archive.infolist()) > 2 * bounds.file_count:
            raise EvidenceError(f"holds more than {bounds.file_count} files")
        _copy(_zip_content(archive), target, bounds)


def _zip_content(archive: zipfile.ZipFile) -> Iterator[_Content]:
    """Yield the files of a zip archive.

    Raises:
        EvidenceError: A member is a link, a device, or packed in a way that is not taken here.
    """
    for info in archive.infolist():
        if info.is_dir():
            continue
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG}:
            raise EvidenceError(f"{info.filename[:80]!r} is a link or not a regular file")
        if info.compress_type not in _PLAIN_ZIP:
            raise EvidenceError(f"{info.filename[:80]!r} is packed in a way that is not taken here")
        yield _Content(info.orig_filename, partial(archive.open, info))


def _copy(contents: Iterator[_Content], target: Path, bounds: Bounds) -> None:
    """Write the files of a bundle below ``target``.

    Raises:
        EvidenceError: There are too many, too large ones, two of one name, or a path that is none.
    """
    left, seen = bounds.total_bytes, set[str]()
    for content in contents:
        name = content.name.removeprefix("./")
        fault = path_fault(name)
        if fault is not None:
            raise EvidenceError(f"{name[:80]!r} {fault}")
        if name.casefold() in seen:
            raise EvidenceError(f"{name[:80]!r} stands twice")
        seen.add(name.casefold())
        if len(seen) > bounds.file_count:
            raise EvidenceError(f"holds more than {bounds.file_count} files")
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with content.open() as source, path.open("xb") as copy:
            left -= _copy_bounded(source, copy, min(left, bounds.file_bytes), name=name)
            copy.flush()
            os.fsync(copy.fileno())


def _copy_bounded(source: IO[bytes], copy: IO[bytes], bytes_max: int, *, name: str) -> int:
    """Copy one file and return its size, whatever size its archive claims.

    Raises:
        EvidenceError: It is larger than ``bytes_max``.
    """
    count = 0
    while data := source.read(_CHUNK_BYTES):
        count += len(data)
        if count > bytes_max:
            raise EvidenceError(f"{name[:80]!r} or the whole bundle is too large")
        copy.write(data)
    return count


class _Bounded(io.RawIOBase):
    """A stream that ends with an error beyond a bound, and where one piece is too large.

    A header of a tar archive may claim any size, and is read in one piece.
    """

    def __init__(self, stream: gzip.GzipFile, bytes_max: int) -> None:
        super().__init__()
        self._stream = stream
        self._bytes_max = bytes_max

    def readable(self) -> bool:
        """Return whether it can be read: always."""
        return True

    def seekable(self) -> bool:
        """Return whether it can be positioned: always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            EvidenceError: The bound is passed.
        """
        if not 0 <= size <= _READ_BYTES_MAX or self._stream.tell() + size > self._bytes_max:
            raise EvidenceError("the archive or one of its headers is too large")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position.

        Raises:
            EvidenceError: The bound is passed.
        """
        if whence != os.SEEK_SET or not 0 <= offset <= self._bytes_max:
            raise EvidenceError("the archive or one of its headers is too large")
        return self._stream.seek(offset)

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()
