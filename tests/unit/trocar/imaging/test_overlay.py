"""An answer is drawn on its own frame, in its place; a withheld one never carries an outline."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from simulators.drawings import drawn_by_definition
from simulators.source import noise_pixels
from simulators.unit import UNIT_INFO, frame_record, polyp_mask, tool_detections, tool_tracks
from trocar.contracts.errors import InvariantError
from trocar.contracts.findings import Finding, Mask, PolypMask
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.record import FrameRecord
from trocar.imaging import lettering, overlay
from trocar.imaging.overlay import OverlayPainter

HEIGHT_PX, WIDTH_PX = 360, 640


def _painter(height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX) -> OverlayPainter:
    return OverlayPainter(height_px=height_px, width_px=width_px, units=[UNIT_INFO])


def _grey(height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX) -> NDArray[np.uint8]:
    return np.full((height_px, width_px, 3), 120, dtype=np.uint8)


def _mask(rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.bool_)
    mask[rows, columns] = True
    return mask


def _marked(mask: NDArray[np.bool_]) -> FrameRecord:
    """Return a record with a finding whose mask has the size of its frame."""
    finding = PolypMask(
        frame_index=0,
        mask=Mask(
            pixels=np.ascontiguousarray(mask),
            prob=mask.astype(np.float32),
            prob_threshold=0.5,
            frame_height_px=mask.shape[0],
            frame_width_px=mask.shape[1],
            label="polyp",
        ),
        area_fraction=float(mask.mean()),
        prob_max=float(mask.max()),
    )
    return frame_record(outcome=finding)


def _body(painter: OverlayPainter, canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the part of the canvas that shows the frame."""
    top, left = painter._top_px, painter._left_px
    return canvas[top : top + painter._height_px, left : left + painter._width_px]


def _withheld(reason: Reason = Reason.FRAME_BLACK) -> Withheld:
    return Withheld(frame_index=0, reason=reason)


def _ink_count(canvas: NDArray[np.uint8], rows: slice, colour: tuple[int, int, int]) -> int:
    """Return how many pixels of some rows have about this colour."""
    distance = np.abs(canvas[rows].astype(int) - colour).max(axis=2)
    return int((distance < 40).sum())


@pytest.mark.verifies("SRS_SINK_001", extent="full", technique="requirement")
@pytest.mark.controls("RCM_GEOMETRY_001")
def test_outline_lies_on_the_border_of_the_mask() -> None:
    """Outline inside, dark rim outside, light fill within; the rest of the frame is untouched."""
    painter, mask = _painter(), _mask(slice(100, 200), slice(50, 350))
    body = _body(painter, painter.paint([_marked(mask)], _grey()))
    assert body[100, 200].tolist() == list(lettering.SKY_BLUE)
    assert body[199, 349].tolist() == list(lettering.SKY_BLUE)
    assert body[99, 200].tolist() == [0, 0, 0]
    fill = body[150, 200].astype(int)
    assert fill[2] > 120 > fill[0]
    untouched = ~ndimage.binary_dilation(mask, iterations=3)
    assert (body[untouched] == 120).all()


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(0, 40), slice(0, 40)),
        (slice(HEIGHT_PX - 5, HEIGHT_PX), slice(WIDTH_PX - 5, WIDTH_PX)),
        (slice(0, HEIGHT_PX), slice(0, WIDTH_PX)),
        (slice(7, 8), slice(9, 10)),
    ],
)
def test_mask_at_the_edge_of_the_frame_is_closed(rows: slice, columns: slice) -> None:
    """The outline is drawn along the edge of the frame too, and never outside of it."""
    painter = _painter()
    body = _body(painter, painter.paint([_marked(_mask(rows, columns))], _grey()))
    corner = body[rows, columns]
    assert corner[0, 0].tolist() == list(lettering.SKY_BLUE)
    assert corner[-1, -1].tolist() == list(lettering.SKY_BLUE)


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="boundary")
def test_empty_mask_leaves_the_frame_as_it_is() -> None:
    """Nothing found is drawn as nothing, and said in words."""
    painter, pixels = _painter(), noise_pixels(1, height_px=HEIGHT_PX, width_px=WIDTH_PX)
    record = _marked(np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_))
    canvas = painter.paint([record], pixels)
    assert np.array_equal(_body(painter, canvas), pixels)
    assert overlay._legend(record.outcome)[0] == "nothing marked by the model"


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="property")
def test_frame_is_not_modified() -> None:
    """Other sinks show the same frame."""
    pixels = noise_pixels(1, height_px=HEIGHT_PX, width_px=WIDTH_PX)
    before = pixels.copy()
    pixels.flags.writeable = False
    painter = _painter()
    painter.paint([_marked(_mask(slice(10, 90), slice(10, 90)))], pixels)
    painter.paint([frame_record(outcome=_withheld())], pixels)
    assert np.array_equal(pixels, before)


