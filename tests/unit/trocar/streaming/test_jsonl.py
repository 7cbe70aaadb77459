"""The record is complete, readable by line, bound to its model, and never ends in half a line."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from conformance.sink_suite import SinkSuite
from simulators.unit import UNIT_INFO, frame_record, polyp_mask, tool_detections, tool_tracks
from trocar import RESEARCH_NOTICE
from trocar.contracts.errors import SinkError
from trocar.contracts.frame import CrcVerdict, FrameOrigin
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.ports import Sink
from trocar.streaming.jsonl import RECORD_SCHEMA, JsonlSink, bounding_box_xyxy_px, line_of


@pytest.mark.verifies("SRS_SINK_002", extent="full", technique="conformance")
class TestJsonlSink(SinkSuite):
    """The record keeps what every sink promises."""

    def make_sink(self, folder: Path) -> Sink:
        """Return a new record."""
        return JsonlSink(folder / "results.jsonl")

    def read_record_count(self, folder: Path) -> int:
        """Return the number of its lines."""
        return len((folder / "results.jsonl").read_text().splitlines())


@pytest.mark.verifies("SRS_SINK_002", extent="full", technique="requirement")
@pytest.mark.controls("RCM_NOTICE_001")
def test_line_of_a_finding() -> None:
    """The fields, their order and their units are a promise to those who read the file."""
    fields = json.loads(line_of(frame_record(3, media_time_ns=120_000_000)))
    assert list(fields) == [
        "schema", "notice", "frame_index", "source_id", "media_time_ms", "outcome", "verdict",
        "age_ms", "service_ms", "captured_at_ns", "dropped_before_count", "origin", "provenance",
    ]  # fmt: skip
    assert (fields["schema"], fields["notice"]) == (RECORD_SCHEMA, RESEARCH_NOTICE)
    assert (fields["media_time_ms"], fields["age_ms"], fields["service_ms"]) == (120.0, 40.0, 10.0)
    assert fields["outcome"] == {
        "kind": "polyp_mask",
        "label": "polyp",
        "is_found": True,
        "area_fraction": 0.25,
        "prob_max": 1.0,
        "prob_threshold": 0.5,
        "box_xyxy_px": [0, 0, 32, 24],
        "frame_width_px": 64,
        "frame_height_px": 48,
    }


@pytest.mark.verifies("SRS_SINK_010", extent="full", technique="requirement")
def test_line_of_detections_holds_those_too_weak_to_be_shown() -> None:
    """Whoever evaluates the model needs every score; whoever looks is told which were shown."""
    fields = json.loads(line_of(frame_record(3, outcome=tool_detections(3))))
    assert fields["outcome"] == {
        "kind": "tool_detections",
        "detections": [
            {
                "label": "grasper",
                "class_index": 0,
                "score": 0.9,
                "box_xyxy_px": [16.0, 12.0, 32.0, 24.0],
                "is_shown": True,
            },
            {
                "label": "hook",
                "class_index": 2,
                "score": 0.1,
                "box_xyxy_px": [32.0, 24.0, 64.0, 48.0],
                "is_shown": False,
            },
        ],
        "score_shown_min": 0.5,
        "frame_width_px": 64,
        "frame_height_px": 48,
    }


@pytest.mark.verifies("SRS_SINK_010", extent="full", technique="requirement")
@pytest.mark.controls("RCM_TRACK_003")
def test_line_of_tracks_says_which_are_not_seen() -> None:
    """State and time since it was seen stand beside each box, with the detections behind them."""
    outcome = json.loads(line_of(frame_record(outcome=tool_tracks(0))))["outcome"]
    assert (outcome["kind"], outcome["reset_count"]) == ("tool_tracks", 0)
    assert [(t["track_id"], t["state"], t["unseen_ms"]) for t in outcome["tracks"]] == [
        (1, "confirmed", 0.0),
        (2, "coasting", 120.0),
        (5, "tentative", 0.0),
    ]
    assert outcome["tracks"][0]["box_xyxy_px"] == [16.0, 12.0, 32.0, 24.0]
    assert outcome["tracks"][0]["seen_frame_count"] == 3
    assert [found["label"] for found in outcome["detections"]] == ["grasper", "hook"]


@pytest.mark.verifies("SRS_CONTRACT_005", extent="full", technique="requirement")
@pytest.mark.parametrize("sender_wall_ns", [None, 1_795_000_000_123_456_789])
def test_line_of_a_network_frame_says_what_its_message_said(sender_wall_ns: int | None) -> None:
    """A time that the sender did not know is null, not zero and not our own."""
    origin = FrameOrigin(
        device_name="Camera", sender_wall_ns=sender_wall_ns, crc=CrcVerdict.VERIFIED
    )
    record = frame_record().model_copy(update={"origin": origin})
    assert json.loads(line_of(record))["origin"] == {
        "device_name": "Camera",
        "sender_wall_ns": sender_wall_ns,
        "crc": "verified",
    }


@pytest.mark.verifies("SRS_PROVENANCE_001", extent="full", technique="requirement")
def test_every_line_names_model_and_engine() -> None:
    """A result without its model proves nothing."""
    provenance = json.loads(line_of(frame_record()))["provenance"]
    assert provenance == UNIT_INFO.model_dump(mode="json")


@pytest.mark.verifies("SRS_SINK_005", extent="full", technique="requirement")
@pytest.mark.controls("RCM_WITHHELD_001")
def test_line_of_a_withheld_result_has_no_field_of_a_finding() -> None:
    """Nobody can read an empty mask, "no polyp", into it."""
    withheld = Withheld(frame_index=1, reason=Reason.FRAME_BLACK, detail="level 3")
    line = line_of(frame_record(1, outcome=withheld, verdict=DeadlineVerdict.MISSED))
    fields = json.loads(line)
    assert fields["outcome"] == {"kind": "withheld", "reason": "frame_black", "detail": "level 3"}
    assert (fields["verdict"], fields["media_time_ms"]) == ("missed", None)


@pytest.mark.verifies("SRS_SINK_002", extent="partial", technique="boundary")
def test_box_of_an_empty_mask_is_none() -> None:
    """No box is not a box of no size."""
    line = line_of(frame_record(outcome=polyp_mask(0, is_empty=True)))
    outcome = json.loads(line)["outcome"]
    assert (outcome["box_xyxy_px"], outcome["is_found"]) == (None, False)


@pytest.mark.verifies("SRS_SINK_002", extent="partial", technique="boundary")
def test_box_is_rounded_outwards() -> None:
    """No marked pixel of the frame lies outside the box."""
    mask = np.zeros((3, 3), dtype=np.bool_)
    mask[1, 2] = True
    assert bounding_box_xyxy_px(mask, height_px=100, width_px=10) == (6, 33, 10, 67)


@pytest.mark.verifies("SRS_SINK_004", extent="full", technique="fault_injection")
def test_full_disk_is_a_typed_error() -> None:
    """The run stops with advice instead of going on without a record."""
    sink = JsonlSink(Path("/dev/full"))
    with pytest.raises(SinkError, match="frame 0 could not be written") as caught:
        sink.write(frame_record(), None)
    assert "disk space" in caught.value.advice
    sink.close()


@pytest.mark.verifies("SRS_SINK_004", extent="full", technique="fault_injection")
def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file ends with a whole line when the disk fills up in the middle of one."""
    path = tmp_path / "results.jsonl"
    sink = JsonlSink(path)
    sink.write(frame_record(0), None)
    real_write = os.write
    calls: list[int] = []

    def write_half(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", write_half)
    with pytest.raises(SinkError, match="No space left"):
        sink.write(frame_record(1), None)
    monkeypatch.undo()
    sink.write(frame_record(2), None)
    sink.close()
    indices = [json.loads(line)["frame_index"] for line in path.read_text().splitlines()]
    assert indices == [0, 2]


@pytest.mark.verifies("SRS_SINK_002", extent="full", technique="requirement")
def test_line_is_in_the_file_before_the_next_frame(tmp_path: Path) -> None:
    """A run that is killed keeps every answer that was shown."""
    sink = JsonlSink(tmp_path / "results.jsonl")
    sink.write(frame_record(0), None)
    assert (tmp_path / "results.jsonl").read_bytes().endswith(b"}\n")
    sink.close()


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="requirement")
def test_earlier_record_is_not_overwritten_unless_told(tmp_path: Path) -> None:
    """A record is evidence; the second run must not destroy that of the first."""
    path = tmp_path / "results.jsonl"
    path.write_text("{}\n")
    with pytest.raises(SinkError, match="no earlier record"):
        JsonlSink(path)
    JsonlSink(path, replace=True).close()
    assert path.read_text() == ""


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_folder_that_is_missing_is_a_typed_error(tmp_path: Path) -> None:
    """The mistake is found before the first frame."""
    with pytest.raises(SinkError, match="cannot be created"):
        JsonlSink(tmp_path / "missing" / "results.jsonl")


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_loss_reported_by_the_close_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network file systems report a full disk only here."""
    sink = JsonlSink(tmp_path / "results.jsonl")
    real_close = os.close

    def close(descriptor: int) -> None:
        real_close(descriptor)
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "close", close)
    with pytest.raises(SinkError, match="quota"):
        sink.close()


@pytest.mark.verifies("SRS_SINK_002", extent="partial", technique="requirement")
def test_figures_are_rounded_and_the_line_is_compact() -> None:
    """Times to the microsecond and shares to the millionth: readable, and enough to recompute."""
    finding = polyp_mask(0).model_copy(update={"area_fraction": 1 / 3, "prob_max": 0.123456789})
    record = frame_record(
        outcome=finding, age_ns=12_345_678, service_ns=2_000_499, media_time_ns=33_366_699
    )
    line = line_of(record)
    fields = json.loads(line)
    assert (fields["age_ms"], fields["service_ms"], fields["media_time_ms"]) == (
        12.346,
        2.0,
        33.367,
    )
    assert fields["outcome"]["area_fraction"] == 0.333333
    assert fields["outcome"]["prob_max"] == 0.123457
    assert json.dumps(fields, separators=(",", ":")) + "\n" == line


@pytest.mark.verifies("SRS_SINK_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(("column", "sides"), [(0, (0, 4)), (1, (3, 7)), (2, (6, 10))])
def test_sides_of_a_box_are_whole_pixels(column: int, sides: tuple[int, int]) -> None:
    """Ten pixels of the frame under three of the mask: no side falls on a whole one."""
    mask = np.zeros((3, 3), dtype=np.bool_)
    mask[column, column] = True
    box = bounding_box_xyxy_px(mask, height_px=10, width_px=10)
    assert box == (sides[0], sides[0], sides[1], sides[1])
    assert box is not None
    assert {type(side) for side in box} == {int}


@pytest.mark.verifies("SRS_SINK_002", "SRS_SINK_004", extent="partial", technique="fault_injection")
def test_line_that_goes_out_in_many_pieces_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operating system may take a few bytes at a time; each byte goes out once."""
    path = tmp_path / "results.jsonl"
    sink = JsonlSink(path)
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda number, data: real_write(number, data[:100]))
    sink.write(frame_record(0), None)
    sink.write(frame_record(1), None)
    monkeypatch.undo()
    sink.close()
    assert path.read_text(encoding="ascii") == line_of(frame_record(0)) + line_of(frame_record(1))


