"""Drawing of one answer: outline and light fill of the mask; text is put around the frame.

A withheld result is drawn dimmed, inside a hatched border, with the words "NO RESULT" and the
reason: it never carries an outline. Colours are from the palette of Okabe and Ito, which people
with colour-blindness can tell apart; each is paired with a word or a shape.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from trocar import RESEARCH_NOTICE
from trocar.contracts.errors import SinkError, require
from trocar.contracts.findings import Finding
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import DeadlineVerdict, Withheld
from trocar.contracts.record import FrameRecord, UnitInfo

__all__ = ["OverlayPainter", "contour_of"]

_Colour = tuple[int, int, int]

_SKY_BLUE: Final[_Colour] = (86, 180, 233)
_VERMILLION: Final[_Colour] = (213, 94, 0)
_ORANGE: Final[_Colour] = (230, 159, 0)
_INK: Final[_Colour] = (12, 14, 18)
_PAPER: Final[_Colour] = (236, 239, 243)
_SOFT: Final[_Colour] = (160, 168, 178)

_NOTICE_WIDTH_PX: Final = 480
"""Narrower frames are drawn on a canvas of this width, so that the notice can be read."""

_BAND_PX: Final = 32
_FILL: Final = np.uint8(1)
_LINE: Final = np.uint8(2)
_RIM: Final = np.uint8(4)
_FONT_SHARE: Final = 42
_SMALLEST_FONT_PX: Final = 13
_CONTOUR_SHARE: Final = 360
_BORDER_SHARE: Final = 40
_HATCH_PX: Final = 12
_VERDICT_WORDS: Final = {
    DeadlineVerdict.MET: "in time",
    DeadlineVerdict.MISSED: "LATE",
    DeadlineVerdict.NOT_TIMED: "not timed",
}


class OverlayPainter:
    """Draws answers for frames of one size onto one canvas; not thread-safe.

    The canvas is the frame with a strip of text above and below it; its sides are even, as video
    coding asks for.

    Args:
        height_px: Height of the frames.
        width_px: Width of the frames.
        unit: Provenance, shown on every frame.
    """

    def __init__(self, *, height_px: int, width_px: int, unit: UnitInfo) -> None:
        require(height_px > 0 and width_px > 0, f"canvas for {width_px}x{height_px} px asked for")
        self._height_px = height_px
        self._width_px = width_px
        canvas_width_px = _even(max(width_px, _NOTICE_WIDTH_PX))
        self._font_px = max(
            _SMALLEST_FONT_PX, min(height_px, canvas_width_px * 9 // 16) // _FONT_SHARE
        )
        line_px = self._font_px * 7 // 4
        head = _head(unit, width_px=canvas_width_px, line_px=line_px, font_px=self._font_px)
        self._top_px = head.shape[0]
        self._left_px = (canvas_width_px - width_px) // 2
        self._line_px = line_px
        canvas_height_px = _even(self._top_px + height_px + line_px)
        self._canvas = np.zeros((canvas_height_px, canvas_width_px, 3), dtype=np.uint8)
        self._canvas[:] = _INK
        self._canvas[: self._top_px] = head
        self._contour_px = max(2, height_px // _CONTOUR_SHARE)
        self._hatch = _hatch(height_px, width_px)

    @property
    def canvas_size_px(self) -> tuple[int, int]:
        """Width and height of the canvas."""
        return self._canvas.shape[1], self._canvas.shape[0]

    # @need-ids: SRS_SINK_001, SRS_SINK_005, RCM_WITHHELD_001, RCM_NOTICE_001
    def paint(
        self,
        record: FrameRecord,
        pixels: NDArray[np.uint8] | None,
        mask: NDArray[np.bool_] | None,
    ) -> NDArray[np.uint8]:
        """Draw one answer.

        Args:
            record: The answer.
            pixels: (H, W, 3) uint8 RGB of the very frame, or None where there is none to show; not
                modified.
            mask: (H, W) bool at the frame's size where the outcome is a finding, else None.

        Returns:
            The canvas, (height, width, 3) uint8 RGB: valid until the next call.

        Raises:
            InvariantError: A withheld result came with a mask, or a finding without one.
        """
        is_withheld = isinstance(record.outcome, Withheld)
        require(is_withheld == (mask is None), "a mask belongs to a finding, and to nothing else")
        view = self._canvas[
            self._top_px : self._top_px + self._height_px,
            self._left_px : self._left_px + self._width_px,
        ]
        require(is_withheld or pixels is not None, "a finding without its frame")
        if mask is None or pixels is None:
            self._paint_withheld(view, pixels, record)
        else:
            view[:] = pixels
            _paint_mask(view, mask, thickness_px=self._contour_px)
        self._paint_foot(record)
        return self._canvas

    def _paint_withheld(
        self, view: NDArray[np.uint8], pixels: NDArray[np.uint8] | None, record: FrameRecord
    ) -> None:
        """Draw the frame at half brightness, or nothing of it, with border and words."""
        if pixels is None:
            view[:] = _INK
        else:
            np.right_shift(pixels, 1, out=view)
        border_px = self._hatch[0].shape[0]
        view[:border_px], view[-border_px:] = self._hatch[0], self._hatch[0]
        view[:, :border_px], view[:, -border_px:] = self._hatch[1], self._hatch[1]
        label = _label(f"NO RESULT: {_words(record.outcome)}", self._font_px * 2, self._width_px)
        top = max(0, (self._height_px - label.shape[0]) // 2)
        left = max(0, (self._width_px - label.shape[1]) // 2)
        place = view[top : top + label.shape[0], left : left + label.shape[1]]
        place[:] = label[: place.shape[0], : place.shape[1]]

    def _paint_foot(self, record: FrameRecord) -> None:
        """Draw the line that changes with every frame."""
        outcome = record.outcome
        withheld = f"NO RESULT: {_words(outcome)}   " if isinstance(outcome, Withheld) else ""
        text, words = _foot(record)
        strip = Image.new("RGB", (self._canvas.shape[1], self._line_px), _INK)
        draw = ImageDraw.Draw(strip)
        font = _font(self._font_px)
        at = (self._font_px // 2, self._line_px // 2)
        if withheld:
            # First, so that the reason is read even where the frame is too narrow for its label.
            draw.text(at, withheld, font=font, fill=_ORANGE, anchor="lm")
            at = (at[0] + round(font.getlength(withheld)), at[1])
        draw.text(at, text, font=font, fill=_PAPER, anchor="lm")
        is_late = record.verdict is DeadlineVerdict.MISSED or record.dropped_before_count > 0
        next_at = (at[0] + font.getlength(text), at[1])
        draw.text(next_at, words, font=font, fill=_ORANGE if is_late else _PAPER, anchor="lm")
        legend, colour = _legend(record)
        room_px = self._canvas.shape[1] - next_at[0] - font.getlength(words) - self._font_px * 2
        if font.getlength(legend) <= room_px:
            right = (self._canvas.shape[1] - self._font_px // 2, at[1])
            draw.text(right, legend, font=font, fill=colour, anchor="rm")
        top = self._top_px + self._height_px
        self._canvas[top : top + self._line_px] = np.asarray(strip)


def contour_of(mask: NDArray[np.bool_], *, thickness_px: int) -> NDArray[np.bool_]:
    """Return the outer pixels of a mask, also along the edge of the frame.

    Args:
        mask: (h, w) bool; not modified.
        thickness_px: Above zero; distance to the outside along rows or columns.

    Returns:
        (h, w) bool, a part of ``mask``.
    """
    require(thickness_px > 0, f"contour of {thickness_px} px asked for")
    inner = np.pad(mask, 1)
    for _ in range(thickness_px):
        core = inner[1:-1, 1:-1] & inner[:-2, 1:-1] & inner[2:, 1:-1]
        core &= inner[1:-1, :-2]
        core &= inner[1:-1, 2:]
        inner[1:-1, 1:-1] = core
    return np.asarray(mask & ~inner[1:-1, 1:-1])


def _paint_mask(view: NDArray[np.uint8], mask: NDArray[np.bool_], *, thickness_px: int) -> None:
    """Draw fill, dark rim and outline into the box around the mask only."""
    require(mask.shape == view.shape[:2], f"mask {mask.shape} on a frame {view.shape}")
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    margin_px = thickness_px
    top, bottom = max(0, rows[0] - margin_px), min(mask.shape[0], rows[-1] + 1 + margin_px)
    left, right = max(0, columns[0] - margin_px), min(mask.shape[1], columns[-1] + 1 + margin_px)
    box = np.ascontiguousarray(mask[top:bottom, left:right])
    contour = contour_of(box, thickness_px=thickness_px)
    rim = _rim_of(box, thickness_px=max(1, thickness_px // 2))
    # One class number a pixel; in bands of rows, whose intermediate results stay in the cache.
    classes = box.view(np.uint8) * _FILL
    classes |= contour.view(np.uint8) * _LINE
    classes |= rim.view(np.uint8) * _RIM
    for begin in range(0, box.shape[0], _BAND_PX):
        band = view[top + begin : min(top + begin + _BAND_PX, bottom), left:right]
        band[:] = _drawn(band, classes[begin : begin + _BAND_PX])


def _drawn(band: NDArray[np.uint8], classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a band of the frame with fill, outline and rim.

    Args:
        band: (h, w, 3) uint8; not modified.
        classes: (h, w) uint8: 0 outside, ``_FILL``, ``_FILL + _LINE``, ``_RIM``.
    """
    spread = np.repeat(classes, 3, axis=1)
    pixels = band.reshape(spread.shape)
    colour = np.tile(np.array(_SKY_BLUE, dtype=np.uint8), classes.shape[1])
    # 3/16 of the colour over 13/16 of the frame, where the mask is.
    tinted = pixels - (pixels >> 3) - (pixels >> 4) + ((colour >> 3) + (colour >> 4))
    drawn = _select(spread == _FILL, tinted, pixels)
    drawn = _select(spread == _FILL + _LINE, colour, drawn)
    drawn &= ~_bytes_of(spread == _RIM)
    return drawn.reshape(band.shape)