@pytest.mark.verifies("SRS_SINK_005", extent="full", technique="requirement")
@pytest.mark.controls("RCM_WITHHELD_001")
def test_withheld_after_a_finding_shows_border_and_words_and_no_outline() -> None:
    """Of the last outline, no pixel is left."""
    painter = _painter()
    painter.paint([_marked(_mask(slice(60, 300), slice(60, 500)))], _grey())
    canvas = painter.paint([frame_record(outcome=_withheld())], _grey())
    body = _body(painter, canvas)
    assert _ink_count(body, slice(None), lettering.SKY_BLUE) == 0
    assert _ink_count(body, slice(0, 4), lettering.VERMILLION) > 100
    assert (body[40, 100:200] == 60).all()
    assert _ink_count(body, slice(150, 210), lettering.ORANGE) > 100


@pytest.mark.verifies("SRS_SINK_005", extent="partial", technique="equivalence")
def test_withheld_without_a_frame_shows_no_picture() -> None:
    """The picture before it must not stand for it."""
    painter = _painter()
    painter.paint([_marked(_mask(slice(60, 300), slice(60, 500)))], _grey())
    body = _body(painter, painter.paint([frame_record(outcome=_withheld())], None))
    assert (body[40, 100:200] == lettering.INK).all()


@pytest.mark.verifies("SRS_SINK_005", extent="partial", technique="property")
@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_its_own_words(reason: Reason) -> None:
    """The person at the screen learns why there is no result."""
    painter = _painter()
    shown = painter.paint([frame_record(outcome=_withheld(reason))], None).copy()
    others = [r for r in Reason if r is not reason]
    for other in others:
        canvas = painter.paint([frame_record(outcome=_withheld(other))], None)
        assert not np.array_equal(canvas, shown)


@pytest.mark.verifies("SRS_NOTICE_001", extent="full", technique="requirement")
@pytest.mark.controls("RCM_NOTICE_001")
@pytest.mark.parametrize(("height_px", "width_px"), [(1080, 1920), (360, 640), (33, 33)])
def test_notice_is_on_every_picture(height_px: int, width_px: int) -> None:
    """However small the frame is, there is room for the notice."""
    painter = _painter(height_px, width_px)
    record = frame_record(outcome=_withheld())
    canvas = painter.paint([record], None)
    assert _ink_count(canvas, slice(0, painter._top_px), lettering.ORANGE) > 100
    assert all(side % 2 == 0 for side in painter.canvas_size_px)
    assert painter.canvas_size_px == (canvas.shape[1], canvas.shape[0])


@pytest.mark.verifies("SRS_SINK_001", extent="full", technique="equivalence")
def test_late_and_dropped_are_said_in_words() -> None:
    """The verdict does not depend on a colour alone."""
    late = frame_record(verdict=DeadlineVerdict.MISSED, dropped_before_count=2)
    not_timed = frame_record(verdict=DeadlineVerdict.NOT_TIMED)
    assert overlay._foot(late) == ("frame 0   age 40.0 ms   ", "LATE   2 dropped before")
    assert overlay._foot(not_timed) == ("frame 0   service 10.0 ms   ", "not timed")
    assert overlay._foot(frame_record())[1] == "in time"
    assert overlay._words(frame_record().outcome) == ""


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="boundary")
def test_long_provenance_is_shortened_to_fit() -> None:
    """The notice is never pushed out by the name of a pack."""
    unit = UNIT_INFO.model_copy(update={"pack_id": "pack " * 60})
    painter = OverlayPainter(height_px=64, width_px=64, units=[unit])
    canvas = painter.paint([frame_record(outcome=_withheld())], None)
    assert _ink_count(canvas, slice(0, painter._top_px), lettering.ORANGE) > 100


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="boundary")
def test_legend_is_left_out_where_it_has_no_room() -> None:
    """Words never overlap; the verdict comes first."""
    painter = _painter(64, 64)
    record = frame_record(
        outcome=polyp_mask(0, height_px=64, width_px=64, is_empty=True),
        dropped_before_count=123_456,
        verdict=DeadlineVerdict.MISSED,
    )
    canvas = painter.paint([record], _grey(64, 64))
    foot = slice(painter._top_px + 64, None)
    assert _ink_count(canvas, foot, lettering.SKY_BLUE) == 0
    assert _ink_count(canvas, foot, lettering.ORANGE) > 0


