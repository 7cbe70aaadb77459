"""Which detection belongs to which track: overlaps, and the assignment with the most of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trocar.contracts.findings import BoxXyxyPx, Detection
from trocar.tracking.association import assign
from trocar.units.tool_tracking.live_track import LiveTrack

__all__ = ["Stage", "match", "overlap"]


@dataclass(frozen=True, slots=True)
class Stage:
    """Terms of one try to find the detections of some tracks.

    Attributes:
        overlap_min: Overlap from which a pair may be one.
        buffer_share: Share of its sides by which a box is enlarged at each edge.
        label_cost: Overlap by which a pair of different classes must be better.
    """

    overlap_min: float
    buffer_share: float
    label_cost: float


def match(
    tracks: Sequence[LiveTrack],
    places: Sequence[BoxXyxyPx],
    detections: Sequence[Detection],
    stage: Stage,
) -> list[tuple[int, int]]:
    """Return which detection belongs to which track, by their places in the lists.

    Args:
        tracks: The tracks that look for a detection.
        places: Where each of them is looked for.
        detections: The detections that are free.
        stage: The terms.

    Returns:
        Pairs in the order of the tracks; the others have no pair on these terms.

    Source:
        Intersection over union as gain: Bewley et al. 2016, arXiv 1602.00763. Enlarged boxes:
        Yang et al. 2023, arXiv 2211.14317.
    """
    there = [_enlarged(item.box_xyxy_px, stage.buffer_share) for item in detections]
    classes = [item.class_index for item in detections]
    gains = []
    for track, place in zip(tracks, places, strict=True):
        here = _enlarged(place, stage.buffer_share)
        own, least = track.class_index, stage.overlap_min
        least_other = least + stage.label_cost
        gains.append([
            overlap(here, box) - (least if index == own else least_other)
            for box, index in zip(there, classes, strict=True)
        ])
    return assign(gains)


def overlap(first: BoxXyxyPx, second: BoxXyxyPx) -> float:
    """Return the intersection over union of two boxes, in [0, 1].

    Args:
        first: Left, top, right, bottom [px].
        second: The same.
    """
    left, top, right, bottom = first
    other_left, other_top, other_right, other_bottom = second
    # Most pairs lie apart, and comparisons alone tell them: this is the innermost line.
    if right <= other_left or other_right <= left or bottom <= other_top or other_bottom <= top:
        return 0.0
    width = min(right, other_right) - max(left, other_left)
    height = min(bottom, other_bottom) - max(top, other_top)
    shared = width * height
    union = (
        (right - left) * (bottom - top)
        + (other_right - other_left) * (other_bottom - other_top)
        - shared
    )
    # Boxes of almost no size have areas that round to nothing.
    return shared / union if union > 0.0 else 0.0


def _enlarged(box: BoxXyxyPx, share: float) -> BoxXyxyPx:
    """Return a box with a share of its sides added at each edge."""
    left, top, right, bottom = box
    dx, dy = share * (right - left), share * (bottom - top)
    return left - dx, top - dy, right + dx, bottom + dy