def _select(
    where: NDArray[np.bool_], chosen: NDArray[np.uint8], other: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return ``chosen`` where the condition holds and ``other`` elsewhere.

    Faster than np.where on bytes.
    """
    bits = _bytes_of(where)
    return np.asarray((chosen & bits) | (other & ~bits))


def _bytes_of(where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return 255 where the condition holds, else 0."""
    return np.negative(where.view(np.uint8))


def _rim_of(mask: NDArray[np.bool_], *, thickness_px: int) -> NDArray[np.bool_]:
    """Return the pixels around a mask that are at most ``thickness_px`` from it."""
    outer = np.pad(mask, 1)
    for _ in range(thickness_px):
        grown = outer[1:-1, 1:-1] | outer[:-2, 1:-1] | outer[2:, 1:-1]
        grown |= outer[1:-1, :-2]
        grown |= outer[1:-1, 2:]
        outer[1:-1, 1:-1] = grown
    return np.asarray(outer[1:-1, 1:-1] & ~mask)


def _words(outcome: Finding | Withheld) -> str:
    """Return the reason of a withheld result in words."""
    return outcome.reason.value.replace("_", " ") if isinstance(outcome, Withheld) else ""


def _foot(record: FrameRecord) -> tuple[str, str]:
    """Return what is said of every frame, and the words that may need attention."""
    times = record.times
    is_timed = record.verdict is not DeadlineVerdict.NOT_TIMED
    name, time_ns = ("age", times.age_ns) if is_timed else ("service", times.service_ns)
    words = _VERDICT_WORDS[record.verdict]
    if record.dropped_before_count:
        words += f"   {record.dropped_before_count} dropped before"
    return f"frame {record.frame_index}   {name} {time_ns / NS_PER_MS:.1f} ms   ", words


def _legend(record: FrameRecord) -> tuple[str, _Colour]:
    """Return what the outline means on this frame, and the colour of the words."""
    outcome = record.outcome
    if isinstance(outcome, Withheld):
        return "", _ORANGE
    if not outcome.mask.pixels.any():
        return "nothing marked by the model", _SOFT
    return f"outline: {outcome.mask.label}, as marked by the model", _SKY_BLUE


def _head(unit: UnitInfo, *, width_px: int, line_px: int, font_px: int) -> NDArray[np.uint8]:
    """Draw the lines that never change: the notice, and what answers."""
    font = _font(font_px)
    backend = unit.backend
    provenance = (
        f"{unit.unit} {unit.unit_version}   {unit.pack_id}   {backend.engine} {backend.precision}"
    )
    edge_px = font_px // 2
    needed_px = font.getlength(RESEARCH_NOTICE) + font.getlength(provenance) + 4 * edge_px
    is_one_line = needed_px <= width_px
    strip = Image.new("RGB", (width_px, line_px if is_one_line else 2 * line_px), _INK)
    draw = ImageDraw.Draw(strip)
    draw.text((edge_px, line_px // 2), RESEARCH_NOTICE, font=font, fill=_ORANGE, anchor="lm")
    if is_one_line:
        draw.text(
            (width_px - edge_px, line_px // 2), provenance, font=font, fill=_SOFT, anchor="rm"
        )
    else:
        while font.getlength(provenance) > width_px - 2 * edge_px:
            provenance = provenance.removesuffix("...")[:-1] + "..."
        draw.text((edge_px, line_px * 3 // 2), provenance, font=font, fill=_SOFT, anchor="lm")
    return np.asarray(strip)


def _hatch(height_px: int, width_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the hatched border as a horizontal and a vertical band."""
    border_px = max(1, min(height_px, width_px) // _BORDER_SHARE)
    colours = np.array([_VERMILLION, _INK], dtype=np.uint8)
    rows, columns = np.ogrid[:height_px, :width_px]
    return (
        colours[((rows[:border_px] + columns) // _HATCH_PX) % 2],
        colours[((rows + columns[:, :border_px]) // _HATCH_PX) % 2],
    )


@lru_cache(maxsize=32)
def _label(text: str, font_px: int, width_px_max: int) -> NDArray[np.uint8]:
    """Return words on a plain ground, small enough for a frame; kept for each reason."""
    size_px = font_px
    while (
        size_px > _SMALLEST_FONT_PX and _font(size_px).getlength(text) + 2 * size_px > width_px_max
    ):
        size_px -= 1
    font = _font(size_px)
    width_px = min(width_px_max, round(font.getlength(text)) + 2 * size_px)
    label = Image.new("RGB", (width_px, size_px * 2), _INK)
    ImageDraw.Draw(label).text((width_px // 2, size_px), text, font=font, fill=_ORANGE, anchor="mm")
    return np.asarray(label)


@lru_cache(maxsize=8)
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    """Return the font that comes with Pillow: no file of the machine is read."""
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        # Pillow built without FreeType has one small font only, in which the notice cannot be read.
        raise SinkError(
            "expected Pillow with FreeType, got a build without it",
            advice="install Pillow from its own wheel",
        )
    return font


def _even(size_px: int) -> int:
    """Return the next even size."""
    return size_px + size_px % 2
