"""Statistics of one latency arm: pure functions of the raw times, nothing left out.

The exact binomial bounds are those of the device (``trocar.streaming.latency_statistics``). They
are nominal, because neighbouring frames share clock and heat; the block bootstrap and the longest
run of misses stand beside them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from trocar.contracts.errors import require
from trocar.streaming.latency_statistics import miss_ratio_interval, percentile_of_sorted

ONE_SIDED_TAIL: Final = 0.05
TWO_SIDED_TAIL: Final = 0.025
STABLE_BLOCK_COUNT: Final = 3
STABLE_SPREAD_MAX: Final = 0.02
BOOTSTRAP_COUNT: Final = 2000
BOOTSTRAP_SEED: Final = 20_260_101
DROPPED_NS: Final = 2**62
"""Age of a frame that never had a result: older than any other in every percentile."""

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Bounds:
    """Lower and upper end; an end that the sample does not bound is None."""

    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class MissRatio:
    """Misses of all frames.

    Attributes:
        miss_count: Late and dropped frames.
        frame_count: All frames.
        lower_one_sided: Exact one-sided 95 % lower bound.
        upper_one_sided: Exact one-sided 95 % upper bound.
        lower_two_sided: Lower end of the exact two-sided 95 % interval.
        upper_two_sided: Upper end of the same.
    """

    miss_count: int
    frame_count: int
    lower_one_sided: float
    upper_one_sided: float
    lower_two_sided: float
    upper_two_sided: float

    @property
    def ratio(self) -> float:
        """Observed share of misses."""
        return self.miss_count / self.frame_count


def miss_ratio(miss_count: int, frame_count: int) -> MissRatio:
    """Return misses with their exact bounds (Clopper and Pearson 1934)."""
    lower_one, upper_one = miss_ratio_interval(miss_count, frame_count, tail=ONE_SIDED_TAIL)
    lower_two, upper_two = miss_ratio_interval(miss_count, frame_count, tail=TWO_SIDED_TAIL)
    return MissRatio(miss_count, frame_count, lower_one, upper_one, lower_two, upper_two)


def percentile_ranks(frame_count: int, fraction: float) -> tuple[int | None, int | None]:
    """Return the ranks, from 1, that hold a percentile with 95 % confidence.

    Args:
        frame_count: Frames, at least one.
        fraction: The percentile, in (0, 1).

    Returns:
        Lower and upper rank; None where the sample has no order statistic far enough out.

    Source:
        David & Nagaraja, Order Statistics (2003), 7.1: P(X(r) <= q <= X(s)) = P(r <= B < s), B
        binomial(n, fraction).
    """
    require(frame_count > 0 and 0.0 < fraction < 1.0, f"p{fraction} of {frame_count} frames")
    # P(B <= lower - 1) must not exceed the tail, and P(B >= upper) must not either.
    lower = int(binom.ppf(TWO_SIDED_TAIL, frame_count, fraction))
    while lower > 0 and float(binom.cdf(lower - 1, frame_count, fraction)) > TWO_SIDED_TAIL:
        lower -= 1
    upper = int(binom.ppf(1.0 - TWO_SIDED_TAIL, frame_count, fraction)) + 1
    return (lower if lower >= 1 else None), (upper if upper <= frame_count else None)


def percentile(ages_ns: Sequence[int], fraction: float) -> int:
    """Return a percentile by nearest rank of values sorted upwards [ns]."""
    return percentile_of_sorted(ages_ns, fraction)


def percentile_interval(ages_ns: Sequence[int], fraction: float) -> Bounds:
    """Return the values at the ranks of ``percentile_ranks``, of values sorted upwards [ns]."""
    lower, upper = percentile_ranks(len(ages_ns), fraction)
    return Bounds(
        lower=None if lower is None else ages_ns[lower - 1],
        upper=None if upper is None else ages_ns[upper - 1],
    )


def block_bootstrap(segments: Iterable[Bools], *, block_length: int) -> Bounds:
    """Return the 95 % interval of the miss ratio over resampled blocks of neighbours.

    Args:
        segments: Misses of each uninterrupted stretch; no block reaches across two of them.
        block_length: Frames in a block, at least one.

    Returns:
        The interval. Without any miss it is [0, 0] and says nothing.
    """
    misses, blocks = _blocks(segments, block_length)
    sizes = np.bincount(blocks)
    sums = np.bincount(blocks, weights=misses)
    ratios = np.empty(BOOTSTRAP_COUNT)
    for number, chosen in enumerate(_resamples(len(sizes))):
        ratios[number] = sums[chosen].sum() / sizes[chosen].sum()
    lower, upper = np.quantile(ratios, [TWO_SIDED_TAIL, 1.0 - TWO_SIDED_TAIL])
    return Bounds(lower=float(lower), upper=float(upper))


# @need-ids: SRS_LATE_003
def percentile_bootstrap(
    segments: Iterable[Int64s], fraction: float, *, block_length: int
) -> Bounds:
    """Return the 95 % interval of a percentile over resampled blocks of neighbours.

    Args:
        segments: Ages of each uninterrupted stretch [ns], a dropped frame as ``DROPPED_NS``.
        fraction: The percentile, in (0, 1), by nearest rank.
        block_length: Frames in a block, at least one.

    Returns:
        The interval [ns]; an end among frames that never had a result is ``DROPPED_NS``.

    Source:
        Carlstein, Annals of Statistics 14 (1986) 1171-1179: blocks that do not overlap.
    """
    ages_ns, blocks = _blocks(segments, block_length)
    order = np.argsort(ages_ns, kind="stable")
    sorted_ns, block_of = ages_ns[order], blocks[order]
    block_count = int(blocks.max()) + 1
    found = np.empty(BOOTSTRAP_COUNT, dtype=np.int64)
    for number, chosen in enumerate(_resamples(block_count)):
        # Each frame counts as often as its block was drawn; the rank is met where the sum is.
        weights = np.bincount(chosen, minlength=block_count)[block_of]
        ranks = np.cumsum(weights)
        wanted = math.ceil(fraction * int(ranks[-1]))
        found[number] = sorted_ns[int(np.searchsorted(ranks, wanted))]
    found.sort()
    lower, upper = (
        int(found[round(share * (BOOTSTRAP_COUNT - 1))])
        for share in (TWO_SIDED_TAIL, 1.0 - TWO_SIDED_TAIL)
    )
    return Bounds(lower=lower, upper=upper)


def _blocks(segments: Iterable[NDArray[Any]], block_length: int) -> tuple[NDArray[Any], Int64s]:
    """Return all values, and for each the number of its block."""
    require(block_length > 0, f"blocks of {block_length} frames")
    values: list[NDArray[Any]] = []
    numbers: list[Int64s] = []
    count = 0
    for segment in segments:
        values.append(segment)
        numbers.append(count + np.arange(len(segment), dtype=np.int64) // block_length)
        count += -(-len(segment) // block_length)
    require(count > 0, "bootstrap of no frames")
    return np.concatenate(values), np.concatenate(numbers)


def _resamples(block_count: int) -> Iterator[Int64s]:
    """Yield the blocks of each resample; the same ones for the same number of blocks."""
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    for _ in range(BOOTSTRAP_COUNT):
        yield generator.integers(0, block_count, block_count)


def longest_run(misses: Bools) -> int:
    """Return the length of the longest row of misses without a frame in time between them."""
    padded = np.concatenate(([0], misses.astype(np.int8), [0]))
    edges = np.flatnonzero(np.diff(padded))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def output_intervals(segments: Iterable[Int64s]) -> Int64s:
    """Return the times between neighbouring results inside each uninterrupted stretch [ns]."""
    gaps = [np.diff(available_ns) for available_ns in segments]
    return np.concatenate(gaps) if gaps else np.empty(0, dtype=np.int64)


def is_stable(medians_ns: Sequence[float]) -> bool:
    """Return whether the last blocks agree: their medians lie within 2 % of the smallest one."""
    last = list(medians_ns)[-STABLE_BLOCK_COUNT:]
    if len(last) < STABLE_BLOCK_COUNT or not all(math.isfinite(value) for value in last):
        return False
    return max(last) - min(last) <= STABLE_SPREAD_MAX * min(last)
