"""Write one evidence file: new, locked, a line at a time, so that a killed run loses none of them.

A line is acknowledged when ``write`` returns: its bytes are then with the system and outlive the
process, even one that is killed. What outlives the machine is what was put on the disk: that is
done at most once a second, because it costs milliseconds where a line costs microseconds, and a
test run that loses its last second to a power failure is repeated anyway; and at the end.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.evidence_record import FIRST_LINK, Line, encode

SYNC_SECONDS: Final = 1.0
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class EvidenceWriter:
    """Append lines to one file that did not exist before and that no other writer holds."""

    def __init__(self, path: Path) -> None:
        """Create the file.

        Raises:
            EvidenceError: It exists, another writer's or not, or cannot be created.
        """
        self._path = path
        self._previous = FIRST_LINK
        self._synced_at = time.monotonic()
        self._is_open = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise EvidenceError(f"{path.parent}: cannot be made: {exc.strerror}") from exc
        try:
            self._file = os.open(path, _FLAGS, 0o644)
            self._is_open = True
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sync_folder(path.parent)
        except FileExistsError as exc:
            why = "exists already; a run has a file of its own and is never added to another's"
            raise EvidenceError(f"{path.name}: {why}") from exc
        except OSError as exc:
            raise EvidenceError(f"{path.name}: cannot be written: {exc.strerror}") from exc

    def write(self, line: Line) -> None:
        """Append one line, linked to the line before it.

        Raises:
            EvidenceError: The line cannot be written as a whole; nothing can be written after it.
        """
        if not self._is_open:
            raise EvidenceError(f"{self._path.name}: closed; nothing is written after that")
        data, link = encode(line, self._previous)
        try:
            self._write_all(data + b"\n")
        except OSError as exc:
            self._is_open = False
            os.close(self._file)
            raise EvidenceError(f"{self._path.name}: cannot be written: {exc.strerror}") from exc
        self._previous = link
        self.sync_when_due()

    def sync_when_due(self) -> None:
        """Put on the disk what was written, if that was last done a second ago."""
        if self._is_open and time.monotonic() - self._synced_at >= SYNC_SECONDS:
            os.fsync(self._file)
            self._synced_at = time.monotonic()

    def close(self) -> None:
        """Put everything on the disk and close the file, which gives its lock back."""
        if self._is_open:
            self._is_open = False
            os.fsync(self._file)
            os.close(self._file)

    def _write_all(self, data: bytes) -> None:
        """Write bytes, however many calls that takes."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def is_being_written(path: Path) -> bool:
    """Return whether a writer holds the file now."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(number)
    return False
