"""Surgical tools: detection alone, and detection before tracking, from one pack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from simulators.backend import MemoryBackend
from simulators.packs import (
    DETECTOR_HEIGHT_PX,
    DETECTOR_LABELS,
    DETECTOR_WIDTH_PX,
    detector_maps,
    painted_cells,
    write_detector_pack,
    write_tiny_pack,
)
from simulators.trust import trust_of
from trocar import __version__
from trocar.apps.opening import OpenedUnit
from trocar.apps.surgical_tools import (
    SHIPPED_PACK,
    TrackedDetector,
    open_detection,
    open_tracking,
)
from trocar.backends.request import BackendRequest
from trocar.contracts.errors import (
    BackendUnavailableError,
    HashMismatchError,
    IncompatiblePackError,
    InferenceError,
)
from trocar.contracts.findings import ToolDetections, ToolTracks, TrackState
from trocar.contracts.frame import Frame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.units.tool_detection.contract import ToolDetectionConfig
from trocar.units.tool_detection.unit import ToolDetector
from trocar.units.tool_tracking.contract import STANDARD
from trocar.units.tool_tracking.unit import ToolTracker

REQUEST = BackendRequest(thread_count=1, warm_up_count=1)
PERIOD_NS = 40 * NS_PER_MS
TOOL = (255, 0, 60)
OPENERS = [open_detection, open_tracking]


def _frame(index: int, *cells: tuple[int, int, tuple[int, int, int]]) -> Frame:
    """Return frame n of a stream of 25 frames/s."""
    return Frame(
        pixels=painted_cells(*cells),
        frame_index=index,
        captured_at_ns=index * PERIOD_NS,
        source_id="test",
    )


def _tracked(backend: MemoryBackend | None = None) -> TrackedDetector:
    """Return detector and tracker on the detecting network in NumPy."""
    config = ToolDetectionConfig(
        labels=DETECTOR_LABELS,
        score_shown_min=0.5,
        height_px=DETECTOR_HEIGHT_PX,
        width_px=DETECTOR_WIDTH_PX,
        frame_age_ms_max=100,
    )
    detector = ToolDetector(
        config, backend or MemoryBackend(detector_maps), pack_id="p 0.0.1", pack_digest="0" * 64
    )
    return TrackedDetector(detector, ToolTracker(STANDARD))


def _tracks(unit: TrackedDetector, frame: Frame) -> ToolTracks:
    """Return the tracks of a frame that gets an answer."""
    outcome = unit.run(frame, now_ns=frame.captured_at_ns)
    assert isinstance(outcome, ToolTracks)
    return outcome


@pytest.mark.verifies(
    "SRS_TOOL_003", "UNIT_APPS_SURGICAL_TOOLS", extent="partial", technique="requirement"
)
def test_opened_detector_answers_with_the_pack_in_its_provenance(tmp_path: Path) -> None:
    """What answers is what was verified, with the operating point of the pack."""
    pack = write_detector_pack(tmp_path / "pack", threshold={"value": 0.75, "chosen_by": "tests"})
    opened = open_detection(
        tmp_path / "pack", REQUEST, frame_age_ms_max=100, trust=trust_of(tmp_path / "pack")
    )
    assert opened.unit.info.pack_digest == opened.pack.digest == pack.digest
    assert opened.unit.info.unit == "tool_detection"
    found = opened.unit.run(_frame(3, (2, 3, (255, 0, 60))), now_ns=3 * PERIOD_NS)
    assert isinstance(found, ToolDetections)
    assert found.score_shown_min == 0.75
    assert [item.label for item in found.detections] == ["grasper"]


@pytest.mark.verifies("SRS_TOOL_011", "SRS_PROVENANCE_001", extent="partial", technique="example")
def test_opened_tracker_names_itself_and_the_pack_of_its_detector(tmp_path: Path) -> None:
    """The tracker has no model: what its answers rest on is the detector's."""
    pack = write_detector_pack(tmp_path / "pack")
    info = open_tracking(
        tmp_path / "pack", REQUEST, frame_age_ms_max=100, trust=trust_of(tmp_path / "pack")
    ).unit.info
    assert (info.unit, info.unit_version) == ("tool_tracking", __version__)
    assert (info.pack_id, info.pack_digest) == (pack.manifest.pack_id, pack.digest)
    assert info.backend.thread_count == 1