@pytest.mark.verifies("SRS_SINK_005", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_FRAMEID_001")
def test_answers_and_frame_must_belong_together() -> None:
    """Answers of two frames, too few of them, or one without its frame, are a mistake of ours."""
    painter, mask = _painter(), _mask(slice(0, 9), slice(0, 9))
    with pytest.raises(InvariantError, match=r"^a finding without its frame$"):
        painter.paint([_marked(mask)], None)
    with pytest.raises(InvariantError, match=r"mask \(359, 640\) on a frame \(360, 640, 3\)"):
        painter.paint([_marked(mask[:-1])], _grey())
    with pytest.raises(InvariantError, match=r"^2 answers asked to be drawn$"):
        painter.paint([_marked(mask), _marked(mask)], _grey())
    two = OverlayPainter(height_px=HEIGHT_PX, width_px=WIDTH_PX, units=[UNIT_INFO, UNIT_INFO])
    with pytest.raises(InvariantError, match=r"^answers of two frames$"):
        two.paint([_marked(mask), frame_record(1)], _grey())
    with pytest.raises(InvariantError):
        _painter(0, 5)
    with pytest.raises(InvariantError, match=r"^a picture of no unit asked for$"):
        OverlayPainter(height_px=HEIGHT_PX, width_px=WIDTH_PX, units=[])


class _Words(NamedTuple):
    """Words of the line under the frame, with their colour."""

    text: str
    colour: tuple[int, int, int]


def _foot_by_definition(
    painter: OverlayPainter, words: list[_Words], legend: _Words
) -> NDArray[np.uint8]:
    """Return the line under the frame: words from the left, the legend at the right if it fits."""
    size_px, line_px, width_px = painter._font_px, painter._line_px, painter.canvas_size_px[0]
    font = lettering.font_of(size_px)
    strip = Image.new("RGB", (width_px, line_px), lettering.INK)
    draw = ImageDraw.Draw(strip)
    at: float = size_px // 2
    for number, (text, colour) in enumerate(words):
        draw.text((at, line_px // 2), text, font=font, fill=colour, anchor="lm")
        length = font.getlength(text)
        at += round(length) if len(words) > 2 and number == 0 else length
    if at + font.getlength(legend.text) + 2 * size_px <= width_px:
        place = (width_px - size_px // 2, line_px // 2)
        draw.text(place, legend.text, font=font, fill=legend.colour, anchor="rm")
    return np.asarray(strip)


_OUTLINE = _Words("outline: polyp, as marked by the model", lettering.SKY_BLUE)
_NOTHING = _Words("nothing marked by the model", lettering.SOFT)
_AGE = _Words("frame 0   age 40.0 ms   ", lettering.PAPER)
_FEET: list[tuple[FrameRecord, list[_Words], _Words]] = [
    (frame_record(), [_AGE, _Words("in time", lettering.PAPER)], _OUTLINE),
    (
        frame_record(outcome=polyp_mask(0, is_empty=True), dropped_before_count=1),
        [_AGE, _Words("in time   1 dropped before", lettering.ORANGE)],
        _NOTHING,
    ),
    (
        frame_record(verdict=DeadlineVerdict.MISSED),
        [_AGE, _Words("LATE", lettering.ORANGE)],
        _OUTLINE,
    ),
    (
        frame_record(outcome=_withheld(Reason.FRAME_SATURATED)),
        [
            _Words("NO RESULT: frame saturated   ", lettering.ORANGE),
            _AGE,
            _Words("in time", lettering.PAPER),
        ],
        _Words("", lettering.ORANGE),
    ),
]


@pytest.mark.verifies("SRS_SINK_001", "SRS_SINK_005", extent="partial", technique="equivalence")
@pytest.mark.controls("RCM_WITHHELD_001")
@pytest.mark.parametrize(("record", "words", "legend"), _FEET, ids=["met", "empty", "late", "none"])
def test_line_under_the_frame_is_written_as_defined(
    record: FrameRecord, words: list[_Words], legend: _Words
) -> None:
    """At every width: what needs attention is orange, and the legend never runs into it."""
    for height_px, width_px in [*((40, width_px) for width_px in range(470, 760, 2)), (720, 1280)]:
        painter = _painter(height_px, width_px)
        outcome: Finding | Withheld = record.outcome
        if isinstance(outcome, PolypMask):
            is_empty = not outcome.mask.pixels.any()
            outcome = polyp_mask(0, height_px=height_px, width_px=width_px, is_empty=is_empty)
        sized = record.model_copy(update={"outcome": outcome})
        canvas = painter.paint([sized], _grey(height_px, width_px))
        top = painter._top_px + height_px
        foot = canvas[top : top + painter._line_px]
        assert np.array_equal(foot, _foot_by_definition(painter, words, legend)), width_px


def _withheld_by_definition(
    pixels: NDArray[np.uint8] | None, *, height_px: int, width_px: int, font_px: int
) -> NDArray[np.uint8]:
    """Return what is shown of a black frame: dimmed, in a hatched border, words in the middle."""
    rows, columns = np.mgrid[:height_px, :width_px]
    expected = np.empty((height_px, width_px, 3), np.uint8)
    expected[:] = lettering.INK if pixels is None else pixels // 2
    border_px = max(1, min(height_px, width_px) // 40)
    is_inside = (rows >= border_px) & (rows < height_px - border_px)
    is_inside &= (columns >= border_px) & (columns < width_px - border_px)
    # The pattern begins anew at the lower and at the right border.
    stripe = np.where(rows >= height_px - border_px, rows - (height_px - border_px), rows)
    column = np.where(columns >= width_px - border_px, columns - (width_px - border_px), columns)
    is_side = (columns < border_px) | (columns >= width_px - border_px)
    number = np.where(is_side, rows + column, stripe + columns) // 12 % 2
    hatch = np.array([lettering.VERMILLION, lettering.INK], np.uint8)[number]
    expected[~is_inside] = hatch[~is_inside]
    label = lettering.label_of("NO RESULT: frame black", font_px=2 * font_px, width_px_max=width_px)
    top, left = (
        max(0, (side - part) // 2)
        for side, part in zip((height_px, width_px), label.shape[:2], strict=True)
    )
    label = label[: height_px - top]
    expected[top : top + label.shape[0], left : left + label.shape[1]] = label
    return expected


@pytest.mark.verifies("SRS_SINK_005", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_WITHHELD_001")
@pytest.mark.parametrize("has_frame", [False, True])
@pytest.mark.parametrize(
    ("height_px", "width_px"), [(360, 640), (121, 90), (33, 33), (26, 500), (20, 300)]
)
def test_every_pixel_of_a_withheld_frame_is_that_of_its_definition(
    height_px: int, width_px: int, *, has_frame: bool
) -> None:
    """Nothing of an earlier finding stays, also where the frame is smaller than its words."""
    painter = _painter(height_px, width_px)
    pixels = noise_pixels(3, height_px=height_px, width_px=width_px)
    before = painter.paint([_marked(np.ones((height_px, width_px), np.bool_))], pixels).copy()
    shown = pixels if has_frame else None
    canvas = painter.paint([frame_record(outcome=_withheld())], shown)
    expected = _withheld_by_definition(
        shown, height_px=height_px, width_px=width_px, font_px=painter._font_px
    )
    assert np.array_equal(_body(painter, canvas), expected)
    beside = np.ones(canvas.shape[:2], np.bool_)
    top, left = painter._top_px, painter._left_px
    beside[top : top + height_px, left : left + width_px] = False
    beside[top + height_px : top + height_px + painter._line_px] = False
    assert np.array_equal(canvas[beside], before[beside])


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="requirement")
def test_finding_is_drawn_on_the_frame_itself() -> None:
    """Full brightness, no border, and nothing beside the frame changes."""
    painter = _painter(90, 120)
    pixels = noise_pixels(5, height_px=90, width_px=120)
    mask = np.zeros((90, 120), np.bool_)
    mask[30:60, 40:90] = True
    painter.paint([frame_record(outcome=_withheld())], None)
    body = _body(painter, painter.paint([_marked(mask)], pixels))
    assert np.array_equal(body, drawn_by_definition(pixels, mask, 2))


@pytest.mark.verifies("SRS_SINK_008", extent="full", technique="requirement")
def test_boxes_are_drawn_on_their_frame_and_said_in_words() -> None:
    """The line of the box lies where the box is, and the legend says what it means."""
    painter = _painter()
    finding = tool_detections(0, height_px=HEIGHT_PX, width_px=WIDTH_PX)
    body = _body(painter, painter.paint([frame_record(outcome=finding)], _grey()))
    left, top, right, bottom = (int(edge) for edge in finding.detections[0].box_xyxy_px)
    assert body[(top + bottom) // 2, left].tolist() == list(lettering.SKY_BLUE)
    assert body[bottom - 1, (left + right) // 2].tolist() == list(lettering.SKY_BLUE)
    assert (body[(top + bottom) // 2, (left + right) // 2] == 120).all()
    assert overlay._legend(finding)[0] == "box: instrument tip, as marked by the model"


@pytest.mark.verifies("SRS_SINK_008", extent="partial", technique="boundary")
def test_frame_without_a_shown_box_says_so() -> None:
    """Detections below the operating point are in the record, and not on the picture."""
    painter = _painter()
    finding = tool_detections(0, height_px=HEIGHT_PX, width_px=WIDTH_PX, score_shown_min=0.99)
    body = _body(painter, painter.paint([frame_record(outcome=finding)], _grey()))
    assert (body == 120).all()
    assert overlay._legend(finding)[0] == "nothing marked by the model"


@pytest.mark.verifies("SRS_SINK_011", "SRS_SINK_005", extent="full", technique="requirement")
@pytest.mark.controls("RCM_WITHHELD_001")
def test_one_unit_without_a_result_does_not_hide_the_other_nor_itself() -> None:
    """Its name and reason stand on the frame, in a hatched border; the other's mark stays."""
    painter = OverlayPainter(height_px=HEIGHT_PX, width_px=WIDTH_PX, units=[UNIT_INFO, UNIT_INFO])
    tracks = frame_record(outcome=tool_tracks(0, height_px=HEIGHT_PX, width_px=WIDTH_PX))
    alone = _painter().paint([tracks], _grey()).copy()
    canvas = painter.paint([tracks, frame_record(outcome=_withheld())], _grey())
    body = _body(painter, canvas)
    assert _ink_count(body, slice(0, 4), lettering.VERMILLION) > 100
    assert _ink_count(body, slice(9, 40), lettering.ORANGE) > 50
    assert _ink_count(body, slice(50, 300), lettering.SKY_BLUE) > 100
    assert (body[200, 20:60] == 120).all()
    foot = canvas[painter._top_px + HEIGHT_PX :]
    assert _ink_count(foot, slice(painter._line_px, None), lettering.ORANGE) > 50
    assert _ink_count(foot, slice(0, painter._line_px), lettering.ORANGE) == 0
    assert canvas.shape[0] > alone.shape[0] + painter._line_px


@pytest.mark.verifies("SRS_SINK_011", extent="partial", technique="requirement")
def test_every_unit_has_its_own_lines() -> None:
    """What answers is said for each of them, above and below the frame."""
    other = UNIT_INFO.model_copy(update={"unit": "other_unit"})
    both = OverlayPainter(height_px=HEIGHT_PX, width_px=WIDTH_PX, units=[UNIT_INFO, other])
    same = OverlayPainter(height_px=HEIGHT_PX, width_px=WIDTH_PX, units=[UNIT_INFO, UNIT_INFO])
    mask = _mask(slice(60, 300), slice(60, 500))
    first = both.paint([_marked(mask), _marked(mask)], _grey()).copy()
    assert both._top_px == 3 * both._line_px
    head = slice(0, both._top_px)
    assert not np.array_equal(first[head], same.paint([_marked(mask)] * 2, _grey())[head])
