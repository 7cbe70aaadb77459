"""Pairs of track and detection: overlap, its limit, the room around a box, the class."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.tool_detections import at_frame, box_at, tool
from trocar.contracts.findings import BoxXyxyPx, Detection
from trocar.units.tool_tracking.contract import STANDARD
from trocar.units.tool_tracking.live_track import LiveTrack
from trocar.units.tool_tracking.matching import Stage, match, overlap

EDGE = st.floats(0.0, 1000.0, allow_subnormal=False)


def _tracks(*detections: Detection) -> list[LiveTrack]:
    """Return a track for each detection."""
    return [
        LiveTrack.first_seen(STANDARD, number, item, at_frame(0))
        for number, item in enumerate(detections, start=1)
    ]


def _pairs(
    tracks: list[LiveTrack], detections: list[Detection], stage: Stage
) -> list[tuple[int, int]]:
    """Return the pairs at the places where the tracks are expected."""
    return match(tracks, [track.box for track in tracks], detections, stage)


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="example")
@pytest.mark.parametrize(
    ("second", "share"),
    [
        ((0.0, 0.0, 10.0, 10.0), 1.0),
        ((5.0, 0.0, 15.0, 10.0), 1 / 3),
        ((0.0, 5.0, 10.0, 15.0), 1 / 3),
        ((2.0, 3.0, 4.0, 8.0), 0.1),
        ((10.0, 0.0, 20.0, 10.0), 0.0),
        ((0.0, 10.0, 10.0, 20.0), 0.0),
        ((30.0, 30.0, 40.0, 40.0), 0.0),
    ],
)
def test_overlap_of_known_boxes(second: BoxXyxyPx, share: float) -> None:
    """Equal, half shifted, inside, touching and apart."""
    assert overlap((0.0, 0.0, 10.0, 10.0), second) == pytest.approx(share)
    assert overlap(second, (0.0, 0.0, 10.0, 10.0)) == pytest.approx(share)


@pytest.mark.verifies("SRS_TRACK_010", extent="partial", technique="property")
@given(first=st.tuples(EDGE, EDGE, EDGE, EDGE), second=st.tuples(EDGE, EDGE, EDGE, EDGE))
def test_overlap_is_a_share(first: BoxXyxyPx, second: BoxXyxyPx) -> None:
    """For any edges, also of no area, it is a number from 0 to 1."""
    boxes = [
        (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
        for b in (first, second)
    ]
    assert 0.0 <= overlap(boxes[0], boxes[1]) <= 1.0 + 1e-9


@pytest.mark.verifies("SRS_TRACK_010", extent="partial", technique="boundary")
def test_boxes_whose_area_rounds_to_nothing_do_not_overlap() -> None:
    """A division by 0 would end the run."""
    speck = (0.0, 0.0, 1e-200, 1e-200)
    assert overlap(speck, speck) == 0.0


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(("limit", "pairs"), [(1 / 3 - 1e-9, [(0, 0)]), (1 / 3, []), (0.5, [])])
def test_pair_needs_more_than_the_limit(limit: float, pairs: list[tuple[int, int]]) -> None:
    """An overlap at the limit gains nothing."""
    tracks = _tracks(tool((0.0, 0.0, 10.0, 10.0)))
    detections = [tool((5.0, 0.0, 15.0, 10.0))]
    assert _pairs(tracks, detections, Stage(limit, 0.0, 0.0)) == pairs


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(("share", "is_pair"), [(0.0, False), (0.24, False), (0.26, True)])
def test_room_around_boxes_bridges_a_gap(share: float, *, is_pair: bool) -> None:
    """Boxes of 80 px that lie 40 px apart meet when each grows by a quarter at each edge."""
    tracks = _tracks(tool(box_at(100)))
    assert bool(_pairs(tracks, [tool(box_at(220))], Stage(0.0, share, 0.0))) == is_pair
    below = _tracks(tool(box_at(100, 100)))
    assert bool(_pairs(below, [tool(box_at(100, 220))], Stage(0.0, share, 0.0))) == is_pair


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="requirement")
def test_class_decides_between_places_that_are_alike() -> None:
    """Where two tools cross, each track keeps the tool of its class."""
    tracks = _tracks(tool(box_at(100), class_index=0), tool(box_at(104), class_index=2))
    crossed = [tool(box_at(103), class_index=0), tool(box_at(101), class_index=2)]
    assert _pairs(tracks, crossed, Stage(0.2, 0.0, 0.4)) == [(0, 0), (1, 1)]
    assert _pairs(tracks, crossed, Stage(0.2, 0.0, 0.0)) == [(0, 1), (1, 0)]


@pytest.mark.verifies("SRS_TRACK_012", extent="partial", technique="boundary")
@pytest.mark.parametrize(("cost", "is_pair"), [(0.79, True), (0.81, False)])
def test_another_class_must_overlap_more(cost: float, *, is_pair: bool) -> None:
    """A label that flickers does not end a track, as long as the place says that it is the tool."""
    tracks = _tracks(tool(box_at(100), class_index=0))
    detections = [tool(box_at(100), class_index=3)]
    assert bool(_pairs(tracks, detections, Stage(0.2, 0.0, cost))) == is_pair
    same = [tool(box_at(100), class_index=0)]
    assert _pairs(tracks, same, Stage(0.2, 0.0, cost)) == [(0, 0)]


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="boundary")
def test_nothing_to_match_is_no_pair() -> None:
    """Neither without tracks nor without detections."""
    stage = Stage(0.0, 0.0, 0.0)
    assert _pairs([], [tool(box_at(100))], stage) == []
    assert _pairs(_tracks(tool(box_at(100))), [], stage) == []


@pytest.mark.verifies("SRS_TRACK_002", extent="partial", technique="requirement")
def test_tracks_are_looked_for_at_the_places_given() -> None:
    """The place may be another one than where the track is expected."""
    tracks = _tracks(tool(box_at(100)))
    found = match(tracks, [box_at(500)], [tool(box_at(500))], Stage(0.2, 0.0, 0.0))
    assert found == [(0, 0)]
