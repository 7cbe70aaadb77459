"""Order statistics and exact binomial bounds for latency, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from trocar.contracts.errors import require

__all__ = [
    "P999_BOUNDED_FROM_COUNT",
    "beta_quantile",
    "miss_ratio_interval",
    "percentile_of_sorted",
    "regularised_beta",
]

P999_BOUNDED_FROM_COUNT: Final = 3688
"""Frames below which the 95 % order-statistic interval of p99.9 has no upper end."""

_FRACTION_TERM_COUNT: Final = 100_000
_FRACTION_TOLERANCE: Final = 1e-15
_TINY: Final = 1e-300
_BISECTION_COUNT: Final = 200


def percentile_of_sorted(values: Sequence[int], fraction: float) -> int:
    """Return the nearest-rank percentile: the smallest value with that share at or below it.

    Args:
        values: Sorted upwards, not empty.
        fraction: In (0, 1].
    """
    require(len(values) > 0, "percentile of no values asked for")
    require(0.0 < fraction <= 1.0, f"percentile {fraction} asked for")
    # The product of 0.9 and 10 must not reach rank 10 by rounding.
    rank = math.ceil(fraction * len(values) - 1e-9)
    return values[max(rank, 1) - 1]


def miss_ratio_interval(miss_count: int, frame_count: int, *, tail: float) -> tuple[float, float]:
    """Return the exact bounds of a miss ratio, each wrong with probability ``tail`` at most.

    Args:
        miss_count: Misses.
        frame_count: Frames, at least one.
        tail: 0.05 for one-sided 95 % bounds, 0.025 for the ends of a two-sided 95 % interval.

    Source:
        Clopper & Pearson, Biometrika 26 (1934) 404-413: lower = B(tail; k, n - k + 1), upper = B(1
        - tail; k + 1, n - k), B the quantile of the beta distribution.
    """
    require(0 <= miss_count <= frame_count and frame_count > 0, f"{miss_count} of {frame_count}")
    require(0.0 < tail < 0.5, f"tail of {tail} asked for")
    hit_count = frame_count - miss_count
    lower = 0.0 if miss_count == 0 else beta_quantile(tail, miss_count, hit_count + 1)
    upper = 1.0 if hit_count == 0 else beta_quantile(1.0 - tail, miss_count + 1, hit_count)
    return lower, upper


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Return x with I_x(a, b) = probability, by bisection: I is increasing in x."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTION_COUNT):
        middle = 0.5 * (low + high)
        if middle in {low, high}:
            break
        if regularised_beta(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def regularised_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    Args:
        x: In (0, 1).
        a: Above zero.
        b: Above zero.

    Source:
        NIST DLMF 8.17.22 (continued fraction), 8.17.4 (symmetry), evaluated by Lentz's method.
    """
    require(0.0 < x < 1.0 and a > 0.0 and b > 0.0, f"I_x(a, b) asked for at {x}, {a}, {b}")
    # The fraction converges fast below the mean; above it, I_x(a, b) = 1 - I_(1-x)(b, a).
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _beta_by_fraction(1.0 - x, b, a)
    return _beta_by_fraction(x, a, b)


def _beta_by_fraction(x: float, a: float, b: float) -> float:
    """Evaluate DLMF 8.17.22, I = front / (1 + d1 / (1 + d2 / ...)), where it converges fast."""
    log_front = (
        math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + a * math.log(x)
        + b * math.log1p(-x)
        - math.log(a)
    )
    c, d, product = 1.0, 0.0, 1.0
    for term_index in range(1, _FRACTION_TERM_COUNT):
        term = _term(term_index, x, a, b)
        d = 1.0 / _away_from_zero(1.0 + term * d)
        c = _away_from_zero(1.0 + term / c)
        product *= c * d
        if abs(c * d - 1.0) < _FRACTION_TOLERANCE:
            break
    return math.exp(log_front) / product


def _term(term_index: int, x: float, a: float, b: float) -> float:
    """Return the numerator d of the fraction (DLMF 8.17.23)."""
    m = term_index // 2
    if term_index % 2 == 0:
        return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))


def _away_from_zero(value: float) -> float:
    """Keep a denominator of Lentz's method from vanishing."""
    return value if abs(value) > _TINY else _TINY
