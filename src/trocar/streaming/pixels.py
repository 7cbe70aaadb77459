"""Conversion of decoded pictures to upright (H, W, 3) uint8 RGB, by documented rules."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from trocar.contracts.errors import DecodeError
from trocar.contracts.limits import FRAME_PIXEL_COUNT_MAX, FRAME_SIDE_PX_MAX

__all__ = ["RgbConverter", "on_black", "oriented", "rgb_from_grey", "size_problem"]

_AXIS_TOLERANCE: Final = 0.01
"""Share of the largest matrix element up to which another one counts as zero."""

_LEVELS_8_FROM_16: Final = 257
"""65535 / 255: full 16-bit white becomes full 8-bit white."""


def size_problem(*, width_px: int, height_px: int) -> str | None:
    """Return what is wrong with a picture's size, or None; asked before memory is spent on it."""
    fits = (
        0 < width_px <= FRAME_SIDE_PX_MAX
        and 0 < height_px <= FRAME_SIDE_PX_MAX
        and width_px * height_px <= FRAME_PIXEL_COUNT_MAX
    )
    if fits:
        return None
    return (
        f"expected sides of 1 to {FRAME_SIDE_PX_MAX} px and at most {FRAME_PIXEL_COUNT_MAX} px,"
        f" got {width_px}x{height_px}"
    )


def on_black(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a picture with straight alpha over black, the colour around an endoscopic picture.

    Args:
        rgba: (H, W, 4) uint8; not modified.

    Returns:
        (H, W, 3) uint8, newly allocated; rounded to nearest.
    """
    weighted = rgba[..., :3].astype(np.uint16) * rgba[..., 3:] + 127
    return (weighted // 255).astype(np.uint8)


def rgb_from_grey(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Repeat one channel three times; 16-bit levels are scaled by the full range, never by content.

    Args:
        grey: (H, W) of an integer dtype, values in [0, 65535]; values of a uint8 array are kept.

    Returns:
        (H, W, 3) uint8, newly allocated, C-contiguous.
    """
    levels = grey if grey.dtype == np.uint8 else (grey // _LEVELS_8_FROM_16).astype(np.uint8)
    return np.repeat(levels[:, :, np.newaxis], 3, axis=2)


# @need-ids: RCM_GEOMETRY_001
def oriented(pixels: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Apply a display matrix that turns by quarters and mirrors.

    Args:
        pixels: (H, W, 3) uint8; not modified.
        matrix: (3, 3) int32 as FFmpeg gives it.

    Returns:
        (H, W, 3) or (W, H, 3) uint8, C-contiguous.

    Raises:
        DecodeError: The matrix does anything else, such as turning by 45 degrees.

    Source:
        FFmpeg libavutil/display.h: p' = a p + c q, q' = b p + d q with rows (a, b, u), (c, d, v).
    """
    a, b, c, d = (int(value) for value in matrix[:2, :2].reshape(-1))
    largest = max(abs(a), abs(b), abs(c), abs(d))
    limit = largest * _AXIS_TOLERANCE
    is_upright = (
        largest > 0 and abs(b) <= limit and abs(c) <= limit and abs(abs(a) - abs(d)) <= limit
    )
    is_turned = (
        largest > 0 and abs(a) <= limit and abs(d) <= limit and abs(abs(b) - abs(c)) <= limit
    )
    if not is_upright and not is_turned:
        raise DecodeError(
            f"expected a display matrix of quarter turns, got ({a}, {b}; {c}, {d})",
            advice="rotate the recording by quarter turns with a video tool and run again",
        )
    turned = pixels.transpose(1, 0, 2) if is_turned else pixels
    sign_horizontal, sign_vertical = (c, b) if is_turned else (a, d)
    if sign_horizontal < 0:
        turned = turned[:, ::-1]
    if sign_vertical < 0:
        turned = turned[::-1]
    return np.ascontiguousarray(turned)


class RgbConverter:
    """Turn decoded video frames of any pixel format into 8-bit RGB, upright.

    10-bit and wider formats are reduced, grey is repeated, alpha is laid over black. Keeps the
    scaler's tables between frames; not thread-safe.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    # @need-ids: SRS_SOURCE_001
    def convert(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 RGB, newly allocated, C-contiguous.

        Raises:
            DecodeError: The frame is too large, or its display matrix is not one of quarter turns.
            av.error.FFmpegError: The pixel format cannot be converted.
        """
        problem = size_problem(width_px=frame.width, height_px=frame.height)
        if problem is not None:
            raise DecodeError(problem, advice="scale the recording down and run again")
        has_alpha = any(component.is_alpha for component in frame.format.components)
        name = "rgba" if has_alpha else "rgb24"
        converted = self._reformatter.reformat(frame, format=name, threads=1)
        pixels = np.asarray(converted.to_ndarray(), dtype=np.uint8)
        if has_alpha:
            pixels = on_black(pixels)
        # The stubs of PyAV describe side data as a mapping; iterating it gives the items
        # themselves. A container of our own: the one of ``frame.side_data`` and its frame hold each
        # other, so that hundreds of decoded pictures wait for Python's search for such rings.
        items: list[Any] = list(SideDataContainer(frame))  # type: ignore[call-arg] # stub - lacks it
        for item in items:
            if item.type == SideDataType.DISPLAYMATRIX:
                matrix = np.frombuffer(bytes(item), dtype=np.int32).reshape(3, 3)
                return oriented(pixels, matrix)
        return pixels
