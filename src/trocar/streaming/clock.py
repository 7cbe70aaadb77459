"""The monotonic clock of this machine."""

from __future__ import annotations

import time

from trocar.contracts.limits import NS_PER_S

__all__ = ["MonotonicClock"]


class MonotonicClock:
    """``ports.Clock`` of the operating system, which a step of the wall clock cannot move."""

    def now_ns(self) -> int:
        """Return the monotonic time [ns]."""
        return time.monotonic_ns()

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Wait until ``deadline_ns``; never return early, and at once when it has passed."""
        while (remaining_ns := deadline_ns - time.monotonic_ns()) > 0:
            time.sleep(remaining_ns / NS_PER_S)
