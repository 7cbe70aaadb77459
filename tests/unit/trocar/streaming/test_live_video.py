"""A live source is sought again when it is lost, for a bounded time, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import structlog
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from simulators.clock import FakeClock
from simulators.live_link import Connection, ScriptedOpener, refused
from simulators.source import noise_pixels, write_video
from trocar.contracts.errors import DecodeError, InvariantError, SourceLostError
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import (
    DECODE_ERROR_COUNT_MAX,
    LINK_GIVE_UP_MS_MAX,
    LINK_RETRY_MS_MAX,
    LINK_WAIT_MS_MAX,
    NS_PER_MS,
    NS_PER_S,
)
from trocar.streaming.live_address import camera_address, rtsp_address
from trocar.streaming.live_video import LiveVideoSource, open_live
from trocar.streaming.pacing import UndecodableFrame

ADDRESS = rtsp_address("rtsp://user:s3cret@host/live")


def _pictures(count: int) -> list[NDArray[np.uint8]]:
    return [noise_pixels(seed) for seed in range(count)]


def _clip(folder: Path, name: str, count: int) -> Connection:
    return Connection(write_video(folder / f"{name}.mkv", _pictures(count)))


class Played:
    """A source on a script, and what came of it until a number of frames or an error."""

    def __init__(
        self, steps: Sequence[Connection | FFmpegError], *, count: int, **settings: int
    ) -> None:
        self.clock = FakeClock()
        self.opener = ScriptedOpener(steps)
        self.source = LiveVideoSource(ADDRESS, clock=self.clock, opener=self.opener, **settings)
        self.frames: list[RawFrame] = []
        self.error: SourceLostError | None = None
        with structlog.testing.capture_logs() as self.logged:
            try:
                for raw in self.source.frames(lambda: len(self.frames) >= count):
                    self.clock.advance_ns(NS_PER_MS)
                    self.frames.append(raw)
            except SourceLostError as exc:
                self.error = exc

    @property
    def events(self) -> list[str]:
        """What was logged."""
        return [line["event"] for line in self.logged]


@pytest.mark.verifies("SRS_LIVE_002", extent="partial", technique="requirement")
def test_pictures_keep_their_pixels_and_get_their_times(tmp_path: Path) -> None:
    """The same code path as a camera's or a server's, on a file without loss."""
    played = Played([_clip(tmp_path, "a", 3)], count=3)
    assert [raw.frame_index for raw in played.frames] == [0, 1, 2]
    assert [raw.media_time_ns for raw in played.frames] == [0, 40 * NS_PER_MS, 80 * NS_PER_MS]
    pairs = zip(played.frames, _pictures(3), strict=True)
    assert all(np.array_equal(raw.pixels, picture) for raw, picture in pairs)
    assert {raw.source_id for raw in played.frames} == {"rtsp://host/live"}
    assert played.source.frame_count is None
    assert played.opener.calls == [("rtsp://host/live", 5.0, 2.0)]
    assert played.opener.containers[0].is_closed


@pytest.mark.verifies("SRS_LIVE_003", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_LIVE_002")
@pytest.mark.parametrize("error", [None, refused("Immediate exit requested")])
def test_lost_source_is_sought_again_and_goes_on_counting(
    tmp_path: Path, error: FFmpegError | None
) -> None:
    """An end, or a read that ran out of time; then two refusals; then pictures again."""
    first = Connection(_clip(tmp_path, "a", 2).path, error)
    played = Played([first, refused(), refused(), _clip(tmp_path, "b", 2)], count=4)
    assert [raw.frame_index for raw in played.frames] == [0, 1, 2, 3]
    media_ns = [raw.media_time_ns or 0 for raw in played.frames]
    assert media_ns == sorted(set(media_ns))
    assert played.events == ["source_connected", "source_lost", "source_connected"]
    assert played.source.link_status().reconnect_count == 1
    assert [container.is_closed for container in played.opener.containers] == [True, True]


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="boundary")
@pytest.mark.proves_effect(
    "RCM_LIVE_002", measure="time from the last frame to the error", acceptance="5 s and one pause"
)
def test_pauses_grow_to_the_limit_and_end_with_an_error(tmp_path: Path) -> None:
    """A server must not be flooded, and a run must not hope for ever."""
    played = Played([_clip(tmp_path, "a", 1), refused()], count=9, give_up_ms=5000)
    slept = played.clock.slept_until_ns
    assert max(np.diff(slept)) <= LINK_RETRY_MS_MAX * NS_PER_MS
    assert played.error is not None
    assert played.error.problem.startswith("expected video from rtsp://host/live, got none for 5")
    assert played.error.problem.endswith(": Connection refused")
    assert played.error.context == {"reconnect_count": 0}
    attempts = len(played.opener.calls) - 1
    assert 6 <= attempts <= 10
    status = played.source.link_status()
    assert (status.is_connected, status.problem) == (False, "the stream has ended")


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="requirement")
def test_first_connection_that_fails_is_told_at_once() -> None:
    """A mistyped address must not look like a server that is about to come back."""
    played = Played([refused()], count=1)
    assert played.error is not None
    assert len(played.opener.calls) == 1
    assert "s3cret" not in f"{played.error} {played.error.context} {played.logged}"


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="boundary")
def test_connection_without_any_picture_is_not_called_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that accepts and sends nothing was never connected, and so is not lost."""
    monkeypatch.setattr("simulators.live_link._Container.demux", lambda *_: iter(()))
    played = Played([_clip(tmp_path, "a", 1)], count=1, give_up_ms=1000)
    assert played.error is not None
    assert played.events == []
    assert played.source.link_status().problem == "the stream has ended"


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="requirement")
def test_stop_ends_the_search(tmp_path: Path) -> None:
    """Ctrl-C while the source is lost is seen within a slice."""
    clock = FakeClock()
    opener = ScriptedOpener([_clip(tmp_path, "a", 1), refused()])
    source = LiveVideoSource(ADDRESS, clock=clock, opener=opener)
    frames = source.frames(lambda: len(clock.slept_until_ns) > 2)
    assert len(list(frames)) == 1


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="requirement")
def test_close_ends_the_frames(tmp_path: Path) -> None:
    """The end of the run closes the source from another thread."""
    source = LiveVideoSource(
        ADDRESS, clock=FakeClock(), opener=ScriptedOpener([_clip(tmp_path, "a", 3)])
    )
    frames = source.frames(lambda: False)
    next(frames)
    source.close()
    source.close()
    assert list(frames) == []
    with pytest.raises(InvariantError, match="twice"):
        next(source.frames(lambda: False))


