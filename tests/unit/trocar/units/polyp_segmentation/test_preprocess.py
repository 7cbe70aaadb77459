"""The batch is the frame at the network's size, nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from trocar.imaging.resize import RgbResizer
from trocar.units.polyp_segmentation.preprocess import to_batch


@pytest.mark.verifies("SRS_POLYP_002", extent="partial", technique="requirement")
def test_batch_has_the_layout_that_the_model_takes() -> None:
    """(1, h, w, 3) uint8, contiguous, values of the resized frame."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    resizer = RgbResizer(height_px=64, width_px=32)
    batch = to_batch(pixels, resizer)
    assert batch.shape == (1, 64, 32, 3)
    assert batch.dtype == np.uint8
    assert batch.flags.c_contiguous
    np.testing.assert_array_equal(batch[0], resizer.resize(pixels))
