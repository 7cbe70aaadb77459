"""An answer is drawn on its own frame, in its place; a withheld one never carries an outline."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from simulators.source import noise_pixels
from simulators.unit import UNIT_INFO, frame_record, polyp_mask
from trocar.contracts.errors import InvariantError, SinkError
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.record import FrameRecord
from trocar.imaging import overlay
from trocar.imaging.overlay import OverlayPainter, contour_of

HEIGHT_PX, WIDTH_PX = 360, 640


def _painter(height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX) -> OverlayPainter:
    return OverlayPainter(height_px=height_px, width_px=width_px, unit=UNIT_INFO)


def _grey(height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX) -> NDArray[np.uint8]:
    return np.full((height_px, width_px, 3), 120, dtype=np.uint8)


def _mask(rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.bool_)
    mask[rows, columns] = True
    return mask


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
    body = _body(painter, painter.paint(frame_record(), _grey(), mask))
    assert body[100, 200].tolist() == list(overlay._SKY_BLUE)
    assert body[199, 349].tolist() == list(overlay._SKY_BLUE)
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
    body = _body(painter, painter.paint(frame_record(), _grey(), _mask(rows, columns)))
    corner = body[rows, columns]
    assert corner[0, 0].tolist() == list(overlay._SKY_BLUE)
    assert corner[-1, -1].tolist() == list(overlay._SKY_BLUE)


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="boundary")
def test_empty_mask_leaves_the_frame_as_it_is() -> None:
    """Nothing found is drawn as nothing, and said in words."""
    painter, pixels = _painter(), noise_pixels(1, height_px=HEIGHT_PX, width_px=WIDTH_PX)
    record = frame_record(outcome=polyp_mask(0, is_empty=True))
    canvas = painter.paint(record, pixels, np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_))
    assert np.array_equal(_body(painter, canvas), pixels)
    assert overlay._legend(record)[0] == "nothing marked by the model"


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="property")
def test_frame_is_not_modified() -> None:
    """Other sinks show the same frame."""
    pixels = noise_pixels(1, height_px=HEIGHT_PX, width_px=WIDTH_PX)
    before = pixels.copy()
    pixels.flags.writeable = False
    painter = _painter()
    painter.paint(frame_record(), pixels, _mask(slice(10, 90), slice(10, 90)))
    painter.paint(frame_record(outcome=_withheld()), pixels, None)
    assert np.array_equal(pixels, before)


@pytest.mark.verifies("SRS_SINK_005", extent="full", technique="requirement")
@pytest.mark.controls("RCM_WITHHELD_001")
def test_withheld_after_a_finding_shows_border_and_words_and_no_outline() -> None:
    """Of the last outline, no pixel is left."""
    painter = _painter()
    painter.paint(frame_record(), _grey(), _mask(slice(60, 300), slice(60, 500)))
    canvas = painter.paint(frame_record(outcome=_withheld()), _grey(), None)
    body = _body(painter, canvas)
    assert _ink_count(body, slice(None), overlay._SKY_BLUE) == 0
    assert _ink_count(body, slice(0, 4), overlay._VERMILLION) > 100
    assert (body[40, 100:200] == 60).all()
    assert _ink_count(body, slice(150, 210), overlay._ORANGE) > 100


@pytest.mark.verifies("SRS_SINK_005", extent="partial", technique="equivalence")
def test_withheld_without_a_frame_shows_no_picture() -> None:
    """The picture before it must not stand for it."""
    painter = _painter()
    painter.paint(frame_record(), _grey(), _mask(slice(60, 300), slice(60, 500)))
    body = _body(painter, painter.paint(frame_record(outcome=_withheld()), None, None))
    assert (body[40, 100:200] == overlay._INK).all()


@pytest.mark.verifies("SRS_SINK_005", extent="partial", technique="property")
@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_its_own_words(reason: Reason) -> None:
    """The person at the screen learns why there is no result."""
    painter = _painter()
    shown = painter.paint(frame_record(outcome=_withheld(reason)), None, None).copy()
    others = [r for r in Reason if r is not reason]
    for other in others:
        canvas = painter.paint(frame_record(outcome=_withheld(other)), None, None)
        assert not np.array_equal(canvas, shown)


@pytest.mark.verifies("SRS_NOTICE_001", extent="full", technique="requirement")
@pytest.mark.controls("RCM_NOTICE_001")
@pytest.mark.parametrize(("height_px", "width_px"), [(1080, 1920), (360, 640), (33, 33)])
def test_notice_is_on_every_picture(height_px: int, width_px: int) -> None:
    """However small the frame is, there is room for the notice."""
    painter = _painter(height_px, width_px)
    record = frame_record(outcome=_withheld())
    canvas = painter.paint(record, None, None)
    assert _ink_count(canvas, slice(0, painter._top_px), overlay._ORANGE) > 100
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
    painter = OverlayPainter(height_px=64, width_px=64, unit=unit)
    canvas = painter.paint(frame_record(outcome=_withheld()), None, None)
    assert _ink_count(canvas, slice(0, painter._top_px), overlay._ORANGE) > 100


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="boundary")
def test_legend_is_left_out_where_it_has_no_room() -> None:
    """Words never overlap; the verdict comes first."""
    painter = _painter(64, 64)
    mask = np.zeros((64, 64), np.bool_)
    record = frame_record(dropped_before_count=123_456, verdict=DeadlineVerdict.MISSED)
    canvas = painter.paint(record, _grey(64, 64), mask)
    foot = slice(painter._top_px + 64, None)
    assert _ink_count(canvas, foot, overlay._SKY_BLUE) == 0
    assert _ink_count(canvas, foot, overlay._ORANGE) > 0


@pytest.mark.verifies("SRS_SINK_005", extent="full", technique="fault_injection")
def test_mask_and_outcome_must_belong_together() -> None:
    """A mask on a withheld result, or none on a finding, is a mistake of ours."""
    painter, mask = _painter(), _mask(slice(0, 9), slice(0, 9))
    for outcome, shown in ((_withheld(), mask), (None, None)):
        with pytest.raises(
            InvariantError, match=r"^a mask belongs to a finding, and to nothing else$"
        ):
            painter.paint(frame_record(outcome=outcome), _grey(), shown)
    with pytest.raises(InvariantError, match=r"^a finding without its frame$"):
        painter.paint(frame_record(), None, mask)
    with pytest.raises(InvariantError, match=r"mask \(359, 640\) on a frame \(360, 640, 3\)"):
        painter.paint(frame_record(), _grey(), mask[:-1])
    with pytest.raises(InvariantError):
        _painter(0, 5)


@pytest.mark.verifies("SRS_SINK_001", extent="full", technique="equivalence")
@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_contour_agrees_with_an_independent_erosion(seed: int, thickness_px: int) -> None:
    """The contour is the mask without its erosion."""
    generator = np.random.default_rng(seed)
    coarse = generator.random((7, 9)) > 0.5
    mask: NDArray[np.bool_] = np.kron(coarse, np.ones((5, 4))).astype(np.bool_)
    expected: Any = mask & ~ndimage.binary_erosion(mask, iterations=thickness_px)
    assert np.array_equal(contour_of(mask, thickness_px=thickness_px), expected)


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
def test_contour_without_thickness_is_refused() -> None:
    """An outline that nobody can see is none."""
    with pytest.raises(InvariantError, match="contour of 0 px asked for"):
        contour_of(np.ones((3, 3), np.bool_), thickness_px=0)


@pytest.mark.verifies("SRS_NOTICE_001", extent="partial", technique="fault_injection")
def test_build_without_scalable_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notice could not be read."""
    overlay._font.cache_clear()
    small = ImageFont.ImageFont()
    monkeypatch.setattr(ImageFont, "load_default", lambda _: small)
    with pytest.raises(SinkError, match="FreeType"):
        overlay._font(13)
    overlay._font.cache_clear()


