"""The threshold is inclusive and monotone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trocar.units.polyp_segmentation.postprocess import threshold


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
