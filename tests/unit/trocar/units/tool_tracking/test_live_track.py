"""One track: where it is expected, what it is called, and what is said of it."""

from __future__ import annotations

import pytest

from simulators.tool_detections import FRAME_SIZE_PX, at_frame, box_at, tool
from trocar.contracts.findings import BoxXyxyPx, Detection, TrackState
from trocar.contracts.limits import NS_PER_MS, TRACK_LABEL_COUNT_MAX
from trocar.tracking.lifecycle import LifeState
from trocar.units.tool_tracking.contract import STANDARD, ToolTrackingConfig
from trocar.units.tool_tracking.live_track import LiveTrack


def _config(**changes: object) -> ToolTrackingConfig:
    """Return the standard configuration with changes."""
    return ToolTrackingConfig.model_validate({**STANDARD.model_dump(), **changes})


def _track(detection: Detection, config: ToolTrackingConfig = STANDARD) -> LiveTrack:
    """Return a track that begins at frame 0."""
    return LiveTrack.first_seen(config, 7, detection, at_frame(0))


def _walk(track: LiveTrack, *detections: Detection | None, begin: int = 1) -> LiveTrack:
    """Lead a track over frames; None is a frame in which it is not seen."""
    for frame, detection in enumerate(detections, start=begin):
        track.predict(at_frame(frame), FRAME_SIZE_PX)
        if detection is None:
            track.miss()
        else:
            track.see(detection)
    return track


