"""From a frame to the network's input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trocar.imaging.resize import RgbResizer

__all__ = ["to_batch"]


# @need-ids: SRS_TOOL_002
def to_batch(pixels: NDArray[np.uint8], resizer: RgbResizer) -> NDArray[np.uint8]:
    """Return the whole frame as a batch of one image; scaling to [0, 1] is inside the model.

    Args:
        pixels: (H, W, 3) uint8 RGB; not modified.
        resizer: Resizes to the network's resolution; the aspect ratio is not kept.

    Returns:
        (1, h, w, 3) uint8 RGB, C-contiguous.
    """
    return resizer.resize(pixels)[np.newaxis]
