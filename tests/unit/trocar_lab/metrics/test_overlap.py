"""Overlap measures and their intervals agree with direct counting and with theory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from trocar_lab.metrics.overlap import bootstrap_mean, dice, intersection_over_union

MASKS = hnp.arrays(np.bool_, (5, 6))


@given(first=MASKS, second=MASKS)
def test_measures_agree_with_sets_and_with_each_other(
    first: np.ndarray,
    second: np.ndarray,
) -> None:
    """Counted as sets of pixels; Dice is 2 IoU / (1 + IoU); both are symmetric."""
    a, b = (set(zip(*np.nonzero(mask), strict=True)) for mask in (first, second))
    if a or b:
        assert dice(first, second) == pytest.approx(2 * len(a & b) / (len(a) + len(b)))
        assert intersection_over_union(first, second) == pytest.approx(len(a & b) / len(a | b))
    iou = intersection_over_union(first, second)
    assert dice(first, second) == pytest.approx(2 * iou / (1 + iou))
    assert dice(first, second) == dice(second, first)


def test_missed_polyp_scores_zero_and_agreed_nothing_one() -> None:
    """An empty prediction must not score well against a polyp."""
    empty, full = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    assert dice(empty, full) == 0.0
    assert intersection_over_union(full, empty) == 0.0
    assert dice(empty, empty) == intersection_over_union(empty, empty) == 1.0


def test_masks_of_two_shapes_are_refused() -> None:
    """Broadcasting would compare the wrong pixels."""
    with pytest.raises(ValueError, match="one shape"):
        dice(np.zeros((4, 4), bool), np.zeros((4, 1), bool))


def test_interval_matches_theory_for_independent_items() -> None:
    """One item a group: the mean plus and minus about 1.96 standard errors."""
    values = np.random.default_rng(0).normal(0.8, 0.1, 400).tolist()
    figure = bootstrap_mean(values, [str(index) for index in range(400)])
    error = float(np.std(values)) / 20
    assert figure.mean == pytest.approx(np.mean(values))
    assert figure.lower == pytest.approx(figure.mean - 1.96 * error, abs=0.002)
    assert figure.upper == pytest.approx(figure.mean + 1.96 * error, abs=0.002)
    assert (figure.item_count, figure.group_count) == (400, 400)


def test_interval_widens_when_items_of_a_group_are_alike() -> None:
    """Ten copies of a group are one observation, not ten."""
    values = np.random.default_rng(0).normal(0.8, 0.1, 40).repeat(10).tolist()
    groups = [str(index // 10) for index in range(400)]
    grouped = bootstrap_mean(values, groups)
    naive = bootstrap_mean(values, [str(index) for index in range(400)])
    assert grouped.upper - grouped.lower > 2.5 * (naive.upper - naive.lower)


def test_one_seed_gives_one_interval() -> None:
    """A figure in a card can be computed again."""
    values, groups = [0.1, 0.5, 0.9], ["a", "b", "c"]
    assert bootstrap_mean(values, groups, seed=4) == bootstrap_mean(values, groups, seed=4)


@pytest.mark.parametrize(
    ("values", "groups", "count"), [([], [], 100), ([1.0], [], 100), ([1.0], ["a"], 99)]
)
def test_interval_over_nothing_is_refused(
    values: list[float], groups: list[str], count: int
) -> None:
    """A mean over nothing proves nothing."""
    with pytest.raises(ValueError, match="expected"):
        bootstrap_mean(values, groups, replicate_count=count)
