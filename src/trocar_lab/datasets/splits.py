"""Splits of a dataset into train, validation and test that never cut through a group.

A group is whatever must not be on two sides: a patient, a procedure, a publication, a cluster of
near-duplicates. The assignment depends on the group's name and a salt alone, so adding a group
moves no other group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

_HASH_RANGE: Final = 1 << 64


class Split(StrEnum):
    """Side of the split on which a group lies."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class SplitLeakError(ValueError):
    """A group, or an item, stands on two sides of the split."""


def assign_split(
    group: str, *, salt: str, validation_fraction: float, test_fraction: float
) -> Split:
    """Return the side on which a group lies, from a hash of its name.

    Args:
        group: Name of the group; any non-empty text.
        salt: Names the split; another salt gives another split.
        validation_fraction: Expected share of groups for validation, in (0, 1).
        test_fraction: Expected share of groups for test, in (0, 1); the two together below 1.

    Returns:
        The side; equal arguments always give the same side, on every machine.

    Raises:
        ValueError: A fraction is out of range or the group has no name.
    """
    if not group:
        raise ValueError("expected a group name, got an empty text")
    if min(validation_fraction, test_fraction) <= 0 or validation_fraction + test_fraction >= 1:
        raise ValueError(
            f"expected positive fractions with a sum below 1, got {validation_fraction} and "
            f"{test_fraction}"
        )
    digest = hashlib.sha256(f"{salt}:{group}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / _HASH_RANGE
    if position < test_fraction:
        return Split.TEST
    if position < test_fraction + validation_fraction:
        return Split.VALIDATION
    return Split.TRAIN


def check_no_leak(groups_by_split: Mapping[Split, Iterable[str]]) -> None:
    """Raise if two sides share a group or a side is empty.

    Args:
        groups_by_split: Group names of each side; all three sides are expected.

    Raises:
        SplitLeakError: A side is missing or empty, or a group is on two sides.
    """
    sides = {split: frozenset(groups_by_split.get(split, ())) for split in Split}
    for split, groups in sides.items():
        if not groups:
            raise SplitLeakError(f"the {split} side is empty: a metric on it would be void")
    for first in Split:
        for second in Split:
            shared = sides[first] & sides[second]
            if first < second and shared:
                raise SplitLeakError(
                    f"{first} and {second} share groups, such as {sorted(shared)[:3]}"
                )
