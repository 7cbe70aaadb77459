"""Drawing of the answers for one frame; text is put around the frame.

A mask is drawn as outline and light fill, an instrument as a box. A withheld result is drawn inside
a hatched border with the words "NO RESULT" and the reason; where no unit has a result, the frame is
dimmed and carries no mark at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from trocar import RESEARCH_NOTICE
from trocar.contracts.errors import require
from trocar.contracts.findings import Finding, PolypMask, ToolDetections, ToolTracks
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import DeadlineVerdict, Withheld
from trocar.contracts.record import FrameRecord, UnitInfo
from trocar.imaging.boxes import marks_of, paint_boxes
from trocar.imaging.lettering import (
    INK,
    ORANGE,
    PAPER,
    SKY_BLUE,
    SMALLEST_FONT_PX,
    SOFT,
    VERMILLION,
    Colour,
    font_of,
    label_of,
)
from trocar.imaging.outline import paint_mask
from trocar.imaging.resize import upsample_mask

__all__ = ["OverlayPainter"]

_NOTICE_WIDTH_PX: Final = 480
"""Narrower frames are drawn on a canvas of this width, so that the notice can be read."""

_FONT_SHARE: Final = 42
_CONTOUR_SHARE: Final = 360
_BORDER_SHARE: Final = 40
_HATCH_PX: Final = 12
_VERDICT_WORDS: Final = {
    DeadlineVerdict.MET: "in time",
    DeadlineVerdict.MISSED: "LATE",
    DeadlineVerdict.NOT_TIMED: "not timed",
}


class OverlayPainter:
    """Draws the answers for frames of one size onto one canvas; not thread-safe.

    The canvas is the frame with a strip of text above and below it; its sides are even, as video
    coding asks for.

    Args:
        height_px: Height of the frames.
        width_px: Width of the frames.
        units: Provenance of each unit, shown on every frame; at least one.
    """

    def __init__(self, *, height_px: int, width_px: int, units: Sequence[UnitInfo]) -> None:
        require(height_px > 0 and width_px > 0, f"canvas for {width_px}x{height_px} px asked for")
        require(len(units) > 0, "a picture of no unit asked for")
        self._height_px = height_px
        self._width_px = width_px
        self._unit_count = len(units)
        canvas_width_px = _even(max(width_px, _NOTICE_WIDTH_PX))
        self._font_px = max(
            SMALLEST_FONT_PX, min(height_px, canvas_width_px * 9 // 16) // _FONT_SHARE
        )
        line_px = self._font_px * 7 // 4
        head = _head(units, width_px=canvas_width_px, line_px=line_px, font_px=self._font_px)
        self._top_px = head.shape[0]
        self._left_px = (canvas_width_px - width_px) // 2
        self._line_px = line_px
        canvas_height_px = _even(self._top_px + height_px + line_px * self._unit_count)
        self._canvas = np.zeros((canvas_height_px, canvas_width_px, 3), dtype=np.uint8)
        self._canvas[:] = INK
        self._canvas[: self._top_px] = head
        self._contour_px = max(2, height_px // _CONTOUR_SHARE)
        self._hatch = _hatch(height_px, width_px)

    @property
    def canvas_size_px(self) -> tuple[int, int]:
        """Width and height of the canvas."""
        return self._canvas.shape[1], self._canvas.shape[0]

    # @need-ids: SRS_SINK_001, SRS_SINK_005, RCM_WITHHELD_001, RCM_NOTICE_001, RCM_FRAMEID_001
    def paint(
        self, records: Sequence[FrameRecord], pixels: NDArray[np.uint8] | None
    ) -> NDArray[np.uint8]:
        """Draw the answers for one frame.

        Args:
            records: One answer of each unit, in the order of the units, all for one frame.
            pixels: (H, W, 3) uint8 RGB of the very frame, or None where there is none to show; not
                modified.

        Returns:
            The canvas, (height, width, 3) uint8 RGB: valid until the next call.

        Raises:
            InvariantError: The answers are not those for one frame, or a finding came without it.
        """
        require(len(records) == self._unit_count, f"{len(records)} answers asked to be drawn")
        frame_index = records[0].frame_index
        require(
            all(record.frame_index == frame_index for record in records), "answers of two frames"
        )
        findings = [item.outcome for item in records if not isinstance(item.outcome, Withheld)]
        require(not findings or pixels is not None, "a finding without its frame")
        view = self._canvas[
            self._top_px : self._top_px + self._height_px,
            self._left_px : self._left_px + self._width_px,
        ]
        if pixels is None:
            view[:] = INK
        elif findings:
            view[:] = pixels
        else:
            np.right_shift(pixels, 1, out=view)
        for finding in findings:
            self._paint_finding(view, finding)
        if len(findings) < len(records):
            self._paint_withheld(view, records, is_centred=not findings)
        for line_index, record in enumerate(records):
            self._paint_foot(record, line_index)
        return self._canvas

    def _paint_finding(self, view: NDArray[np.uint8], finding: Finding) -> None:
        """Draw one finding on its frame."""
        match finding:
            case PolypMask():
                paint_mask(view, upsample_mask(finding.mask), thickness_px=self._contour_px)
            case ToolDetections() | ToolTracks():
                paint_boxes(
                    view,
                    marks_of(finding),
                    thickness_px=self._contour_px,
                    font_px=self._font_px,
                )
            case _:  # pragma: no cover - the type checker shows that there is no other kind
                assert_never(finding)

    def _paint_withheld(
        self, view: NDArray[np.uint8], records: Sequence[FrameRecord], *, is_centred: bool
    ) -> None:
        """Draw border and words; in the middle where there is no result at all, else on top."""
        border_px = self._hatch[0].shape[0]
        view[:border_px], view[-border_px:] = self._hatch[0], self._hatch[0]
        view[:, :border_px], view[:, -border_px:] = self._hatch[1], self._hatch[1]
        withheld = [record for record in records if isinstance(record.outcome, Withheld)]
        words = _words(withheld[0].outcome)
        if is_centred:
            text, font_px = f"NO RESULT: {words}", self._font_px * 2
        else:
            names = ", ".join(record.unit.unit.replace("_", " ") for record in withheld)
            text, font_px = f"NO RESULT of {names}: {words}", self._font_px
        label = label_of(text, font_px=font_px, width_px_max=self._width_px)
        room_px = self._height_px - label.shape[0]
        top = max(0, room_px // 2) if is_centred else max(0, min(border_px, room_px))
        left = max(0, (self._width_px - label.shape[1]) // 2)
        place = view[top : top + label.shape[0], left : left + label.shape[1]]
        place[:] = label[: place.shape[0], : place.shape[1]]

    def _paint_foot(self, record: FrameRecord, line_index: int) -> None:
        """Draw the line that changes with every frame."""
        outcome = record.outcome
        name = f"{record.unit.unit.replace('_', ' ')}: " if self._unit_count > 1 else ""
        withheld = f"{name}NO RESULT: {_words(outcome)}   " if isinstance(outcome, Withheld) else ""
        text, words = _foot(record)
        text = text if withheld else name + text
        strip = Image.new("RGB", (self._canvas.shape[1], self._line_px), INK)
        draw = ImageDraw.Draw(strip)
        font = font_of(self._font_px)
        at = (self._font_px // 2, self._line_px // 2)
        if withheld:
            # First, so that the reason is read even where the frame is too narrow for its label.
            draw.text(at, withheld, font=font, fill=ORANGE, anchor="lm")
            at = (at[0] + round(font.getlength(withheld)), at[1])
        draw.text(at, text, font=font, fill=PAPER, anchor="lm")
        is_late = record.verdict is DeadlineVerdict.MISSED or record.dropped_before_count > 0
        next_at = (at[0] + font.getlength(text), at[1])
        draw.text(next_at, words, font=font, fill=ORANGE if is_late else PAPER, anchor="lm")
        legend, colour = _legend(outcome)
        room_px = self._canvas.shape[1] - next_at[0] - font.getlength(words) - self._font_px * 2
        if font.getlength(legend) <= room_px:
            right = (self._canvas.shape[1] - self._font_px // 2, at[1])
            draw.text(right, legend, font=font, fill=colour, anchor="rm")
        top = self._top_px + self._height_px + line_index * self._line_px
        self._canvas[top : top + self._line_px] = np.asarray(strip)


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


def _legend(outcome: Finding | Withheld) -> tuple[str, Colour]:
    """Return what the marks mean on this frame, and the colour of the words."""
    match outcome:
        case Withheld():
            return "", ORANGE
        case PolypMask():
            is_marked = bool(outcome.mask.pixels.any())
            meaning = f"outline: {outcome.mask.label}, as marked by the model"
        case ToolDetections() | ToolTracks():
            is_marked = bool(marks_of(outcome))
            meaning = "box: instrument tip, as marked by the model"
        case _:  # pragma: no cover - the type checker shows that there is no other kind
            assert_never(outcome)
    return (meaning, SKY_BLUE) if is_marked else ("nothing marked by the model", SOFT)


def _head(
    units: Sequence[UnitInfo], *, width_px: int, line_px: int, font_px: int
) -> NDArray[np.uint8]:
    """Draw the lines that never change: the notice, and what answers."""
    font = font_of(font_px)
    provenances = [
        f"{unit.unit} {unit.unit_version}   {unit.pack_id}   "
        f"{unit.backend.engine} {unit.backend.precision}"
        for unit in units
    ]
    edge_px = font_px // 2
    needed_px = font.getlength(RESEARCH_NOTICE) + font.getlength(provenances[0]) + 4 * edge_px
    is_one_line = len(units) == 1 and needed_px <= width_px
    line_count = 1 if is_one_line else 1 + len(units)
    strip = Image.new("RGB", (width_px, line_count * line_px), INK)
    draw = ImageDraw.Draw(strip)
    draw.text((edge_px, line_px // 2), RESEARCH_NOTICE, font=font, fill=ORANGE, anchor="lm")
    if is_one_line:
        right = (width_px - edge_px, line_px // 2)
        draw.text(right, provenances[0], font=font, fill=SOFT, anchor="rm")
        return np.asarray(strip)
    for number, provenance in enumerate(provenances, start=1):
        shown = provenance
        while font.getlength(shown) > width_px - 2 * edge_px:
            shown = shown.removesuffix("...")[:-1] + "..."
        at = (edge_px, number * line_px + line_px // 2)
        draw.text(at, shown, font=font, fill=SOFT, anchor="lm")
    return np.asarray(strip)


def _hatch(height_px: int, width_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the hatched border as a horizontal and a vertical band."""
    border_px = max(1, min(height_px, width_px) // _BORDER_SHARE)
    colours = np.array([VERMILLION, INK], dtype=np.uint8)
    rows, columns = np.ogrid[:height_px, :width_px]
    return (
        colours[((rows[:border_px] + columns) // _HATCH_PX) % 2],
        colours[((rows + columns[:, :border_px]) // _HATCH_PX) % 2],
    )


def _even(size_px: int) -> int:
    """Return the next even size."""
    return size_px + size_px % 2
