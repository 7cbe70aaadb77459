"""A live source of video: an RTSP server or a video device, sought again when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

import av
import structlog
from av.codec.context import Flags
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from trocar.contracts.errors import SourceLostError, TrocarError, require
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import (
    DECODE_ERROR_COUNT_MAX,
    FRAME_PIXEL_COUNT_MAX,
    LINK_GIVE_UP_MS_DEFAULT,
    LINK_GIVE_UP_MS_MAX,
    LINK_RETRY_MS_MAX,
    LINK_WAIT_MS_MAX,
    NS_PER_MS,
    NS_PER_S,
)
from trocar.contracts.ports import Clock, StopSignal
from trocar.streaming.arrival import ArrivalTimes
from trocar.streaming.live_address import LiveAddress
from trocar.streaming.pacing import undecodable, wait_until
from trocar.streaming.pixels import RgbConverter
from trocar.streaming.watchdog import LinkStatus

__all__ = ["LiveVideoSource", "Opener", "open_live"]

_READ_MS: Final = 2000
_FIRST_RETRY_MS: Final = 100
_ADVICE: Final = "check the camera or the server, its address and the network, and start again"

Opener = Callable[[LiveAddress, float, float], InputContainer]
"""Opens an address; the limits of time are those to connect and to read [s]."""

_Batch = list[VideoFrame | str]


def open_live(address: LiveAddress, connect_s: float, read_s: float) -> InputContainer:
    """Open a live address.

    Raises:
        av.error.FFmpegError: It cannot be opened within ``connect_s``.
    """
    return av.open(
        address.url,
        mode="r",
        format=address.container_format,
        options=dict(address.options),
        timeout=(connect_s, read_s),
    )


# @need-ids: SRS_LIVE_002, SRS_LIVE_003, SRS_LIVE_004, SRS_LIVE_006, RCM_LIVE_002
class LiveVideoSource:
    """``ports.FrameSource`` on an RTSP server or a video device.

    The first connection has one attempt, so that a wrong address is told at once. A connection that
    breaks off later is logged and sought again, after pauses that double from 100 ms up to
    ``LINK_RETRY_MS_MAX``, until ``give_up_ms`` have passed without a frame. Frame indices and media
    times go on counting over it.

    The capture time is the time of arrival, less the time by which a picture lags behind the stream
    (see ``ArrivalTimes``). What the sender's own buffers held before is not known.

    Args:
        address: What is opened.
        clock: Time of the device.
        connect_ms: Longest wait for a connection.
        read_ms: Longest wait for the next data of an open connection.
        give_up_ms: Time without a frame after which the source is lost.
        opener: Opens the address; replaced in tests only.
    """

    def __init__(
        self,
        address: LiveAddress,
        *,
        clock: Clock,
        connect_ms: int = LINK_WAIT_MS_MAX,
        read_ms: int = _READ_MS,
        give_up_ms: int = LINK_GIVE_UP_MS_DEFAULT,
        opener: Opener = open_live,
    ) -> None:
        require(0 < connect_ms <= LINK_WAIT_MS_MAX, f"{connect_ms} ms to connect asked for")
        require(0 < read_ms <= LINK_WAIT_MS_MAX, f"{read_ms} ms to read asked for")
        require(0 < give_up_ms <= LINK_GIVE_UP_MS_MAX, f"{give_up_ms} ms to give up asked for")
        self._address = address
        self._clock = clock
        self._waits_s = (connect_ms * NS_PER_MS / NS_PER_S, read_ms * NS_PER_MS / NS_PER_S)
        self._give_up_ns = give_up_ms * NS_PER_MS
        self._opener = opener
        self._log = structlog.get_logger().bind(source_id=self.source_id)
        self._converter = RgbConverter()
        self._arrival = ArrivalTimes()
        self._link = LinkStatus(is_connected=False, reconnect_count=0)
        self._is_started = False
        self._closed = threading.Event()
        self._container: InputContainer | None = None
        self._frame_index = 0
        self._bad_count = 0
        self._seen_at_ns = 0

    @property
    def source_id(self) -> str:
        """The address without user, password and query."""
        return self._address.shown

    @property
    def frame_count(self) -> int | None:
        """Not known: a live source has no end of its own."""
        return None

    def link_status(self) -> LinkStatus:
        """Return whether it is connected, and how often it was again."""
        return self._link

    def close(self) -> None:
        """Have ``frames`` end within its limits of time; may be called twice, from any thread."""
        self._closed.set()

    def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield frames until ``stop`` says so; may be called once.

        Raises:
            SourceLostError: The first connection fails, or the source was lost and has not come
                back.
        """
        require(not self._is_started, f"frames of {self.source_id} asked for twice")
        self._is_started = True
        self._seen_at_ns = self._clock.now_ns()

        def must_end() -> bool:
            return self._closed.is_set() or stop()

        try:
            packets = self._connect()
            if isinstance(packets, str):
                raise self._lost(packets)
            while not must_end():
                batch = self._next_batch(packets)
                if isinstance(batch, str):
                    again = self._reconnect(batch, must_end)
                    if again is None:
                        return
                    packets = again
                    continue
                for decoded in batch:
                    yield self._raw(decoded)
        finally:
            self._release()

    def _connect(self) -> Iterator[Packet[VideoStream]] | str:
        """Open the address; return its packets, or what is wrong."""
        self._release()
        try:
            self._container = self._opener(self._address, *self._waits_s)
            stream = self._container.streams.best("video")
            # Without a decoder for the stream, PyAV leaves the codec context out.
            codec: VideoCodecContext | None = getattr(stream, "codec_context", None)
            if not isinstance(stream, VideoStream) or codec is None:
                return "no video stream of a known codec"
            codec.options = {"max_pixels": str(FRAME_PIXEL_COUNT_MAX)}
            codec.flags |= Flags.low_delay
            # Threads of the decoder would hold back one picture each.
            codec.thread_count = 1
            packets = self._container.demux(stream)
        except FFmpegError as exc:
            return _words(exc)
        self._bad_count = 0
        self._arrival.begin()
        return packets

    def _release(self) -> None:
        """Close the connection, if there is one."""
        held, self._container = self._container, None
        if held is not None:
            held.close()

    def _next_batch(self, packets: Iterator[Packet[VideoStream]]) -> _Batch | str:
        """Return the pictures of the next packet, or why there is none any more."""
        try:
            packet = next(packets, None)
        except FFmpegError as exc:
            return _words(exc)
        if packet is None:
            return "the stream has ended"
        self._mark_connected()
        try:
            batch: _Batch = [
                "the decoder reports a damaged picture" if frame.is_corrupt else frame
                for frame in packet.decode()
            ]
        except FFmpegError as exc:
            batch = [f"a packet of {packet.size} bytes cannot be decoded: {_words(exc)}"]
        for decoded in batch:
            self._bad_count = self._bad_count + 1 if isinstance(decoded, str) else 0
        if self._bad_count > DECODE_ERROR_COUNT_MAX:
            return f"{self._bad_count} pictures in a row cannot be decoded"
        return batch

    def _mark_connected(self) -> None:
        """Note that data come; that a server was reached says nothing yet."""
        if not self._link.is_connected:
            is_again = self._frame_index > 0
            count = self._link.reconnect_count + is_again
            self._link = LinkStatus(is_connected=True, reconnect_count=count)
            self._log.info("source_connected", reconnect_count=count)

    def _reconnect(
        self, problem: str, must_end: StopSignal
    ) -> Iterator[Packet[VideoStream]] | None:
        """Try again until it works; None once the run is to end.

        Raises:
            SourceLostError: It has not come back in time.
        """
        pause_ms = _FIRST_RETRY_MS
        was_connected = self._link.is_connected
        self._link = LinkStatus(
            is_connected=False, reconnect_count=self._link.reconnect_count, problem=problem
        )
        if was_connected:
            self._log.warning("source_lost", problem=problem, frame_index=self._frame_index)
        while True:
            if self._clock.now_ns() - self._seen_at_ns > self._give_up_ns:
                raise self._lost(problem)
            due_ns = self._clock.now_ns() + pause_ms * NS_PER_MS
            if not wait_until(due_ns, clock=self._clock, stop=must_end):
                return None
            packets = self._connect()
            if not isinstance(packets, str):
                return packets
            problem = packets
            pause_ms = min(2 * pause_ms, LINK_RETRY_MS_MAX)

    def _lost(self, problem: str) -> SourceLostError:
        """Return the error of a source that does not come back."""
        silent_ms = (self._clock.now_ns() - self._seen_at_ns) // NS_PER_MS
        return SourceLostError(
            f"expected video from {self.source_id}, got none for {silent_ms} ms: {problem}",
            advice=_ADVICE,
            reconnect_count=self._link.reconnect_count,
        )

    def _raw(self, decoded: VideoFrame | str) -> RawFrame:
        """Return the frame with its pixels, or its stand-in with the problem."""
        now_ns = self._clock.now_ns()
        self._seen_at_ns = now_ns
        frame_index = self._frame_index
        self._frame_index += 1
        problem = decoded if isinstance(decoded, str) else ""
        if isinstance(decoded, VideoFrame):
            pts_ns = None
            if decoded.pts is not None and decoded.time_base is not None:
                pts_ns = round(decoded.pts * decoded.time_base * NS_PER_S)
            captured_at_ns, media_time_ns = self._arrival.place(now_ns, pts_ns)
            try:
                return RawFrame(
                    pixels=self._converter.convert(decoded),
                    frame_index=frame_index,
                    captured_at_ns=captured_at_ns,
                    media_time_ns=media_time_ns,
                    source_id=self.source_id,
                )
            except TrocarError as exc:
                problem = exc.problem
            except (FFmpegError, ValueError) as exc:
                problem = f"pixel format {decoded.format.name} cannot be converted: {exc}"
        return undecodable(
            problem, frame_index=frame_index, captured_at_ns=now_ns, source_id=self.source_id
        )


def _words(error: FFmpegError) -> str:
    """Return what an error says without its whole text, which repeats address and password."""
    return error.strerror or type(error).__name__
