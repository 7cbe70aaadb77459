"""The files of a release folder, looked at before a byte of them is read.

A stick is put in by anybody: links, pipes, hard links, giant files, names that leave the folder or
mean the same on another file system are refused here.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO, Final

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import (
    RELEASE_BYTES_MAX,
    RELEASE_FILE_BYTES_MAX,
    RELEASE_NAME_LENGTH_MAX,
    STATEMENT_BYTES_MAX,
    STATEMENT_SUBJECT_COUNT_MAX,
)

__all__ = [
    "ENVELOPE_NAME",
    "check_name",
    "copy_hashed",
    "hash_into",
    "list_release",
    "read_envelope_file",
]

ENVELOPE_NAME: Final = "release.dsse.json"
"""The signed list of all other files."""

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@=,~-]*")
_CHUNK_BYTES: Final = 1024 * 1024
_GET_AGAIN: Final = "get the release again from its maker; do not use this copy"


def check_name(name: str) -> None:
    """Refuse a name that could leave the folder, hide, or be read in two ways.

    Args:
        name: Relative, with forward slashes.

    Raises:
        InstallError: It is such a name.
    """
    parts = name.split("/")
    is_plain = all(_SEGMENT.fullmatch(one) and not one.endswith(".") for one in parts)
    if not is_plain or len(name) > RELEASE_NAME_LENGTH_MAX:
        raise InstallError(
            f"expected plain relative names in the release, got {name!a}", advice=_GET_AGAIN
        )


# @need-ids: SRS_INST_002, RCM_INST_002
def list_release(folder: Path) -> dict[str, int]:
    """Return the size of each file of a release folder by its name, without opening any.

    Args:
        folder: The folder, such as that of a mounted stick.

    Raises:
        InstallError: It holds something other than plain files and folders with plain names, two
            names that differ in case only, an empty folder, or more than a release may hold.
    """
    sizes: dict[str, int] = {}
    waiting = [""]
    while waiting:
        below = waiting.pop()
        found = _entries(folder, below)
        if not found and below:
            raise InstallError(f"expected no empty folder, got {below}", advice=_GET_AGAIN)
        for name, status in found.items():
            check_name(name)
            if stat.S_ISDIR(status.st_mode):
                waiting.append(name)
            else:
                sizes[name] = _file_size(name, status)
        if len(sizes) + len(waiting) > STATEMENT_SUBJECT_COUNT_MAX + 1:
            raise InstallError(
                f"expected at most {STATEMENT_SUBJECT_COUNT_MAX} files in a release, got more",
                advice="name the release folder itself, not one above it",
            )
    _check_together(sizes)
    return sizes


def _entries(folder: Path, below: str) -> dict[str, os.stat_result]:
    """Return what lies in one folder, by full relative name, links not followed."""
    prefix = f"{below}/" if below else ""
    try:
        with os.scandir(folder / below) as entries:
            # One more than a release may hold is enough to refuse it.
            some = itertools.islice(entries, STATEMENT_SUBJECT_COUNT_MAX + 2)
            return {prefix + one.name: one.stat(follow_symlinks=False) for one in some}
    except OSError as exc:
        raise InstallError(
            f"cannot read the release folder {folder / below}: {exc.strerror}",
            advice="mount the medium and name the folder with release.dsse.json",
        ) from exc


def _file_size(name: str, status: os.stat_result) -> int:
    """Return the size of a plain file with one name; refuse anything else."""
    if not stat.S_ISREG(status.st_mode):
        raise InstallError(
            f"expected files only, {name} is a link, a pipe or a device", advice=_GET_AGAIN
        )
    if status.st_nlink != 1:
        raise InstallError(
            f"expected one name for each file, {name} has {status.st_nlink} (hard links)",
            advice=_GET_AGAIN,
        )
    if status.st_size > RELEASE_FILE_BYTES_MAX:
        raise InstallError(
            f"expected at most {RELEASE_FILE_BYTES_MAX} bytes, {name} has {status.st_size}",
            advice=_GET_AGAIN,
        )
    return status.st_size


def _check_together(sizes: dict[str, int]) -> None:
    """Refuse too much in all, and names that one file system takes for the same."""
    total = sum(sizes.values())
    if total > RELEASE_BYTES_MAX:
        raise InstallError(
            f"expected a release of at most {RELEASE_BYTES_MAX} bytes, got {total}",
            advice=_GET_AGAIN,
        )
    seen: dict[str, str] = {}
    for name in sizes:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise InstallError(
                f"expected names that differ by more than case, got {other} and {name}",
                advice=_GET_AGAIN,
            )


def read_envelope_file(folder: Path) -> bytes:
    """Return the signed list of a release folder.

    Raises:
        InstallError: There is none, or it cannot be read.
    """
    path = folder / ENVELOPE_NAME
    try:
        handle = _open(path)
        with os.fdopen(handle, "rb") as stream:
            # One byte more than allowed, so that the reader of statements refuses it.
            return stream.read(STATEMENT_BYTES_MAX + 1)
    except OSError as exc:
        raise InstallError(
            f"cannot read {path}: {exc.strerror}",
            advice="name the folder that holds release.dsse.json",
        ) from exc


# @need-ids: SRS_INST_003, RCM_INST_003
def copy_hashed(source: Path, target: Path | None, *, size_bytes: int) -> str:
    """Return the SHA-256 of a file, and copy the very bytes that were hashed.

    Args:
        source: The file, on a medium that somebody else may write to.
        target: The copy, which is not there yet; None to hash only.
        size_bytes: The size that was seen; a file that has grown is not read further.

    Raises:
        InstallError: The file is not the plain one of that size any more, or cannot be read.
        OSError: The copy cannot be written.
    """
    with _target(target) as copy:
        return hash_into(source, copy, size_bytes=size_bytes)


def hash_into(source: Path, copy: BinaryIO, *, size_bytes: int) -> str:
    """Return the SHA-256 of a file, and write the very bytes that were hashed.

    Args:
        source: The file, on a medium that somebody else may write to.
        copy: Where the bytes go.
        size_bytes: The size that was seen; a file that has grown is not read further.

    Raises:
        InstallError: The file is not the plain one of that size any more, or cannot be read.
        OSError: The copy cannot be written.
    """
    digest, left = hashlib.sha256(), size_bytes
    try:
        handle = _open(source)
    except OSError as exc:
        raise _unreadable(source, exc) from exc
    with os.fdopen(handle, "rb") as stream:
        while chunk := _chunk(stream, source):
            left -= len(chunk)
            if left < 0:
                break
            digest.update(chunk)
            copy.write(chunk)
    if left:
        raise InstallError(f"expected {source} to stay as it was, it changed", advice=_GET_AGAIN)
    return digest.hexdigest()


def _chunk(stream: BinaryIO, source: Path) -> bytes:
    """Return the next bytes of a file; an error of the medium is told from one of the copy."""
    try:
        return stream.read(_CHUNK_BYTES)
    except OSError as exc:
        raise _unreadable(source, exc) from exc


def _unreadable(source: Path, error: OSError) -> InstallError:
    """Return the error about a file of the medium that cannot be read."""
    return InstallError(f"cannot read {source}: {error.strerror}", advice=_GET_AGAIN)


def _open(path: Path) -> int:
    """Open a plain file without following a link or waiting for a pipe."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a plain file")
    return handle


def _target(path: Path | None) -> BinaryIO:
    """Return where copied bytes go; nowhere when only the digest is wanted."""
    return Path(os.devnull).open("wb") if path is None else path.open("xb")
