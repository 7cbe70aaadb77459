"""What each cell of the detector should say, and how far it is from saying it.

A box makes a Gaussian on the score map of its class, as wide as the box allows, with 1 at the cell
of its centre; the cells under it learn the box's edges, weighted by the Gaussian.

Source:
    Zhou et al. 2019, arXiv 1904.07850, Eq. 1 (penalty-reduced focal loss); Liu et al. 2020, arXiv
    1909.00700, Eq. 6 to 9 (Gaussian and regression weights); Rezatofighi et al. 2019, arXiv
    1902.09630 (generalised intersection over union).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trocar_lab.training.detection_augmentation import BoxedFrame

__all__ = ["CellTargets", "cell_centres", "cell_targets", "detection_loss", "stack_targets"]

_SPREAD: Final = 0.54
_GAUSSIAN_FLOOR: Final = 0.1
_SCORE_FOCUS: Final = 2.0
_PENALTY_FALL: Final = 4.0
_BOX_WEIGHT: Final = 3.0


@dataclass(frozen=True)
class CellTargets:
    """Targets of one frame or of a batch; arrays and tensors have the same axes.

    Attributes:
        scores: ([N,] classes, rows, columns) float32 in [0, 1]; 1 at the centre of a box.
        edges: ([N,] 4, rows, columns) float32, left, top, right, bottom as fractions.
        weights: ([N,] rows, columns) float32, weight of the box at each cell, 0 for none.
    """

    scores: Tensor
    edges: Tensor
    weights: Tensor


def cell_centres(rows: int, columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centres of the rows and of the columns as fractions of the picture."""
    return (
        (np.arange(rows, dtype=np.float32) + np.float32(0.5)) / np.float32(rows),
        (np.arange(columns, dtype=np.float32) + np.float32(0.5)) / np.float32(columns),
    )


def cell_targets(frame: BoxedFrame, *, class_count: int, rows: int, columns: int) -> CellTargets:
    """Return the targets of one frame; where boxes meet, the smaller one has the cell.

    Args:
        frame: Boxes as fractions of the picture.
        class_count: Number of classes.
        rows: Rows of cells.
        columns: Columns of cells.
    """
    scores = np.zeros((class_count, rows, columns), dtype=np.float32)
    edges = np.zeros((4, rows, columns), dtype=np.float32)
    weights = np.zeros((rows, columns), dtype=np.float32)
    areas = (frame.boxes[:, 2:] - frame.boxes[:, :2]).prod(axis=1)
    for index in np.argsort(-areas, kind="stable"):
        box = frame.boxes[index]
        bell = _bell(box, rows, columns)
        of_class = scores[frame.classes[index]]
        np.maximum(of_class, bell, out=of_class)
        under = bell > _GAUSSIAN_FLOOR
        edges[:, under] = box[:, None]
        # Eq. 9: a larger box weighs more, but not by its area.
        weights[under] = bell[under] / bell[under].sum() * np.log1p(areas[index] * rows * columns)
    return CellTargets(torch.from_numpy(scores), torch.from_numpy(edges), torch.from_numpy(weights))


def _bell(box: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Return a Gaussian of a box: 1 at the cell that holds its centre."""
    middle_row = min(int((box[1] + box[3]) / 2 * rows), rows - 1)
    middle_column = min(int((box[0] + box[2]) / 2 * columns), columns - 1)
    sigma_rows = max((_SPREAD * (box[3] - box[1]) * rows + 1) / 6, 0.4)
    sigma_columns = max((_SPREAD * (box[2] - box[0]) * columns + 1) / 6, 0.4)
    down = np.exp(-(((np.arange(rows) - middle_row) / sigma_rows) ** 2) / 2)
    right = np.exp(-(((np.arange(columns) - middle_column) / sigma_columns) ** 2) / 2)
    return np.asarray(down[:, None] * right[None, :], dtype=np.float32)


def stack_targets(targets: list[CellTargets]) -> CellTargets:
    """Return the targets of a batch."""
    return CellTargets(
        torch.stack([one.scores for one in targets]),
        torch.stack([one.edges for one in targets]),
        torch.stack([one.weights for one in targets]),
    )


def detection_loss(logits: Tensor, targets: CellTargets) -> Tensor:
    """Return focal loss of the scores plus generalised-IoU loss of the boxes.

    Args:
        logits: (N, classes + 4, rows, columns), as the network gives them.
        targets: Targets of the batch.

    Returns:
        Scalar.
    """
    class_count = targets.scores.shape[1]
    logits = logits.float()
    scores = _score_loss(logits[:, :class_count], targets.scores)
    distances = torch.sigmoid(logits[:, class_count:])
    weight = targets.weights
    rows, columns = weight.shape[1:]
    down, right = (torch.from_numpy(one) for one in cell_centres(rows, columns))
    x, y = right.view(1, 1, -1), down.view(1, -1, 1)
    found = torch.stack(
        [x - distances[:, 0], y - distances[:, 1], x + distances[:, 2], y + distances[:, 3]], dim=1
    )
    overlap = _generalised_iou(found, targets.edges)
    boxes = ((1 - overlap) * weight).sum() / weight.sum().clamp(min=1e-3)
    return scores + _BOX_WEIGHT * boxes


def _score_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the penalty-reduced focal loss a box (Eq. 1)."""
    prob = torch.sigmoid(logits)
    is_centre = target >= 1.0
    found = (1 - prob).pow(_SCORE_FOCUS) * functional.logsigmoid(logits)
    empty = (
        (1 - target).pow(_PENALTY_FALL) * prob.pow(_SCORE_FOCUS) * functional.logsigmoid(-logits)
    )
    total = torch.where(is_centre, found, empty).sum()
    return -total / is_centre.sum().clamp(min=1)


def _generalised_iou(found: Tensor, true: Tensor) -> Tensor:
    """Return (N, rows, columns) generalised intersection over union of (N, 4, ...) edges."""
    low, high = torch.maximum(found[:, :2], true[:, :2]), torch.minimum(found[:, 2:], true[:, 2:])
    both = (high - low).clamp(min=0).prod(dim=1)
    area_found = (found[:, 2:] - found[:, :2]).clamp(min=0).prod(dim=1)
    area_true = (true[:, 2:] - true[:, :2]).clamp(min=0).prod(dim=1)
    union = area_found + area_true - both
    hull_low = torch.minimum(found[:, :2], true[:, :2])
    hull_high = torch.maximum(found[:, 2:], true[:, 2:])
    hull = (hull_high - hull_low).clamp(min=0).prod(dim=1)
    small = 1e-9
    return both / (union + small) - (hull - union) / (hull + small)
