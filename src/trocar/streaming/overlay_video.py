"""A video of the answers, each on its own frame; it can be played when the run was killed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import structlog
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from trocar.contracts.errors import InvariantError, SinkError, require
from trocar.contracts.frame import Frame
from trocar.contracts.limits import NS_PER_S
from trocar.contracts.record import FrameRecord, UnitInfo
from trocar.imaging.overlay import OverlayPainter

__all__ = ["OverlayVideoSink"]

_CODECS: Final = ("libx264", "mpeg4")
"""In order of preference; the second one is part of every FFmpeg."""

_TIME_BASE: Final = Fraction(1, 60_000)
"""Milliseconds and 1001/30000 s are whole numbers of it; MPEG-4 part 2 takes no finer one."""

_RATE_NOMINAL: Final = 30
_X264_OPTIONS: Final = {"preset": "veryfast", "tune": "zerolatency", "crf": "20", "threads": "2"}
_KEY_FRAME_EVERY: Final = 30
"""A killed run loses at most the frames after the last key frame: about one second."""

_ADVICE: Final = (
    "free disk space or choose another output folder; what was written so far can be played"
)


# @need-ids: SRS_SINK_001, SRS_SINK_004, SRS_SINK_005
class OverlayVideoSink:
    """``ports.Sink`` that writes a fragmented MP4 with the times of the frames as they were.

    The first frame fixes the size. A record without a frame, or with one of another size, is drawn
    as withheld on an empty picture. Records before the first frame cannot be drawn, since no size
    is known: they are counted and logged. Where several units answer, a picture is drawn once all
    of them have answered for its frame.

    Args:
        path: The file; its folder must exist.
        unit_count: Number of units that answer for each frame.
        codecs: Names of encoders, in order of preference.

    Raises:
        SinkError: The file cannot be created, or there is no encoder.
    """

    def __init__(
        self, path: Path, *, unit_count: int = 1, codecs: tuple[str, ...] = _CODECS
    ) -> None:
        require(unit_count > 0, f"video of {unit_count} units asked for")
        available = [name for name in codecs if name in av.codecs_available]
        if not available:
            raise SinkError(
                f"expected an encoder of {', '.join(codecs)}, got none",
                advice="install a build of PyAV with one of these encoders",
            )
        self._path = path
        self._codec = available[0]
        self._unit_count = unit_count
        self._answers: list[FrameRecord] = []
        self._painter: OverlayPainter | None = None
        self._size_px = (0, 0)
        self._stream: VideoStream | None = None
        self._reformatter = VideoReformatter()
        self._origin_ns: int | None = None
        self._last_pts = -1
        self._undrawn_count = 0
        self._is_closed = False
        try:
            # FFmpeg opens the file with the first frame only; whether it can be is asked here.
            with path.open("wb"):
                pass
            self._container: OutputContainer = av.open(
                # The protocol is named, so that no path can be taken for an address on the network.
                f"file:{path.resolve()}",
                mode="w",
                format="mp4",
                options={
                    "movflags": "frag_keyframe+empty_moov+default_base_moof",
                    "flush_packets": "1",
                },
            )
        except (FFmpegError, OSError) as exc:
            raise SinkError(f"{path} cannot be created: {exc}", advice=_ADVICE) from exc

    @property
    def undrawn_count(self) -> int:
        """Records before the first frame, and those for which another unit's was left out."""
        return self._undrawn_count

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Take one answer; draw and encode once it is the last one for its frame.

        Raises:
            SinkError: The picture could not be written.
        """
        if self._is_closed:
            raise SinkError(
                f"expected an open video, got a closed one: {self._path}", advice=_ADVICE
            )
        if self._answers and self._answers[0].frame_index != record.frame_index:
            # A queue before this sink has left out an answer: half a frame is not drawn.
            self._undrawn_count += len(self._answers)
            self._answers = []
        self._answers.append(record)
        if len(self._answers) < self._unit_count:
            return
        answers, self._answers = self._answers, []
        if self._painter is None and frame is not None:
            self._begin([answer.unit for answer in answers], frame)
        if self._painter is None:
            self._undrawn_count += len(answers)
            return
        is_shown = frame is not None and (frame.width_px, frame.height_px) == self._size_px
        pixels = frame.pixels if frame is not None and is_shown else None
        canvas = self._painter.paint(answers, pixels)
        try:
            self._encode(canvas, self._pts(record))
        except (FFmpegError, OSError) as exc:
            raise SinkError(
                f"frame {record.frame_index} could not be written to {self._path}: {exc}",
                advice=_ADVICE,
            ) from exc

    def close(self) -> None:
        """Finish the file; may be called twice.

        Raises:
            SinkError: The last frames could not be written.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._undrawn_count:
            structlog.get_logger().warning("records_not_drawn", count=self._undrawn_count)
        try:
            try:
                if self._stream is not None:
                    self._container.mux(self._stream.encode(None))
            finally:
                self._container.close()
        except (FFmpegError, OSError) as exc:
            raise SinkError(f"{self._path} could not be finished: {exc}", advice=_ADVICE) from exc

    def _begin(self, units: Sequence[UnitInfo], frame: Frame) -> None:
        """Fix the size of the video."""
        self._size_px = (frame.width_px, frame.height_px)
        self._painter = OverlayPainter(
            height_px=frame.height_px, width_px=frame.width_px, units=units
        )

    def _pts(self, record: FrameRecord) -> int:
        """Return the presentation time, in units of the time base; always after the last one."""
        time_ns = record.media_time_ns
        if time_ns is None:
            time_ns = record.times.captured_at_ns
        if self._origin_ns is None:
            self._origin_ns = time_ns
        pts = round(Fraction(time_ns - self._origin_ns, NS_PER_S) / _TIME_BASE)
        self._last_pts = max(pts, self._last_pts + 1)
        return self._last_pts

    def _encode(self, canvas: NDArray[np.uint8], pts: int) -> None:
        """Convert one canvas, encode it, and write what the encoder gives back."""
        picture = self._reformatter.reformat(
            VideoFrame.from_numpy_buffer(canvas, format="rgb24"), format="yuv420p", threads=1
        )
        picture.pts, picture.time_base = pts, _TIME_BASE
        if self._stream is None:
            self._stream = self._add_stream(picture)
        self._container.mux(self._stream.encode(picture))

    def _add_stream(self, picture: VideoFrame) -> VideoStream:
        """Open the encoder for pictures of this size."""
        stream = self._container.add_stream(self._codec, rate=_RATE_NOMINAL)
        if not isinstance(stream, VideoStream):
            raise InvariantError(f"{self._codec} is no video encoder", advice=_ADVICE)
        stream.width, stream.height = picture.width, picture.height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TIME_BASE
        stream.codec_context.gop_size = _KEY_FRAME_EVERY
        # No look-ahead: a frame is in the file soon after it was shown.
        stream.options = dict(_X264_OPTIONS) if self._codec == "libx264" else {}
        return stream
