"""Configuration and memory of the tracker are refused where they could not work."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trocar.contracts.limits import TRACK_GAP_MS_MAX, TRACK_LABEL_COUNT_MAX
from trocar.tracking.kalman import Axis
from trocar.tracking.lifecycle import LifeState
from trocar.units.tool_tracking.contract import (
    STANDARD,
    LabelVote,
    ToolTrackingConfig,
    TrackerState,
    TrackMemory,
)

AXIS = Axis(value=100.0, rate=1.0, var_value=2.0, cov=0.5, var_rate=3.0)


def _config(**changes: object) -> ToolTrackingConfig:
    """Return the standard configuration with changes."""
    return ToolTrackingConfig.model_validate({**STANDARD.model_dump(), **changes})


def _memory(**changes: object) -> TrackMemory:
    """Return a memory that is sound but for what is changed."""
    vote = LabelVote(class_index=0, label="grasper", weight=1.0)
    fields: dict[str, object] = {
        "track_id": 1,
        "life": LifeState.CONFIRMED,
        "axes": (AXIS, AXIS, AXIS, AXIS),
        "predicted_at_ns": 5,
        "last_box_xyxy_px": (1.0, 2.0, 3.0, 4.0),
        "last_seen_ns": 5,
        "score": 0.5,
        "seen_frame_count": 3,
        "votes": (vote,),
    }
    return TrackMemory.model_validate({**fields, **changes})


def _state(**changes: object) -> TrackerState:
    """Return a state that is sound but for what is changed."""
    fields: dict[str, object] = {
        "config": STANDARD,
        "tracks": (_memory(), _memory(track_id=4)),
        "next_id": 5,
        "reset_count": 0,
        "last_frame": None,
        "last_update_ns": None,
        "frame_size_px": None,
    }
    return TrackerState.model_validate({**fields, **changes})


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("field", "inside", "outside"),
    [
        ("score_low_min", 0.0, -0.01),
        ("overlap_min", 1.0, 1.01),
        ("overlap_low_min", 1.0, 1.01),
        ("overlap_twin_min", 1.0, 1.01),
        ("buffer_share", 2.0, 2.01),
        ("buffer_again_share", 0.0, -0.01),
        ("label_cost", 1.0, 1.01),
        ("confirm_seen_count", 1, 0),
        ("confirm_seen_count", 100, 101),
        ("coast_ms_max", 1, 0),
        ("gap_ms_max", TRACK_GAP_MS_MAX, TRACK_GAP_MS_MAX + 1),
        ("reorder_ms_max", 1, 0),
        ("reorder_frame_count_max", 1, 0),
        ("reorder_frame_count_max", 1000, 1001),
        ("track_count_max", 1, 0),
        ("track_count_max", 100, 101),
        ("box_noise_share", 1e-6, 0.0),
        ("rate_share", 100.0, 100.1),
        ("acceleration_share", 100.0, 100.1),
        ("size_acceleration_share", 1e-6, 0.0),
    ],
)
def test_each_limit_has_bounds(field: str, inside: float, outside: float) -> None:
    """A value outside would switch a rule off or never let it rest."""
    _config(**{field: inside})
    with pytest.raises(ValidationError, match=field):
        _config(**{field: outside})


@pytest.mark.verifies("SRS_TRACK_004", extent="partial", technique="boundary")
def test_coasting_ends_before_a_gap() -> None:
    """A track that may coast for longer than a gap would outlive the reset that ends it."""
    _config(gap_ms_max=900, coast_ms_max=900)
    with pytest.raises(ValidationError, match="got 901 and 900"):
        _config(gap_ms_max=900, coast_ms_max=901)


@pytest.mark.verifies("SRS_TRACK_004", extent="partial", technique="requirement")
@pytest.mark.verifies("SRS_TRACK_003", extent="partial", technique="requirement")
def test_standard_holds_the_figures_of_the_requirements() -> None:
    """What the requirements say in numbers is what the application uses."""
    times = (STANDARD.coast_ms_max, STANDARD.gap_ms_max, STANDARD.reorder_ms_max)
    assert times == (1000, 2000, 500)
    counts = (
        STANDARD.confirm_seen_count,
        STANDARD.reorder_frame_count_max,
        STANDARD.track_count_max,
    )
    assert counts == (3, 15, 32)


@pytest.mark.verifies("SRS_TRACK_008", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    "changes",
    [
        {"life": LifeState.LOST},
        {"axes": (AXIS, AXIS, AXIS, AXIS._replace(var_value=0.0))},
        {"axes": (AXIS._replace(var_rate=-1e-9), AXIS, AXIS, AXIS)},
        {"axes": (AXIS, AXIS, AXIS)},
        {"axes": (AXIS._replace(value=float("nan")), AXIS, AXIS, AXIS)},
        {"votes": ()},
        {"seen_frame_count": 0},
        {"track_id": 0},
        {"score": 1.1},
    ],
)
def test_memory_that_nothing_could_go_on_from_is_refused(changes: dict[str, object]) -> None:
    """A file that was damaged must not become a tracker."""
    _memory()
    with pytest.raises(ValidationError):
        _memory(**changes)


@pytest.mark.verifies("SRS_TRACK_008", extent="partial", technique="boundary")
def test_rate_without_doubt_is_allowed() -> None:
    """A variance of 0 for the rate is the border: the filter goes on from it."""
    _memory(axes=(AXIS, AXIS, AXIS, AXIS._replace(var_rate=0.0)))


@pytest.mark.verifies("SRS_TRACK_010", extent="partial", technique="boundary")
def test_votes_are_bounded() -> None:
    """A stream of ever new classes must not fill the memory."""
    votes = tuple(
        LabelVote(class_index=at, label="x", weight=1.0) for at in range(TRACK_LABEL_COUNT_MAX + 1)
    )
    _memory(votes=votes[:-1])
    with pytest.raises(ValidationError, match="votes"):
        _memory(votes=votes)


@pytest.mark.controls("RCM_TRACK_002")
@pytest.mark.verifies("SRS_TRACK_009", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    "changes",
    [
        {"next_id": 4},
        {"tracks": (_memory(track_id=4), _memory(track_id=1))},
        {"tracks": (_memory(), _memory())},
    ],
)
def test_state_that_would_give_a_number_again_is_refused(changes: dict[str, object]) -> None:
    """The next number is above all that are given, and no two tracks share one."""
    _state()
    with pytest.raises(ValidationError, match="expected rising numbers below"):
        _state(**changes)


@pytest.mark.verifies("SRS_TRACK_008", extent="partial", technique="property")
def test_state_survives_json() -> None:
    """Every bit of a number that has no short decimal form comes back."""
    axis = Axis(value=1.0 / 3.0, rate=-1e-17, var_value=2.0**-40, cov=0.1, var_rate=1e20)
    state = _state(tracks=(_memory(axes=(axis, AXIS, axis, AXIS)),))
    assert TrackerState.model_validate_json(state.model_dump_json()) == state
