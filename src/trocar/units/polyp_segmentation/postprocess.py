"""From the network's output to a mask."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.outcome import Reason

__all__ = ["find_fault", "threshold"]


# @need-ids: SRS_POLYP_005, RCM_NONFINITE_001
def find_fault(prob: NDArray[np.float32]) -> Reason | None:
    """Return why an output cannot be used, or None.

    Args:
        prob: (h, w) float32, not empty.

    Returns:
        ``OUTPUT_NOT_FINITE`` for NaN or infinity anywhere, ``OUTPUT_OUT_OF_RANGE`` for a value
        outside [0, 1].
    """
    # NaN and infinity survive minimum and maximum, so two passes find them without a mask of the
    # whole array.
    lowest, highest = float(prob.min()), float(prob.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        return Reason.OUTPUT_NOT_FINITE
    if lowest < 0.0 or highest > 1.0:
        return Reason.OUTPUT_OUT_OF_RANGE
    return None


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
