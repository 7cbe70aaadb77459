"""Measure tool detection: by cells in training, through the device's unit, or by its record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.findings import Detection, ToolDetections
from trocar.contracts.frame import Frame
from trocar.contracts.ports import Unit
from trocar.units.tool_detection.postprocess import detections_of
from trocar_lab.datasets.cholect50 import LABELS, ToolFrameItem, load_rgb
from trocar_lab.metrics.average_precision import (
    ClassFigure,
    ScoredBoxes,
    TrueBoxes,
    average_precision,
    match_frame,
    summarise_detection,
)
from trocar_lab.training.detection_augmentation import BoxedFrame

__all__ = [
    "JudgedFrame",
    "OperatingPoint",
    "WithheldError",
    "choose_threshold",
    "mean_ap50",
    "read_results",
    "score",
    "summarise",
]

THRESHOLDS: Final = tuple(round(0.05 + 0.01 * step, 2) for step in range(86))
_DECODE_SIDE_PX: Final = 1000


@dataclass(frozen=True)
class JudgedFrame:
    """Truth and detections of one frame.

    Attributes:
        item: The frame.
        truth: Its boxes [px].
        found: What was found [px].
        is_withheld: Whether the device gave a reason instead of a result; nothing was found then.
    """

    item: ToolFrameItem
    truth: TrueBoxes
    found: ScoredBoxes
    is_withheld: bool = False


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it gives on the frames that it was chosen on.

    Attributes:
        threshold: Score from which a box is shown.
        f1: Harmonic mean of precision and recall over all classes, at an overlap of 0.5.
        precision: Share of the shown boxes that are right.
        recall: Share of the true boxes that are found.
    """

    threshold: float
    f1: float
    precision: float
    recall: float


class WithheldError(RuntimeError):
    """The unit withheld a frame of the data set: the figure would silently leave it out."""


def mean_ap50(cells: Sequence[NDArray[np.float32]], frames: Sequence[BoxedFrame]) -> float:
    """Return the mean AP50 over the classes that have a box, for the network's cells.

    Args:
        cells: (classes + 4, rows, columns) of each frame.
        frames: The frames, in the same order.
    """
    side = _DECODE_SIDE_PX
    judged = [
        (
            TrueBoxes(frame.boxes * side, frame.classes),
            _scored(detections_of(one, LABELS, height_px=side, width_px=side)),
        )
        for one, frame in zip(cells, frames, strict=True)
    ]
    values = [
        average_precision([match_frame(truth, found, index) for truth, found in judged])[0]
        for index in range(len(LABELS))
    ]
    return float(np.nanmean(values))


def score(unit: Unit, items: Iterable[ToolFrameItem]) -> list[JudgedFrame]:
    """Run the unit on each frame at the frame's own size.

    Raises:
        WithheldError: The unit gave no result for a frame.
    """
    judged = []
    for index, item in enumerate(items):
        rgb = load_rgb(item)
        frame = Frame(pixels=rgb, frame_index=index, captured_at_ns=0, source_id=item.item_id)
        outcome = unit.run(frame, now_ns=0)
        if not isinstance(outcome, ToolDetections):
            raise WithheldError(f"{item.item_id}: {outcome}")
        truth = _truth(item, frame.width_px, frame.height_px)
        judged.append(JudgedFrame(item, truth, _scored(outcome.detections)))
    return judged


def read_results(path: Path, items: Sequence[ToolFrameItem]) -> list[JudgedFrame]:
    """Compare the record of ``trocar run`` with the labels; no frame is left out.

    Args:
        path: ``results.jsonl``; each line names its picture in ``source_id``.
        items: Every frame that was handed to the device.

    Raises:
        ValueError: A frame has no line, or more than one.
    """
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    by_stem: dict[str, dict[str, object]] = {Path(line["source_id"]).stem: line for line in lines}
    if len(by_stem) != len(lines) or set(by_stem) != {item.item_id for item in items}:
        raise ValueError(f"expected one line for each of {len(items)} frames, got {len(lines)}")
    return [_judged_line(by_stem[item.item_id], item) for item in items]


def _judged_line(line: dict[str, object], item: ToolFrameItem) -> JudgedFrame:
    """Return one line of the record beside its labels; a withheld frame found nothing."""
    height, width = load_rgb(item).shape[:2]
    truth = _truth(item, width, height)
    outcome = line["outcome"]
    if not isinstance(outcome, dict) or outcome["kind"] == "withheld":
        return JudgedFrame(item, truth, _scored(()), is_withheld=True)
    rows = [Detection.model_validate(_known(row), strict=False) for row in outcome["detections"]]
    return JudgedFrame(item, truth, _scored(rows))


def _known(row: dict[str, object]) -> dict[str, object]:
    """Return the fields of a line that a detection has; the record may say more of it."""
    return {name: row[name] for name in Detection.model_fields}


def _truth(item: ToolFrameItem, width_px: int, height_px: int) -> TrueBoxes:
    """Return the labels in pixels of the frame."""
    size = np.array([width_px, height_px, width_px, height_px], dtype=np.float64)
    return TrueBoxes(item.boxes.astype(np.float64) * size, item.classes)


def _scored(detections: Sequence[Detection]) -> ScoredBoxes:
    """Return detections as arrays."""
    return ScoredBoxes(
        np.array([one.box_xyxy_px for one in detections], dtype=np.float64).reshape(-1, 4),
        np.array([one.class_index for one in detections], dtype=np.int64),
        np.array([one.score for one in detections], dtype=np.float64),
    )


def choose_threshold(judged: Sequence[JudgedFrame]) -> OperatingPoint:
    """Return the threshold with the best F1 over all boxes; of equals the higher one.

    Args:
        judged: Results on the frames to choose on; never on the test side.
    """
    matches = [
        match_frame(one.truth, one.found, index) for one in judged for index in range(len(LABELS))
    ]
    scores = np.concatenate([match.scores for match in matches])
    hits = np.concatenate([match.hits[0] for match in matches])
    truth_count = sum(match.truth_count for match in matches)
    return max(
        (_point(scores, hits, truth_count, threshold) for threshold in THRESHOLDS),
        key=lambda point: (point.f1, point.threshold),
    )


def _point(
    scores: NDArray[np.float64], hits: NDArray[np.bool_], truth_count: int, threshold: float
) -> OperatingPoint:
    """Return precision and recall of what is shown from a threshold up."""
    shown = scores >= threshold
    right = int(hits[shown].sum())
    precision = right / max(int(shown.sum()), 1)
    recall = right / max(truth_count, 1)
    f1 = 2 * right / max(int(shown.sum()) + truth_count, 1)
    return OperatingPoint(threshold, f1, precision, recall)


def summarise(
    judged: Sequence[JudgedFrame], *, resample_count: int = 1000
) -> dict[str, ClassFigure]:
    """Return the figures of each class and their mean, resampled by run of consecutive frames."""
    return dict(
        summarise_detection(
            [(one.truth, one.found) for one in judged],
            [one.item.group for one in judged],
            LABELS,
            resample_count=resample_count,
        )
    )
