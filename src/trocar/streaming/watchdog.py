"""A look at every part of a run from outside: what is it doing, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from trocar.contracts.limits import NS_PER_MS, PART_BUSY_MS_MAX, PART_HANG_MS_MAX
from trocar.streaming.health_state import Fault, RunHealth

__all__ = ["Activity", "LinkStatus", "ReportsLink", "Supervised", "Watchdog", "Watched"]


class Activity:
    """Since when one thread has been busy with one piece of work; None while it has none.

    Written by one thread and read by others without a lock: one reference is replaced as a whole.
    """

    __slots__ = ("_since_ns",)

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        """Note that a piece of work begins."""
        self._since_ns = now_ns

    def end(self) -> None:
        """Note that there is nothing to do."""
        self._since_ns = None

    def busy_ns(self, now_ns: int) -> int:
        """Return for how long the present piece of work has been going on; 0 without any [ns]."""
        since_ns = self._since_ns
        return 0 if since_ns is None else max(0, now_ns - since_ns)


@runtime_checkable
class Supervised(Protocol):
    """A sink with a thread of its own."""

    @property
    def activity(self) -> Activity:
        """What its thread is doing."""
        ...

    @property
    def dropped_count(self) -> int:
        """Results that it left out."""
        ...


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """State of the connection of a live source.

    Attributes:
        is_connected: Whether data may come.
        reconnect_count: How often it was connected again.
        problem: Why it was lost, or empty while it is connected for the first time.
    """

    is_connected: bool
    reconnect_count: int
    problem: str = ""


@runtime_checkable
class ReportsLink(Protocol):
    """A source that can be lost and come back by itself, and gives up by itself."""

    def link_status(self) -> LinkStatus:
        """Return the state now; never waits."""
        ...


@dataclass(frozen=True, slots=True)
class Watched:
    """One part and its limits.

    Attributes:
        name: Name of the part.
        activity: What it is doing.
        fault: What is open while it is beyond its limit.
        fails_after_ms: Time after which the run has failed; None where the loop judges that itself.
    """

    name: str
    activity: Activity
    fault: Fault
    fails_after_ms: int | None = PART_HANG_MS_MAX


# @need-ids: SRS_LIVE_011, RCM_LIVE_001
class Watchdog:
    """Compares what every part is doing with its limits.

    Args:
        parts: What is looked at.
        health: Told what is found.
        busy_ms_max: Time that a part may spend on one piece of work [ms].
    """

    def __init__(
        self, parts: Sequence[Watched], *, health: RunHealth, busy_ms_max: int = PART_BUSY_MS_MAX
    ) -> None:
        self._parts = tuple(parts)
        self._health = health
        self._busy_ns_max = busy_ms_max * NS_PER_MS

    def check(self, now_ns: int) -> bool:
        """Look at every part once; return whether all of them live."""
        stalled: set[Fault] = set()
        for part in self._parts:
            busy_ns = part.activity.busy_ns(now_ns)
            if busy_ns > self._busy_ns_max:
                stalled.add(part.fault)
            if part.fails_after_ms is not None and busy_ns > part.fails_after_ms * NS_PER_MS:
                self._health.fail(f"{part.name}_hangs")
        for fault in {part.fault for part in self._parts}:
            self._health.set_fault(fault, is_open=fault in stalled)
        return not stalled
