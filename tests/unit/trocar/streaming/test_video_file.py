"""A recording is delivered completely, upright and in its own time, or an error says why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from conformance.frame_source_suite import FrameSourceSuite
from simulators.clock import FakeClock
from simulators.source import noise_pixels, write_video
from trocar.contracts.errors import DecodeError, InvariantError, SourceLostError
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import DECODE_ERROR_COUNT_MAX, NS_PER_MS
from trocar.contracts.ports import FrameSource
from trocar.streaming import video_file
from trocar.streaming.pacing import Pacing, UndecodableFrame
from trocar.streaming.video_file import VideoFileSource

FRAME_COUNT = 6
Turn = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
QUARTER = [0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30]
MIRROR = [-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30]
HALF_QUARTER = [46340, -46340, 0, 46340, 46340, 0, 0, 0, 1 << 30]


def _pictures(count: int = FRAME_COUNT, **size: int) -> list[NDArray[np.uint8]]:
    return [noise_pixels(i, **size) for i in range(count)]


def _never() -> bool:
    return False


def _source(path: Path, **changes: object) -> VideoFileSource:
    settings: dict[str, Any] = {
        "pacing": Pacing.AS_FAST_AS_POSSIBLE,
        "clock": FakeClock(step_ns=1),
    }
    return VideoFileSource(path, **(settings | changes))


def _play(path: Path, **changes: object) -> list[RawFrame]:
    source = _source(path, **changes)
    try:
        return list(source.frames(_never))
    finally:
        source.close()


def _cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def _smooth(count: int) -> list[NDArray[np.uint8]]:
    """Return pictures that a lossy encoder keeps well: a bar that moves."""
    pictures = []
    for index in range(count):
        picture = np.full((96, 128, 3), 60, dtype=np.uint8)
        picture[:, (index * 2) % 100 : (index * 2) % 100 + 20] = 200
        pictures.append(picture)
    return pictures


@pytest.mark.verifies("SRS_SOURCE_001", extent="full", technique="conformance")
class TestVideoFileSource(FrameSourceSuite):
    """A video file keeps what every source promises."""

    def make_source(self, folder: Path) -> FrameSource:
        """Return a source on a lossless recording."""
        return _source(write_video(folder / "a.mkv", _pictures()))

    def frame_count(self) -> int:
        """Return the number of its frames."""
        return FRAME_COUNT


@pytest.mark.verifies("SRS_SOURCE_001", extent="full", technique="equivalence")
def test_pixels_and_times_are_those_of_the_recording(tmp_path: Path) -> None:
    """What the unit sees is what was recorded, bit for bit where the codec is lossless."""
    pictures = _pictures()
    frames = _play(write_video(tmp_path / "a.mkv", pictures))
    assert all(np.array_equal(f.pixels, p) for f, p in zip(frames, pictures, strict=True))
    assert [f.media_time_ns for f in frames] == [40 * NS_PER_MS * i for i in range(FRAME_COUNT)]
    assert all(f.pixels.flags.c_contiguous for f in frames)


@pytest.mark.verifies("SRS_SOURCE_001", extent="full", technique="equivalence")
def test_variable_rate_keeps_its_times_in_real_time(tmp_path: Path) -> None:
    """Open loop: each frame is due at its own time, so that lateness counts as age."""
    pts_ms = [0, 40, 45, 900, 901, 2000]
    clock = FakeClock(5)
    path = write_video(tmp_path / "a.mkv", _pictures(), pts_ms=pts_ms)
    frames = _play(path, pacing=Pacing.REALTIME, clock=clock)
    assert [f.captured_at_ns for f in frames] == [5 + NS_PER_MS * t for t in pts_ms]
    assert clock.now_ns() == 5 + 2000 * NS_PER_MS


@pytest.mark.verifies("SRS_SOURCE_001", extent="partial", technique="requirement")
def test_late_decoding_does_not_move_the_time_of_acquisition(tmp_path: Path) -> None:
    """A slow decoder must show up as age, not vanish."""
    clock = FakeClock(0)
    path = write_video(tmp_path / "a.mkv", _pictures(3))
    source = _source(path, pacing=Pacing.REALTIME, clock=clock)
    times = []
    for frame in source.frames(_never):
        times.append(frame.captured_at_ns)
        clock.advance_ns(500 * NS_PER_MS)
    source.close()
    assert times == [0, 40 * NS_PER_MS, 80 * NS_PER_MS]


@pytest.mark.verifies("SRS_SOURCE_001", extent="partial", technique="requirement")
def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    """A recording that was cut out of another one begins at zero."""
    path = write_video(tmp_path / "a.mkv", _pictures(3), pts_ms=[5000, 5040, 5080])
    assert [f.media_time_ns for f in _play(path)] == [0, 40 * NS_PER_MS, 80 * NS_PER_MS]


@pytest.mark.verifies("SRS_SOURCE_001", extent="partial", technique="equivalence")
def test_stream_without_times_gets_the_rate_of_its_header(tmp_path: Path) -> None:
    """Elementary streams carry no times; the frames still must not all be at zero."""
    path = write_video(
        tmp_path / "a.h264",
        _smooth(4),
        codec="libx264",
        pixel_format="yuv420p",
        container_format="h264",
    )
    frames = _play(path)
    assert [f.media_time_ns for f in frames] == [40 * NS_PER_MS * i for i in range(4)]


@pytest.mark.verifies("SRS_SOURCE_001", extent="full", technique="equivalence")
@pytest.mark.proves_effect(
    "RCM_GEOMETRY_001", measure="position of a marked corner after rotation", acceptance="exact"
)
@pytest.mark.parametrize(("matrix", "turn"), [(QUARTER, np.rot90), (MIRROR, np.fliplr)])
def test_display_matrix_is_applied(tmp_path: Path, matrix: Sequence[int], turn: Turn) -> None:
    """A recording turned or mirrored by its header is upright for the unit too."""
    picture = np.full((64, 96, 3), 40, dtype=np.uint8)
    picture[:16, :24] = 220
    path = write_video(
        tmp_path / "a.mp4", [picture] * 2, codec="libx264", pixel_format="yuv444p", matrix=matrix
    )
    expected = turn(picture)
    frame = _play(path)[0]
    assert frame.pixels.shape == expected.shape
    assert np.abs(frame.pixels.astype(int) - expected).mean() < 4


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_frames_turned_by_half_a_quarter_are_undecodable(tmp_path: Path) -> None:
    """What cannot be shown upright is not shown at all."""
    path = write_video(
        tmp_path / "a.mp4",
        _smooth(2),
        codec="libx264",
        pixel_format="yuv420p",
        matrix=HALF_QUARTER,
    )
    frames = _play(path)
    assert [isinstance(f, UndecodableFrame) for f in frames] == [True, True]
    assert isinstance(frames[0], UndecodableFrame)
    assert "quarter turns" in frames[0].problem


@pytest.mark.verifies("SRS_SOURCE_001", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [
        ("mkv", "ffv1", "yuv420p10le"),
        ("mkv", "ffv1", "gray"),
        ("mkv", "ffv1", "gray16le"),
        ("mkv", "ffv1", "bgra"),
        ("mov", "png", "rgba"),
        ("mkv", "ffv1", "yuv444p"),
        ("avi", "mjpeg", "yuvj444p"),
    ],
)
def test_every_pixel_format_becomes_8_bit_rgb(
    tmp_path: Path, suffix: str, codec: str, pixel_format: str
) -> None:
    """The unit has one input format; the source converts to it."""
    grey = np.full((48, 64, 3), 128, dtype=np.uint8)
    grey[:24] = 30
    path = write_video(tmp_path / f"a.{suffix}", [grey] * 2, codec=codec, pixel_format=pixel_format)
    frame = _play(path)[0]
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.shape == (48, 64, 3)
    assert np.abs(frame.pixels.astype(int) - grey).max() <= 6


@pytest.mark.verifies("SRS_SOURCE_001", extent="partial", technique="boundary")
def test_alpha_of_a_video_is_laid_over_black(tmp_path: Path) -> None:
    """The same rule as for stills."""
    picture = np.full((48, 64, 4), 200, dtype=np.uint8)
    picture[..., 3] = 0
    path = write_video(tmp_path / "a.mkv", [picture], codec="ffv1", pixel_format="bgra")
    assert _play(path)[0].pixels.max() == 0


@pytest.mark.verifies("SRS_SOURCE_001", extent="partial", technique="requirement")
def test_rounds_go_on_counting(tmp_path: Path) -> None:
    """A recording that is repeated is one stream: no index and no time twice."""
    path = write_video(tmp_path / "a.mp4", _smooth(3), codec="libx264", pixel_format="yuv420p")
    source = _source(path, loop_count=2)
    frames = list(source.frames(_never))
    assert source.frame_count == 6
    source.close()
    assert [f.frame_index for f in frames] == list(range(6))
    assert [f.media_time_ns for f in frames] == [40 * NS_PER_MS * i for i in range(6)]


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="requirement")
def test_close_between_rounds_ends_the_source(tmp_path: Path) -> None:
    """Nothing is opened again after the run was over."""
    source = _source(write_video(tmp_path / "a.mkv", _pictures(1)), loop_count=3)
    frames = source.frames(_never)
    next(frames)
    source.close()
    assert list(frames) == []
    assert not source._reopen()


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="fault_injection")
def test_close_while_the_next_round_begins_ends_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run may end at any instruction of the source's thread."""
    source = _source(write_video(tmp_path / "a.mkv", _pictures(1)), loop_count=3)
    monkeypatch.setattr(source, "_reopen", lambda: False)
    assert len(list(source.frames(_never))) == 1
    source.close()


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="requirement")
def test_stop_during_the_wait_for_a_frame(tmp_path: Path) -> None:
    """Ctrl-C in a long pause of the recording is seen within a slice."""
    clock = FakeClock(0)
    path = write_video(tmp_path / "a.mkv", _pictures(2), pts_ms=[0, 4000])
    source = _source(path, pacing=Pacing.REALTIME, clock=clock)
    frames = list(source.frames(lambda: len(clock.slept_until_ns) > 3))
    source.close()
    assert [f.frame_index for f in frames] == [0]


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.mp4", b"this is no video\n" * 100),
        ("empty.mp4", b""),
        ("list.ffconcat", b"ffconcat version 1.0\nfile other.mp4\n"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n#EXT-X-ENDLIST\n"),
    ],
)
def test_file_that_is_no_video_is_refused_at_once(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """Neither text nor a list that leads to other files or to the network is opened."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DecodeError, match=name) as caught:
        _source(tmp_path / name)
    assert f"{len(content)} bytes" in caught.value.problem
    assert caught.value.advice


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    """The most common mistake of all gets the shortest answer."""
    for path in (tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(DecodeError, match="which is none"):
            _source(path)


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_file_without_a_video_stream_is_refused(tmp_path: Path) -> None:
    """Sound alone has no frames."""
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.int16), format="s16", layout="mono"
        )
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(DecodeError, match="video stream"):
        _source(path)


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="boundary")
@pytest.mark.parametrize(("height_px", "width_px"), [(64, 16384), (4400, 4400)])
def test_header_above_the_limits_is_refused_before_decoding(
    tmp_path: Path, height_px: int, width_px: int
) -> None:
    """A small file may claim a picture that fills the memory."""
    picture = np.zeros((height_px, width_px, 3), dtype=np.uint8)
    path = write_video(tmp_path / "a.mkv", [picture])
    with pytest.raises(DecodeError, match="expected sides of 1 to 8192 px"):
        _source(path)


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="boundary")
def test_picture_of_one_pixel_is_delivered(tmp_path: Path) -> None:
    """Whether it is large enough is for admission to say, frame by frame."""
    path = write_video(tmp_path / "a.mkv", [np.zeros((1, 1, 3), np.uint8)] * 2)
    assert [f.pixels.shape for f in _play(path)] == [(1, 1, 3), (1, 1, 3)]


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    "options", [{"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}]
)
def test_cut_file_delivers_what_is_there_and_then_says_so(
    tmp_path: Path, options: dict[str, str]
) -> None:
    """A copy that was broken off must not pass for a complete examination."""
    path = write_video(
        tmp_path / "a.mp4",
        _smooth(60),
        codec="libx264",
        pixel_format="yuv420p",
        options=options,
    )
    source = _source(_cut(path, 0.7))
    delivered: list[RawFrame] = []
    with pytest.raises(SourceLostError, match="cut off") as caught:
        delivered.extend(source.frames(_never))
    source.close()
    good_count = sum(not isinstance(f, UndecodableFrame) for f in delivered)
    assert 0 < good_count < 60
    assert caught.value.context["decoded_count"] == good_count
    assert caught.value.context["failed_count"] == source.decode_error_count


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_cut_lossless_file_is_noticed_by_its_duration(tmp_path: Path) -> None:
    """Matroska counts no frames in its header, but states a duration."""
    path = write_video(tmp_path / "a.mkv", _pictures(30))
    with pytest.raises(SourceLostError, match="an unstated number"):
        _play(_cut(path, 0.5))


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_header_without_a_frame_is_an_error(tmp_path: Path) -> None:
    """A run on nothing must not end as a success."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.start_encoding()
    with pytest.raises(DecodeError):
        _play(path)


def _damage(path: Path, numbers: Sequence[int]) -> Path:
    """Overwrite some packets of a file with zeros, as a bad sector does."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
        places = [(packets[i].pos, packets[i].size) for i in numbers]
    data = bytearray(path.read_bytes())
    for begin, size in places:
        assert begin is not None
        data[begin : begin + size] = bytes(size)
    path.write_bytes(data)
    return path


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="fault_injection")
def test_damaged_frames_keep_their_place_and_the_run_goes_on(tmp_path: Path) -> None:
    """One bad sector costs its frames, visibly, and not the rest of the examination."""
    path = write_video(tmp_path / "a.mov", _smooth(10), codec="png", pixel_format="rgb24")
    source = _source(_damage(path, [3, 5]))
    frames = list(source.frames(_never))
    source.close()
    lost = [f.frame_index for f in frames if isinstance(f, UndecodableFrame)]
    assert (len(frames), lost, source.decode_error_count) == (10, [3, 5], 2)


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="fault_injection")
def test_file_of_damaged_frames_only_is_an_error(tmp_path: Path) -> None:
    """A run that answered nothing must not end as a success."""
    path = write_video(tmp_path / "a.mov", _smooth(2), codec="png", pixel_format="rgb24")
    with pytest.raises(DecodeError, match="got 0 frames and 2 that cannot be decoded"):
        _play(_damage(path, [0, 1]))


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="boundary")
def test_too_many_damaged_frames_end_the_source(tmp_path: Path) -> None:
    """A recording of which most is lost is not worth an answer."""
    count = DECODE_ERROR_COUNT_MAX + 3
    path = write_video(tmp_path / "a.mov", _smooth(count + 1), codec="png", pixel_format="rgb24")
    source = _source(_damage(path, range(1, count)))
    with pytest.raises(SourceLostError, match=f"at most {DECODE_ERROR_COUNT_MAX}"):
        list(source.frames(_never))
    source.close()


class _Packets:
    """A container whose file can no longer be read after one packet."""

    def __init__(self, container: InputContainer) -> None:
        self._container = container

    def demux(self, stream: VideoStream) -> Iterator[object]:
        """Give one packet, then fail as a lost share does."""
        yield next(self._container.demux(stream))
        raise av.error.OSError(5, "Input/output error")

    def close(self) -> None:
        """Close the real file."""
        self._container.close()


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_share_that_vanishes_is_a_lost_source(tmp_path: Path) -> None:
    """The frames that came are in the record, the error says how many."""
    source = _source(write_video(tmp_path / "a.mkv", _pictures()))
    source._container = _Packets(source._container)  # type: ignore[assignment]
    with pytest.raises(SourceLostError, match=r"reading a\.mkv failed after"):
        list(source.frames(_never))
    source.close()


class _Unconvertible:
    """A converter that knows no pixel format."""

    def convert(self, frame: object) -> NDArray[np.uint8]:
        """Fail as libswscale does."""
        raise ValueError("no conversion")


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_pixel_format_without_conversion_is_undecodable(tmp_path: Path) -> None:
    """The format is named, so that the user can convert the recording."""
    source = _source(write_video(tmp_path / "a.mkv", _pictures(1)))
    source._converter = _Unconvertible()  # type: ignore[assignment]
    (frame,) = source.frames(_never)
    source.close()
    assert isinstance(frame, UndecodableFrame)
    assert "bgr0" in frame.problem


@pytest.mark.verifies("SRS_SOURCE_001", extent="partial", technique="boundary")
def test_rate_is_assumed_where_the_header_has_none() -> None:
    """A missing rate must not become a division by zero."""

    class Stream:
        average_rate = None
        guessed_rate = None

    assert video_file._frame_rate(Stream()) == 25  # type: ignore[arg-type]


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="fault_injection")
def test_close_gives_up_on_a_decoder_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a run never waits for ever."""
    monkeypatch.setattr(video_file, "THREAD_JOIN_MS_MAX", 1)
    source = _source(write_video(tmp_path / "a.mkv", _pictures(1)))
    with source._lock:
        source.close()
    assert list(source.frames(_never)) == []
    source.close()


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
def test_no_round_at_all_is_refused(tmp_path: Path) -> None:
    """A source that plays nothing is a mistake of ours."""
    with pytest.raises(InvariantError):
        _source(write_video(tmp_path / "a.mkv", _pictures(1)), loop_count=0)
