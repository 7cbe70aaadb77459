"""Overlap of two binary masks, and intervals for a mean over groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def dice(prediction: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Return the Dice coefficient; 1 when both masks are empty.

    Args:
        prediction: Any shape, bool.
        reference: Same shape, bool.

    Returns:
        2|A and B| / (|A| + |B|), in [0, 1].

    Raises:
        ValueError: The shapes differ.

    Source:
        Dice 1945, doi 10.2307/1932409.
    """
    both, total = _counts(prediction, reference)
    return 1.0 if total == 0 else 2.0 * both / total


def intersection_over_union(prediction: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Return the Jaccard index; 1 when both masks are empty.

    Args:
        prediction: Any shape, bool.
        reference: Same shape, bool.

    Returns:
        |A and B| / |A or B|, in [0, 1].

    Raises:
        ValueError: The shapes differ.
    """
    both, total = _counts(prediction, reference)
    return 1.0 if total == 0 else both / (total - both)


def _counts(prediction: NDArray[np.bool_], reference: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the size of the intersection and the sum of both sizes."""
    if prediction.shape != reference.shape:
        raise ValueError(
            f"expected masks of one shape, got {prediction.shape} and {reference.shape}"
        )
    both = int(np.count_nonzero(prediction & reference))
    return both, int(np.count_nonzero(prediction)) + int(np.count_nonzero(reference))


@dataclass(frozen=True)
class MeanInterval:
    """A mean with its bootstrap interval.

    Attributes:
        mean: Mean over items.
        lower: Lower end of the 95 % interval.
        upper: Upper end of the 95 % interval.
        item_count: Number of items.
        group_count: Number of groups that were resampled.
    """

    mean: float
    lower: float
    upper: float
    item_count: int
    group_count: int


def bootstrap_mean(
    values: Sequence[float], groups: Sequence[str], *, seed: int = 0, replicate_count: int = 10_000
) -> MeanInterval:
    """Return the mean over items with a 95 % percentile interval from resampled groups.

    Args:
        values: One value an item; at least one.
        groups: Group of each item; items of one group are drawn together.
        seed: Seed of the generator.
        replicate_count: Number of bootstrap replicates, at least 100.

    Returns:
        Mean and interval.

    Raises:
        ValueError: No values, unequal lengths, or too few replicates.

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile
        interval), with groups as the unit of resampling.
    """
    if not values or len(values) != len(groups):
        raise ValueError(
            f"expected one group a value and at least one, got {len(values)} and {len(groups)}"
        )
    if replicate_count < 100:
        raise ValueError(f"expected at least 100 replicates, got {replicate_count}")
    names, inverse = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(inverse, weights=np.asarray(values, dtype=np.float64))
    sizes = np.bincount(inverse).astype(np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(names), size=(replicate_count, len(names)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    lower, upper = np.percentile(means, [2.5, 97.5])
    return MeanInterval(
        mean=float(np.mean(values)),
        lower=float(lower),
        upper=float(upper),
        item_count=len(values),
        group_count=len(names),
    )
