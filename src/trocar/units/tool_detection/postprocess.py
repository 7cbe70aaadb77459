"""From the network's maps to boxes in pixels of the frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.findings import Detection
from trocar.contracts.limits import (
    BOX_CANDIDATE_COUNT_MAX,
    BOX_OVERLAP_MAX,
    BOX_SCORE_MIN,
    BOX_SIDE_PX_MIN,
    DETECTION_COUNT_MAX,
)

__all__ = ["decode_boxes", "detections_of", "find_peaks", "overlaps", "suppress"]


# @need-ids: SRS_TOOL_001, SRS_TOOL_004
def detections_of(
    maps: NDArray[np.float32], labels: Sequence[str], *, height_px: int, width_px: int
) -> tuple[Detection, ...]:
    """Return what the maps mark in a frame, by falling score.

    Args:
        maps: (c + 4, h, w) float32 in [0, 1]: the score of each class, then the distances from the
            centre of each cell to the left, upper, right and lower edge of its box, as fractions of
            the frame's width and height.
        labels: Name of each of the c classes.
        height_px: Height of the frame.
        width_px: Width of the frame.

    Returns:
        At most ``DETECTION_COUNT_MAX`` detections, each inside the frame.
    """
    scores = maps[: len(labels)]
    classes, rows, columns = find_peaks(scores)
    peaks = scores[classes, rows, columns]
    boxes = decode_boxes(maps[len(labels) :], rows, columns, height_px=height_px, width_px=width_px)
    sides = boxes[:, 2:] - boxes[:, :2]
    has_area = (sides >= BOX_SIDE_PX_MIN).all(axis=1)
    classes, peaks, boxes = classes[has_area], peaks[has_area], boxes[has_area]
    kept = suppress(boxes, peaks, classes)[:DETECTION_COUNT_MAX]
    return tuple(
        Detection(label=labels[index], class_index=index, score=score, box_xyxy_px=tuple(box))
        for index, score, box in zip(
            classes[kept].tolist(), peaks[kept].tolist(), boxes[kept].tolist(), strict=True
        )
    )


# @need-ids: SRS_TOOL_009
def find_peaks(
    scores: NDArray[np.float32],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return class, row and column of the cells that no neighbour of their class exceeds.

    A cell has up to eight neighbours. Cells below ``BOX_SCORE_MIN`` are no peaks; of more than
    ``BOX_CANDIDATE_COUNT_MAX`` peaks the highest are returned.

    Args:
        scores: (c, h, w) float32.

    Returns:
        Three arrays of one length, by falling score, then by class, row and column.
    """
    height, width = scores.shape[1] + 2, scores.shape[2] + 2
    padded = np.zeros((len(scores), height, width), dtype=np.float32)
    padded[:, 1:-1, 1:-1] = scores
    # One row after the other in one line: a neighbour is a fixed distance away, and never one of
    # another row or class, because a zero lies between.
    line = padded.reshape(-1)
    beside = np.maximum(np.maximum(line[:-2], line[2:]), line[1:-1])
    around = np.maximum(np.maximum(beside[: -2 * width], beside[2 * width :]), beside[width:-width])
    inner = line[width + 1 : -width - 1]
    places = np.flatnonzero((inner >= around) & (inner >= np.float32(BOX_SCORE_MIN)))
    order = np.argsort(-inner[places], kind="stable")[:BOX_CANDIDATE_COUNT_MAX]
    classes, rows, columns = np.unravel_index(places[order] + width + 1, padded.shape)
    return classes, rows - 1, columns - 1


# @need-ids: SRS_TOOL_004, RCM_TOOL_001
def decode_boxes(
    distances: NDArray[np.float32],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    *,
    height_px: int,
    width_px: int,
) -> NDArray[np.float64]:
    """Return the boxes of some cells, clipped to the frame.

    Args:
        distances: (4, h, w) float32 in [0, 1]: from the centre of a cell to the left, upper, right
            and lower edge, as fractions of the frame's width and height.
        rows: Row of each cell.
        columns: Column of each cell.
        height_px: Height of the frame.
        width_px: Width of the frame.

    Returns:
        (n, 4) float64: left, top, right, bottom [px of the frame]; a box may be empty.
    """
    _, row_count, column_count = distances.shape
    left, top, right, bottom = distances[:, rows, columns].astype(np.float64)
    middle_x = (columns + 0.5) * (width_px / column_count)
    middle_y = (rows + 0.5) * (height_px / row_count)
    boxes = np.empty((len(rows), 4), dtype=np.float64)
    boxes[:, 0] = middle_x - left * width_px
    boxes[:, 1] = middle_y - top * height_px
    boxes[:, 2] = middle_x + right * width_px
    boxes[:, 3] = middle_y + bottom * height_px
    np.maximum(boxes, 0.0, out=boxes)
    np.minimum(boxes, (width_px, height_px, width_px, height_px), out=boxes)
    return boxes


# @need-ids: SRS_TOOL_009
def suppress(
    boxes: NDArray[np.float64], scores: NDArray[np.float32], classes: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return which boxes remain when each removes those of its class that it overlaps.

    The box with the highest score removes first; two boxes overlap where their intersection over
    union exceeds ``BOX_OVERLAP_MAX``.

    Args:
        boxes: (n, 4) float64: left, top, right, bottom [px], each with an area.
        scores: (n,) float32.
        classes: (n,) index of the class.

    Returns:
        Positions of the boxes that remain, by falling score; of equal scores the earlier is first.
    """
    order = np.argsort(-scores, kind="stable")
    boxes, classes = boxes[order], classes[order]
    is_over = overlaps(boxes) > BOX_OVERLAP_MAX
    is_over &= classes[:, np.newaxis] == classes
    # Only a box with a higher score removes another.
    is_over = np.triu(is_over, k=1)
    remains = np.ones(len(boxes), dtype=np.bool_)
    for place in np.flatnonzero(is_over.any(axis=1)):
        if remains[place]:
            remains[is_over[place]] = False
    return order[remains]


def overlaps(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of each box with each.

    Args:
        boxes: (n, 4) float64: left, top, right, bottom [px], each with an area.

    Returns:
        (n, n) float64 in [0, 1].
    """
    left, top, right, bottom = np.ascontiguousarray(boxes.T)
    wide = np.minimum(right[:, np.newaxis], right) - np.maximum(left[:, np.newaxis], left)
    high = np.minimum(bottom[:, np.newaxis], bottom) - np.maximum(top[:, np.newaxis], top)
    both = np.maximum(wide, 0.0) * np.maximum(high, 0.0)
    area = (right - left) * (bottom - top)
    shares: NDArray[np.float64] = both / (area[:, np.newaxis] + area - both)
    return shares
