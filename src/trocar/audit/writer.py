"""The thread that writes events to the audit log, so that nothing in a run waits for the disk."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from trocar.audit.chain import Head
from trocar.audit.events import Value, checked_fields
from trocar.audit.log import is_disk_full
from trocar.contracts.errors import AuditError, InvariantError, SinkError, TrocarError
from trocar.contracts.limits import (
    AUDIT_CLOSE_MS_MAX,
    AUDIT_HELD_COUNT_MAX,
    AUDIT_RETRY_MS,
    NS_PER_MS,
    NS_PER_S,
)

__all__ = ["AuditWriter", "Log"]

_ADVICE: Final = (
    "free disk space for the audit log; the results of the run are written, what is missing is in "
    "the log only"
)


class Log(Protocol):
    """What the thread writes to; ``log.AuditLog`` is the one."""

    def append(
        self, event: str, fields: Mapping[str, object], *, at: datetime | None = None
    ) -> Head:
        """Append one record."""

    def now(self) -> datetime:
        """Return the time that a record of this moment gets."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One event that is not on the disk yet."""

    event: str
    fields: Mapping[str, Value]
    at: datetime


# @need-ids: SRS_AUDIT_006, SRS_AUDIT_007, RCM_AUDIT_004
class AuditWriter:
    """A bounded queue in front of a log, and the thread that empties it.

    While the log cannot be written, events wait; beyond ``held_count_max`` the newest ones are
    lost and counted. When it can be written again, what waited comes first, with the time when it
    happened, and then a record ``gap`` with both numbers.

    Args:
        log: The log.
        held_count_max: Events that may wait.
        retry_ms: Pause before it is tried again.
        close_ms_max: Longest wait for the last event.
    """

    def __init__(
        self,
        log: Log,
        *,
        held_count_max: int = AUDIT_HELD_COUNT_MAX,
        retry_ms: int = AUDIT_RETRY_MS,
        close_ms_max: int = AUDIT_CLOSE_MS_MAX,
    ) -> None:
        self._log = log
        self._held_count_max = held_count_max
        self._retry_s = retry_ms * NS_PER_MS / NS_PER_S
        self._close_s = close_ms_max * NS_PER_MS / NS_PER_S
        self._condition = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._head: Head | None = None
        self._cause = ""
        self._lost_count = 0
        self._lost_in_all_count = 0
        self._error: TrocarError | None = None
        self._is_closing = False
        self._has_ended = False
        self._thread = threading.Thread(target=self._work, name="trocar-audit", daemon=True)
        self._thread.start()

    @property
    def is_held(self) -> bool:
        """Whether events wait because the log cannot be written; read without a lock."""
        return self._cause != "" or self._error is not None

    @property
    def head(self) -> Head | None:
        """The last record that this thread has written, or None."""
        with self._condition:
            return self._head

    def put(self, event: str, fields: Mapping[str, object]) -> None:
        """Hand over one event; never waits for the disk.

        Raises:
            InvariantError: The event is not in the table or a value does not have its form.
        """
        item = _Waiting(event, checked_fields(event, fields), self._log.now())
        with self._condition:
            if len(self._waiting) >= self._held_count_max or self._has_ended:
                self._lost_count += 1
                self._lost_in_all_count += 1
                return
            self._waiting.append(item)
            self._condition.notify_all()

    def flush(self) -> Head | None:
        """Wait, for a bounded time, until nothing waits; return the head, None if it still does."""
        until_s = time.monotonic() + self._close_s
        with self._condition:
            while self._waiting and not self._has_ended and not self.is_held:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._condition.wait(left_s)
            return None if self._waiting or self.is_held else self._head

    def close(self) -> None:
        """Write what waits, once more where it could not be written, and end the thread.

        Raises:
            SinkError: Events are missing in the log.
            AuditError: The log is no longer what was written to it.
        """
        with self._condition:
            if self._is_closing:
                return
            self._is_closing = True
            self._condition.notify_all()
        self._thread.join(self._close_s)
        with self._condition:
            missing_count = len(self._waiting) + self._lost_in_all_count
        if self._error is not None:
            raise self._error
        if missing_count:
            raise SinkError(
                f"{missing_count} events are missing in the audit log, which could not be written",
                advice=_ADVICE,
            )

    def _work(self) -> None:
        """Write what waits until the end; runs in a thread of its own."""
        error: TrocarError | None = InvariantError(
            "the thread of the audit log ended before its time",
            advice="this is a fault of Trocar; report it with the log of the run",
        )
        try:
            while (item := self._next()) is not None:
                if not self._write(item):
                    break
            error = None
        except AuditError as exc:
            error = exc
        finally:
            with self._condition:
                self._error = error
                self._has_ended = True
                self._condition.notify_all()

    def _next(self) -> _Waiting | None:
        """Wait for the next event; None once nothing waits and the writer is closing."""
        with self._condition:
            while not self._waiting and not self._is_closing:
                self._condition.wait(self._close_s)
            return self._waiting[0] if self._waiting else None

    def _write(self, item: _Waiting) -> bool:
        """Write the event that waits first; return whether to go on."""
        try:
            head = self._log.append(item.event, item.fields, at=item.at)
        except SinkError as exc:
            return self._hold(exc)
        with self._condition:
            self._waiting.popleft()
            self._head = head
            if self._cause:
                self._end_of_gap()
            self._condition.notify_all()
        return True

    def _hold(self, error: SinkError) -> bool:
        """Note that the log cannot be written, and pause; return whether to try again."""
        with self._condition:
            was_closing = self._is_closing
            self._cause = "disk_full" if is_disk_full(error) else "not_writable"
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._is_closing, timeout=self._retry_s)
            return not was_closing

    def _end_of_gap(self) -> None:
        """Put the record of a gap behind what waits; the lock is held."""
        held_count = 1 + len(self._waiting)
        counts = {"held_count": held_count, "lost_count": self._lost_count}
        fields = checked_fields("gap", {"cause": self._cause, **counts})
        self._waiting.append(_Waiting("gap", fields, self._log.now()))
        self._cause, self._lost_count = "", 0
