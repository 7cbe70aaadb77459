"""A box is drawn where the model put it; one that is only assumed never looks like a seen one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulators.unit import tool_detections, tool_tracks
from trocar.imaging.boxes import BoxMark, marks_of, paint_boxes
from trocar.imaging.lettering import INK, SKY_BLUE, SOFT

GREY = 120


def _view(height_px: int = 200, width_px: int = 300) -> NDArray[np.uint8]:
    return np.full((height_px, width_px, 3), GREY, dtype=np.uint8)


def _is(view: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    matches: NDArray[np.bool_] = (view == np.array(colour, np.uint8)).all(axis=2)
    return matches


def _mark(box: tuple[float, float, float, float], *, is_broken: bool = False) -> BoxMark:
    return BoxMark(
        box_xyxy_px=box, text="x", colour=SOFT if is_broken else SKY_BLUE, is_broken=is_broken
    )


@pytest.mark.verifies("SRS_SINK_008", extent="full", technique="requirement")
@pytest.mark.controls("RCM_TOOL_002")
def test_weak_detections_are_not_drawn() -> None:
    """They stand in the record for those who evaluate the model; nobody else is to see them."""
    (mark,) = marks_of(tool_detections(0))
    assert mark.text == "grasper 0.90"
    assert (mark.colour, mark.is_broken) == (SKY_BLUE, False)
    assert len(marks_of(tool_detections(0, score_shown_min=0.1))) == 2
    assert marks_of(tool_detections(0, score_shown_min=0.95)) == ()


@pytest.mark.verifies("SRS_SINK_009", extent="full", technique="requirement")
@pytest.mark.controls("RCM_TRACK_003")
def test_assumed_track_is_broken_and_says_for_how_long() -> None:
    """Line, colour and words differ; a track that is not sure yet is not drawn at all."""
    seen, assumed = marks_of(tool_tracks(0))
    assert (seen.text, seen.colour, seen.is_broken) == ("#1 grasper", SKY_BLUE, False)
    assert assumed.text == "#2 hook, not seen for 120 ms"
    assert (assumed.colour, assumed.is_broken) == (SOFT, True)


@pytest.mark.verifies("SRS_SINK_008", extent="full", technique="requirement")
def test_line_lies_inside_the_box() -> None:
    """Two pixels of colour and one dark one, on all four sides, and nothing within."""
    view = _view()
    paint_boxes(view, [_mark((50.0, 80.0, 150.0, 160.0))], thickness_px=2, font_px=13)
    assert _is(view, SKY_BLUE)[120, [50, 51, 148, 149]].all()
    assert _is(view, INK)[120, [52, 147]].all()
    assert _is(view, SKY_BLUE)[[80, 81, 158, 159], 100].all()
    assert (view[83:157, 53:147] == GREY).all()
    outside = np.ones(view.shape[:2], np.bool_)
    outside[80:160, 50:150] = False
    outside[:80, 40:200] = False
    assert (view[outside] == GREY).all()


@pytest.mark.verifies("SRS_SINK_009", extent="full", technique="requirement")
def test_broken_line_has_gaps_on_every_side() -> None:
    """Dashes of eight pixels, from the corner on."""
    view = _view()
    paint_boxes(
        view, [_mark((50.0, 80.0, 150.0, 160.0), is_broken=True)], thickness_px=2, font_px=13
    )
    top = _is(view, SOFT)[80, 50:150]
    left = _is(view, SOFT)[80:160, 50]
    for side in (top, left):
        assert side[:8].all()
        assert not side[8:16].any()
        assert side[16:24].all()


@pytest.mark.verifies("SRS_SINK_008", extent="full", technique="boundary")
@pytest.mark.parametrize("top", [0.0, 10.0, 25.0, 26.0, 27.0, 100.0])
def test_words_stay_on_the_picture(top: float) -> None:
    """Above the box where there is room, else below it, so that a small box is not hidden."""
    view = _view()
    paint_boxes(view, [_mark((280.0, top, 300.0, top + 60.0))], thickness_px=1, font_px=13)
    rows = np.flatnonzero(_is(view, INK)[:, 270])
    first = int(top) - 26 if top >= 26 else int(top) + 60
    assert (rows.min(), rows.max()) == (first, first + 25)


@pytest.mark.verifies("SRS_SINK_008", extent="partial", technique="boundary")
def test_words_of_a_box_over_the_whole_picture_stay_on_it() -> None:
    """No room above nor below: at the lower edge, the other three sides stay to be seen."""
    view = _view(100, 200)
    paint_boxes(view, [_mark((0.0, 0.0, 200.0, 100.0))], thickness_px=1, font_px=13)
    assert _is(view, SKY_BLUE)[0].all()
    assert _is(view, INK)[90, :10].all()


@pytest.mark.verifies("SRS_SINK_008", extent="full", technique="property")
@settings(deadline=None, max_examples=60)
@given(
    st.floats(0, 299.9),
    st.floats(0, 199.9),
    st.floats(0.01, 400),
    st.floats(0.01, 400),
    st.integers(1, 6),
)
def test_any_box_in_the_frame_can_be_drawn(
    left: float, top: float, width: float, height: float, thickness_px: int
) -> None:
    """Also one of a hundredth of a pixel, and one along the edge."""
    box = (left, top, min(300.0, left + width), min(200.0, top + height))
    view = _view()
    paint_boxes(view, [_mark(box)], thickness_px=thickness_px, font_px=13)
    assert _is(view, SKY_BLUE).any()


@pytest.mark.verifies("SRS_SINK_008", extent="partial", technique="boundary")
def test_nothing_to_draw_leaves_the_picture() -> None:
    """No box, no pixel."""
    view = _view()
    paint_boxes(view, [], thickness_px=2, font_px=13)
    assert (view == GREY).all()
