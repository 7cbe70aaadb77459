"""A replay is what was recorded, to the bit and to the nanosecond, or it says that it is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conformance.frame_source_suite import FrameSourceSuite
from simulators.clock import FakeClock
from simulators.scripted_run import START_NS, ScriptedRun
from simulators.source import noise_pixels, raw_frame
from trocar.contracts.errors import DecodeError, InvariantError
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import NS_PER_MS, RECORDING_LINE_BYTES_MAX
from trocar.contracts.outcome import Reason
from trocar.contracts.ports import FrameSource
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.pacing import Pacing, UndecodableFrame, undecodable
from trocar.streaming.recording import FrameRecorder
from trocar.streaming.recording_source import RecordingSource, ReplayedFrame, ReplayedGap

TIMES_NS = [START_NS, START_NS + 40_000_001, START_NS + 80_000_007, START_NS + 300_000_000]
INDICES = [0, 1, 4, 6]


def _frames() -> list[RawFrame]:
    return [
        raw_frame(index, captured_at_ns=time_ns)
        for index, time_ns in zip(INDICES, TIMES_NS, strict=True)
    ]


def _record(folder: Path, frames: list[RawFrame] | None = None) -> Path:
    """Return a recording of a run on frames with gaps."""
    recorder = FrameRecorder(folder, source_id="list")
    clock = FakeClock(2 * TIMES_NS[-1])
    ScriptedRun(_frames() if frames is None else frames, sinks=[recorder], clock=clock).go()
    return folder


def _source(
    folder: Path, pacing: Pacing = Pacing.AS_FAST_AS_POSSIBLE, clock: FakeClock | None = None
) -> RecordingSource:
    return RecordingSource(folder, pacing=pacing, clock=FakeClock() if clock is None else clock)


@pytest.mark.verifies("SRS_LIVE_008", extent="partial", technique="conformance")
class TestRecordingSource(FrameSourceSuite):
    """A replay keeps what every source promises."""

    def make_source(self, folder: Path) -> FrameSource:
        """Return a replay of a recording without gaps."""
        frames = [raw_frame(i, captured_at_ns=START_NS + i) for i in range(self.frame_count())]
        return _source(_record(folder / "rec", frames))

    def frame_count(self) -> int:
        """Return how many frames were recorded."""
        return 5


@pytest.mark.verifies("SRS_LIVE_008", extent="full", technique="requirement")
@pytest.mark.proves_effect(
    "RCM_LIVE_003",
    measure="bytes, indices and recorded times that differ in a replay",
    acceptance="0",
)
@pytest.mark.parametrize("pacing", list(Pacing))
def test_replay_has_the_bytes_the_indices_and_the_times(tmp_path: Path, pacing: Pacing) -> None:
    """Gaps stay gaps; each frame says when it came."""
    frames = _frames()
    source = _source(_record(tmp_path / "rec"), pacing)
    got = list(source.frames(lambda: False))
    assert [raw.frame_index for raw in got] == INDICES
    assert [raw.recorded_at_ns for raw in got if isinstance(raw, ReplayedFrame)] == TIMES_NS
    assert all(
        np.array_equal(a.pixels, b.pixels) and a.pixels.dtype == np.uint8
        for a, b in zip(got, frames, strict=True)
    )
    assert (source.source_id, source.frame_count) == ("recording of list", None)


@pytest.mark.verifies("SRS_LIVE_008", extent="partial", technique="requirement")
def test_replay_in_real_time_keeps_every_interval(tmp_path: Path) -> None:
    """Deadlines and drops depend on the intervals: they differ by no nanosecond."""
    clock = FakeClock(77)
    source = _source(_record(tmp_path / "rec"), Pacing.REALTIME, clock)
    got = [raw.captured_at_ns for raw in source.frames(lambda: False)]
    assert [time_ns - got[0] for time_ns in got] == [t - TIMES_NS[0] for t in TIMES_NS]
    assert got[0] == 77
    assert clock.now_ns() == got[-1]


@pytest.mark.verifies("SRS_LIVE_009", extent="full", technique="requirement")
def test_two_replays_give_one_record(tmp_path: Path) -> None:
    """All but the times of this run is equal, byte by byte; also what the detectors say."""
    frames = [
        *_frames(),
        undecodable("cut", frame_index=7, captured_at_ns=TIMES_NS[-1] + 1, source_id="list"),
        raw_frame(8, captured_at_ns=TIMES_NS[-1] + 2, pixels=np.zeros((48, 64, 3), np.uint8)),
    ]
    still = noise_pixels(99)
    frames += [
        raw_frame(9 + i, captured_at_ns=TIMES_NS[-1] + 3 + 600 * NS_PER_MS * i, pixels=still)
        for i in range(3)
    ]
    folder = _record(tmp_path / "rec", frames)
    records = []
    reasons = []
    for number in (1, 2):
        path = tmp_path / f"{number}.jsonl"
        clock = FakeClock(number * START_NS, step_ns=number * 1000)
        run = ScriptedRun(_source(folder, clock=clock), sinks=[JsonlSink(path)], clock=clock)
        run.go()
        reasons.append(run.reasons)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        times = [[line.pop(key) for line in lines] for key in ("age_ms", "service_ms")]
        assert any(times[0])
        for line in lines:
            line.pop("captured_at_ns")
        records.append(json.dumps(lines))
    assert records[0] == records[1]
    assert reasons[1][4:] == [
        Reason.FRAME_UNDECODABLE,
        Reason.FRAME_BLACK,
        None,
        None,
        Reason.FRAME_FROZEN,
    ]


@pytest.mark.verifies("SRS_LIVE_008", extent="partial", technique="fault_injection")
def test_changed_or_missing_pixels_are_withheld(tmp_path: Path) -> None:
    """A bit that fell over, and a file that was cut, cost the frames that they touch."""
    folder = _record(tmp_path / "rec")
    pixels = folder / "chunk-000000.rgb"
    data = bytearray(pixels.read_bytes())
    data[5] ^= 1
    pixels.write_bytes(bytes(data[:-1]))
    got = list(_source(folder).frames(lambda: False))
    assert [isinstance(raw, ReplayedGap) for raw in got] == [True, False, False, True]
    gap = got[0]
    assert isinstance(gap, UndecodableFrame)
    assert gap.reason is Reason.FRAME_CORRUPT
    assert "expected SHA-256" in gap.problem
    run = ScriptedRun(_source(folder))
    run.go()
    assert run.reasons == [Reason.FRAME_CORRUPT, None, None, Reason.FRAME_CORRUPT]


@pytest.mark.verifies("SRS_LIVE_008", extent="partial", technique="boundary")
def test_frame_without_pixels_and_without_reason_cannot_be_decoded(tmp_path: Path) -> None:
    """A hand-made line must not become a picture."""
    folder = _record(tmp_path / "rec")
    index = folder / "chunk-000000.jsonl"
    fields = json.loads(index.read_text().splitlines()[0])
    index.write_text(json.dumps({**fields, "pixels": None}) + "\n")
    (got,) = _source(folder).frames(lambda: False)
    assert isinstance(got, ReplayedGap)
    assert got.reason is Reason.FRAME_UNDECODABLE


@pytest.mark.verifies("SRS_LIVE_008", extent="partial", technique="requirement")
@pytest.mark.parametrize("pacing", list(Pacing))
def test_replay_ends_at_the_stop_and_at_the_close(tmp_path: Path, pacing: Pacing) -> None:
    """Ctrl-C works on a replay too."""
    folder = _record(tmp_path / "rec")
    stops = iter([False] * 3)
    assert len(list(_source(folder, pacing).frames(lambda: next(stops, True)))) < len(INDICES)
    source = _source(folder, pacing)
    frames = source.frames(lambda: False)
    next(frames)
    source.close()
    assert list(frames) == []


@pytest.mark.verifies("SRS_LIVE_008", extent="partial", technique="boundary")
def test_replay_is_asked_for_once(tmp_path: Path) -> None:
    """Two readers of one source would share its frames."""
    source = _source(_record(tmp_path / "rec"))
    list(source.frames(lambda: False))
    with pytest.raises(InvariantError, match="twice"):
        next(source.frames(lambda: False))


@pytest.mark.verifies("SRS_LIVE_008", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "got none"),
        ("{}", "got another file"),
        ("[", "got another file"),
        ('{"recording_schema": "trocar.recording/2", "notice": "", "source_id": "x"}', "form"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    """Told before the run."""
    if text is not None:
        (tmp_path / "recording.json").write_text(text)
    with pytest.raises(DecodeError, match=words):
        _source(tmp_path)


@pytest.mark.verifies("SRS_LIVE_008", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "line",
    [b"{}\n", b"\xff\n", b"x" * RECORDING_LINE_BYTES_MAX, b"x" * 2 * RECORDING_LINE_BYTES_MAX],
)
def test_whole_line_that_is_none_ends_the_replay(tmp_path: Path, line: bytes) -> None:
    """Only the last line may be cut off; anything else is damage that must be told."""
    folder = _record(tmp_path / "rec")
    index = folder / "chunk-000000.jsonl"
    index.write_bytes(index.read_bytes() + line)
    with pytest.raises(DecodeError, match="expected a line of a recording"):
        list(_source(folder).frames(lambda: False))


@pytest.mark.verifies("SRS_LIVE_008", extent="partial", technique="fault_injection")
def test_missing_file_of_pixels_ends_the_replay(tmp_path: Path) -> None:
    """An index without its pixels is not a recording of nothing."""
    folder = _record(tmp_path / "rec")
    (folder / "chunk-000000.rgb").unlink()
    with pytest.raises(DecodeError, match="cannot be read"):
        list(_source(folder).frames(lambda: False))