def _blobs(seed: int, *, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Return a random mask of blocks, some of them at the edge."""
    coarse = np.random.default_rng(seed).random((height_px // 9 + 1, width_px // 7 + 1)) > 0.6
    blocks: NDArray[np.bool_] = np.kron(coarse, np.ones((9, 7))).astype(np.bool_)
    return np.ascontiguousarray(blocks[:height_px, :width_px])


def _drawn_by_definition(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], thickness_px: int
) -> NDArray[np.uint8]:
    """Return the frame with fill, outline and rim, one after the other over the whole of it."""
    outline: Any = mask & ~ndimage.binary_erosion(mask, iterations=thickness_px)
    around: Any = ndimage.binary_dilation(mask, iterations=max(1, thickness_px // 2)) & ~mask
    colour = np.array(overlay._SKY_BLUE)
    thirteen_parts = pixels.astype(int) - (pixels >> 3) - (pixels >> 4)
    expected = pixels.astype(int)
    expected[mask] = (thirteen_parts + (colour >> 3) + (colour >> 4))[mask]
    expected[outline] = colour
    expected[around] = 0
    return expected.astype(np.uint8)


@pytest.mark.verifies("SRS_SINK_001", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_GEOMETRY_001")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("thickness_px", [1, 2, 4, 5])
def test_every_pixel_of_the_drawing_is_that_of_its_definition(seed: int, thickness_px: int) -> None:
    """It is drawn in a box and in bands for speed; neither may show, nor move anything."""
    height_px, width_px = 40 + 23 * seed, 70 + 5 * seed
    pixels = noise_pixels(seed, height_px=height_px, width_px=width_px)
    mask = _blobs(seed, height_px=height_px, width_px=width_px)
    if seed % 2:
        mask[:8], mask[-9:], mask[:, :6], mask[:, -5:] = False, False, False, False
    view = pixels.copy()
    overlay._paint_mask(view, mask, thickness_px=thickness_px)
    assert np.array_equal(view, _drawn_by_definition(pixels, mask, thickness_px))


class _Words(NamedTuple):
    """Words of the line under the frame, with their colour."""

    text: str
    colour: tuple[int, int, int]


def _foot_by_definition(
    painter: OverlayPainter, words: list[_Words], legend: _Words
) -> NDArray[np.uint8]:
    """Return the line under the frame: words from the left, the legend at the right if it fits."""
    size_px, line_px, width_px = painter._font_px, painter._line_px, painter.canvas_size_px[0]
    font = overlay._font(size_px)
    strip = Image.new("RGB", (width_px, line_px), overlay._INK)
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


_OUTLINE = _Words("outline: polyp, as marked by the model", overlay._SKY_BLUE)
_NOTHING = _Words("nothing marked by the model", overlay._SOFT)
_AGE = _Words("frame 0   age 40.0 ms   ", overlay._PAPER)
_FEET: list[tuple[FrameRecord, list[_Words], _Words]] = [
    (frame_record(), [_AGE, _Words("in time", overlay._PAPER)], _OUTLINE),
    (
        frame_record(outcome=polyp_mask(0, is_empty=True), dropped_before_count=1),
        [_AGE, _Words("in time   1 dropped before", overlay._ORANGE)],
        _NOTHING,
    ),
    (
        frame_record(verdict=DeadlineVerdict.MISSED),
        [_AGE, _Words("LATE", overlay._ORANGE)],
        _OUTLINE,
    ),
    (
        frame_record(outcome=_withheld(Reason.FRAME_SATURATED)),
        [
            _Words("NO RESULT: frame saturated   ", overlay._ORANGE),
            _AGE,
            _Words("in time", overlay._PAPER),
        ],
        _Words("", overlay._ORANGE),
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
        empty = np.zeros((height_px, width_px), np.bool_)
        mask = None if isinstance(record.outcome, Withheld) else empty
        canvas = painter.paint(record, _grey(height_px, width_px), mask)
        top = painter._top_px + height_px
        foot = canvas[top : top + painter._line_px]
        assert np.array_equal(foot, _foot_by_definition(painter, words, legend)), width_px


def _withheld_by_definition(
    pixels: NDArray[np.uint8] | None, *, height_px: int, width_px: int, font_px: int
) -> NDArray[np.uint8]:
    """Return what is shown of a black frame: dimmed, in a hatched border, words in the middle."""
    rows, columns = np.mgrid[:height_px, :width_px]
    expected = np.empty((height_px, width_px, 3), np.uint8)
    expected[:] = overlay._INK if pixels is None else pixels // 2
    border_px = max(1, min(height_px, width_px) // 40)
    is_inside = (rows >= border_px) & (rows < height_px - border_px)
    is_inside &= (columns >= border_px) & (columns < width_px - border_px)
    # The pattern begins anew at the lower and at the right border.
    stripe = np.where(rows >= height_px - border_px, rows - (height_px - border_px), rows)
    column = np.where(columns >= width_px - border_px, columns - (width_px - border_px), columns)
    is_side = (columns < border_px) | (columns >= width_px - border_px)
    number = np.where(is_side, rows + column, stripe + columns) // 12 % 2
    hatch = np.array([overlay._VERMILLION, overlay._INK], np.uint8)[number]
    expected[~is_inside] = hatch[~is_inside]
    label = overlay._label("NO RESULT: frame black", 2 * font_px, width_px)
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
    before = painter.paint(frame_record(), pixels, np.ones((height_px, width_px), np.bool_)).copy()
    shown = pixels if has_frame else None
    canvas = painter.paint(frame_record(outcome=_withheld()), shown, None)
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
    painter.paint(frame_record(outcome=_withheld()), None, None)
    body = _body(painter, painter.paint(frame_record(), pixels, mask))
    assert np.array_equal(body, _drawn_by_definition(pixels, mask, 2))
