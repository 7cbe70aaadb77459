"""Statistics against values that were computed elsewhere, and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom

from trocar_lab.latency.statistics import (
    BOOTSTRAP_COUNT,
    BOOTSTRAP_SEED,
    DROPPED_NS,
    Bounds,
    block_bootstrap,
    is_stable,
    longest_run,
    miss_ratio,
    output_intervals,
    percentile,
    percentile_bootstrap,
    percentile_interval,
    percentile_ranks,
)

pytestmark = pytest.mark.verifies("SRS_LATENCY_001", extent="partial", technique="boundary")


def test_no_miss_needs_2995_frames_for_one_in_a_thousand() -> None:
    """The sample size of the protocol is exact: one frame fewer does not do."""
    assert miss_ratio(0, 2995).upper_one_sided < 1e-3
    assert miss_ratio(0, 2994).upper_one_sided > 1e-3


@pytest.mark.parametrize(
    ("miss_count", "lower", "upper"),
    [(1, 8.4e-7, 1.86e-4), (3, 2.1e-5, 2.9e-4), (10, 1.6e-4, 6.1e-4)],
)
def test_two_sided_intervals_of_30000_frames(miss_count: int, lower: float, upper: float) -> None:
    """The intervals of the protocol, to the digits in which it states them."""
    found = miss_ratio(miss_count, 30_000)
    assert found.lower_two_sided == pytest.approx(lower, rel=0.02)
    assert found.upper_two_sided == pytest.approx(upper, rel=0.02)


@pytest.mark.parametrize(
    ("miss_count", "frame_count"), [(0, 10), (1, 10), (7, 150), (10, 10), (29, 30_000)]
)
def test_bounds_agree_with_scipy(miss_count: int, frame_count: int) -> None:
    """An implementation that shares nothing with the device gives the same bounds."""
    found = miss_ratio(miss_count, frame_count)
    hit_count = frame_count - miss_count
    upper = 1.0 if hit_count == 0 else float(beta.ppf(0.95, miss_count + 1, hit_count))
    lower = 0.0 if miss_count == 0 else float(beta.ppf(0.05, miss_count, hit_count + 1))
    assert found.upper_one_sided == pytest.approx(upper, abs=1e-9)
    assert found.lower_one_sided == pytest.approx(lower, abs=1e-9)


def test_p999_is_bounded_from_3688_frames() -> None:
    """Below, the upper rank would lie past the largest value."""
    assert percentile_ranks(3687, 0.999)[1] is None
    assert percentile_ranks(3688, 0.999)[1] == 3688


@pytest.mark.parametrize("frame_count", [50, 3688, 30_000])
@pytest.mark.parametrize("fraction", [0.5, 0.99, 0.999])
def test_ranks_hold_the_percentile_with_95_percent(frame_count: int, fraction: float) -> None:
    """Each end is left out with 2.5 % at most, and one rank further in would be too narrow."""
    lower, upper = percentile_ranks(frame_count, fraction)
    if lower is not None:
        assert binom.cdf(lower - 1, frame_count, fraction) <= 0.025
        assert binom.cdf(lower, frame_count, fraction) > 0.025
    if upper is not None:
        assert binom.sf(upper - 1, frame_count, fraction) <= 0.025
        assert binom.sf(upper - 2, frame_count, fraction) > 0.025


def test_interval_of_a_percentile_names_values() -> None:
    """The ends are values of the sample."""
    interval = percentile_interval(range(1, 5001), 0.5)
    assert interval.lower is not None
    assert interval.upper is not None
    assert 2400 < interval.lower < 2500 < interval.upper < 2600


def test_bootstrap_sees_that_misses_come_together() -> None:
    """The same number of misses gives a wider interval when they are neighbours."""
    spread = np.zeros(3000, dtype=np.bool_)
    spread[::100] = True
    bunched = np.zeros(3000, dtype=np.bool_)
    bunched[:30] = True
    narrow = block_bootstrap([spread], block_length=30)
    wide = block_bootstrap([bunched], block_length=30)
    assert narrow.upper is not None
    assert wide.upper is not None
    assert narrow.upper < wide.upper
    assert wide == block_bootstrap([bunched], block_length=30)


def test_bootstrap_without_a_miss_is_empty() -> None:
    """It says nothing then, which is why it never decides."""
    bounds = block_bootstrap([np.zeros(90, dtype=np.bool_)], block_length=30)
    assert (bounds.lower, bounds.upper) == (0.0, 0.0)


@pytest.mark.verifies("SRS_LATE_003", extent="full", technique="statistical")
def test_percentile_bootstrap_agrees_with_resampling_by_hand() -> None:
    """The weighted rank is the nearest rank of the frames that were drawn, resample by resample."""
    ages_ns = np.random.default_rng(3).integers(1, 10**9, 700).astype(np.int64)
    bounds = percentile_bootstrap([ages_ns[:400], ages_ns[400:]], 0.9, block_length=30)
    blocks = [ages_ns[first : first + 30] for first in range(0, 390, 30)] + [ages_ns[390:400]]
    blocks += [ages_ns[400 + first : 400 + first + 30] for first in range(0, 300, 30)]
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    found = []
    for _ in range(BOOTSTRAP_COUNT):
        chosen = generator.integers(0, len(blocks), len(blocks))
        drawn = sorted(np.concatenate([blocks[number] for number in chosen]).tolist())
        found.append(percentile(drawn, 0.9))
    found.sort()
    assert (bounds.lower, bounds.upper) == (
        found[round(0.025 * (BOOTSTRAP_COUNT - 1))],
        found[round(0.975 * (BOOTSTRAP_COUNT - 1))],
    )


@pytest.mark.verifies("SRS_LATE_003", extent="full", technique="boundary")
def test_percentile_bootstrap_knows_dropped_frames() -> None:
    """Where drops come together, the upper end lies among them and the lower one need not."""
    ages_ns = np.full(3000, 20, dtype=np.int64)
    ages_ns[100:110] = DROPPED_NS
    bounds = percentile_bootstrap([ages_ns], 0.999, block_length=30)
    assert (bounds.lower, bounds.upper) == (20, DROPPED_NS)
    assert percentile_bootstrap([ages_ns[:90]], 0.999, block_length=30) == Bounds(20, 20)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("", 0), ("....", 0), ("x", 1), (".xx.xxx", 3), ("xxx.x", 3), ("xxxx", 4)],
)
def test_longest_run_of_misses(pattern: str, expected: int) -> None:
    """Runs at either end count."""
    assert longest_run(np.array([c == "x" for c in pattern], dtype=np.bool_)) == expected


def test_output_intervals_do_not_reach_across_a_pause() -> None:
    """A pause that was planned is no jitter."""
    stretches = [np.array([0, 10, 25], dtype=np.int64), np.array([1000, 1010], dtype=np.int64)]
    assert output_intervals(stretches).tolist() == [10, 15, 10]


@pytest.mark.parametrize(
    ("medians", "expected"),
    [
        ([100.0, 100.0], False),
        ([100.0, 101.0, 102.0], True),
        ([100.0, 101.0, 102.1], False),
        ([500.0, 100.0, 100.0, 100.0], True),
        ([100.0, 100.0, float("inf")], False),
    ],
)
def test_stability_looks_at_the_last_three_blocks(medians: list[float], *, expected: bool) -> None:
    """Two per cent is inside, more is not; too few blocks are never stable."""
    assert is_stable(medians) is expected
