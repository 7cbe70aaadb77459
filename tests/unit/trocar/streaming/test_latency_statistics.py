"""Bounds and percentiles agree with independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from trocar.contracts.errors import InvariantError
from trocar.streaming import latency_statistics
from trocar.streaming.latency_statistics import (
    beta_quantile,
    miss_ratio_interval,
    percentile_of_sorted,
    regularised_beta,
)


@pytest.mark.verifies("SRS_SINK_003", extent="full", technique="equivalence")
@pytest.mark.parametrize("tail", [0.05, 0.025, 0.005])
@pytest.mark.parametrize(
    ("miss_count", "frame_count"),
    [(0, 1), (1, 1), (0, 2995), (1, 30_000), (3, 30_000), (500, 1000), (999_999, 1_000_000)],
)
def test_bounds_agree_with_scipy(miss_count: int, frame_count: int, tail: float) -> None:
    """Clopper and Pearson, to ten digits."""
    lower, upper = miss_ratio_interval(miss_count, frame_count, tail=tail)
    hit_count = frame_count - miss_count
    expected_lower = beta.ppf(tail, miss_count, hit_count + 1) if miss_count else 0.0
    expected_upper = beta.ppf(1 - tail, miss_count + 1, hit_count) if hit_count else 1.0
    assert lower == pytest.approx(expected_lower, rel=1e-9)
    assert upper == pytest.approx(expected_upper, rel=1e-9)


@pytest.mark.verifies("SRS_SINK_003", extent="full", technique="boundary")
def test_number_of_frames_that_the_requirement_names() -> None:
    """2,995 frames without a miss bound the ratio by 1e-3; one frame fewer does not."""
    assert miss_ratio_interval(0, 2995, tail=0.05)[1] <= 1e-3
    assert miss_ratio_interval(0, 2994, tail=0.05)[1] > 1e-3


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="property")
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.floats(0.001, 1.0))
def test_percentile_is_the_nearest_rank(values: list[int], fraction: float) -> None:
    """A percentile is a time that was observed, as numpy's inverted CDF gives it."""
    ordered = sorted(values)
    got = percentile_of_sorted(ordered, fraction)
    assert got in ordered
    share_at_or_below = sum(value <= got for value in ordered) / len(ordered)
    assert share_at_or_below >= fraction - 1e-9


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="equivalence")
@pytest.mark.parametrize("fraction", [0.5, 0.9, 0.99, 0.999, 1.0])
def test_percentile_agrees_with_numpy(fraction: float) -> None:
    """The same definition as ``method="inverted_cdf"``."""
    values = sorted(np.random.default_rng(3).integers(0, 10**6, 997).tolist())
    expected = np.percentile(values, 100 * fraction, method="inverted_cdf")
    assert percentile_of_sorted(values, fraction) == expected


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="boundary")
def test_impossible_questions_are_refused() -> None:
    """A statistic of nothing is no number."""
    with pytest.raises(InvariantError):
        percentile_of_sorted([], 0.5)
    with pytest.raises(InvariantError):
        percentile_of_sorted([1], 0.0)
    with pytest.raises(InvariantError):
        miss_ratio_interval(2, 1, tail=0.05)
    with pytest.raises(InvariantError):
        miss_ratio_interval(0, 1, tail=0.5)
    with pytest.raises(InvariantError):
        regularised_beta(1.0, 1.0, 1.0)


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="boundary")
def test_loops_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the fraction nor the bisection may run for ever."""
    exact = beta_quantile(0.5, 2.0, 3.0)
    monkeypatch.setattr(latency_statistics, "_BISECTION_COUNT", 8)
    monkeypatch.setattr(latency_statistics, "_FRACTION_TERM_COUNT", 3)
    assert beta_quantile(0.5, 2.0, 3.0) == pytest.approx(exact, abs=0.05)


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="boundary")
def test_denominator_never_vanishes() -> None:
    """Lentz's method divides by it."""
    assert latency_statistics._away_from_zero(0.0) > 0.0
    assert latency_statistics._away_from_zero(-2.0) == -2.0