@pytest.mark.verifies("SRS_LIVE_006", extent="full", technique="fault_injection")
def test_damaged_pictures_keep_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a line of the record; what cannot be converted is one of them."""
    path = write_video(tmp_path / "a.mov", [_smooth()] * 4, codec="png", pixel_format="rgb24")
    _zero_packets(path, [1])
    clock = FakeClock()
    source = LiveVideoSource(
        ADDRESS, clock=clock, opener=ScriptedOpener([Connection(path), refused()]), give_up_ms=1
    )
    frames = source.frames(lambda: False)
    got = [next(frames), next(frames)]
    monkeypatch.setattr(
        source, "_converter", _Refusing([DecodeError("too large", advice=""), ValueError("odd")])
    )
    got += [next(frames), next(frames)]
    problems = [raw.problem for raw in got if isinstance(raw, UndecodableFrame)]
    assert [raw.frame_index for raw in got] == [0, 1, 2, 3]
    assert problems[0].startswith("a packet of")
    assert problems[1:] == ["too large", "pixel format rgb24 cannot be converted: odd"]


@pytest.mark.verifies("SRS_LIVE_006", extent="partial", technique="fault_injection")
def test_picture_that_the_decoder_calls_damaged_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder conceals what it lost; the result would be one for a made-up picture."""
    clean = _clip(tmp_path, "a", 1)

    class Packet:
        size = 9

        def decode(self) -> list[Any]:
            return [SimpleNamespace(is_corrupt=True)]

    opener = ScriptedOpener([clean])
    source = LiveVideoSource(ADDRESS, clock=FakeClock(), opener=opener)
    monkeypatch.setattr("simulators.live_link._Container.demux", lambda *_: iter([Packet()]))
    frame = next(source.frames(lambda: False))
    assert isinstance(frame, UndecodableFrame)
    assert frame.problem == "the decoder reports a damaged picture"


