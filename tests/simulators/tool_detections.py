"""Detections of tools as plain numbers, and a camera that takes a frame every 40 ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trocar.contracts.findings import BoxXyxyPx, Detection, ToolDetections
from trocar.contracts.limits import NS_PER_MS

__all__ = ["BEGIN_NS", "FRAME_SIZE_PX", "LABELS", "PERIOD_NS", "at_frame", "box_at", "seen", "tool"]

LABELS: Final = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator")
FRAME_SIZE_PX: Final = (640, 360)
BEGIN_NS: Final = 1_000_000_000
PERIOD_NS: Final = 40 * NS_PER_MS


def box_at(x: float, y: float = 180.0, side: float = 80.0) -> BoxXyxyPx:
    """Return a square box around a point."""
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def tool(box: BoxXyxyPx, *, score: float = 0.9, class_index: int = 0) -> Detection:
    """Return one detection."""
    return Detection(
        label=LABELS[class_index], class_index=class_index, score=score, box_xyxy_px=box
    )


def seen(
    frame_index: int,
    *detections: Detection,
    frame_size_px: tuple[int, int] = FRAME_SIZE_PX,
    score_shown_min: float = 0.5,
) -> ToolDetections:
    """Return the detections of one frame, by falling score."""
    ordered: Sequence[Detection] = sorted(detections, key=lambda item: -item.score)
    return ToolDetections(
        frame_index=frame_index,
        detections=tuple(ordered),
        score_shown_min=score_shown_min,
        frame_height_px=frame_size_px[1],
        frame_width_px=frame_size_px[0],
    )


def at_frame(frame_index: float) -> int:
    """Return when a frame is taken [ns]."""
    return BEGIN_NS + round(PERIOD_NS * frame_index)