@pytest.mark.verifies("SRS_TOOL_003", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("fault", ["altered", "other unit", "no labels", "outside the tolerance"])
def test_pack_that_does_not_fit_gives_no_unit(
    tmp_path: Path, opener: Callable[..., OpenedUnit], fault: str
) -> None:
    """Either door refuses the same packs."""
    folder = tmp_path / "pack"
    expected: type[Exception] = IncompatiblePackError
    if fault == "other unit":
        write_tiny_pack(folder)
    elif fault == "no labels":
        write_detector_pack(folder, labels=[])
    elif fault == "altered":
        write_detector_pack(folder)
        (folder / "model.onnx").write_bytes(b"x" * (folder / "model.onnx").stat().st_size)
        expected = HashMismatchError
    else:
        write_detector_pack(folder, parity={"prob_difference_max": 0.0, "mask_dice_min": 1.0})
        expected = BackendUnavailableError
    with pytest.raises(expected):
        opener(folder, REQUEST, frame_age_ms_max=100, trust=trust_of(folder))


@pytest.mark.verifies("SRS_TOOL_007", extent="partial", technique="boundary")
@pytest.mark.parametrize("opener", OPENERS)
def test_age_limit_is_that_of_the_application(
    tmp_path: Path, opener: Callable[..., OpenedUnit]
) -> None:
    """The application knows whether anything is timed; the pack does not."""
    write_detector_pack(tmp_path / "pack")
    unit = opener(
        tmp_path / "pack", REQUEST, frame_age_ms_max=7, trust=trust_of(tmp_path / "pack")
    ).unit
    assert not isinstance(unit.run(_frame(0), now_ns=7_000_000), Withheld)
    late = unit.run(_frame(0), now_ns=7_000_001)
    assert isinstance(late, Withheld)
    assert late.reason is Reason.STALE_FRAME


@pytest.mark.verifies("SRS_TOOL_011", extent="full", technique="requirement")
@pytest.mark.controls("RCM_TOOL_001")
def test_tracks_rest_on_the_detections_of_the_same_frame() -> None:
    """A tool that moves from cell to cell keeps its number, and each answer its own frame."""
    backend = MemoryBackend(detector_maps)
    unit = _tracked(backend)
    numbers = set()
    for index in range(8):
        found = _tracks(unit, _frame(index, (4, 2 + index // 4, TOOL)))
        assert found.frame_index == found.detections.frame_index == index
        assert found.detections.detections[0].box_xyxy_px == pytest.approx(
            found.tracks[0].box_xyxy_px, abs=2 * DETECTOR_WIDTH_PX / 12
        )
        numbers |= {track.track_id for track in found.tracks}
    assert len(numbers) == 1
    assert len(backend.batches) == 8


@pytest.mark.verifies("SRS_TOOL_011", extent="full", technique="fault_injection")
def test_withheld_detection_is_the_answer_and_the_tracker_learns_of_it() -> None:
    """One failed call: the reason stands in the record, and the identity outlives it."""
    faults = {4: InferenceError("no memory", advice="restart")}
    unit = _tracked(MemoryBackend(detector_maps, faults=faults))
    before = [_tracks(unit, _frame(index, (4, 2, TOOL))) for index in range(4)][-1]
    failed = unit.run(_frame(4, (4, 2, TOOL)), now_ns=4 * PERIOD_NS)
    after = _tracks(unit, _frame(5, (4, 2, TOOL)))
    assert failed == Withheld(frame_index=4, reason=Reason.INFERENCE_FAILED, detail="no memory")
    assert [track.track_id for track in after.tracks] == [before.tracks[0].track_id]
    assert after.reset_count == before.reset_count


@pytest.mark.verifies("SRS_TOOL_011", extent="partial", technique="fault_injection")
def test_row_of_withheld_frames_is_a_gap_for_the_tracker() -> None:
    """After seconds without an answer nobody knows whether it is the same tool."""
    unit = _tracked()
    for index in range(4):
        _tracks(unit, _frame(index, (4, 2, TOOL)))
    late_index = 4 + (STANDARD.gap_ms_max + 1000) * NS_PER_MS // PERIOD_NS
    for index in range(4, late_index):
        frame = _frame(index, (4, 2, TOOL))
        withheld = unit.run(frame, now_ns=frame.captured_at_ns + 200 * NS_PER_MS)
        assert isinstance(withheld, Withheld)
    after = _tracks(unit, _frame(late_index, (4, 2, TOOL)))
    assert after.reset_count == 1
    assert [track.track_id for track in after.tracks] == [2]


@pytest.mark.verifies("SRS_TOOL_011", extent="partial", technique="requirement")
def test_refusal_of_the_tracker_is_the_answer() -> None:
    """A frame that is not after the last one: detections alone would look like a result."""
    unit = _tracked()
    _tracks(unit, _frame(7, (4, 2, TOOL)))
    again = unit.run(_frame(7, (4, 2, TOOL)), now_ns=7 * PERIOD_NS)
    assert isinstance(again, Withheld)
    assert again.reason is Reason.FRAME_OUT_OF_ORDER


@pytest.mark.verifies("SRS_TOOL_006", extent="partial", technique="requirement")
@pytest.mark.proves_effect(
    "RCM_TOOL_002",
    measure="tracks that begin at a score below the operating point",
    acceptance="0 in 40 frames with a weak mark in each",
)
def test_weak_marks_begin_no_track() -> None:
    """Glitter that is marked weakly for two seconds never gets a number."""
    unit = _tracked()
    for index in range(40):
        found = _tracks(unit, _frame(index, (4, 6, (120, 0, 60))))
        assert found.detections.detections[0].score < found.detections.score_shown_min
        assert found.tracks == ()


@pytest.mark.verifies("SRS_TOOL_011", extent="partial", technique="example")
def test_tool_that_leaves_is_said_to_be_unseen() -> None:
    """The detector is silent, the tracker coasts: both stand in one answer."""
    unit = _tracked()
    for index in range(6):
        _tracks(unit, _frame(index, (4, 6, TOOL)))
    found = _tracks(unit, _frame(6))
    assert found.detections.detections == ()
    assert [track.state for track in found.tracks] == [TrackState.COASTING]
    assert found.tracks[0].unseen_ms == pytest.approx(40.0)


@pytest.mark.verifies("SRS_TOOL_003", extent="partial", technique="inspection")
def test_both_doors_name_one_pack() -> None:
    """The tracker has no pack of its own."""
    assert SHIPPED_PACK.name == "tool_detection"
