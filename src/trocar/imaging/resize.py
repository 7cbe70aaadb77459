"""Resizing of frames to the network's resolution, and of probabilities back to the frame's.

libswscale does the arithmetic: it reads the frame's own memory, without a copy. Orientation is
never changed: row 0 stays the top and column 0 the left, which a test with a marked corner proves.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from trocar.contracts.errors import require
from trocar.contracts.findings import Mask

__all__ = ["RgbResizer", "upsample_mask"]

_LEVEL_COUNT: Final = 255.0


class RgbResizer:
    """Resize RGB frames to one fixed size; keeps the scaler's tables between frames.

    Not thread-safe: one resizer belongs to one unit.

    Args:
        height_px: Height of the result.
        width_px: Width of the result.
    """

    def __init__(self, *, height_px: int, width_px: int) -> None:
        require(
            height_px > 0 and width_px > 0, f"result of {height_px}x{width_px} pixels asked for"
        )
        self._height_px = height_px
        self._width_px = width_px
        self._reformatter = VideoReformatter()

    # @need-ids: SRS_POLYP_002, RCM_GEOMETRY_001
    def resize(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the frame at the fixed size.

        Where the frame is larger, each result pixel is the mean of the area it covers, so that
        nothing aliases; where it is smaller, pixels are interpolated linearly. The aspect ratio is
        not kept, as in training.

        Args:
            pixels: (H, W, 3) uint8 RGB, C-contiguous; not modified, not copied.

        Returns:
            (height_px, width_px, 3) uint8 RGB, newly allocated unless the size is the same already.
        """
        if pixels.shape[:2] == (self._height_px, self._width_px):
            return pixels
        resized = self._reformatter.reformat(
            VideoFrame.from_numpy_buffer(pixels, format="rgb24"),
            width=self._width_px,
            height=self._height_px,
            format="rgb24",
            interpolation=Interpolation.AREA,
            threads=1,
        )
        return np.asarray(resized.to_ndarray(), dtype=np.uint8)


# @need-ids: SRS_POLYP_008
def upsample_mask(mask: Mask) -> NDArray[np.bool_]:
    """Return the mask at the size of its frame.

    The probabilities are rounded to 1/255, interpolated linearly and cut at the mask's threshold,
    which follows a contour more closely than enlarging the pixels of the binary mask would.

    Args:
        mask: A mask at the network's resolution.

    Returns:
        (frame_height_px, frame_width_px) bool, newly allocated.
    """
    levels = np.rint(mask.prob * _LEVEL_COUNT).astype(np.uint8)
    scaled = (
        VideoReformatter()
        .reformat(
            VideoFrame.from_ndarray(levels, format="gray"),
            width=mask.frame_width_px,
            height=mask.frame_height_px,
            format="gray",
            interpolation=Interpolation.BILINEAR,
            threads=1,
        )
        .to_ndarray()
    )
    return np.asarray(scaled >= mask.prob_threshold * _LEVEL_COUNT)
