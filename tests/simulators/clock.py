"""A clock that a test moves by hand."""

from __future__ import annotations

import threading

from trocar.contracts.errors import require

__all__ = ["FakeClock"]


class FakeClock:
    """``ports.Clock`` whose time passes by ``advance_ns``, by sleeping, and by a step a reading.

    Thread-safe.

    Args:
        now_ns: Time at the begin [ns].
        step_ns: Time that passes with every reading [ns].
    """

    def __init__(self, now_ns: int = 1_000_000_000, *, step_ns: int = 0) -> None:
        self._lock = threading.Lock()
        self._now_ns = now_ns
        self.step_ns = step_ns
        self.slept_until_ns: list[int] = []

    def now_ns(self) -> int:
        """Return the time and let one step pass [ns]."""
        with self._lock:
            now_ns = self._now_ns
            self._now_ns += self.step_ns
            return now_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Make it ``deadline_ns`` at once, and note that somebody slept."""
        with self._lock:
            self.slept_until_ns.append(deadline_ns)
            self._now_ns = max(self._now_ns, deadline_ns)

    def advance_ns(self, duration_ns: int) -> None:
        """Let time pass [ns]."""
        require(duration_ns >= 0, "time does not go backwards")
        with self._lock:
            self._now_ns += duration_ns
