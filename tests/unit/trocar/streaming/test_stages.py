"""Percentiles of each stage in fixed memory, never shorter than they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.unit import frame_record
from trocar.contracts.errors import InvariantError
from trocar.streaming.stages import DurationCounts, Stage, StageTrace

MS = 1_000_000


@pytest.mark.verifies("SRS_LIVE_014", extent="full", technique="property")
@given(
    values=st.lists(st.integers(0, 10**13), min_size=1, max_size=60),
    share=st.sampled_from([0.001, 0.5, 0.9, 0.99, 0.999, 1.0]),
)
def test_quantile_is_that_of_the_sorted_values_or_a_little_more(
    values: list[int], share: float
) -> None:
    """Compared with the whole list: at most 3.2 % too long, and never too short."""
    counts = DurationCounts()
    for value in values:
        counts.add(value)
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    got = counts.quantile_ns(share)
    assert exact <= got <= exact * 1.032
    assert (counts.count, counts.longest_ns) == (len(values), max(values))


@pytest.mark.verifies("SRS_LIVE_014", extent="partial", technique="boundary")
def test_times_below_zero_and_very_long_ones_are_counted() -> None:
    """A clock that two threads read may give -1; a century must not break the run."""
    counts = DurationCounts()
    counts.add(-1)
    counts.add((1 << 63) - 1)
    assert counts.quantile_ns(0.5) == 0
    assert counts.quantile_ns(1.0) == (1 << 63) - 1


@pytest.mark.verifies("SRS_LIVE_014", extent="partial", technique="boundary")
@pytest.mark.parametrize(("count", "share"), [(0, 0.5), (1, 0.0), (1, 1.1)])
def test_quantile_of_nothing_or_of_no_share_is_refused(count: int, share: float) -> None:
    """A number that means nothing must not be shown."""
    counts = DurationCounts()
    for _ in range(count):
        counts.add(1)
    with pytest.raises(InvariantError, match="quantile"):
        counts.quantile_ns(share)


@pytest.mark.verifies("SRS_LIVE_014", extent="partial", technique="requirement")
def test_report_has_every_stage_of_every_unit() -> None:
    """From arrival to the written result, piece by piece."""
    trace = StageTrace()
    assert trace.report() == ()
    record = frame_record(age_ns=40 * MS, service_ns=10 * MS, captured_at_ns=1000 * MS)
    trace.add(record, written_at_ns=1045 * MS)
    report = {item.stage: item for item in trace.report()}
    expected = {
        Stage.ARRIVAL_TO_UNIT: 30.0,
        Stage.UNIT_TO_OUTCOME: 10.0,
        Stage.OUTCOME_TO_WRITTEN: 5.0,
        Stage.ARRIVAL_TO_WRITTEN: 45.0,
    }
    assert {stage: item.max_ms for stage, item in report.items()} == expected
    assert all(item.p50_ms == item.p999_ms == item.max_ms for item in report.values())
    assert {item.unit for item in report.values()} == {"scripted"}


@pytest.mark.verifies("SRS_LIVE_014", extent="partial", technique="statistical")
def test_percentiles_agree_with_numpy_on_many_values() -> None:
    """An independent computation on ten thousand times of a long-tailed run."""
    values = np.random.default_rng(1).lognormal(15, 1, 10_000).astype(np.int64)
    counts = DurationCounts()
    for value in values:
        counts.add(int(value))
    for share in (0.5, 0.9, 0.99, 0.999):
        exact = float(np.quantile(values, share, method="inverted_cdf"))
        assert exact <= counts.quantile_ns(share) <= 1.032 * exact
