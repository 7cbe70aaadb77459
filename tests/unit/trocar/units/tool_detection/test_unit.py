"""One frame in; the boxes of that frame, or the reason for none, out."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest

from simulators.backend import MemoryBackend
from simulators.packs import (
    CELL_PX,
    DETECTOR_HEIGHT_PX,
    DETECTOR_LABELS,
    DETECTOR_WIDTH_PX,
    detector_maps,
    painted_cells,
)
from trocar import __version__
from trocar.contracts.errors import InferenceError, InvariantError
from trocar.contracts.findings import ToolDetections
from trocar.contracts.frame import Frame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.units.tool_detection.contract import ToolDetectionConfig
from trocar.units.tool_detection.unit import ToolDetector

AGE_MS: Final = 100
SHOWN: Final = 0.5
MAPS_SHAPE: Final = (1, 6, DETECTOR_HEIGHT_PX // CELL_PX, DETECTOR_WIDTH_PX // CELL_PX)


def _unit(backend: MemoryBackend | None = None) -> ToolDetector:
    """Return the unit, on the detecting network in NumPy unless another backend is given."""
    config = ToolDetectionConfig(
        labels=DETECTOR_LABELS,
        score_shown_min=SHOWN,
        height_px=DETECTOR_HEIGHT_PX,
        width_px=DETECTOR_WIDTH_PX,
        frame_age_ms_max=AGE_MS,
    )
    return ToolDetector(
        config,
        backend or MemoryBackend(detector_maps),
        pack_id="tiny_detector 0.0.1",
        pack_digest="0" * 64,
    )


def _frame(
    *cells: tuple[int, int, tuple[int, int, int]],
    index: int = 7,
    captured_at_ns: int = 0,
    scale: tuple[int, int] = (1, 1),
) -> Frame:
    """Return a frame with painted cells, enlarged by whole numbers of rows and columns."""
    pixels = painted_cells(*cells).repeat(scale[0], axis=0).repeat(scale[1], axis=1)
    return Frame(
        pixels=np.ascontiguousarray(pixels),
        frame_index=index,
        captured_at_ns=captured_at_ns,
        source_id="test",
    )


def _found(frame: Frame, unit: ToolDetector | None = None) -> ToolDetections:
    """Return the detections of a frame that gets an answer."""
    outcome = (unit or _unit()).run(frame, now_ns=frame.captured_at_ns)
    assert isinstance(outcome, ToolDetections)
    return outcome


@pytest.mark.verifies("SRS_TOOL_001", "SRS_TOOL_004", extent="full", technique="example")
@pytest.mark.controls("RCM_TOOL_001")
def test_box_is_in_pixels_of_the_input_frame() -> None:
    """A frame of 160 x 288: rows scale by 2.5, columns by 3, and the box with them."""
    base = painted_cells((2, 3, (230, 0, 102)))
    # 64 -> 160 rows: every row twice, and every second one once more.
    rows = np.repeat(base, [2, 3] * 32, axis=0)
    frame = Frame(
        pixels=np.ascontiguousarray(rows.repeat(3, axis=1)),
        frame_index=41,
        captured_at_ns=0,
        source_id="test",
    )
    found = _found(frame)
    assert (found.frame_index, found.frame_size_px) == (41, (288, 160))
    (item,) = found.detections
    assert (item.label, item.class_index) == ("grasper", 0)
    assert item.score == pytest.approx(230 / 255, abs=0.01)
    # Blue 102 of 255: two fifths of the reach of the network, left 0.25, up 0.5, 0.125, 0.25.
    centre_x, centre_y = 288 * 3.5 / 12, 160 * 2.5 / 8
    expected = (centre_x - 28.8, centre_y - 32, centre_x + 14.4, centre_y + 16)
    assert item.box_xyxy_px == pytest.approx(expected, abs=0.5)


@pytest.mark.proves_effect(
    "RCM_TOOL_001",
    measure="boxes of a marked cell that do not hold its centre in the frame, or leave the frame",
    acceptance="0 over all 96 cells in 4 sizes of frame",
)
@pytest.mark.parametrize("scale", [(1, 1), (3, 2), (2, 5), (8, 8)])
def test_every_cell_is_marked_where_it_is(scale: tuple[int, int]) -> None:
    """A swap of axes, a mirror or a wrong scale would move some of these boxes off their cell."""
    unit = _unit()
    for row in range(MAPS_SHAPE[2]):
        for column in range(MAPS_SHAPE[3]):
            found = _found(_frame((row, column, (255, 0, 60)), scale=scale), unit)
            left, top, right, bottom = found.detections[0].box_xyxy_px
            middle_x, middle_y = (column + 0.5) * CELL_PX, (row + 0.5) * CELL_PX
            assert left < middle_x * scale[1] < right
            assert top < middle_y * scale[0] < bottom
            assert right <= found.frame_width_px
            assert bottom <= found.frame_height_px


@pytest.mark.verifies("SRS_TOOL_001", extent="partial", technique="equivalence")
def test_nothing_found_is_a_finding_without_detections() -> None:
    """'No tool marked' and 'no result' are different answers."""
    found = _found(_frame())
    assert found.detections == ()
    assert found.score_shown_min == SHOWN


@pytest.mark.verifies("SRS_TOOL_006", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_TOOL_002")
def test_result_carries_weak_detections_and_the_point_that_parts_them() -> None:
    """Who draws or tracks needs the point; who measures the model needs the weak ones."""
    found = _found(_frame((1, 1, (220, 0, 60)), (5, 5, (0, 40, 60))))
    assert [item.score >= found.score_shown_min for item in found.detections] == [True, False]
    assert [item.label for item in found.detections] == ["grasper", "hook"]


@pytest.mark.verifies("SRS_TOOL_007", extent="full", technique="boundary")
@pytest.mark.controls("RCM_STALE_001")
@pytest.mark.parametrize(
    ("age_ns", "expected"),
    [
        (0, None),
        (AGE_MS * NS_PER_MS, None),
        (AGE_MS * NS_PER_MS + 1, Reason.STALE_FRAME),
        (-1, Reason.CLOCK_BACKWARDS),
    ],
)
def test_frame_is_answered_up_to_the_age_limit(age_ns: int, expected: Reason | None) -> None:
    """At the limit yes, one nanosecond beyond no; a late frame never reaches the model."""
    backend = MemoryBackend(detector_maps)
    outcome = _unit(backend).run(_frame(captured_at_ns=10**9), now_ns=10**9 + age_ns)
    if expected is None:
        assert isinstance(outcome, ToolDetections)
    else:
        assert isinstance(outcome, Withheld)
        assert outcome.reason is expected
        assert backend.batches == []


@pytest.mark.verifies("SRS_TOOL_008", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_NONFINITE_001")
@pytest.mark.parametrize("channel", [0, 1, 2, 5])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, Reason.OUTPUT_NOT_FINITE),
        (np.inf, Reason.OUTPUT_NOT_FINITE),
        (1.5, Reason.OUTPUT_OUT_OF_RANGE),
        (-0.5, Reason.OUTPUT_OUT_OF_RANGE),
    ],
)
def test_one_bad_value_in_any_map_is_withheld(channel: int, value: float, reason: Reason) -> None:
    """In a score it would hide a tool, in an edge it would tear a box; nothing of it is used."""
    maps = np.full(MAPS_SHAPE, 0.25, np.float32)
    maps[0, channel, 5, 5] = value
    outcome = _unit(MemoryBackend(maps)).run(_frame(index=9), now_ns=0)
    assert isinstance(outcome, Withheld)
    assert (outcome.frame_index, outcome.reason) == (9, reason)


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="fault_injection")
def test_engine_failure_is_withheld_and_the_next_frame_is_answered() -> None:
    """One failed call costs one frame, not the stream."""
    unit = _unit(
        MemoryBackend(detector_maps, faults={0: InferenceError("no memory", advice="restart")})
    )
    outcome = unit.run(_frame(), now_ns=0)
    assert outcome == Withheld(frame_index=7, reason=Reason.INFERENCE_FAILED, detail="no memory")
    assert _found(_frame(), unit).detections == ()


@pytest.mark.verifies("SRS_TOOL_003", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("shape", [(2, 6, 8, 12), (1, 7, 8, 12), (1, 5, 8, 12)])
def test_backend_of_another_shape_is_our_bug(shape: tuple[int, ...]) -> None:
    """The pack was checked; a difference here is a fault of the device."""
    with pytest.raises(InvariantError, match="model gave"):
        _unit(MemoryBackend(np.zeros(shape, np.float32))).run(_frame(), now_ns=0)


@pytest.mark.verifies("SRS_PROVENANCE_001", extent="partial", technique="requirement")
def test_provenance_names_unit_pack_and_engine() -> None:
    """A record without these could not be traced to a model."""
    backend = MemoryBackend(detector_maps)
    info = _unit(backend).info
    assert (info.unit, info.unit_version) == ("tool_detection", __version__)
    assert (info.pack_id, info.pack_digest) == ("tiny_detector 0.0.1", "0" * 64)
    assert info.backend == backend.info


@pytest.mark.verifies("SRS_TOOL_001", extent="partial", technique="requirement")
def test_answers_never_mix_frames() -> None:
    """Tool on the left, tool on the right, none: each answer is of its own frame."""
    unit = _unit()
    shown: list[tuple[tuple[int, int, tuple[int, int, int]], ...]] = [
        ((4, 1, (255, 0, 60)),),
        ((4, 10, (255, 0, 60)),),
        (),
    ]
    for index in range(30):
        found = _found(_frame(*shown[index % 3], index=index), unit)
        assert found.frame_index == index
        sides = [item.box_xyxy_px[0] < DETECTOR_WIDTH_PX / 2 for item in found.detections]
        assert sides == [[True], [False], []][index % 3]


@pytest.mark.verifies("SRS_TOOL_002", extent="partial", technique="requirement")
def test_model_gets_the_whole_frame_as_bytes() -> None:
    """One call, one batch, of the frame at the size of the pack."""
    backend = MemoryBackend(detector_maps)
    frame = _frame((2, 2, (10, 200, 30)), scale=(2, 3))
    _found(frame, _unit(backend))
    (batch,) = backend.batches
    expected: np.ndarray[Any, Any] = painted_cells((2, 2, (10, 200, 30)))
    assert batch.shape == (1, DETECTOR_HEIGHT_PX, DETECTOR_WIDTH_PX, 3)
    np.testing.assert_allclose(batch[0], expected, atol=1)
