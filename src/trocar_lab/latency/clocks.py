"""Both clocks of the machine read together: their difference moves when the wall clock is set."""

from __future__ import annotations

import time
from typing import Final

from trocar.contracts.base import Contract

_TRY_COUNT: Final = 10


class ClockReading(Contract):
    """Monotonic and wall clock at one moment [ns]."""

    monotonic_ns: int
    wall_ns: int

    @property
    def offset_ns(self) -> int:
        """Wall clock minus monotonic clock [ns]."""
        return self.wall_ns - self.monotonic_ns


def read_clocks() -> ClockReading:
    """Return both clocks; of several tries the one with the least time in between."""
    return min((_read_once() for _ in range(_TRY_COUNT)), key=lambda pair: pair[0])[1]


def _read_once() -> tuple[int, ClockReading]:
    """Return how far apart the reads were [ns], and the reading."""
    before_ns = time.monotonic_ns()
    wall_ns = time.time_ns()
    after_ns = time.monotonic_ns()
    middle_ns = (before_ns + after_ns) // 2
    return after_ns - before_ns, ClockReading(monotonic_ns=middle_ns, wall_ns=wall_ns)
