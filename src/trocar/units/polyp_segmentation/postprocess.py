"""From the network's output to a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["threshold"]


# @need-ids: SRS_POLYP_003
def threshold(prob: NDArray[np.float32], prob_min: float) -> NDArray[np.bool_]:
    """Return ``prob >= prob_min``; a higher threshold never adds a pixel.

    Args:
        prob: Any shape, float32.
        prob_min: Threshold in [0, 1].

    Returns:
        Same shape, bool, newly allocated.
    """
    return prob >= np.float32(prob_min)
