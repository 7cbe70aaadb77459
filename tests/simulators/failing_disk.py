"""A disk that is full, tears a record or refuses to confirm it, and logs that can be held up."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from trocar.audit.chain import Head
from trocar.audit.disk import Disk
from trocar.contracts.errors import AuditError, SinkError

__all__ = ["DIGEST", "INSTALLED", "NOW", "FailingDisk", "HeldLog", "full_disk_error"]

DIGEST: Final = "ab" * 32
INSTALLED: Final = {"version": "0.1.0", "sequence": 7, "digest": DIGEST}
NOW: Final = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
PATIENCE_S: Final = 30.0


class FailingDisk(Disk):
    """A real disk until it is told otherwise.

    Attributes:
        write_errno: Error of the next writes, or None.
        written_bytes: How much of a record such a write takes before it fails; None for all of it.
        sync_errno: Error of the next confirmations, or None.
        can_cut: Whether a record can be taken back.
        synced_count: Confirmations that were asked for.
        is_real: Whether a confirmation waits for the disk; without, a test of many files is quick.
    """

    def __init__(self) -> None:
        self.write_errno: int | None = None
        self.written_bytes: int | None = None
        self.sync_errno: int | None = None
        self.can_cut = True
        self.synced_count = 0
        self.is_real = True

    def write(self, descriptor: int, data: bytes) -> int:
        """Write, in part or not at all where told so."""
        if self.written_bytes is not None:
            return super().write(descriptor, data[: self.written_bytes])
        if self.write_errno is not None:
            raise OSError(self.write_errno, os.strerror(self.write_errno))
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Confirm, unless told otherwise."""
        self.synced_count += 1
        if self.sync_errno is not None:
            raise OSError(self.sync_errno, os.strerror(self.sync_errno))
        if self.is_real:
            super().sync(descriptor)

    def cut(self, descriptor: int, length_bytes: int) -> None:
        """Cut, unless told otherwise."""
        if not self.can_cut:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().cut(descriptor, length_bytes)


def full_disk_error() -> SinkError:
    """Return the error of a log on a full disk."""
    return SinkError("no room", advice="make room", errno=errno.ENOSPC)


class HeldLog:
    """A log whose appends do what a script says, each when the test lets it.

    Args:
        script: What the next appends raise, None for success; behind its end all succeed.
        is_open: Whether appends go on without being let.
    """

    def __init__(
        self, *script: SinkError | AuditError | RuntimeError | None, is_open: bool = True
    ) -> None:
        self.records: list[tuple[str, Mapping[str, object], datetime | None]] = []
        self._script = list(script)
        self._gate = threading.Event()
        self._called = threading.Semaphore(0)
        if is_open:
            self.let_go()

    def let_go(self) -> None:
        """Let every append go on."""
        self._gate.set()

    def await_call(self) -> None:
        """Wait until one more append was asked for."""
        assert self._called.acquire(timeout=PATIENCE_S), "nothing was appended"

    def append(
        self, event: str, fields: Mapping[str, object], *, at: datetime | None = None
    ) -> Head:
        """Do what the script says."""
        self._called.release()
        assert self._gate.wait(PATIENCE_S), "nobody let the append go on"
        error = self._script.pop(0) if self._script else None
        if error is not None:
            raise error
        self.records.append((event, fields, at))
        return Head("f" * 32, len(self.records), DIGEST)

    def now(self) -> datetime:
        """Return a fixed time."""
        return NOW
