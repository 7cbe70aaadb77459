"""A group never stands on two sides of a split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trocar_lab.datasets.splits import Split, SplitLeakError, assign_split, check_no_leak

FRACTIONS = {"validation_fraction": 0.1, "test_fraction": 0.15}


@given(group=st.text(min_size=1, max_size=20), salt=st.text(max_size=8))
@pytest.mark.verifies("SRS_TRAIN_001", extent="full", technique="property")
def test_one_group_has_one_side(group: str, salt: str) -> None:
    """The side depends on name and salt alone."""
    first = assign_split(group, salt=salt, **FRACTIONS)
    assert first is assign_split(group, salt=salt, **FRACTIONS)


@pytest.mark.verifies("SRS_TRAIN_001", extent="partial", technique="requirement")
def test_shares_are_those_asked_for() -> None:
    """Over many groups the shares come out within a few standard errors."""
    sides = [assign_split(f"g{index}", salt="s", **FRACTIONS) for index in range(20_000)]
    assert sides.count(Split.TEST) / len(sides) == pytest.approx(0.15, abs=0.01)
    assert sides.count(Split.VALIDATION) / len(sides) == pytest.approx(0.10, abs=0.01)


@pytest.mark.parametrize(
    ("group", "validation", "test"),
    [("", 0.1, 0.1), ("g", 0.0, 0.1), ("g", 0.1, 0.0), ("g", 0.5, 0.5)],
)
def test_split_that_cannot_be_is_refused(group: str, validation: float, test: float) -> None:
    """No side may be empty by construction, no group nameless."""
    with pytest.raises(ValueError, match="expected"):
        assign_split(group, salt="s", validation_fraction=validation, test_fraction=test)


@pytest.mark.verifies("SRS_TRAIN_001", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        ({Split.TRAIN: ["a"], Split.VALIDATION: ["b"], Split.TEST: ["a"]}, "share groups"),
        ({Split.TRAIN: ["a"], Split.VALIDATION: ["a"], Split.TEST: ["c"]}, "share groups"),
        ({Split.TRAIN: ["a"], Split.VALIDATION: ["b"], Split.TEST: ["b"]}, "share groups"),
        ({Split.TRAIN: ["a"], Split.VALIDATION: ["b"], Split.TEST: []}, "test side is empty"),
        ({Split.TRAIN: ["a"], Split.VALIDATION: ["b"]}, "test side is empty"),
        ({}, "empty"),
    ],
)
def test_leak_and_empty_side_are_found(groups: dict[Split, list[str]], problem: str) -> None:
    """Each pair of sides, and each side that would make a metric void."""
    with pytest.raises(SplitLeakError, match=problem):
        check_no_leak(groups)


def test_clean_split_passes() -> None:
    """The check lets a sound split through."""
    check_no_leak({Split.TRAIN: ["a", "b"], Split.VALIDATION: ["c"], Split.TEST: ["d"]})
