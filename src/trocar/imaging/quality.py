"""Measures of a frame that tell whether it can be used at all, from a sub-sample of its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.limits import QUALITY_STRIDE_PX_MAX, SATURATED_LEVEL_MIN

__all__ = ["FrameQuality", "measure"]

_SAMPLED_SIDE_COUNT: Final = 64
"""Samples along the shorter side, at least, where the frame has so many."""


_PIXEL: Final = np.dtype((np.void, 3))
"""Three channels of one byte as one item."""


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """Measures of one frame.

    Attributes:
        level_mean: Mean of the sampled channel values [0, 255].
        level_spread: Standard deviation of the same.
        saturated_fraction: Share of sampled channel values at or above ``SATURATED_LEVEL_MIN``.
        fingerprint: The sampled bytes; equal for identical frames, and never equal for frames with
            sensor noise.
    """

    level_mean: float
    level_spread: float
    saturated_fraction: float
    fingerprint: bytes


def measure(pixels: NDArray[np.uint8]) -> FrameQuality:
    """Measure one frame.

    Args:
        pixels: (H, W, 3) uint8 RGB; not modified.

    Returns:
        The measures, from every n-th pixel along both axes, n at most ``QUALITY_STRIDE_PX_MAX``.
    """
    shorter = min(pixels.shape[0], pixels.shape[1])
    stride = max(1, min(QUALITY_STRIDE_PX_MAX, shorter // _SAMPLED_SIDE_COUNT))
    # Whole pixels are gathered faster than single bytes; the sums are exact integers.
    whole = np.ascontiguousarray(pixels).view(_PIXEL)[::stride, ::stride, 0]
    sample = np.ascontiguousarray(whole).view(np.uint8)
    total = sample.size
    mean = int(sample.sum(dtype=np.uint64)) / total
    squares = np.square(sample, dtype=np.uint16)
    variance = max(0.0, int(squares.sum(dtype=np.uint64)) / total - mean**2)
    return FrameQuality(
        level_mean=mean,
        level_spread=variance**0.5,
        saturated_fraction=float(np.count_nonzero(sample >= SATURATED_LEVEL_MIN)) / total,
        fingerprint=sample.tobytes(),
    )
