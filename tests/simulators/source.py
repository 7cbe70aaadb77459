"""A source of frames that are made by hand, with faults on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from trocar.contracts.frame import FrameOrigin, RawFrame
from trocar.contracts.ports import StopSignal

__all__ = ["ListSource", "noise_pixels", "raw_frame", "write_video"]


def noise_pixels(seed: int = 0, *, height_px: int = 48, width_px: int = 64) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 noise of a usable brightness: no two seeds give the same picture."""
    generator = np.random.default_rng(seed)
    return generator.integers(40, 200, (height_px, width_px, 3), dtype=np.uint8)


def raw_frame(
    frame_index: int,
    *,
    captured_at_ns: int = 1_000_000_000,
    media_time_ns: int | None = None,
    pixels: NDArray[np.uint8] | None = None,
    source_id: str = "list",
    origin: FrameOrigin | None = None,
) -> RawFrame:
    """Return a raw frame; without ``pixels`` it shows noise of its own."""
    return RawFrame(
        pixels=noise_pixels(abs(frame_index)) if pixels is None else pixels,
        frame_index=frame_index,
        captured_at_ns=captured_at_ns,
        media_time_ns=media_time_ns,
        source_id=source_id,
        origin=origin,
    )


class ListSource:
    """``ports.FrameSource`` on a list.

    Args: items: Frames to deliver; an exception is raised in its place, a callable is called in its
        place. hang: Waits at the end for this event or for ``stop``, as a silent camera does.
        ignores_stop: Hangs on although it is told to stop, as a driver may do. close_error: Raised
        by ``close``.
    """

    def __init__(
        self,
        items: Iterable[RawFrame | Exception | Callable[[], object]],
        *,
        hang: threading.Event | None = None,
        ignores_stop: bool = False,
        close_error: Exception | None = None,
        frame_count: int | None = None,
    ) -> None:
        self._items = list(items)
        self._hang = hang
        self._ignores_stop = ignores_stop
        self._close_error = close_error
        self._frame_count = frame_count
        self.close_count = 0
        self.delivered_count = 0

    @property
    def source_id(self) -> str:
        """Name of the source."""
        return "list"

    @property
    def frame_count(self) -> int | None:
        """Number of frames, where the test says so."""
        return self._frame_count

    def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield the frames; raise and call what stands between them."""
        for item in self._items:
            if stop():
                return
            if isinstance(item, Exception):
                raise item
            if isinstance(item, RawFrame):
                self.delivered_count += 1
                yield item
            else:
                item()
        while self._hang is not None and not self._hang.wait(0.01):
            if stop() and not self._ignores_stop:
                return

    def close(self) -> None:
        """Count the call."""
        self.close_count += 1
        if self._close_error is not None:
            raise self._close_error


def write_video(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    codec: str = "ffv1",
    pixel_format: str = "bgr0",
    pts_ms: Sequence[int] | None = None,
    options: Mapping[str, str] | None = None,
    matrix: Sequence[int] | None = None,
    container_format: str | None = None,
) -> Path:
    """Write a video; the default codec and format keep every pixel as it is.

    Args:
        path: The file; its suffix names the container.
        pictures: (H, W, 3) uint8 RGB, or (H, W, 4) RGBA, all of one size.
        codec: Name of the encoder.
        pixel_format: Pixel format of the file.
        pts_ms: Presentation times [ms]; 40 ms apart when None.
        options: Options of the container.
        matrix: Nine numbers of a display matrix, or None.
        container_format: Name of the container where the suffix does not tell.
    """
    times_ms = [40 * i for i in range(len(pictures))] if pts_ms is None else pts_ms
    with av.open(str(path), "w", format=container_format, options=dict(options or {})) as container:
        stream = cast("VideoStream", container.add_stream(codec, rate=25))
        height_px, width_px = pictures[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, pixel_format
        stream.codec_context.time_base = Fraction(1, 1000)
        if matrix is not None:
            stream.set_display_matrix(matrix)
        for picture, pts in zip(pictures, times_ms, strict=True):
            name = "rgba" if picture.shape[2] == 4 else "rgb24"
            frame = VideoFrame.from_ndarray(picture, format=name)
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
