"""A mask belongs to its probabilities and to one frame."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest
from pydantic import ValidationError

from conformance.samples import make_mask, make_polyp_mask
from simulators.unit import tool_detections, tool_tracks
from trocar.contracts.findings import (
    Detection,
    Mask,
    PolypMask,
    ToolDetections,
    ToolTracks,
    Track,
    TrackState,
)

PROB: Final = np.zeros((2, 3), np.float32)


def mask_with(**changes: object) -> Mask:
    """Return a mask with some fields changed."""
    facts: dict[str, object] = {
        "pixels": PROB > 1,
        "prob": PROB,
        "prob_threshold": 0.5,
        "frame_height_px": 4,
        "frame_width_px": 6,
        "label": "polyp",
    }
    return Mask.model_validate(facts | changes)


def finding_with(**changes: object) -> PolypMask:
    """Return a finding with some fields changed."""
    facts: dict[str, object] = {
        "frame_index": 0,
        "mask": make_mask(),
        "area_fraction": 0.25,
        "prob_max": 0.75,
    }
    return PolypMask.model_validate(facts | changes)


def test_empty_mask_is_a_finding() -> None:
    """No polyp found is an answer; it is not the same as no answer."""
    assert not mask_with().pixels.any()


@pytest.mark.verifies("SRS_CONTRACT_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "shape", [(3, 2), (2, 4), (1, 3), (2, 2)], ids=["turned", "wider", "shorter", "narrower"]
)
def test_mask_of_another_shape_than_its_probabilities_is_refused(shape: tuple[int, int]) -> None:
    """A mask cut from other probabilities would be drawn at the wrong place."""
    with pytest.raises(ValidationError, match="one shape"):
        mask_with(pixels=np.zeros(shape, np.bool_))


@pytest.mark.parametrize(
    "changes",
    [
        {"pixels": np.zeros((2, 3), np.uint8)},
        {"prob": PROB.astype(np.float64)},
        {"prob": PROB[None]},
        {"frame_height_px": 0},
        {"frame_width_px": 0},
        {"label": ""},
        {"label": "p" * 65},
        {"prob_threshold": -0.001},
        {"prob_threshold": 1.001},
        {"prob_threshold": float("nan")},
    ],
)
def test_mask_outside_its_limits_is_refused(changes: dict[str, object]) -> None:
    """Just outside each border."""
    with pytest.raises(ValidationError, match=next(iter(changes))):
        mask_with(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"frame_height_px": 1, "frame_width_px": 1},
        {"label": "p"},
        {"label": "p" * 64},
        {"prob_threshold": 0.0},
        {"prob_threshold": 1.0},
    ],
)
def test_mask_at_its_limits_is_accepted(changes: dict[str, object]) -> None:
    """Just inside each border."""
    assert changes.items() <= dict(mask_with(**changes)).items()


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="example")
def test_finding_names_its_kind_and_frame() -> None:
    """Who reads a record knows what it is and which frame it answers."""
    finding = make_polyp_mask(5)
    assert (finding.kind, finding.frame_index) == ("polyp_mask", 5)


@pytest.mark.parametrize("field", ["area_fraction", "prob_max"])
@pytest.mark.parametrize(
    ("value", "is_valid"),
    [(-1e-9, False), (0.0, True), (1.0, True), (1.0 + 1e-9, False), (float("inf"), False)],
)
def test_fractions_lie_between_zero_and_one(field: str, value: float, *, is_valid: bool) -> None:
    """Both sides of both ends."""
    if is_valid:
        assert getattr(finding_with(**{field: value}), field) == value
    else:
        with pytest.raises(ValidationError, match=field):
            finding_with(**{field: value})


@pytest.mark.parametrize(
    "changes", [{"kind": "tool_mask"}, {"frame_index": -1}, {"mask": None}, {"mask": PROB > 1}]
)
def test_finding_of_something_else_is_refused(changes: dict[str, object]) -> None:
    """Another kind, no frame or a bare array is not a finding."""
    with pytest.raises(ValidationError):
        finding_with(**changes)


def _facts(finding: ToolDetections | ToolTracks | Detection | Track) -> dict[str, object]:
    """Return the fields of a finding, to be changed one at a time."""
    return {name: getattr(finding, name) for name in type(finding).model_fields}


@pytest.mark.verifies("SRS_CONTRACT_004", extent="full", technique="boundary")
@pytest.mark.parametrize(
    ("box", "is_valid"),
    [
        ((0.0, 0.0, 64.0, 48.0), True),
        ((0.0, 0.0, 1e-9, 1e-9), True),
        ((0.0, 0.0, 0.0, 1.0), False),
        ((0.0, 0.0, 1.0, 0.0), False),
        ((2.0, 0.0, 1.0, 1.0), False),
        ((-1e-9, 0.0, 1.0, 1.0), False),
        ((0.0, -1e-9, 1.0, 1.0), False),
        ((float("nan"), 0.0, 1.0, 1.0), False),
        ((0, 0, 1, 1), True),
    ],
)
def test_box_has_an_area_and_begins_in_the_frame(
    box: tuple[float, float, float, float], *, is_valid: bool
) -> None:
    """Both sides of each border; what is inside out is not turned round."""
    facts = _facts(tool_detections(0).detections[0]) | {"box_xyxy_px": box}
    if is_valid:
        assert Detection.model_validate(facts).box_xyxy_px == box
    else:
        with pytest.raises(ValidationError):
            Detection.model_validate(facts)


@pytest.mark.verifies("SRS_CONTRACT_004", extent="full", technique="boundary")
@pytest.mark.controls("RCM_TOOL_001")
@pytest.mark.parametrize("size", [{"frame_width_px": 63}, {"frame_height_px": 47}])
def test_box_beyond_its_frame_is_refused(size: dict[str, int]) -> None:
    """The second detection reaches to the lower right corner of 64 x 48 px."""
    facts = _facts(tool_detections(0)) | size
    with pytest.raises(ValidationError, match="boxes inside a frame"):
        ToolDetections.model_validate(facts)


@pytest.mark.verifies("SRS_CONTRACT_004", extent="full", technique="equivalence")
def test_detections_out_of_order_are_refused() -> None:
    """Who takes the first one takes the best one."""
    found = tool_detections(0)
    with pytest.raises(ValidationError, match="falling score"):
        ToolDetections.model_validate(
            _facts(found) | {"detections": tuple(reversed(found.detections))}
        )
    assert found.frame_size_px == tool_tracks(0).frame_size_px == (64, 48)
    assert make_polyp_mask(0).frame_size_px == (64, 48)


@pytest.mark.verifies("SRS_CONTRACT_004", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_TRACK_003")
@pytest.mark.parametrize(
    ("state", "unseen_ms", "is_valid"),
    [
        (TrackState.CONFIRMED, 0.0, True),
        (TrackState.TENTATIVE, 0.0, True),
        (TrackState.COASTING, 0.001, True),
        (TrackState.CONFIRMED, 0.001, False),
        (TrackState.TENTATIVE, 40.0, False),
        (TrackState.COASTING, 0.0, False),
    ],
)
def test_track_is_coasting_exactly_where_it_is_unseen(
    state: TrackState, unseen_ms: float, *, is_valid: bool
) -> None:
    """A box where nothing was seen cannot pass for a seen one."""
    facts = _facts(tool_tracks(0).tracks[0]) | {"state": state, "unseen_ms": unseen_ms}
    if is_valid:
        assert Track.model_validate(facts).state is state
    else:
        with pytest.raises(ValidationError, match="coasting"):
            Track.model_validate(facts)


@pytest.mark.verifies("SRS_CONTRACT_004", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_TOOL_001")
def test_tracks_and_detections_are_of_one_frame() -> None:
    """Another frame, another size, a number given twice, a box outside: none can be built."""
    tracks = tool_tracks(4)
    first = tracks.tracks[0]
    broken: list[dict[str, object]] = [
        {"detections": tool_detections(5)},
        {"detections": tool_detections(4, width_px=128)},
        {"tracks": (first, first)},
        {"tracks": tuple(reversed(tracks.tracks))},
        {"frame_width_px": 40, "detections": tool_detections(4, width_px=40)},
    ]
    for changes in broken:
        with pytest.raises(ValidationError):
            ToolTracks.model_validate(_facts(tracks) | changes)
    with pytest.raises(ValidationError, match="left < right"):
        Track.model_validate(_facts(first) | {"box_xyxy_px": (5.0, 0.0, 5.0, 1.0)})
