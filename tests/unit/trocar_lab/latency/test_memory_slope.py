"""The slope of memory is that of the bulk of the samples."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulators.soak_bundles import SoakShape, telemetry_of
from trocar.contracts.errors import InvariantError
from trocar_lab.latency.memory_slope import MemorySlope, memory_slope

pytestmark = pytest.mark.verifies("SRS_LATE_004", extent="partial", technique="statistical")


def _slope(rss_mib: Callable[[float], float], *, timed_s: int = 3600) -> MemorySlope | None:
    """Return the slope of a course of memory, from its second sample on."""
    samples = telemetry_of(SoakShape(warm_up_s=1, timed_s=timed_s, rss_mib=rss_mib))
    return memory_slope(samples, begin_ns=samples[1].monotonic_ns)


def test_steady_growth_is_its_slope() -> None:
    """Two MiB an hour are two, and the ends of the interval lie close."""
    slope = _slope(lambda time_s: 100.0 + 2.0 * time_s / 3600.0)
    assert slope is not None
    assert slope.mib_per_hour == pytest.approx(2.0, abs=1e-9)
    assert (slope.lower_95, slope.upper_95) == pytest.approx((2.0, 2.0), abs=1e-9)
    assert slope.last_mib - slope.first_mib == pytest.approx(1.8, abs=0.02)


def test_a_few_large_samples_do_not_move_it() -> None:
    """A peak of half a minute is seen as the maximum and not as growth."""
    slope = _slope(lambda time_s: 900.0 if 3500 < time_s < 3530 else 100.0)
    assert slope is not None
    assert slope.mib_per_hour == 0.0
    assert slope.observed_max_mib == 900.0


def test_few_blocks_give_no_slope() -> None:
    """Fifty seconds are five blocks; a slope of these would say nothing."""
    assert _slope(lambda time_s: time_s, timed_s=45) is None
    assert _slope(lambda time_s: time_s, timed_s=60) is not None


def test_begin_before_the_clock_is_our_mistake() -> None:
    """A time that cannot be is no warm-up."""
    with pytest.raises(InvariantError):
        memory_slope([], begin_ns=-1)
