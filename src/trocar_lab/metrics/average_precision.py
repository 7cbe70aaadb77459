"""Average precision of boxes as COCO defines it, with intervals over groups of frames.

Detections of a class are matched to its boxes frame by frame, best score first, each box once,
each to the free box of greatest overlap at or above the limit. Precision is made monotonic and
read at 101 recalls. AP50 uses the limit 0.50; AP50:95 is the mean over 0.50, 0.55 ... 0.95.

Source:
    Lin et al. 2014, arXiv 1405.0312; the figures are compared with pycocotools in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "IOU_LIMITS",
    "ClassFigure",
    "FrameMatch",
    "ScoredBoxes",
    "TrueBoxes",
    "average_precision",
    "box_iou",
    "match_frame",
    "summarise_detection",
]

IOU_LIMITS: Final = tuple(round(0.50 + 0.05 * step, 2) for step in range(10))
_RECALLS: Final = np.linspace(0.0, 1.0, 101)
_COUNT_MAX: Final = 100

Boxes = NDArray[np.floating]


@dataclass(frozen=True)
class TrueBoxes:
    """What is in one frame.

    Attributes:
        boxes: (N, 4) float, left, top, right, bottom; any unit, the same as the detections'.
        classes: (N,) int, class of each box.
    """

    boxes: Boxes
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class ScoredBoxes:
    """What was found in one frame.

    Attributes:
        boxes: (N, 4) float, left, top, right, bottom.
        classes: (N,) int, class of each box.
        scores: (N,) float, higher is surer.
    """

    boxes: Boxes
    classes: NDArray[np.int64]
    scores: NDArray[np.floating]


@dataclass(frozen=True)
class FrameMatch:
    """Verdicts on the detections of one class in one frame.

    Attributes:
        scores: (N,) float64, falling.
        hits: (limits, N) bool, whether the detection found a box at each limit.
        truth_count: Number of boxes of the class in the frame.
    """

    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    truth_count: int


@dataclass(frozen=True)
class ClassFigure:
    """Average precision of one class, or the mean over classes, with 95 % intervals.

    Attributes:
        ap50: Average precision at an overlap of 0.50.
        ap50_interval: Its interval.
        ap50_95: Mean over the ten limits.
        ap50_95_interval: Its interval.
        box_count: Number of boxes behind it.
        frame_count: Number of frames that were looked at.
        group_count: Number of groups that were resampled.
    """

    ap50: float
    ap50_interval: tuple[float, float]
    ap50_95: float
    ap50_95_interval: tuple[float, float]
    box_count: int
    frame_count: int
    group_count: int


def box_iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Return (N, M) intersection over union of two sets of boxes; 0 where a union is empty."""
    one = np.asarray(first, dtype=np.float64).reshape(-1, 1, 4)
    two = np.asarray(second, dtype=np.float64).reshape(1, -1, 4)
    sides = np.minimum(one[..., 2:], two[..., 2:]) - np.maximum(one[..., :2], two[..., :2])
    both = np.clip(sides, 0.0, None).prod(axis=-1)
    areas = [np.clip(box[..., 2:] - box[..., :2], 0.0, None).prod(axis=-1) for box in (one, two)]
    union = areas[0] + areas[1] - both
    shares: NDArray[np.float64] = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
    return shares


def match_frame(truth: TrueBoxes, found: ScoredBoxes, class_index: int) -> FrameMatch:
    """Match the detections of one class in one frame; at most 100, the best, are looked at."""
    boxes = truth.boxes[truth.classes == class_index]
    chosen = np.flatnonzero(found.classes == class_index)
    order = np.argsort(-found.scores[chosen].astype(np.float64), kind="stable")
    chosen = chosen[order][:_COUNT_MAX]
    overlap = box_iou(found.boxes[chosen], boxes)
    hits = np.stack([_hits_at(overlap, limit) for limit in IOU_LIMITS])
    return FrameMatch(found.scores[chosen].astype(np.float64), hits, len(boxes))