def _middle(box: BoxXyxyPx) -> tuple[float, float]:
    """Return the centre of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


@pytest.mark.verifies("SRS_TRACK_003", extent="partial", technique="boundary")
@pytest.mark.parametrize("confirm_count", [1, 2, 3, 5])
def test_confirmed_in_exactly_that_frame(confirm_count: int) -> None:
    """One frame earlier it is tentative."""
    config = _config(confirm_seen_count=confirm_count)
    track = _track(tool(box_at(100)), config)
    for count in range(1, 7):
        state = track.report(FRAME_SIZE_PX).state
        assert (state is TrackState.CONFIRMED) == (count >= confirm_count)
        assert track.report(FRAME_SIZE_PX).seen_frame_count == count
        _walk(track, tool(box_at(100)), begin=count)


@pytest.mark.verifies("SRS_TRACK_003", extent="partial", technique="boundary")
def test_tentative_track_is_lost_where_it_is_unseen() -> None:
    """One false detection ends with the next frame."""
    assert _walk(_track(tool(box_at(100))), None).life is LifeState.LOST


@pytest.mark.verifies("SRS_TRACK_003", extent="partial", technique="boundary")
@pytest.mark.parametrize(("extra_ns", "life"), [(0, LifeState.COASTING), (1, LifeState.LOST)])
def test_lost_just_above_the_limit(extra_ns: int, life: LifeState) -> None:
    """At 1,000 ms it still coasts, a nanosecond later it is over."""
    track = _walk(_track(tool(box_at(100))), tool(box_at(100)), tool(box_at(100)))
    track.predict(at_frame(2) + 1000 * NS_PER_MS + extra_ns, FRAME_SIZE_PX)
    track.miss()
    assert track.life is life


@pytest.mark.controls("RCM_TRACK_003")
@pytest.mark.verifies("SRS_TRACK_007", extent="full", technique="requirement")
def test_unseen_time_is_that_since_it_was_seen() -> None:
    """Coasting says for how long; being seen sets it to 0 again."""
    track = _walk(_track(tool(box_at(100))), tool(box_at(100)), tool(box_at(100)), None, None)
    unseen = track.report(FRAME_SIZE_PX)
    assert (unseen.state, unseen.unseen_ms) == (TrackState.COASTING, 80.0)
    seen = _walk(track, tool(box_at(100)), begin=5).report(FRAME_SIZE_PX)
    assert (seen.state, seen.unseen_ms, seen.seen_frame_count) == (TrackState.CONFIRMED, 0.0, 4)


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="requirement")
@pytest.mark.parametrize("missing", [0, 1, 5, 12])
def test_moving_tool_is_expected_where_its_speed_brings_it(missing: int) -> None:
    """After dropped frames the place is that of the time that passed, not one step further."""
    track = _track(tool(box_at(100, 100)))
    _walk(track, *(tool(box_at(100 + 6.0 * at, 100 + 3.0 * at)) for at in range(1, 25)))
    track.predict(at_frame(25 + missing), FRAME_SIZE_PX)
    x, y = _middle(track.box)
    assert x == pytest.approx(100 + 6.0 * (25 + missing), abs=3.0)
    assert y == pytest.approx(100 + 3.0 * (25 + missing), abs=3.0)


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="requirement")
def test_noise_of_a_resting_tool_is_smoothed() -> None:
    """Edges that jump by 4 px to and fro, in place and size, are reported with less than 3 px."""
    track = _track(tool(box_at(300)))
    for frame in range(1, 41):
        step = 4.0 if frame % 2 else -4.0
        _walk(track, tool(box_at(300 + step, side=80 + step)), begin=frame)
    left, _, right, _ = track.report(FRAME_SIZE_PX).box_xyxy_px
    assert abs((left + right) / 2 - 300) < 3.0
    assert abs((right - left) - 80) < 3.0


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="requirement")
def test_tool_that_turns_around_is_followed() -> None:
    """After six frames of 40 ms the estimate is on the way back, within a tenth of its side."""
    track = _track(tool(box_at(100)))
    _walk(track, *(tool(box_at(100 + 8.0 * at)) for at in range(1, 21)))
    _walk(track, *(tool(box_at(260 - 8.0 * at)) for at in range(1, 7)), begin=21)
    assert _middle(track.box)[0] == pytest.approx(260 - 48, abs=8.0)


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="requirement")
def test_tool_that_grows_is_followed() -> None:
    """A tip that comes nearer doubles its box within a second; the estimate keeps up."""
    track = _track(tool(box_at(300, side=60)))
    _walk(track, *(tool(box_at(300, side=60 + 2.4 * at)) for at in range(1, 26)))
    left, top, right, bottom = track.report(FRAME_SIZE_PX).box_xyxy_px
    assert (right - left, bottom - top) == pytest.approx((120.0, 120.0), abs=6.0)


@pytest.mark.verifies("SRS_TRACK_011", extent="partial", technique="boundary")
def test_centre_stays_inside_the_frame() -> None:
    """A tool that leaves waits at the rim, at no speed, where it may come back."""
    track = _track(tool(box_at(500, 300)))
    _walk(track, *(tool(box_at(500 + 10 * at, 300)) for at in range(1, 9)))
    track.predict(at_frame(22), FRAME_SIZE_PX)
    assert _middle(track.box)[0] == pytest.approx(FRAME_SIZE_PX[0])
    track.predict(at_frame(23), FRAME_SIZE_PX)
    assert _middle(track.box)[0] == pytest.approx(FRAME_SIZE_PX[0])
    track.miss()
    assert track.report(FRAME_SIZE_PX).box_xyxy_px[2] == FRAME_SIZE_PX[0]


@pytest.mark.verifies("SRS_TRACK_001", extent="partial", technique="boundary")
@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (640.0, 360.0), (0.0, 360.0), (640.0, 0.0)])
def test_reported_box_is_the_part_inside_the_frame(x: float, y: float) -> None:
    """At a corner a quarter of the box is left, and it has an area."""
    track = _track(tool(box_at(320, 180)))
    inside = (max(x - 40, 0.0), max(y - 40, 0.0), min(x + 40, 640.0), min(y + 40, 360.0))
    _walk(track, *(tool(inside) for _ in range(30)))
    left, top, right, bottom = track.report(FRAME_SIZE_PX).box_xyxy_px
    assert (left, top) >= (0.0, 0.0)
    assert right <= 640.0
    assert bottom <= 360.0
    assert (left, top, right, bottom) == pytest.approx(inside, abs=2.0)


@pytest.mark.verifies("SRS_TRACK_001", extent="partial", technique="requirement")
def test_resting_tool_is_reported_where_it_is() -> None:
    """The place, width and height are those of the detections, less their noise."""
    box = (100.0, 50.0, 180.0, 190.0)
    track = _walk(_track(tool(box)), *(tool(box) for _ in range(20)))
    assert track.report(FRAME_SIZE_PX).box_xyxy_px == pytest.approx(box)


@pytest.mark.verifies("SRS_TRACK_010", extent="partial", technique="boundary")
def test_box_of_almost_no_size_is_followed() -> None:
    """Its area rounds to nothing; the filter has a floor of a pixel."""
    box = (10.0, 10.0, 10.0 + 1e-14, 10.0 + 1e-14)
    track = _walk(_track(tool(box)), tool(box), tool(box), None)
    left, top, right, bottom = track.report(FRAME_SIZE_PX).box_xyxy_px
    assert (right - left, bottom - top) == pytest.approx((1.0, 1.0))


@pytest.mark.verifies("SRS_TRACK_012", extent="full", technique="requirement")
def test_class_is_that_of_most_score() -> None:
    """A class that is named once in between does not change the name of the track."""
    track = _track(tool(box_at(100), score=0.6, class_index=2))
    _walk(track, tool(box_at(100), score=0.5, class_index=0))
    assert (track.class_index, track.report(FRAME_SIZE_PX).label) == (2, "hook")
    _walk(track, tool(box_at(100), score=0.2, class_index=0), begin=2)
    assert (track.class_index, track.report(FRAME_SIZE_PX).label) == (0, "grasper")
    assert track.report(FRAME_SIZE_PX).class_index == 0


@pytest.mark.verifies("SRS_TRACK_012", extent="partial", technique="boundary")
def test_equal_votes_go_to_the_class_that_was_first() -> None:
    """A tie must not depend on anything that a snapshot loses."""
    track = _track(tool(box_at(100), score=0.5, class_index=4))
    _walk(track, tool(box_at(100), score=0.5, class_index=1))
    assert track.class_index == 4
    assert LiveTrack(STANDARD, track.memory()).class_index == 4


@pytest.mark.verifies("SRS_TRACK_010", extent="partial", technique="boundary")
def test_votes_stop_at_their_bound() -> None:
    """Further classes are not counted; those that are known still are."""
    config = _config(confirm_seen_count=1)
    track = _track(_of_class(0, score=0.5), config)
    _walk(track, *(_of_class(at) for at in range(1, TRACK_LABEL_COUNT_MAX + 5)))
    assert len(track.memory().votes) == TRACK_LABEL_COUNT_MAX
    last = TRACK_LABEL_COUNT_MAX - 1
    _walk(track, _of_class(last), begin=99)
    assert track.class_index == last


@pytest.mark.verifies("SRS_TRACK_010", extent="partial", technique="boundary")
def test_class_without_score_keeps_its_place_in_the_vote() -> None:
    """A score of 0 is a vote of no weight and no way past the bound."""
    config = _config(confirm_seen_count=1)
    track = _track(_of_class(0, score=0.0), config)
    _walk(track, *(_of_class(at, score=0.0) for at in range(1, TRACK_LABEL_COUNT_MAX + 5)))
    assert len(track.memory().votes) == TRACK_LABEL_COUNT_MAX
    _walk(track, _of_class(3, score=0.5), begin=99)
    assert track.class_index == 3


def _of_class(class_index: int, *, score: float = 0.3) -> Detection:
    """Return a detection of any class, also of one that has no name here."""
    return Detection(
        label=f"class {class_index}", class_index=class_index, score=score, box_xyxy_px=box_at(100)
    )


@pytest.mark.verifies("SRS_TRACK_001", extent="partial", technique="requirement")
def test_score_is_that_of_the_last_detection() -> None:
    """Also while it coasts."""
    track = _walk(_track(tool(box_at(100), score=0.9)), tool(box_at(100), score=0.7))
    _walk(track, tool(box_at(100), score=0.6), None, begin=2)
    assert track.report(FRAME_SIZE_PX).score == 0.6
    assert track.report(FRAME_SIZE_PX).track_id == 7


@pytest.mark.verifies("SRS_TRACK_008", extent="partial", technique="property")
def test_memory_holds_all_there_is() -> None:
    """A track that is made from it goes on as the first one does."""
    track = _walk(_track(tool(box_at(100))), tool(box_at(104)), tool(box_at(109)), None)
    copy = LiveTrack(STANDARD, track.memory())
    assert copy.memory() == track.memory()
    assert (copy.box, copy.last_box_xyxy_px) == (track.box, box_at(109))
    ends = [_walk(one, None, tool(box_at(120)), begin=4).memory() for one in (track, copy)]
    assert ends[0] == ends[1]
