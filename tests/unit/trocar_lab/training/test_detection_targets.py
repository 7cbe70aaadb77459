"""Targets say where boxes are, the loss is least where the network says the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trocar.units.tool_detection.postprocess import detections_of
from trocar_lab.training.detection_augmentation import BoxedFrame
from trocar_lab.training.detection_targets import (
    cell_centres,
    cell_targets,
    detection_loss,
    stack_targets,
)

ROWS, COLUMNS = 12, 22
BOXES = np.array([[0.1, 0.2, 0.35, 0.6], [0.6, 0.5, 0.9, 0.95]], dtype=np.float32)
CLASSES = np.array([2, 0])


def _frame(boxes: np.ndarray = BOXES, classes: np.ndarray = CLASSES) -> BoxedFrame:
    """Return a frame with boxes and no picture to speak of."""
    return BoxedFrame(np.zeros((4, 4, 3), np.uint8), boxes, classes.astype(np.int64))


def _perfect_logits(frame: BoxedFrame) -> torch.Tensor:
    """Return logits that say what the targets say."""
    targets = cell_targets(frame, class_count=3, rows=ROWS, columns=COLUMNS)
    down, right = cell_centres(ROWS, COLUMNS)
    x, y = torch.from_numpy(right)[None, :], torch.from_numpy(down)[:, None]
    edges = targets.edges
    distances = torch.stack([x - edges[0], y - edges[1], edges[2] - x, edges[3] - y])
    scores = torch.where(targets.scores >= 1, 0.999, targets.scores * 0.01)
    return torch.logit(torch.cat([scores, distances]).clamp(1e-4, 1 - 1e-4))[None]


def test_the_device_reads_the_targets_back_as_the_boxes() -> None:
    """Training and device must mean the same by a cell, its centre and its distances."""
    cells = torch.sigmoid(_perfect_logits(_frame()))[0].numpy()
    found = detections_of(cells, ("a", "b", "c"), height_px=1000, width_px=2000)
    sure = [one for one in found if one.score > 0.5]
    assert {one.label for one in sure} == {"a", "c"}
    for one in sure:
        true = BOXES[0 if one.label == "c" else 1] * [2000, 1000, 2000, 1000]
        np.testing.assert_allclose(one.box_xyxy_px, true, atol=0.6)


def test_each_box_has_one_centre_in_the_map_of_its_class() -> None:
    """The centre counts as found, all other cells as more or less empty."""
    targets = cell_targets(_frame(), class_count=3, rows=ROWS, columns=COLUMNS)
    assert (targets.scores == 1).sum(dim=(1, 2)).tolist() == [1, 0, 1]
    assert targets.scores[2, int(0.4 * ROWS), int(0.225 * COLUMNS)] == 1


def test_where_boxes_meet_the_smaller_one_has_the_cell() -> None:
    """A small tip in front of a large tool would else never learn its edges."""
    small = np.array([[0.4, 0.4, 0.6, 0.6], [0.1, 0.1, 0.9, 0.9]], dtype=np.float32)
    targets = cell_targets(_frame(small), class_count=3, rows=ROWS, columns=COLUMNS)
    np.testing.assert_allclose(targets.edges[:, 6, 11], small[0])


def test_a_box_at_the_corner_keeps_its_centre_inside() -> None:
    """A centre on the last edge belongs to the last cell, not to one outside."""
    corner = np.array([[0.999, 0.999, 1.0, 1.0]], dtype=np.float32)
    targets = cell_targets(_frame(corner, np.array([1])), class_count=3, rows=4, columns=4)
    assert targets.scores[1, 3, 3] == 1


@pytest.mark.parametrize("fault", ["missed", "false", "moved"])
def test_every_fault_costs(fault: str) -> None:
    """A missed tool, a false one and a wrong box each raise the loss."""
    targets = stack_targets([cell_targets(_frame(), class_count=3, rows=ROWS, columns=COLUMNS)])
    logits = _perfect_logits(_frame())
    right = float(detection_loss(logits, targets))
    wrong = logits.clone()
    if fault == "missed":
        wrong[:, 2] = -6.0
    elif fault == "false":
        wrong[:, 1, 2, 2] = 6.0
    else:
        wrong[:, 3] += 1.0
    assert float(detection_loss(wrong, targets)) > right + 0.05


def test_empty_frames_have_a_finite_loss() -> None:
    """A batch without a tool must not divide by zero."""
    none = _frame(np.zeros((0, 4), np.float32), np.zeros(0))
    targets = stack_targets([cell_targets(none, class_count=3, rows=ROWS, columns=COLUMNS)])
    loss = detection_loss(torch.zeros(1, 7, ROWS, COLUMNS), targets)
    assert torch.isfinite(loss)
    assert float(loss) > 0
