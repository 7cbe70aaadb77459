"""A recording as a source of frames, in presentation order, upright, in 8-bit RGB."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from trocar.contracts.errors import DecodeError, SourceLostError, TrocarError, require
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import (
    DECODE_ERROR_COUNT_MAX,
    FRAME_PIXEL_COUNT_MAX,
    NS_PER_MS,
    NS_PER_S,
    SOURCE_ID_LENGTH_MAX,
    THREAD_JOIN_MS_MAX,
)
from trocar.contracts.ports import Clock, StopSignal
from trocar.streaming.pacing import Pacing, undecodable, wait_until
from trocar.streaming.pixels import RgbConverter, size_problem

__all__ = ["VideoFileSource"]

_OPTIONS: Final = {
    # Containers only: a play list or a concat script could name other files or the network.
    "format_whitelist": "mov,matroska,avi,mpegts,mpeg,h264,hevc,asf,flv,ogg,mxf,ivf,gif",
    "protocol_whitelist": "file",
    "max_pixels": str(FRAME_PIXEL_COUNT_MAX),
}
_FRAME_RATE_WHEN_UNKNOWN: Final = Fraction(25)
_SIZED_FORMATS: Final = ("mov", "matroska")
"""Containers whose header states the duration; elsewhere FFmpeg estimates it from the bit rate."""

_THREADED_CODECS: Final = frozenset({"h264", "hevc", "mpeg4", "vp9"})
"""Codecs whose frames are decoded ahead on threads. Errors of a picture-by-picture codec would then
be reported late, for several pictures at once: those keep one thread."""

_DURATION_TOLERANCE_FRAMES: Final = 1.5
_ADVICE_FILE: Final = (
    "check that the file is a complete video that a player can show, or convert it to MP4"
)


@dataclass(slots=True)
class _Pass:
    """What one pass through the file has seen so far."""

    decoded_count: int = 0
    failed_count: int = 0
    first_pts_ns: int | None = None
    longest_gap_ns: int = 0
    media_time_ns: int = -1
    last_problem: str = ""


# @need-ids: SRS_SOURCE_001, SRS_SOURCE_002
class VideoFileSource:
    """``ports.FrameSource`` on a video file.

    A frame that cannot be decoded keeps its place in the numbering and is delivered without
    pixels, so that the record has a line for it. A file that ends before its header says so
    delivers all that can be decoded and then raises.

    Args:
        path: The file.
        pacing: ``REALTIME``: open loop by media time, ``captured_at_ns`` is the time at which the
            frame is due, so that slow decoding counts as age. ``AS_FAST_AS_POSSIBLE``:
            ``captured_at_ns`` is the time of arrival.
        clock: Time of the device.
        loop_count: How often the recording is played; indices and media times go on counting.

    Raises:
        DecodeError: Not a file, not a video, or a header that claims a picture above the limits.
    """

    def __init__(self, path: Path, *, pacing: Pacing, clock: Clock, loop_count: int = 1) -> None:
        require(loop_count >= 1, f"{loop_count} rounds of {path.name} asked for")
        self._path = path
        self._source_id = path.name.encode("utf-8", "backslashreplace").decode()[
            -SOURCE_ID_LENGTH_MAX:
        ]
        self._pacing = pacing
        self._clock = clock
        self._loop_count = loop_count
        self._lock = threading.Lock()
        self._is_started = False
        self._is_closed = False
        self._decode_error_count = 0
        self._converter = RgbConverter()
        self._container, self._stream = _open(path)
        self._header_frame_count = self._stream.frames
        self._frame_period_ns = round(NS_PER_S / _frame_rate(self._stream))

    @property
    def source_id(self) -> str:
        """Name of the file."""
        return self._source_id

    @property
    def frame_count(self) -> int | None:
        """Number of frames where the header states it, over all rounds."""
        return self._header_frame_count * self._loop_count if self._header_frame_count else None

    @property
    def decode_error_count(self) -> int:
        """Frames that could not be decoded so far."""
        return self._decode_error_count

    def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield frames until the end or until ``stop`` says so; may be called once.

        Raises:
            DecodeError: The file holds no frame that can be decoded.
            SourceLostError: The file ends before its end, or too many frames cannot be decoded.
        """
        require(not self._is_started, f"frames of {self._path.name} asked for twice")
        self._is_started = True
        origin_ns = self._clock.now_ns()
        frame_index = 0
        offset_ns = 0
        for loop_index in range(self._loop_count):
            if loop_index > 0 and not self._reopen():
                return
            state = _Pass()
            for decoded in self._decode(state):
                due_ns = origin_ns + offset_ns + max(0, state.media_time_ns)
                captured_at_ns = self._wait(due_ns, stop)
                if captured_at_ns is None:
                    return
                yield self._raw(
                    decoded, frame_index, captured_at_ns, offset_ns + state.media_time_ns
                )
                frame_index += 1
            if self._is_closed or stop():
                return
            self._check_end(state)
            offset_ns += state.media_time_ns + self._frame_period_ns

    def close(self) -> None:
        """Release the file; may be called twice and from another thread, between two frames."""
        self._is_closed = True
        # A decoder that hangs keeps the lock: its container is then left to the end of the process.
        if self._lock.acquire(timeout=THREAD_JOIN_MS_MAX * NS_PER_MS / NS_PER_S):
            try:
                self._container.close()
            finally:
                self._lock.release()

    def _reopen(self) -> bool:
        """Begin the file again; False when the source was closed."""
        with self._lock:
            if self._is_closed:
                return False
            self._container.close()
            self._container, self._stream = _open(self._path)
            return True

    def _wait(self, due_ns: int, stop: StopSignal) -> int | None:
        """Return the time of acquisition of the next frame, or None when the run is to end."""
        if self._pacing is Pacing.REALTIME:
            return due_ns if wait_until(due_ns, clock=self._clock, stop=stop) else None
        return None if stop() else self._clock.now_ns()

    def _raw(
        self, decoded: VideoFrame | str, frame_index: int, captured_at_ns: int, media_time_ns: int
    ) -> RawFrame:
        """Return the frame with its pixels, or its stand-in with the problem."""
        problem = decoded if isinstance(decoded, str) else ""
        if isinstance(decoded, VideoFrame):
            try:
                return RawFrame(
                    pixels=self._converter.convert(decoded),
                    frame_index=frame_index,
                    captured_at_ns=captured_at_ns,
                    media_time_ns=media_time_ns,
                    source_id=self._source_id,
                )
            except TrocarError as exc:
                problem = exc.problem
            except (FFmpegError, ValueError) as exc:
                problem = f"pixel format {decoded.format.name} cannot be converted: {exc}"
        self._count_error(problem)
        return undecodable(
            problem,
            frame_index=frame_index,
            captured_at_ns=captured_at_ns,
            source_id=self._source_id,
        )

    def _count_error(self, problem: str) -> None:
        """Count one frame that could not be decoded.

        Raises:
            SourceLostError: There are more of them than the limit.
        """
        self._decode_error_count += 1
        if self._decode_error_count > DECODE_ERROR_COUNT_MAX:
            raise SourceLostError(
                f"expected at most {DECODE_ERROR_COUNT_MAX} frames that cannot be decoded in"
                f" {self._path.name}, got one more; the last: {problem}",
                advice=_ADVICE_FILE,
                decode_error_count=self._decode_error_count,
            )

    def _decode(self, state: _Pass) -> Iterator[VideoFrame | str]:
        """Yield frames, or the problem in the place of one, until the end or the close."""
        packets = self._container.demux(self._stream)
        while True:
            with self._lock:
                if self._is_closed:
                    return
                batch = self._next_batch(packets, state)
            if batch is None:
                return
            for decoded in batch:
                self._advance(state, decoded)
                yield decoded

    def _next_batch(
        self, packets: Iterator[Packet[VideoStream]], state: _Pass
    ) -> list[VideoFrame | str] | None:
        """Return the frames of the next packet, or the problem in their place; None at the end.

        Raises:
            SourceLostError: The file can no longer be read.
        """
        try:
            packet = next(packets, None)
        except FFmpegError as exc:
            raise SourceLostError(
                f"reading {self._path.name} failed after {state.decoded_count} frames: {exc}",
                advice="check the disk or the share that holds the file, and run again",
                decoded_count=state.decoded_count,
            ) from exc
        if packet is None:
            return None
        try:
            decoded = packet.decode()
        except FFmpegError as exc:
            return [f"a packet of {packet.size} bytes cannot be decoded: {exc}"]
        return [
            "the decoder reports a damaged picture" if frame.is_corrupt else frame
            for frame in decoded
        ]

    def _advance(self, state: _Pass, decoded: VideoFrame | str) -> None:
        """Count one frame or problem and move the media time, relative to the first frame."""
        if isinstance(decoded, str):
            state.failed_count += 1
            state.last_problem = decoded
            return
        state.decoded_count += 1
        if decoded.pts is None or decoded.time_base is None:
            # Elementary streams carry no times: frames follow each other at the rate that the
            # header states.
            is_first = state.media_time_ns < 0
            state.media_time_ns = 0 if is_first else state.media_time_ns + self._frame_period_ns
            return
        pts_ns = round(decoded.pts * decoded.time_base * NS_PER_S)
        if state.first_pts_ns is None:
            state.first_pts_ns = pts_ns
        media_time_ns = max(0, pts_ns - state.first_pts_ns)
        state.longest_gap_ns = max(state.longest_gap_ns, media_time_ns - state.media_time_ns)
        state.media_time_ns = media_time_ns

    def _check_end(self, state: _Pass) -> None:
        """Check that the whole file was seen.

        Raises:
            DecodeError: No frame could be decoded.
            SourceLostError: The header promises more frames and more time than came.
        """
        got = (
            f"{state.decoded_count} frames and {state.failed_count} that cannot be decoded"
            f" from {self._path.stat().st_size} bytes"
        )
        if state.decoded_count == 0:
            raise DecodeError(
                f"expected frames in {self._path.name}, got {got}"
                f" ({state.last_problem or 'no packet'})",
                advice=_ADVICE_FILE,
            )
        expected_count = self._header_frame_count
        is_count_short = expected_count > state.decoded_count + state.failed_count
        end_ns = state.media_time_ns + self._frame_period_ns
        expected_ns = _header_duration_ns(self._container, self._stream, state.first_pts_ns or 0)
        # With a variable rate, the last frame may last as long as any other one.
        last_ns = max(self._frame_period_ns, state.longest_gap_ns)
        tolerance_ns = round(_DURATION_TOLERANCE_FRAMES * last_ns)
        is_time_short = end_ns + tolerance_ns < expected_ns
        # An edit list may hide frames that the header counts: only both together tell a cut file.
        if is_time_short and (is_count_short or expected_count == 0):
            raise SourceLostError(
                f"expected {expected_count or 'an unstated number of'} frames and"
                f" {expected_ns / NS_PER_S:.2f} s in {self._path.name}, got {got}"
                f" and {end_ns / NS_PER_S:.2f} s: the file is cut off",
                advice="copy the recording again; the frames that came are in the record",
                decoded_count=state.decoded_count,
                failed_count=state.failed_count,
            )


