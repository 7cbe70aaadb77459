"""Drawing of boxes: a seen instrument in a full line, one that is only assumed in a broken one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.findings import BoxXyxyPx, ToolDetections, ToolTracks, Track, TrackState
from trocar.imaging.lettering import INK, SKY_BLUE, SOFT, Colour, label_of

__all__ = ["BoxMark", "marks_of", "paint_boxes"]

_DASH_PX: Final = 8
"""Length of a dash and of the gap after it."""


@dataclass(frozen=True, slots=True)
class BoxMark:
    """One box as it is drawn.

    Attributes:
        box_xyxy_px: The box, inside its frame.
        text: Words beside it.
        colour: Colour of line and words.
        is_broken: Whether the line is broken: nothing was seen there in this frame.
    """

    box_xyxy_px: BoxXyxyPx
    text: str
    colour: Colour
    is_broken: bool


# @need-ids: SRS_SINK_008, RCM_TOOL_002, RCM_TRACK_003
def marks_of(finding: ToolDetections | ToolTracks) -> tuple[BoxMark, ...]:
    """Return what is drawn of a finding.

    Detections below the operating point are left out, and so are tracks that were not confirmed.

    Args:
        finding: Boxes of one frame.
    """
    match finding:
        case ToolDetections():
            return tuple(
                BoxMark(
                    box_xyxy_px=item.box_xyxy_px,
                    text=f"{item.label} {item.score:.2f}",
                    colour=SKY_BLUE,
                    is_broken=False,
                )
                for item in finding.detections
                if item.score >= finding.score_shown_min
            )
        case ToolTracks():
            return tuple(
                _track_mark(item)
                for item in finding.tracks
                if item.state is not TrackState.TENTATIVE
            )
        case _:  # pragma: no cover - the type checker shows that there is no other kind
            assert_never(finding)


def _track_mark(track: Track) -> BoxMark:
    """Return what is drawn of a track; one that is not seen says so."""
    is_coasting = track.state is TrackState.COASTING
    unseen = f", not seen for {track.unseen_ms:.0f} ms" if is_coasting else ""
    return BoxMark(
        box_xyxy_px=track.box_xyxy_px,
        text=f"#{track.track_id} {track.label}{unseen}",
        colour=SOFT if is_coasting else SKY_BLUE,
        is_broken=is_coasting,
    )


def paint_boxes(
    view: NDArray[np.uint8], marks: Sequence[BoxMark], *, thickness_px: int, font_px: int
) -> None:
    """Draw boxes and their words.

    Args:
        view: (H, W, 3) uint8 RGB of the frame; drawn on.
        marks: What to draw; boxes inside the frame.
        thickness_px: Above zero; the line lies inside the box.
        font_px: Height of the letters.
    """
    for mark in marks:
        _paint_outline(view, mark, thickness_px)
    for mark in marks:
        _paint_words(view, mark, font_px)


def _paint_outline(view: NDArray[np.uint8], mark: BoxMark, thickness_px: int) -> None:
    """Draw a dark line around a coloured one, so that it is seen on any ground."""
    left, top, right, bottom = _pixels_of(mark.box_xyxy_px, view.shape[1], view.shape[0])
    box = view[top:bottom, left:right]
    for width_px, colour in ((thickness_px + 1, INK), (thickness_px, mark.colour)):
        for side in (box[:width_px], box[-width_px:]):
            _paint_side(side, colour, is_broken=mark.is_broken, axis=1)
        for side in (box[:, :width_px], box[:, -width_px:]):
            _paint_side(side, colour, is_broken=mark.is_broken, axis=0)


def _paint_side(side: NDArray[np.uint8], colour: Colour, *, is_broken: bool, axis: int) -> None:
    """Draw one side of a box, in full or in dashes along ``axis``."""
    if not is_broken:
        side[:] = colour
        return
    is_dash = (np.arange(side.shape[axis]) // _DASH_PX) % 2 == 0
    if axis == 1:
        side[:, is_dash] = colour
    else:
        side[is_dash] = colour


def _paint_words(view: NDArray[np.uint8], mark: BoxMark, font_px: int) -> None:
    """Put the words above the box, or below it where there is no room above."""
    height_px, width_px = view.shape[:2]
    words = label_of(mark.text, font_px=font_px, width_px_max=width_px, colour=mark.colour)
    left, top, _, bottom = _pixels_of(mark.box_xyxy_px, width_px, height_px)
    words_px = words.shape[0]
    top = top - words_px if top >= words_px else max(0, min(bottom, height_px - words_px))
    left = max(0, min(left, width_px - words.shape[1]))
    place = view[top : top + words.shape[0], left : left + words.shape[1]]
    place[:] = words[: place.shape[0], : place.shape[1]]


def _pixels_of(box: BoxXyxyPx, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """Return the pixels that a box touches: at least one, right and bottom exclusive."""
    left, top = min(int(box[0]), width_px - 1), min(int(box[1]), height_px - 1)
    right, bottom = max(left + 1, -int(-box[2] // 1)), max(top + 1, -int(-box[3] // 1))
    return left, top, min(right, width_px), min(bottom, height_px)
