"""What every clock of the device promises; a subclass names the adapter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.ports import Clock

__all__ = ["ClockSuite"]

READ_COUNT: Final = 1_000


class ClockSuite(ABC):
    """Subclass as ``TestMyClock`` and return a clock; mark the subclass with what it verifies."""

    @abstractmethod
    def make_clock(self) -> Clock:
        """Return the clock under test."""

    def test_time_is_whole_nanoseconds(self) -> None:
        """A float would lose nanoseconds after some days of running."""
        assert type(self.make_clock().now_ns()) is int

    def test_time_never_runs_backwards(self) -> None:
        """Ages are differences: a step back would make an old frame look young."""
        clock = self.make_clock()
        reads = [clock.now_ns() for _ in range(READ_COUNT)]
        assert reads == sorted(reads)
        assert reads[0] >= 0

    def test_sleep_never_ends_early(self) -> None:
        """A frame shown before it is due would be measured as younger than it is."""
        clock = self.make_clock()
        for ahead_ns in (1, NS_PER_MS // 10, NS_PER_MS):
            deadline_ns = clock.now_ns() + ahead_ns
            clock.sleep_until_ns(deadline_ns)
            assert clock.now_ns() >= deadline_ns

    def test_sleep_until_the_past_returns(self) -> None:
        """A run that is behind must catch up, not wait or fail."""
        clock = self.make_clock()
        now_ns = clock.now_ns()
        for deadline_ns in (now_ns, now_ns - 1, 0, -1):
            clock.sleep_until_ns(deadline_ns)
        assert clock.now_ns() >= now_ns
