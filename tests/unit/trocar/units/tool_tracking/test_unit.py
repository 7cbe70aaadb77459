"""The tracker: numbers that last, refusals that change nothing, and what a gap does."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from simulators.tool_detections import (
    FRAME_SIZE_PX,
    PERIOD_NS,
    at_frame,
    box_at,
    seen,
    tool,
)
from trocar.contracts.errors import ContractError
from trocar.contracts.findings import Detection, ToolTracks, Track, TrackState
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.units.tool_tracking.contract import STANDARD, ToolTrackingConfig
from trocar.units.tool_tracking.unit import ToolTracker


def _tracker(**changes: object) -> ToolTracker:
    """Return a tracker with the standard configuration and changes."""
    config = ToolTrackingConfig.model_validate({**STANDARD.model_dump(), **changes})
    return ToolTracker(config)


def _take(
    tracker: ToolTracker, frame: int, *detections: Detection, at_ns: int | None = None
) -> ToolTracks:
    """Hand over one frame that must be answered."""
    captured_at_ns = at_frame(frame) if at_ns is None else at_ns
    answer = tracker.update(seen(frame, *detections), captured_at_ns=captured_at_ns)
    assert isinstance(answer, ToolTracks)
    return answer


def _follow(tracker: ToolTracker, frames: Iterable[int], x: float = 100.0) -> ToolTracks:
    """Hand over frames with one resting tool; return the last answer."""
    answers = [_take(tracker, frame, tool(box_at(x))) for frame in frames]
    return answers[-1]


def _ids(answer: ToolTracks) -> list[int]:
    """Return the numbers of the tracks."""
    return [track.track_id for track in answer.tracks]


def _at(answer: ToolTracks, x: float) -> Track:
    """Return the track whose centre is nearest to x."""
    return min(
        answer.tracks, key=lambda item: abs(item.box_xyxy_px[0] + item.box_xyxy_px[2] - 2 * x)
    )


@pytest.mark.verifies("SRS_TRACK_001", extent="full", technique="requirement")
def test_answer_is_of_this_frame() -> None:
    """Index, size and the detections themselves, and each track by its number."""
    tracker = _tracker()
    detections = seen(7, tool(box_at(100)), tool(box_at(400)), tool(box_at(250), score=0.1))
    answer = tracker.update(detections, captured_at_ns=at_frame(7))
    assert isinstance(answer, ToolTracks)
    assert (answer.frame_index, answer.frame_size_px) == (7, FRAME_SIZE_PX)
    assert answer.detections is detections
    assert _ids(answer) == [1, 2]
    assert answer.reset_count == 0
    assert {track.state for track in answer.tracks} == {TrackState.TENTATIVE}


@pytest.mark.verifies("SRS_TRACK_001", extent="partial", technique="boundary")
def test_frame_without_tools_is_answered() -> None:
    """No tool is a finding, not a refusal."""
    assert _take(_tracker(), 0).tracks == ()


@pytest.mark.verifies("SRS_TRACK_009", extent="partial", technique="requirement")
@pytest.mark.parametrize("missing", [0, 1, 6, 12, 24])
def test_moving_tool_keeps_its_number_over_dropped_frames(missing: int) -> None:
    """Two tools at their own speeds; up to a second of frames is lost on the way."""
    tracker = _tracker()
    frames = [*range(20), *range(20 + missing, 40 + missing)]
    answers = [
        _take(
            tracker,
            frame,
            tool(box_at(60 + 5.0 * frame, 90)),
            tool(box_at(560 - 4.0 * frame, 270), class_index=2),
        )
        for frame in frames
    ]
    answer = answers[-1]
    assert _ids(answer) == [1, 2]
    assert {track.state for track in answer.tracks} == {TrackState.CONFIRMED}
    assert [track.class_index for track in answer.tracks] == [0, 2]
    assert _at(answer, 60 + 5.0 * frames[-1]).track_id == 1


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="requirement")
def test_crossing_tools_keep_their_numbers() -> None:
    """They pass through the same place; their classes and speeds keep them apart."""
    tracker = _tracker()
    answers = [
        _take(
            tracker,
            frame,
            tool(box_at(120 + 10.0 * frame), class_index=0),
            tool(box_at(520 - 10.0 * frame), class_index=2),
        )
        for frame in range(40)
    ]
    answer = answers[-1]
    assert [(_at(answer, x).track_id, _at(answer, x).label) for x in (510, 130)] == [
        (1, "grasper"),
        (2, "hook"),
    ]


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="requirement")
def test_doubtful_detection_carries_a_track_on_and_begins_none() -> None:
    """A score below the operating point keeps what was seen before, and is nothing on its own."""
    tracker = _tracker()
    _follow(tracker, range(3))
    answer = _take(tracker, 3, tool(box_at(100), score=0.3), tool(box_at(500), score=0.49))
    assert _ids(answer) == [1]
    assert (answer.tracks[0].state, answer.tracks[0].score) == (TrackState.CONFIRMED, 0.3)


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("score", "state"),
    [
        (0.2, TrackState.CONFIRMED),
        (0.1999, TrackState.COASTING),
    ],
)
def test_lowest_score_that_counts(score: float, state: TrackState) -> None:
    """At ``score_low_min`` a detection is still looked at."""
    tracker = _tracker()
    _follow(tracker, range(3))
    assert _take(tracker, 3, tool(box_at(100), score=score)).tracks[0].state is state


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(("score", "count"), [(0.5, 1), (0.4999, 0)])
def test_track_begins_at_the_operating_point(score: float, count: int) -> None:
    """Not below it, by however little."""
    assert len(_take(_tracker(), 0, tool(box_at(100), score=score)).tracks) == count


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="requirement")
def test_doubtful_detection_wakes_no_track_that_coasts() -> None:
    """Only tracks that were seen in the frame before may go on by a low score."""
    tracker = _tracker()
    _follow(tracker, range(3))
    _take(tracker, 3)
    answer = _take(tracker, 4, tool(box_at(100), score=0.4))
    assert answer.tracks[0].state is TrackState.COASTING


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="requirement")
def test_doubtful_detection_confirms_no_young_track() -> None:
    """A tentative track that is not shown again is over."""
    tracker = _tracker()
    _follow(tracker, range(2))
    assert _take(tracker, 2, tool(box_at(100), score=0.4)).tracks == ()


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="requirement")
def test_shown_detection_goes_to_the_confirmed_track_first() -> None:
    """A young track beside it may not take the tool away, even where it lies nearer."""
    tracker = _tracker()
    _follow(tracker, range(5))
    _take(tracker, 5, tool(box_at(100)), tool(box_at(180)))
    answer = _take(tracker, 6, tool(box_at(150)))
    assert [(track.track_id, track.state) for track in answer.tracks] == [(1, TrackState.CONFIRMED)]


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="requirement")
def test_tool_is_found_again_where_it_was_seen_last() -> None:
    """It stopped while it was hidden: its speed has led the track away, its old place has not."""
    tracker = _tracker()
    for frame in range(12):
        _take(tracker, frame, tool(box_at(60 + 18.0 * frame)))
    _take(tracker, 28)
    answer = _take(tracker, 29, tool(box_at(60 + 18.0 * 11)))
    assert _ids(answer) == [1]
    assert answer.tracks[0].state is TrackState.CONFIRMED


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(("shift", "count"), [(19.0, 1), (21.0, 2)])
def test_twin_of_a_tool_begins_no_track(shift: float, count: int) -> None:
    """Two classes on one place are one tool; 80 px boxes overlap by 0.6 at a shift of 20 px."""
    tracker = _tracker()
    _follow(tracker, range(3))
    answer = _take(
        tracker, 3, tool(box_at(100)), tool(box_at(100 + shift), score=0.6, class_index=3)
    )
    assert len(answer.tracks) == count


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="boundary")
def test_twins_in_the_first_frame_are_one_tool() -> None:
    """The one with the higher score begins the track."""
    answer = _take(
        _tracker(), 0, tool(box_at(100), score=0.6, class_index=3), tool(box_at(104), score=0.8)
    )
    assert [(track.class_index, track.score) for track in answer.tracks] == [(0, 0.8)]


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="requirement")
def test_twin_of_a_doubtful_detection_begins_no_track() -> None:
    """The place is taken by whatever a track was seen with."""
    tracker = _tracker(label_cost=1.0)
    _follow(tracker, range(3))
    answer = _take(
        tracker, 3, tool(box_at(100), score=0.4), tool(box_at(102), score=0.7, class_index=3)
    )
    assert _ids(answer) == [1]


@pytest.mark.controls("RCM_TRACK_003")
@pytest.mark.verifies("SRS_TRACK_007", extent="full", technique="requirement")
def test_unseen_tool_is_said_to_coast() -> None:
    """For a second the track goes on under its name, and is then over."""
    tracker = _tracker()
    _follow(tracker, range(3))
    for frame in range(3, 28):
        (track,) = _take(tracker, frame).tracks
        assert (track.state, track.unseen_ms) == (TrackState.COASTING, 40.0 * (frame - 2))
    assert _take(tracker, 28).tracks == ()


@pytest.mark.verifies("SRS_TRACK_009", extent="partial", technique="requirement")
def test_tool_that_comes_back_late_gets_another_number() -> None:
    """After more than a second nothing says that it is the same one."""
    tracker = _tracker()
    _follow(tracker, range(3))
    for frame in range(3, 30):
        _take(tracker, frame)
    assert _ids(_follow(tracker, [30])) == [2]


@pytest.mark.controls("RCM_TRACK_001")
@pytest.mark.verifies("SRS_TRACK_004", extent="full", technique="boundary")
@pytest.mark.parametrize(("extra_ns", "number", "resets"), [(0, 2, 0), (1, 2, 1)])
def test_gap_resets_just_above_its_limit(extra_ns: int, number: int, resets: int) -> None:
    """At 2,000 ms the tracks end by age; a nanosecond later the tracker begins anew."""
    tracker = _tracker()
    _follow(tracker, range(3))
    at_ns = at_frame(2) + 2000 * NS_PER_MS + extra_ns
    answer = _take(tracker, 52, tool(box_at(100)), at_ns=at_ns)
    assert (answer.reset_count, tracker.reset_count) == (resets, resets)
    # Without a reset the tool is still found where it was seen last.
    assert _ids(answer) == ([1] if not resets else [number])


@pytest.mark.verifies("SRS_TRACK_004", extent="partial", technique="requirement")
def test_no_gap_before_the_first_frame() -> None:
    """A clock that starts late is no gap, and frames that were skipped before are none either."""
    tracker = _tracker()
    tracker.skip(0, captured_at_ns=at_frame(0))
    assert _take(tracker, 500, tool(box_at(100))).reset_count == 0


@pytest.mark.controls("RCM_TRACK_001")
@pytest.mark.verifies("SRS_TRACK_005", extent="full", technique="requirement")
def test_row_of_withheld_frames_is_a_gap() -> None:
    """Frames that say nothing keep no track alive."""
    tracker = _tracker()
    _follow(tracker, range(3))
    for frame in range(3, 60):
        tracker.skip(frame, captured_at_ns=at_frame(frame))
    assert tracker.reset_count == 0
    answer = _follow(tracker, [60])
    assert (_ids(answer), answer.reset_count) == ([2], 1)


@pytest.mark.verifies("SRS_TRACK_005", extent="full", technique="requirement")
def test_skipped_frame_leaves_each_track_as_it_was() -> None:
    """After it the tracks are where they would be had the frame been dropped."""
    skipping, dropping = _tracker(), _tracker()
    for tracker in (skipping, dropping):
        _follow(tracker, range(3))
    before = skipping.snapshot().tracks
    skipping.skip(3, captured_at_ns=at_frame(3))
    assert skipping.snapshot().tracks == before
    assert _follow(skipping, [4]) == _follow(dropping, [4])


@pytest.mark.verifies("SRS_TRACK_005", extent="partial", technique="requirement")
def test_skipped_frame_may_not_come_again() -> None:
    """What was withheld once is not answered later."""
    tracker = _tracker()
    _follow(tracker, range(3))
    tracker.skip(5, captured_at_ns=at_frame(5))
    assert isinstance(tracker.update(seen(5), captured_at_ns=at_frame(5)), Withheld)


@pytest.mark.controls("RCM_TRACK_001")
@pytest.mark.verifies("SRS_TRACK_006", extent="full", technique="boundary")
@pytest.mark.parametrize(
    ("frame", "at_ns"),
    [
        (20, at_frame(21)),
        (21, at_frame(20)),
        (20, at_frame(20)),
        (19, at_frame(19)),
        (5, at_frame(20)),
        (5, at_frame(20) + 1),
        (21, at_frame(20) - 500 * NS_PER_MS),
        (5, at_frame(20) - 500 * NS_PER_MS),
    ],
)
def test_frame_out_of_order_is_refused_and_changes_nothing(frame: int, at_ns: int) -> None:
    """Up to 15 frames and 500 ms back, by index or by time, and the same frame again."""
    tracker = _tracker()
    _follow(tracker, range(21))
    before = tracker.snapshot()
    answer = tracker.update(seen(frame, tool(box_at(300))), captured_at_ns=at_ns)
    assert isinstance(answer, Withheld)
    assert (answer.frame_index, answer.reason) == (frame, Reason.FRAME_OUT_OF_ORDER)
    assert answer.detail.startswith(f"captured at {at_ns} ns, not after frame_index=20 ")
    tracker.skip(frame, captured_at_ns=at_ns)
    assert tracker.snapshot() == before
    assert _ids(_follow(tracker, [21])) == [1]


@pytest.mark.controls("RCM_TRACK_001")
@pytest.mark.verifies("SRS_TRACK_004", extent="full", technique="boundary")
@pytest.mark.parametrize(
    ("frame", "at_ns"),
    [
        (4, at_frame(20)),
        (4, at_frame(21)),
        (21, at_frame(20) - 500 * NS_PER_MS - 1),
        (0, 0),
    ],
)
def test_source_that_begins_again_is_answered_anew(frame: int, at_ns: int) -> None:
    """Beyond the tolerance it is no late frame but another beginning."""
    tracker = _tracker()
    _follow(tracker, range(21))
    answer = _take(tracker, frame, tool(box_at(100)), at_ns=at_ns)
    assert (_ids(answer), answer.reset_count) == ([2], 1)
    after = _take(tracker, frame + 1, tool(box_at(100)), at_ns=at_ns + PERIOD_NS)
    assert (_ids(after), after.reset_count) == ([2], 1)


@pytest.mark.verifies("SRS_TRACK_004", extent="partial", technique="requirement")
def test_source_that_begins_again_with_a_withheld_frame() -> None:
    """The reset is counted once, by the frame that shows it."""
    tracker = _tracker()
    _follow(tracker, range(21))
    tracker.skip(0, captured_at_ns=at_frame(22))
    assert (tracker.reset_count, tracker.snapshot().tracks) == (1, ())
    answer = _take(tracker, 1, tool(box_at(100)), at_ns=at_frame(23))
    assert (_ids(answer), answer.reset_count) == ([2], 1)


@pytest.mark.controls("RCM_TRACK_001")
@pytest.mark.verifies("SRS_TRACK_004", extent="partial", technique="equivalence")
@pytest.mark.parametrize("size_px", [(641, 360), (640, 361)])
def test_other_frame_size_resets(size_px: tuple[int, int]) -> None:
    """Pixels of another picture are other places."""
    tracker = _tracker()
    _follow(tracker, range(3))
    detections = seen(3, tool(box_at(100)), frame_size_px=size_px)
    answer = tracker.update(detections, captured_at_ns=at_frame(3))
    assert isinstance(answer, ToolTracks)
    assert (_ids(answer), answer.reset_count) == ([2], 1)


@pytest.mark.verifies("SRS_TRACK_010", extent="full", technique="boundary")
def test_number_of_tracks_is_bounded() -> None:
    """What comes beyond the bound begins no track; those there are go on."""
    tracker = _tracker(track_count_max=3)
    tools = [tool(box_at(60 + 120 * at, side=40), score=0.9 - 0.1 * at) for at in range(5)]
    answers = [_take(tracker, frame, *tools) for frame in range(4)]
    assert [_ids(answer) for answer in answers] == [[1, 2, 3]] * 4
    assert [track.score for track in answers[-1].tracks] == pytest.approx([0.9, 0.8, 0.7])


@pytest.mark.verifies("SRS_TRACK_010", extent="partial", technique="boundary")
def test_most_boxes_that_a_frame_may_hold() -> None:
    """A hundred boxes on one place, and a hundred in a grid: answered, and bounded."""
    tracker = _tracker()
    grid = [
        tool((6.0 * at, 3.0 * at, 6.0 * at + 5, 3.0 * at + 2), class_index=at % 6)
        for at in range(100)
    ]
    heap = [tool(box_at(300 + 0.1 * at), class_index=at % 6) for at in range(100)]
    for frame, detections in enumerate([grid, heap, grid, grid, heap]):
        assert len(_take(tracker, frame, *detections).tracks) <= STANDARD.track_count_max


@pytest.mark.verifies("SRS_TRACK_008", extent="partial", technique="requirement")
def test_restored_tracker_knows_order_gap_and_resets() -> None:
    """What is no track is carried over too."""
    first = _tracker()
    _follow(first, range(3))
    _take(first, 200, tool(box_at(100)))
    second = _tracker()
    second.restore(first.snapshot())
    assert (second.reset_count, second.config) == (1, first.config)
    assert isinstance(second.update(seen(200), captured_at_ns=at_frame(200)), Withheld)
    answer = _take(second, 300, tool(box_at(100)))
    assert (_ids(answer), answer.reset_count) == ([3], 2)


@pytest.mark.verifies("SRS_TRACK_008", extent="partial", technique="requirement")
def test_snapshot_of_another_configuration_is_refused() -> None:
    """Its tracks were made under other terms; the tracker stays as it was."""
    other = _tracker(coast_ms_max=900)
    _follow(other, range(3))
    tracker = _tracker()
    _follow(tracker, range(2))
    before = tracker.snapshot()
    with pytest.raises(ContractError, match="expected a snapshot of"):
        tracker.restore(other.snapshot())
    assert tracker.snapshot() == before


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="boundary")
def test_detection_at_the_operating_point_belongs_to_one_track_only() -> None:
    """It is shown and not doubtful as well: of two tools beside each other one is seen."""
    tracker = _tracker()
    for frame in range(3):
        _take(tracker, frame, tool(box_at(100)), tool(box_at(140)))
    answer = _take(tracker, 3, tool(box_at(120), score=0.5))
    assert sorted(track.state.value for track in answer.tracks) == ["coasting", "confirmed"]


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("shift", "state"), [(30.0, TrackState.CONFIRMED), (50.0, TrackState.COASTING)]
)
def test_doubtful_detection_must_lie_on_the_tool(shift: float, state: TrackState) -> None:
    """No room is given around it: 80 px boxes overlap by 0.45 at 30 px, by 0.23 at 50 px."""
    tracker = _tracker()
    _follow(tracker, range(3))
    answer = _take(tracker, 3, tool(box_at(100 + shift), score=0.4))
    assert answer.tracks[0].state is state
