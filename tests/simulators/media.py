"""Recordings and pictures as users have them: sound, unusual and hostile, made from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simulators.source import noise_pixels, write_video

__all__ = [
    "QUARTER_TURN",
    "cut_clip",
    "decoded",
    "square",
    "write_clip",
    "write_empty_clip",
    "write_picture",
]

QUARTER_TURN: Final = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
"""Display matrix of a phone held upright."""


def square(frame_index: int, *, height_px: int = 64, width_px: int = 96) -> NDArray[np.uint8]:
    """Return a dark noisy picture with a bright square in its upper left quarter."""
    pixels = noise_pixels(frame_index, height_px=height_px, width_px=width_px) // 4
    pixels[: height_px // 2, : width_px // 2] += 190
    return pixels


def _noise(frame_index: int) -> NDArray[np.uint8]:
    """Return a picture that is never the same twice."""
    return noise_pixels(frame_index, height_px=64, width_px=96)


def write_clip(
    path: Path,
    picture: Callable[[int], NDArray[np.uint8]] = _noise,
    *,
    frame_count: int = 12,
    codec: str = "mpeg4",
    pixel_format: str = "yuv420p",
    times_ms: Sequence[int] | None = None,
    flags: str | None = None,
    matrix: Sequence[int] | None = None,
) -> Path:
    """Write a recording as cameras do, lossy MPEG-4 unless told otherwise; return its path."""
    return write_video(
        path,
        [picture(index) for index in range(frame_count)],
        codec=codec,
        pixel_format=pixel_format,
        pts_ms=times_ms,
        options=None if flags is None else {"movflags": flags},
        matrix=matrix,
    )


def write_empty_clip(path: Path) -> Path:
    """Write a recording with a header and no frame; return its path."""
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.start_encoding()
    return path


def cut_clip(path: Path, *, share: float = 0.6) -> Path:
    """Cut a file off; return its path."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def decoded(path: Path) -> list[NDArray[np.uint8]]:
    """Return every picture of a recording; raises what the decoder raises."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def write_picture(path: Path, *, height_px: int = 64, width_px: int = 96) -> Path:
    """Write the bright square as a picture; return its path."""
    Image.fromarray(square(0, height_px=height_px, width_px=width_px)).save(path)
    return path