@pytest.mark.verifies("SRS_LIVE_006", extent="partial", technique="boundary")
def test_many_damaged_pictures_in_a_row_are_a_loss(tmp_path: Path) -> None:
    """A stream that shows nothing any more may be whole after a new connection."""
    count = DECODE_ERROR_COUNT_MAX + 2
    path = write_video(tmp_path / "a.mov", [_smooth()] * count, codec="png", pixel_format="rgb24")
    _zero_packets(path, range(1, count))
    played = Played([Connection(path), _clip(tmp_path, "b", 1)], count=DECODE_ERROR_COUNT_MAX + 2)
    lost = [isinstance(raw, UndecodableFrame) for raw in played.frames]
    assert lost == [False, *([True] * DECODE_ERROR_COUNT_MAX), False]
    assert played.logged[1]["problem"] == "26 pictures in a row cannot be decoded"


@pytest.mark.verifies("SRS_LIVE_002", extent="partial", technique="fault_injection")
def test_stream_without_video_or_without_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sound alone is refused; pictures without times are timed by their arrival."""
    sound = tmp_path / "a.wav"
    with av.open(str(sound), "w") as container:
        container.add_stream("pcm_s16le", rate=8000)
        container.mux(av.Packet(b"\0\0" * 80))
    played = Played([Connection(sound)], count=1)
    assert played.error is not None
    assert "no video stream of a known codec" in played.error.problem

    class Packet:
        size = 9

        def decode(self) -> list[VideoFrame]:
            return [VideoFrame.from_ndarray(noise_pixels(1), format="rgb24")]

    monkeypatch.setattr("simulators.live_link._Container.demux", lambda *_: iter([Packet()]))
    (frame,) = Played([_clip(tmp_path, "b", 1)], count=1).frames
    assert (frame.media_time_ns, frame.captured_at_ns) == (0, NS_PER_S)


@pytest.mark.verifies("SRS_LIVE_002", extent="partial", technique="fault_injection")
def test_device_that_is_not_there_is_an_error() -> None:
    """No camera is at hand: this is the only thing that can be tried on the real path."""
    source = LiveVideoSource(camera_address("/dev/video9999"), clock=FakeClock())
    with pytest.raises(SourceLostError, match="No such file") as caught:
        next(source.frames(lambda: False))
    assert "/dev/video9999" in caught.value.problem


@pytest.mark.verifies("SRS_LIVE_005", extent="partial", technique="fault_injection")
def test_real_opener_refuses_what_is_no_stream(tmp_path: Path) -> None:
    """A file under /dev that is no device must not be guessed to be a video."""
    link = tmp_path / "clip.mkv"
    write_video(link, _pictures(1))
    address = camera_address("/dev/null")
    with pytest.raises(FFmpegError):
        open_live(address, 1.0, 1.0)


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    "settings",
    [
        {"connect_ms": 0},
        {"connect_ms": LINK_WAIT_MS_MAX + 1},
        {"read_ms": 0},
        {"read_ms": LINK_WAIT_MS_MAX + 1},
        {"give_up_ms": 0},
        {"give_up_ms": LINK_GIVE_UP_MS_MAX + 1},
    ],
)
def test_waits_without_a_bound_are_refused(settings: dict[str, int]) -> None:
    """Nothing may wait for ever."""
    with pytest.raises(InvariantError, match="asked for"):
        Played([refused()], count=1, **settings)


def _smooth() -> NDArray[np.uint8]:
    """Return a picture that a PNG of some hundred bytes holds."""
    return np.full((48, 64, 3), 90, dtype=np.uint8)


def _zero_packets(path: Path, numbers: Sequence[int]) -> None:
    """Overwrite some packets of a file with zeros."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
        places = [(packets[i].pos, packets[i].size) for i in numbers]
    data = bytearray(path.read_bytes())
    for begin, size in places:
        assert begin is not None
        data[begin : begin + size] = bytes(size)
    path.write_bytes(data)


class _Refusing:
    """A converter that raises one error after the other."""

    def __init__(self, errors: list[Exception]) -> None:
        self._errors = errors

    def convert(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Raise the next error."""
        del frame
        raise self._errors.pop(0)
