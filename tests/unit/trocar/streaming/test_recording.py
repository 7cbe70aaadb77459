"""Recordings hold every frame once, whole or not there, in a bounded space."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from conformance.sink_suite import SinkSuite
from simulators.clock import FakeClock
from simulators.scripted_run import START_NS, ScriptedRun, timed_frames
from simulators.source import raw_frame
from simulators.unit import ScriptedUnit, frame_record
from trocar.contracts.errors import InvariantError, SinkError
from trocar.contracts.frame import CrcVerdict, Frame, FrameOrigin, RawFrame
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.ports import Sink
from trocar.streaming.pacing import Pacing, undecodable
from trocar.streaming.recording import FrameRecorder, FullPolicy
from trocar.streaming.recording_source import RecordingSource

FRAME_BYTES = 48 * 64 * 3
ORIGIN = FrameOrigin(device_name="Endoscope", sender_wall_ns=5, crc=CrcVerdict.VERIFIED)


def _replayed(folder: Path) -> list[RawFrame]:
    source = RecordingSource(folder, pacing=Pacing.AS_FAST_AS_POSSIBLE, clock=FakeClock())
    return list(source.frames(lambda: False))


def _frame(raw: RawFrame) -> Frame:
    return Frame(
        pixels=raw.pixels,
        frame_index=raw.frame_index,
        captured_at_ns=raw.captured_at_ns,
        source_id=raw.source_id,
    )


def _lines(folder: Path) -> list[dict[str, Any]]:
    texts = [path.read_text() for path in sorted(folder.glob("chunk-*.jsonl"))]
    return [json.loads(line) for text in texts for line in text.splitlines()]


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="conformance")
class TestFrameRecorder(SinkSuite):
    """The recorder keeps what every sink promises."""

    def make_sink(self, folder: Path) -> Sink:
        """Return a new recording."""
        return FrameRecorder(folder / "rec", source_id="list")

    def read_record_count(self, folder: Path) -> int:
        """Return the number of its lines."""
        return len(_lines(folder / "rec"))


@pytest.mark.verifies("SRS_LIVE_007", extent="full", technique="requirement")
@pytest.mark.controls("RCM_LIVE_003")
def test_each_frame_is_recorded_once_with_all_that_is_known(tmp_path: Path) -> None:
    """Two units, one picture; a gap, an origin and a refused frame are kept."""
    frames = [
        raw_frame(3, captured_at_ns=START_NS, media_time_ns=7, origin=ORIGIN),
        undecodable("cut", frame_index=5, captured_at_ns=START_NS + 1, source_id="list"),
    ]
    recorder = FrameRecorder(tmp_path / "rec", source_id="list")
    run = ScriptedRun(frames, [ScriptedUnit(), ScriptedUnit()], sinks=[recorder])
    run.go()
    assert recorder.frame_count == 2
    first, second = _lines(tmp_path / "rec")
    assert (first["frame_index"], first["captured_at_ns"], first["media_time_ns"]) == (
        3,
        START_NS,
        7,
    )
    assert first["origin"]["device_name"] == "Endoscope"
    assert first["pixels"]["sha256"] != ""
    assert (second["frame_index"], second["pixels"]) == (5, None)
    assert second["refusal"] == ["frame_undecodable", "cut"]
    data = (tmp_path / "rec" / "chunk-000000.rgb").read_bytes()
    assert data == frames[0].pixels.tobytes()


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("cut", [1, 40])
def test_what_was_written_before_the_end_of_the_process_can_be_read(
    tmp_path: Path, cut: int
) -> None:
    """A line that is not whole is the frame at which the process died, and all before it count."""
    recorder = FrameRecorder(tmp_path, source_id="list")
    frames = timed_frames(3)
    for raw in frames:
        recorder.write(frame_record(raw.frame_index), _frame(raw))
    index = tmp_path / "chunk-000000.jsonl"
    index.write_bytes(index.read_bytes()[:-cut])
    got = _replayed(tmp_path)
    assert [raw.frame_index for raw in got] == [0, 1]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(got, frames, strict=False))


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("failing", ["rgb", "jsonl"])
def test_frame_that_does_not_fit_on_the_disk_is_taken_back(
    tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Disk full is an error of its own, and the recording stays what it was before the frame."""
    recorder = FrameRecorder(tmp_path, source_id="list")
    frames = timed_frames(3)
    recorder.write(frame_record(0), _frame(frames[0]))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real = os.write
    calls: list[int] = []

    def full(descriptor: int, data: memoryview) -> int:
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data[: max(1, len(data) // 2)] if failing == "rgb" else data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(SinkError, match="No space left") as caught:
            recorder.write(frame_record(1), _frame(frames[1]))
    assert caught.value.context == {"frame_count": 1}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    recorder.write(frame_record(2), _frame(frames[2]))
    recorder.close()
    assert [raw.frame_index for raw in _replayed(tmp_path)] == [0, 2]


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="boundary")
def test_space_that_is_used_up_ends_the_run_by_an_error(tmp_path: Path) -> None:
    """Nothing goes missing in silence: who needs a whole recording is told that it ends."""
    recorder = FrameRecorder(tmp_path, source_id="list", bytes_max=3 * FRAME_BYTES)
    *fitting, last = timed_frames(3)
    for raw in fitting:
        recorder.write(frame_record(raw.frame_index), _frame(raw))
    with pytest.raises(SinkError, match="expected a recording of at most"):
        recorder.write(frame_record(last.frame_index), _frame(last))
    recorder.close()
    assert [raw.frame_index for raw in _replayed(tmp_path)] == [0, 1]


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="boundary")
def test_oldest_frames_go_where_the_last_ones_matter(tmp_path: Path) -> None:
    """A recorder of the time before an event takes no more than its space, for ever."""
    bytes_max = 4 * (FRAME_BYTES + 1000)
    recorder = FrameRecorder(
        tmp_path,
        source_id="list",
        bytes_max=bytes_max,
        full=FullPolicy.DROP_OLDEST,
        chunk_bytes_max=FRAME_BYTES,
    )
    for raw in timed_frames(9):
        recorder.write(frame_record(raw.frame_index), _frame(raw))
        used = sum(path.stat().st_size for path in tmp_path.glob("chunk-*"))
        assert used <= bytes_max
    with structlog.testing.capture_logs() as logged:
        recorder.close()
    got = [raw.frame_index for raw in _replayed(tmp_path)]
    assert got == list(range(9 - len(got), 9))
    assert len(got) >= 3
    assert logged == [
        {"event": "recording_chunks_deleted", "log_level": "warning", "count": 9 - len(got)}
    ]


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="boundary")
def test_frame_larger_than_the_whole_space_is_refused(tmp_path: Path) -> None:
    """There is nothing left to delete that would help."""
    recorder = FrameRecorder(
        tmp_path, source_id="list", bytes_max=FRAME_BYTES - 1, full=FullPolicy.DROP_OLDEST
    )
    with pytest.raises(SinkError, match="expected a recording"):
        recorder.write(frame_record(0), _frame(timed_frames(1)[0]))


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="fault_injection")
def test_earlier_recording_is_never_written_into(tmp_path: Path) -> None:
    """Frames of two examinations in one folder would be one."""
    FrameRecorder(tmp_path, source_id="list").close()
    with pytest.raises(SinkError, match="no earlier recording"):
        FrameRecorder(tmp_path, source_id="list")


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="fault_injection")
def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """Told before the run, not at its first frame."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be made"):
        FrameRecorder(tmp_path / "file" / "rec", source_id="list")


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="fault_injection")
def test_file_that_cannot_be_begun_or_closed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call to the operating system may fail."""
    recorder = FrameRecorder(tmp_path, source_id="list")
    raw = timed_frames(1)[0]
    (tmp_path / "chunk-000000.jsonl").write_text("")
    with pytest.raises(SinkError, match="File exists"):
        recorder.write(frame_record(0), _frame(raw))
    recorder.write(frame_record(1), _frame(raw))

    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", broken)
        with pytest.raises(SinkError, match="could not be closed"):
            recorder.close()
    recorder.close()


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="requirement")
def test_closed_recording_takes_no_frame(tmp_path: Path) -> None:
    """A frame after the end would be in no file."""
    recorder = FrameRecorder(tmp_path, source_id="list")
    recorder.close()
    recorder.close()
    with pytest.raises(SinkError, match="closed one"):
        recorder.write(frame_record(0), None)


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="boundary")
def test_frame_without_pixels_and_without_reason_has_neither(tmp_path: Path) -> None:
    """Whatever a caller hands over can be written down."""
    recorder = FrameRecorder(tmp_path, source_id="list")
    recorder.write(frame_record(0), None)
    recorder.write(
        frame_record(1, outcome=Withheld(frame_index=1, reason=Reason.FRAME_SHAPE)), None
    )
    recorder.close()
    assert [line["refusal"] for line in _lines(tmp_path)] == [None, ["frame_shape", ""]]


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="boundary")
def test_recording_without_space_is_refused(tmp_path: Path) -> None:
    """A mistake of the caller."""
    with pytest.raises(InvariantError, match="without any space"):
        FrameRecorder(tmp_path, source_id="list", bytes_max=0)


@pytest.mark.verifies("SRS_LIVE_007", extent="partial", technique="requirement")
def test_pictures_can_be_read_by_their_owner_alone(tmp_path: Path) -> None:
    """Another user of the machine has no business with them."""
    recorder = FrameRecorder(tmp_path / "kept", source_id="list")
    recorder.write(frame_record(0), _frame(raw_frame(0)))
    recorder.close()
    chunks = sorted((tmp_path / "kept").glob("chunk-*"))
    assert len(chunks) == 2
    assert {path.stat().st_mode & 0o777 for path in chunks} == {0o600}
