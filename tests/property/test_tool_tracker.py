"""The tracker over any stream: numbers come once, no box raises, a restored tracker agrees."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.tool_detections import at_frame, box_at, seen, tool
from trocar.contracts.findings import Detection, ToolTracks
from trocar.contracts.outcome import Withheld
from trocar.units.tool_tracking.contract import STANDARD, ToolTrackingConfig, TrackerState
from trocar.units.tool_tracking.unit import ToolTracker


def _tracker(**changes: object) -> ToolTracker:
    """Return a tracker with the standard configuration and changes."""
    config = ToolTrackingConfig.model_validate({**STANDARD.model_dump(), **changes})
    return ToolTracker(config)


def _take(tracker: ToolTracker, frame: int, *detections: Detection) -> ToolTracks:
    """Hand over one frame that must be answered."""
    answer = tracker.update(seen(frame, *detections), captured_at_ns=at_frame(frame))
    assert isinstance(answer, ToolTracks)
    return answer


@pytest.mark.controls("RCM_TRACK_002")
@pytest.mark.verifies("SRS_TRACK_009", extent="full", technique="property")
@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([1, 1, 1, 2, 7, 30, 60, -3, -40]),
            st.lists(st.tuples(st.integers(40, 600), st.integers(0, 5)), max_size=4),
        ),
        max_size=40,
    )
)
def test_no_number_comes_a_second_time(
    steps: list[tuple[int, list[tuple[int, int]]]],
) -> None:
    """Over drops, gaps, restarts: a number that is gone stays gone, and new ones rise."""
    tracker = _tracker()
    frame, highest, alive = 100, 0, set[int]()
    for step, tools in steps:
        frame = max(frame + step, 0)
        detections = seen(frame, *(tool(box_at(x), class_index=at) for x, at in tools))
        answer = tracker.update(detections, captured_at_ns=at_frame(frame))
        if isinstance(answer, Withheld):
            continue
        numbers = {track.track_id for track in answer.tracks}
        assert all(number > highest for number in numbers - alive)
        highest, alive = max([highest, *numbers]), numbers


@pytest.mark.verifies("SRS_TRACK_010", extent="full", technique="property")
@settings(max_examples=80, deadline=None)
@given(
    frames=st.lists(
        st.lists(
            st.tuples(
                st.floats(0.0, 640.0),
                st.floats(0.0, 360.0),
                st.floats(0.0, 640.0),
                st.floats(0.0, 360.0),
                st.floats(0.0, 1.0),
            ),
            max_size=6,
        ),
        max_size=12,
    )
)
def test_no_boxes_raise(frames: list[list[tuple[float, float, float, float, float]]]) -> None:
    """Boxes of any form inside the frame give a valid answer, whatever came before."""
    tracker = _tracker(confirm_seen_count=1)
    for frame, boxes in enumerate(frames):
        detections = [
            tool((min(x, u), min(y, v), max(x, u), max(y, v)), score=score)
            for x, y, u, v, score in boxes
            if x != u and y != v
        ]
        assert _take(tracker, frame, *detections).frame_index == frame


@pytest.mark.verifies("SRS_TRACK_008", extent="full", technique="property")
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_restored_tracker_answers_bit_by_bit_alike(data: st.DataObject) -> None:
    """Through JSON, at any moment, over drops and withheld frames."""
    first = _tracker()
    step = st.tuples(st.integers(1, 8), st.lists(st.integers(40, 600), max_size=4), st.booleans())
    steps = data.draw(st.lists(step, min_size=2, max_size=30))
    cut = data.draw(st.integers(0, len(steps) - 1))
    second: ToolTracker | None = None
    frame = 0
    for at, (ahead, places, is_skipped) in enumerate(steps):
        if at == cut:
            text = first.snapshot().model_dump_json()
            second = _tracker()
            second.restore(TrackerState.model_validate_json(text))
        frame += ahead
        trackers = [item for item in (first, second) if item is not None]
        if is_skipped:
            for item in trackers:
                item.skip(frame, captured_at_ns=at_frame(frame))
            continue
        tools = [tool(box_at(x), score=0.3 + x / 1000, class_index=x % 6) for x in places]
        answers = [_take(item, frame, *tools) for item in trackers]
        assert answers[0] == answers[-1]
    assert second is not None
    assert second.snapshot() == first.snapshot()
