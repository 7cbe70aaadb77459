"""The file of a log on the disk: opened for one writer at a time, never followed through a link."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trocar.contracts.errors import AuditError, SinkError
from trocar.contracts.limits import (
    AUDIT_FILE_BYTES_MAX,
    AUDIT_LOCK_MS_MAX,
    AUDIT_PART_COUNT_MAX,
    AUDIT_RECORD_BYTES_MAX,
    NS_PER_MS,
    NS_PER_S,
)

__all__ = [
    "CONTENT_BYTES_MAX",
    "Disk",
    "content_of",
    "latest_part",
    "next_place",
    "opened",
    "sync_folder",
]

CONTENT_BYTES_MAX: Final = AUDIT_FILE_BYTES_MAX + AUDIT_RECORD_BYTES_MAX
"""Largest file that can be part of a log."""

_PART_NUMBER: Final = re.compile(r"[1-9][0-9]{0,3}")
_LOCK_PAUSE_S: Final = 0.005
_OTHERS: Final = 0o077
_READ_BYTES: Final = 1024 * 1024


class Disk:
    """What the log asks of the disk; a test hands in one that fails."""

    def write(self, descriptor: int, data: bytes) -> int:
        """Write at the end of the file; return how many bytes were taken."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Return once the file is on the disk."""
        os.fsync(descriptor)

    def cut(self, descriptor: int, length_bytes: int) -> None:
        """Cut the file."""
        os.ftruncate(descriptor, length_bytes)


# @need-ids: SRS_AUDIT_009
@contextlib.contextmanager
def opened(path: Path, *, for_writing: bool) -> Iterator[int]:
    """Open the file and hold its lock; make an empty one where there is none and one may write.

    The lock is on the file itself. Another process may have given the file another name while
    this one waited for it: then the new one is opened.

    Args:
        path: The file.
        for_writing: Whether something will be appended.

    Raises:
        AuditError: It is a link, no plain file, has more names than one, or others may use it.
        SinkError: It cannot be opened, or another process holds it for too long.
    """
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    flags |= os.O_RDWR | os.O_APPEND | os.O_CREAT if for_writing else os.O_RDONLY
    until_ns = time.monotonic_ns() + AUDIT_LOCK_MS_MAX * NS_PER_MS
    while time.monotonic_ns() <= until_ns:
        with contextlib.ExitStack() as stack:
            try:
                descriptor = os.open(path, flags, 0o600)
            except OSError as exc:
                raise _not_opened(path, exc) from exc
            stack.callback(os.close, descriptor)
            _refuse_other_files(path, os.fstat(descriptor), for_writing=for_writing)
            _lock(path, descriptor, fcntl.LOCK_EX if for_writing else fcntl.LOCK_SH, until_ns)
            if _is_still(path, descriptor):
                yield descriptor
                return
    raise SinkError(
        f"the audit log {path} is replaced again and again while it is opened",
        advice="look for the program that replaces it; nothing was written",
    )


def content_of(path: Path, descriptor: int, *, begin_bytes: int = 0) -> bytes:
    """Return the content of an open file.

    Args:
        path: The file, for the error.
        descriptor: The open file.
        begin_bytes: How much of its begin is left out.

    Raises:
        AuditError: It is larger than a log can be.
        OSError: It cannot be read.
    """
    if os.fstat(descriptor).st_size > CONTENT_BYTES_MAX:
        raise AuditError(
            f"expected an audit log of at most {CONTENT_BYTES_MAX} bytes, {path} is larger",
            advice="name a file that trocar has written; nothing was appended",
        )
    found = bytearray()
    # One more byte than allowed is asked for, and no file is read for ever.
    while len(found) <= CONTENT_BYTES_MAX:
        data = os.pread(descriptor, _READ_BYTES, begin_bytes + len(found))
        if not data:
            break
        found += data
    return bytes(found)


def latest_part(path: Path) -> Path | None:
    """Return the file with the highest number that a log has left behind, or None.

    Args:
        path: The log's present file.

    Raises:
        OSError: The folder cannot be read.
    """
    numbers = []
    with os.scandir(path.parent) as entries:
        for entry in entries:
            begin, _, number = entry.name.rpartition(".")
            if begin == path.name and _PART_NUMBER.fullmatch(number):
                numbers.append(int(number))
    return path.with_name(f"{path.name}.{max(numbers)}") if numbers else None


def next_place(path: Path, number: int) -> Path:
    """Return where the present file of a log goes when it is full.

    Raises:
        SinkError: There is something already, or the log has too many files.
    """
    place = path.with_name(f"{path.name}.{number}")
    if number >= AUDIT_PART_COUNT_MAX or os.path.lexists(place):
        raise SinkError(
            f"expected a free place for the full file of the audit log, {place} is none",
            advice="move the older files of the log to another folder",
        )
    return place


def sync_folder(folder: Path) -> None:
    """Return once the names in a folder are on the disk.

    Raises:
        OSError: The disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_opened(path: Path, exc: OSError) -> SinkError:
    """Return the error of a file that cannot be opened."""
    return SinkError(
        f"the audit log {path} cannot be opened: {exc.strerror}",
        advice="name a file in a folder that this account may write to; links are not followed",
        errno=exc.errno,
    )


def _refuse_other_files(path: Path, state: os.stat_result, *, for_writing: bool) -> None:
    """Refuse what is no plain file of this log alone.

    Raises:
        AuditError: It is a pipe, a device, has another name, or others may read or write it.
    """
    problem = ""
    if not stat.S_ISREG(state.st_mode):
        problem = "a plain file, got something else"
    elif for_writing and state.st_nlink != 1:
        problem = f"a file with one name, got one with {state.st_nlink}"
    elif for_writing and state.st_mode & _OTHERS:
        problem = f"mode 0600, got {stat.S_IMODE(state.st_mode):04o}"
    if problem:
        raise AuditError(
            f"expected the audit log {path} to be {problem}",
            advice="find out who changed it; name another file, or mend this one with chmod 0600",
        )


def _lock(path: Path, descriptor: int, kind: int, until_ns: int) -> None:
    """Wait for the lock of a file until a moment of the monotonic clock.

    Raises:
        SinkError: Another process holds it for too long, or the file system has no locks.
    """
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if time.monotonic_ns() > until_ns:
                raise SinkError(
                    f"another process holds the audit log {path} for longer than "
                    f"{AUDIT_LOCK_MS_MAX * NS_PER_MS / NS_PER_S:g} s",
                    advice="wait for it, or name another file",
                ) from exc
            time.sleep(_LOCK_PAUSE_S)
        except OSError as exc:
            raise _not_opened(path, exc) from exc
        else:
            return


def _is_still(path: Path, descriptor: int) -> bool:
    """Return whether a path still names the open file."""
    try:
        there = path.lstat()
    except OSError:
        return False
    here = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
