"""The state of health of a run: one table of states and events, and the faults that are open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import structlog
from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.limits import HEALTH_CHANGE_COUNT_MAX, NS_PER_MS
from trocar.contracts.ports import Clock

__all__ = [
    "TRANSITIONS",
    "Fault",
    "HealthChange",
    "HealthEvent",
    "HealthState",
    "OnChange",
    "RunHealth",
]


class HealthState(StrEnum):
    """What may be expected of a run at this moment."""

    STARTING = "starting"
    """No result yet."""

    READY = "ready"
    """Results come, and no fault is open."""

    DEGRADED = "degraded"
    """A fault is open, or was and no result has come since."""

    FAILED = "failed"
    """The run has ended with an error, or a part of it hangs: it has to be started again."""


class HealthEvent(StrEnum):
    """What can change the state."""

    RESULT = "result"
    """A record with a finding was written while no fault was open."""

    FAULT = "fault"
    """A fault began, or another one joined it."""

    FAILURE = "failure"
    """The run cannot go on."""


# @need-ids: SRS_LIVE_010
TRANSITIONS: Final[Mapping[tuple[HealthState, HealthEvent], HealthState]] = {
    (HealthState.STARTING, HealthEvent.RESULT): HealthState.READY,
    (HealthState.STARTING, HealthEvent.FAULT): HealthState.DEGRADED,
    (HealthState.STARTING, HealthEvent.FAILURE): HealthState.FAILED,
    (HealthState.READY, HealthEvent.RESULT): HealthState.READY,
    (HealthState.READY, HealthEvent.FAULT): HealthState.DEGRADED,
    (HealthState.READY, HealthEvent.FAILURE): HealthState.FAILED,
    (HealthState.DEGRADED, HealthEvent.RESULT): HealthState.READY,
    (HealthState.DEGRADED, HealthEvent.FAULT): HealthState.DEGRADED,
    (HealthState.DEGRADED, HealthEvent.FAILURE): HealthState.FAILED,
    (HealthState.FAILED, HealthEvent.RESULT): HealthState.FAILED,
    (HealthState.FAILED, HealthEvent.FAULT): HealthState.FAILED,
    (HealthState.FAILED, HealthEvent.FAILURE): HealthState.FAILED,
}
"""Every pair of state and event; a state that is not a key cannot be left, and none is missing."""


class Fault(StrEnum):
    """What can be wrong while a run goes on."""

    SOURCE_DISCONNECTED = "source_disconnected"
    SOURCE_SILENT = "source_silent"
    LOOP_STALLED = "loop_stalled"
    SINK_STALLED = "sink_stalled"
    RESULTS_LEFT_OUT = "results_left_out"
    """A sink is too slow and leaves results out."""

    RESULTS_WITHHELD = "results_withheld"
    DEADLINES_MISSED = "deadlines_missed"
    AUDIT_NOT_WRITTEN = "audit_not_written"
    """Events wait in memory, because the audit log cannot be written."""


class HealthChange(Contract):
    """One change of state or of its reasons.

    Attributes:
        after_ms: Time since the run began [ms].
        state: The state from here on.
        reasons: The faults that are open, or the code of the error.
    """

    after_ms: float = Field(ge=0.0)
    state: HealthState
    reasons: tuple[str, ...]


OnChange = Callable[[HealthChange], None]
"""Told of each change by the thread that made it; must return at once."""


class RunHealth:
    """State of health of one run; thread-safe.

    Args:
        clock: Monotonic time.
        on_change: Told of each change.
    """

    def __init__(self, *, clock: Clock, on_change: OnChange | None = None) -> None:
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.RLock()
        self._begin_ns = clock.now_ns()
        self._state = HealthState.STARTING
        self._faults: set[Fault] = set()
        self._failure: str | None = None
        self._changes = [HealthChange(after_ms=0.0, state=self._state, reasons=())]
        self._change_count = 1

    @property
    def state(self) -> HealthState:
        """The state now."""
        return self._state

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not ready: the faults that are open by name, or the code of the error."""
        with self._lock:
            if self._failure is not None:
                return (self._failure,)
            return tuple(sorted(self._faults))

    @property
    def changes(self) -> tuple[HealthChange, ...]:
        """The changes since the begin, the first ``HEALTH_CHANGE_COUNT_MAX`` of them."""
        with self._lock:
            return tuple(self._changes)

    @property
    def change_count(self) -> int:
        """Number of all changes, those that are not listed included."""
        return self._change_count

    def set_fault(self, fault: Fault, *, is_open: bool) -> None:
        """Say whether a fault is open; saying so again changes nothing."""
        # Read without the lock: a look at a set is atomic, and this is asked for every frame.
        if (fault in self._faults) == is_open:
            return
        with self._lock:
            if is_open:
                self._faults.add(fault)
                self._take(HealthEvent.FAULT)
            else:
                self._faults.discard(fault)

    def result(self) -> None:
        """Say that a record with a finding was written."""
        if self._state is HealthState.READY:
            return
        with self._lock:
            if not self._faults:
                self._take(HealthEvent.RESULT)

    def fail(self, reason: str) -> None:
        """Say that the run cannot go on; the first reason stays."""
        with self._lock:
            if self._failure is None:
                self._failure = reason
                self._take(HealthEvent.FAILURE)

    # @need-ids: RCM_LIVE_001
    def _take(self, event: HealthEvent) -> None:
        """Change the state by the table, and tell whoever asked; the lock is held."""
        before, self._state = self._state, TRANSITIONS[self._state, event]
        if before is self._state and self._state is not HealthState.DEGRADED:
            return
        after_ms = (self._clock.now_ns() - self._begin_ns) / NS_PER_MS
        change = HealthChange(after_ms=after_ms, state=self._state, reasons=self.reasons)
        if len(self._changes) < HEALTH_CHANGE_COUNT_MAX:
            self._changes.append(change)
        self._change_count += 1
        structlog.get_logger().info("health", state=str(change.state), reasons=change.reasons)
        if self._on_change is not None:
            self._on_change(change)
