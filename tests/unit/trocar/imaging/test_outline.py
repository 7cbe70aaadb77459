"""The outline of a mask lies on its border, and not a pixel elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from simulators.drawings import drawn_by_definition
from simulators.source import noise_pixels
from trocar.contracts.errors import InvariantError
from trocar.imaging.outline import contour_of, paint_mask


@pytest.mark.verifies("SRS_SINK_001", extent="full", technique="equivalence")
@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_contour_agrees_with_an_independent_erosion(seed: int, thickness_px: int) -> None:
    """The contour is the mask without its erosion."""
    generator = np.random.default_rng(seed)
    coarse = generator.random((7, 9)) > 0.5
    mask: NDArray[np.bool_] = np.kron(coarse, np.ones((5, 4))).astype(np.bool_)
    expected: Any = mask & ~ndimage.binary_erosion(mask, iterations=thickness_px)
    assert np.array_equal(contour_of(mask, thickness_px=thickness_px), expected)


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
def test_contour_without_thickness_is_refused() -> None:
    """An outline that nobody can see is none."""
    with pytest.raises(InvariantError, match="contour of 0 px asked for"):
        contour_of(np.ones((3, 3), np.bool_), thickness_px=0)


def _blobs(seed: int, *, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Return a random mask of blocks, some of them at the edge."""
    coarse = np.random.default_rng(seed).random((height_px // 9 + 1, width_px // 7 + 1)) > 0.6
    blocks: NDArray[np.bool_] = np.kron(coarse, np.ones((9, 7))).astype(np.bool_)
    return np.ascontiguousarray(blocks[:height_px, :width_px])


@pytest.mark.verifies("SRS_SINK_001", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_GEOMETRY_001")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("thickness_px", [1, 2, 4, 5])
def test_every_pixel_of_the_drawing_is_that_of_its_definition(seed: int, thickness_px: int) -> None:
    """It is drawn in a box and in bands for speed; neither may show, nor move anything."""
    height_px, width_px = 40 + 23 * seed, 70 + 5 * seed
    pixels = noise_pixels(seed, height_px=height_px, width_px=width_px)
    mask = _blobs(seed, height_px=height_px, width_px=width_px)
    if seed % 2:
        mask[:8], mask[-9:], mask[:, :6], mask[:, -5:] = False, False, False, False
    view = pixels.copy()
    paint_mask(view, mask, thickness_px=thickness_px)
    assert np.array_equal(view, drawn_by_definition(pixels, mask, thickness_px))
