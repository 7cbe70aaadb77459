"""The clock of the device never runs backwards and never wakes early."""

from __future__ import annotations

import pytest

from conformance.clock_suite import ClockSuite
from trocar.contracts.ports import Clock
from trocar.streaming.clock import MonotonicClock


@pytest.mark.verifies("SRS_STREAM_003", extent="partial", technique="conformance")
class TestMonotonicClock(ClockSuite):
    """The operating system's clock keeps what every clock promises."""

    def make_clock(self) -> Clock:
        """Return the clock under test."""
        return MonotonicClock()


@pytest.mark.verifies("SRS_STREAM_003", extent="partial", technique="boundary")
def test_deadline_that_has_passed_is_not_waited_for() -> None:
    """A source that is late must not become later by sleeping."""
    clock = MonotonicClock()
    before_ns = clock.now_ns()
    clock.sleep_until_ns(before_ns - 10_000_000_000)
    assert clock.now_ns() - before_ns < 5_000_000_000