def _hits_at(overlap: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    """Give each detection, best first, the free box that it overlaps most, if enough."""
    hits = np.zeros(len(overlap), dtype=bool)
    is_free = np.ones(overlap.shape[1], dtype=bool)
    for index, row in enumerate(overlap):
        free = np.where(is_free, row, -1.0)
        if free.size and free.max() >= min(limit, 1 - 1e-10):
            # Of equal overlaps COCO keeps the last one.
            best = int(np.flatnonzero(free == free.max())[-1])
            is_free[best] = False
            hits[index] = True
    return hits


def average_precision(matches: Sequence[FrameMatch]) -> NDArray[np.float64]:
    """Return the average precision at each limit of ``IOU_LIMITS``.

    Args:
        matches: One class, each frame once (or as often as it was drawn).

    Returns:
        (10,) float64 in [0, 1]; NaN where the frames hold no box of the class.
    """
    truth_count = sum(one.truth_count for one in matches)
    if truth_count == 0:
        return np.full(len(IOU_LIMITS), np.nan)
    scores = np.concatenate([one.scores for one in matches])
    hits = np.concatenate([one.hits for one in matches], axis=1)
    hits = hits[:, np.argsort(-scores, kind="stable")]
    found = np.cumsum(hits, axis=1, dtype=np.float64)
    precision = found / np.arange(1, hits.shape[1] + 1)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return np.array([
        _mean_precision(recall, row)
        for recall, row in zip(found / truth_count, precision, strict=True)
    ])


def _mean_precision(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """Return the mean precision at 101 recalls, 0 where a recall is never reached."""
    positions = np.searchsorted(recall, _RECALLS, side="left")
    reached = positions < len(precision)
    return float(precision[positions[reached]].sum() / len(_RECALLS))


def summarise_detection(
    frames: Sequence[tuple[TrueBoxes, ScoredBoxes]],
    groups: Sequence[str],
    labels: Sequence[str],
    *,
    resample_count: int = 1000,
    seed: int = 20261121,
) -> Mapping[str, ClassFigure]:
    """Return the figures of each class that has a box, and of their mean under ``"mean"``.

    Args:
        frames: Truth and detections of each frame; at least one.
        groups: Group of each frame; neighbours of one run are one group, since they look alike.
        labels: Name of each class, by class index.
        resample_count: Draws of the bootstrap over groups.
        seed: Seed of the draws.

    Raises:
        ValueError: No frames, or not one group a frame.
    """
    if not frames or len(frames) != len(groups):
        raise ValueError(f"expected one group a frame, got {len(frames)} and {len(groups)}")
    matches = [
        [match_frame(truth, found, index) for truth, found in frames]
        for index in range(len(labels))
    ]
    names = sorted(set(groups))
    members = [[i for i, group in enumerate(groups) if group == name] for name in names]
    generator = np.random.default_rng(seed)
    point = _both_figures(matches, range(len(frames)))
    draws = np.stack([
        _both_figures(
            matches,
            [i for g in generator.integers(len(names), size=len(names)) for i in members[g]],
        )
        for _ in range(resample_count)
    ])
    counts = [sum(one.truth_count for one in row) for row in matches]
    rows = [*zip(labels, counts, strict=True), ("mean", sum(counts))]
    return {
        name: ClassFigure(
            ap50=float(point[index, 0]),
            ap50_interval=_interval(draws[:, index, 0]),
            ap50_95=float(point[index, 1]),
            ap50_95_interval=_interval(draws[:, index, 1]),
            box_count=count,
            frame_count=len(frames),
            group_count=len(names),
        )
        for index, (name, count) in enumerate(rows)
        if count
    }


def _both_figures(
    matches: Sequence[Sequence[FrameMatch]], frames: Sequence[int]
) -> NDArray[np.float64]:
    """Return (classes + 1, 2): AP50 and AP50:95 of each class, then of the mean over classes."""
    table = [average_precision([row[index] for index in frames]) for row in matches]
    figures = np.array([[values[0], values.mean()] for values in table])
    present = figures[~np.isnan(figures[:, 0])]
    mean = present.mean(axis=0) if len(present) else np.full(2, np.nan)
    return np.vstack([figures, mean])


def _interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 2.5 and 97.5 percentiles over the draws in which the figure exists."""
    lower, upper = np.nanpercentile(draws, [2.5, 97.5])
    return float(lower), float(upper)
