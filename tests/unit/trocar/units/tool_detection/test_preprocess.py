"""The batch is the whole frame at the network's size, nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from trocar.imaging.resize import RgbResizer
from trocar.units.tool_detection.preprocess import to_batch


@pytest.mark.verifies("SRS_TOOL_002", extent="partial", technique="requirement")
def test_batch_has_the_layout_that_the_model_takes() -> None:
    """(1, h, w, 3) uint8, contiguous, values of the resized frame."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    resizer = RgbResizer(height_px=64, width_px=96)
    batch = to_batch(pixels, resizer)
    assert batch.shape == (1, 64, 96, 3)
    assert batch.dtype == np.uint8
    assert batch.flags.c_contiguous
    np.testing.assert_array_equal(batch[0], resizer.resize(pixels))


@pytest.mark.verifies("SRS_TOOL_002", extent="partial", technique="requirement")
def test_corner_and_colour_stay_where_they_were() -> None:
    """A wide frame is squeezed to the network's size: nothing is cropped, turned or swapped."""
    pixels = np.zeros((90, 320, 3), np.uint8)
    pixels[:45, :160] = (200, 100, 50)
    batch = to_batch(pixels, RgbResizer(height_px=64, width_px=96))
    np.testing.assert_allclose(
        batch[0, :31, :47].reshape(-1, 3), [[200, 100, 50]] * 31 * 47, atol=1
    )
    assert not batch[0, 33:].any()
    assert not batch[0, :, 49:].any()