@pytest.mark.verifies(
    "SRS_SINK_004", "SRS_ERROR_001", extent="partial", technique="fault_injection"
)
def test_all_lines_before_the_broken_one_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the last one only: the error says up to which byte the file is good."""
    path = tmp_path / "results.jsonl"
    sink = JsonlSink(path)
    for index in range(3):
        sink.write(frame_record(index), None)
    kept = path.read_bytes()

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SinkError) as caught:
        sink.write(frame_record(3), None)
    monkeypatch.undo()
    sink.close()
    assert path.read_bytes() == kept
    assert caught.value.context == {"good_bytes": len(kept)}
    assert caught.value.problem == (
        f"frame 3 could not be written to {path}: No space left on device"
    )


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="boundary")
def test_empty_file_is_no_earlier_record(tmp_path: Path) -> None:
    """One byte is somebody's work; a file that was only touched is nobody's."""
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"")
    JsonlSink(path).close()
    path.write_bytes(b"{")
    with pytest.raises(SinkError) as caught:
        JsonlSink(path)
    assert caught.value.problem == f"expected no earlier record, got {path}"
    assert caught.value.advice == "choose another output folder, or move the earlier record away"
    assert path.read_bytes() == b"{"


@pytest.mark.verifies("SRS_SINK_002", extent="partial", technique="requirement")
def test_record_can_be_read_by_others_and_changed_by_its_owner_only(tmp_path: Path) -> None:
    """Whoever may look at results must not be able to alter them."""
    before = os.umask(0)
    try:
        JsonlSink(tmp_path / "results.jsonl").close()
    finally:
        os.umask(before)
    assert (tmp_path / "results.jsonl").stat().st_mode & 0o777 == 0o644


@pytest.mark.verifies("SRS_SINK_004", "SRS_ERROR_001", extent="partial", technique="example")
def test_closed_record_refuses_a_line_and_names_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both errors name the file; one disk is full, another sink may still be sound."""
    path = tmp_path / "results.jsonl"
    advice = "free disk space or choose another output folder; the lines written so far are intact"
    sink = JsonlSink(path)
    real_close = os.close

    def close(descriptor: int) -> None:
        real_close(descriptor)
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "close", close)
    with pytest.raises(SinkError) as caught:
        sink.close()
    monkeypatch.undo()
    assert caught.value.problem == f"{path} could not be closed: Disk quota exceeded"
    assert caught.value.advice == advice
    with pytest.raises(SinkError) as caught:
        sink.write(frame_record(), None)
    assert caught.value.problem == f"expected an open record, got a closed one: {path}"
    assert caught.value.advice == advice