def _open(path: Path) -> tuple[InputContainer, VideoStream]:
    """Open a file and check its header, before anything is decoded for the run.

    Raises:
        DecodeError: Not a file, not a video, or a picture above the limits.
    """
    if not path.is_file():
        raise DecodeError(
            f"expected a video file, got {path}, which is none", advice="check the path"
        )
    try:
        # "file:" keeps a name such as "http:x" from being read as an address.
        container = av.open(f"file:{path.resolve()}", mode="r", options=_OPTIONS)
    except (FFmpegError, ValueError) as exc:
        raise DecodeError(
            f"expected a video in {path.name} ({path.stat().st_size} bytes), got: {exc}",
            advice=_ADVICE_FILE,
        ) from exc
    stream = container.streams.best("video")
    # Without a decoder for the stream, PyAV leaves the codec context out.
    codec: VideoCodecContext | None = getattr(stream, "codec_context", None)
    if not isinstance(stream, VideoStream) or codec is None:
        container.close()
        raise DecodeError(
            f"expected a video stream of a known codec in {path.name}, got none",
            advice=_ADVICE_FILE,
        )
    problem = size_problem(width_px=codec.width, height_px=codec.height)
    if problem is not None:
        container.close()
        raise DecodeError(
            f"{path.name} cannot be read: {problem}",
            advice="scale the recording down or convert it to MP4 (H.264), and run again",
        )
    codec.options = {"max_pixels": str(FRAME_PIXEL_COUNT_MAX)}
    if codec.name in _THREADED_CODECS:
        stream.thread_type = "AUTO"
    return container, stream


def _frame_rate(stream: VideoStream) -> Fraction:
    """Return the rate that the header states, or the one that is assumed [1/s]."""
    rate = stream.average_rate or stream.guessed_rate
    return rate or _FRAME_RATE_WHEN_UNKNOWN


def _header_duration_ns(container: InputContainer, stream: VideoStream, first_pts_ns: int) -> int:
    """Return the duration that the header states for the video stream [ns], or 0."""
    if stream.duration is not None and stream.time_base is not None:
        return round(stream.duration * stream.time_base * NS_PER_S)
    is_stated = container.format.name.startswith(_SIZED_FORMATS) and len(container.streams) == 1
    if not is_stated or container.duration is None:
        return 0
    # Matroska counts from time zero, not from the first frame.
    return round(Fraction(container.duration, av.time_base) * NS_PER_S) - first_pts_ns
