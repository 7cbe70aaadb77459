"""The assignment is the best there is, always the same, and bounded."""

from __future__ import annotations

from itertools import permutations
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from trocar.contracts.errors import InvariantError
from trocar.contracts.limits import DETECTION_COUNT_MAX
from trocar.tracking.association import assign

COARSE: Final = st.integers(-2, 3).map(float)
FINE: Final = st.floats(-1.0, 1.0, allow_subnormal=False)


def _total(gains: list[list[float]]) -> float:
    """Return the sum of gains of the pairs."""
    return sum(gains[row][column] for row, column in assign(gains))


def _best(gains: list[list[float]]) -> float:
    """Return the largest sum there is, by SciPy."""
    clipped = np.maximum(np.array(gains), 0.0)
    return float(clipped[linear_sum_assignment(clipped, maximize=True)].sum())


@st.composite
def _tables(draw: st.DrawFn) -> list[list[float]]:
    """Draw a table of gains; coarse values make ties, which is where paths turn over."""
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    values = draw(st.sampled_from([COARSE, FINE]))
    return draw(
        st.lists(st.lists(values, min_size=columns, max_size=columns), min_size=rows, max_size=rows)
    )


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="property")
@settings(max_examples=600, deadline=None)
@given(gains=_tables())
def test_no_assignment_gains_more(gains: list[list[float]]) -> None:
    """SciPy's solver, which shares no line with ours, finds no larger sum."""
    assert _total(gains) == pytest.approx(_best(gains), abs=1e-9)


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="property")
@settings(max_examples=300, deadline=None)
@given(gains=_tables())
def test_each_row_and_column_at_most_once_and_only_with_gain(gains: list[list[float]]) -> None:
    """One detection is one tool, and a pair without gain is none."""
    pairs = assign(gains)
    assert len({row for row, _ in pairs}) == len(pairs)
    assert len({column for _, column in pairs}) == len(pairs)
    assert all(gains[row][column] > 0.0 for row, column in pairs)
    assert pairs == sorted(pairs)


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="requirement")
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_best_total_wins_over_the_best_single_pair(order: tuple[int, ...]) -> None:
    """Greedy matching would take 0.9 first and lose 1.6 for it."""
    gains = [[0.9, 0.8, -1.0], [0.8, -1.0, -1.0], [-1.0, -1.0, 0.1]]
    pairs = assign([gains[row] for row in order])
    assert {(order[row], column) for row, column in pairs} == {(0, 1), (1, 0), (2, 2)}


@pytest.mark.parametrize(
    ("gains", "pairs"),
    [
        ([], []),
        ([[], []], []),
        ([[0.0]], []),
        ([[-0.5, 0.0]], []),
        ([[1e-12]], [(0, 0)]),
        ([[0.2, 0.3, 0.1]], [(0, 1)]),
        ([[0.2], [0.3], [0.1]], [(1, 0)]),
        ([[0.5, 0.5]], [(0, 0)]),
        ([[0.5], [0.5]], [(0, 0)]),
    ],
)
def test_borders_of_the_table(gains: list[list[float]], pairs: list[tuple[int, int]]) -> None:
    """Nothing, one of each side, and ties, which go to the first."""
    assert assign(gains) == pairs


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="equivalence")
def test_groups_that_a_later_row_joins_are_solved_as_one() -> None:
    """Rows 0 and 1 reach different columns; row 2 reaches both and takes one of them."""
    gains = [[0.3, 0.0, 0.0], [0.0, 0.3, 0.2], [0.4, 0.35, 0.0]]
    assert assign(gains) == [(0, 0), (1, 2), (2, 1)]


@pytest.mark.verifies("SRS_TRACK_010", extent="partial", technique="boundary")
@pytest.mark.parametrize("seed", range(3))
def test_largest_table_is_solved_exactly(seed: int) -> None:
    """The bound is a size that works, not one that is only allowed."""
    side = DETECTION_COUNT_MAX
    table = np.random.default_rng(seed).uniform(0.0, 1.0, (side, side)).tolist()
    assert _total(table) == pytest.approx(_best(table), abs=1e-6)


@pytest.mark.verifies("SRS_TRACK_010", extent="partial", technique="boundary")
@pytest.mark.parametrize(("rows", "columns"), [(101, 1), (1, 101)])
def test_larger_table_is_refused(rows: int, columns: int) -> None:
    """Time grows with the third power: more boxes than the bound are our bug."""
    with pytest.raises(InvariantError, match="expected at most 100 boxes, got"):
        assign([[1.0] * columns] * rows)
