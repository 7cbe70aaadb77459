"""Pictures drawn by their definition, slowly, to compare the fast drawing with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from trocar.imaging import lettering

__all__ = ["drawn_by_definition"]


def drawn_by_definition(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], thickness_px: int
) -> NDArray[np.uint8]:
    """Return the frame with fill, outline and rim, one after the other over the whole of it."""
    outline: Any = mask & ~ndimage.binary_erosion(mask, iterations=thickness_px)
    around: Any = ndimage.binary_dilation(mask, iterations=max(1, thickness_px // 2)) & ~mask
    colour = np.array(lettering.SKY_BLUE)
    thirteen_parts = pixels.astype(int) - (pixels >> 3) - (pixels >> 4)
    expected = pixels.astype(int)
    expected[mask] = (thirteen_parts + (colour >> 3) + (colour >> 4))[mask]
    expected[outline] = colour
    expected[around] = 0
    return expected.astype(np.uint8)
