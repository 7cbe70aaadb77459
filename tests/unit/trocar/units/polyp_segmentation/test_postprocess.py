"""Unusable outputs are named; the threshold is inclusive and monotone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trocar.contracts.outcome import Reason
from trocar.units.polyp_segmentation.postprocess import find_fault, threshold


@pytest.mark.verifies("SRS_POLYP_005", extent="full", technique="boundary")
@pytest.mark.controls("RCM_NONFINITE_001")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, None),
        (1.0, None),
        (np.nextafter(np.float32(1), np.float32(2)), Reason.OUTPUT_OUT_OF_RANGE),
        (-1e-7, Reason.OUTPUT_OUT_OF_RANGE),
        (np.nan, Reason.OUTPUT_NOT_FINITE),
        (np.inf, Reason.OUTPUT_NOT_FINITE),
        (-np.inf, Reason.OUTPUT_NOT_FINITE),
    ],
)
def test_one_bad_value_anywhere_is_found(value: float, expected: Reason | None) -> None:
    """One pixel out of many thousands is enough to distrust the output."""
    for position in ((0, 0), (7, 3), (63, 63)):
        prob = np.full((64, 64), 0.5, np.float32)
        prob[position] = value
        assert find_fault(prob) is expected


@given(
    prob=hnp.arrays(np.float32, (7, 5), elements=st.floats(0, 1, width=32)),
    first=st.floats(0.05, 0.95),
    second=st.floats(0.05, 0.95),
)
@pytest.mark.verifies("SRS_POLYP_003", extent="full", technique="property")
def test_threshold_is_monotone_and_inclusive(
    prob: np.ndarray,
    first: float,
    second: float,
) -> None:
    """A higher threshold gives a subset; a pixel exactly at the threshold belongs to the mask."""
    low, high = sorted((first, second))
    assert not (threshold(prob, high) & ~threshold(prob, low)).any()
    exact = np.float32(low)
    assert threshold(np.full((1, 1), exact, np.float32), float(exact)).all()
