"""Average precision agrees with pycocotools on random cases, and with counting by hand."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from trocar_lab.metrics.average_precision import (
    IOU_LIMITS,
    FrameMatch,
    ScoredBoxes,
    TrueBoxes,
    average_precision,
    box_iou,
    match_frame,
    summarise_detection,
)

LABELS = ("one", "two", "three")
Frame = tuple[TrueBoxes, ScoredBoxes]


def _frames(seed: int, count: int) -> list[Frame]:
    """Draw frames with shifted, repeated and false detections, and equal scores."""
    generator = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        truth_count = int(generator.integers(0, 4))
        low = generator.uniform(0, 60, (truth_count, 2))
        true = np.hstack([low, low + generator.uniform(5, 40, (truth_count, 2))])
        true_classes = generator.integers(0, 3, truth_count)
        copies = np.repeat(true, 2, axis=0) + generator.normal(0, 3, (2 * truth_count, 4))
        wild_low = generator.uniform(0, 60, (3, 2))
        wild = np.hstack([wild_low, wild_low + generator.uniform(5, 40, (3, 2))])
        boxes = np.vstack([copies, wild])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 0.5)
        classes = np.concatenate([np.repeat(true_classes, 2), generator.integers(0, 3, 3)])
        scores = np.round(generator.random(len(boxes)), 1)
        frames.append((
            TrueBoxes(true, true_classes.astype(np.int64)),
            ScoredBoxes(boxes, classes.astype(np.int64), scores),
        ))
    return frames


def _as_coco(boxes: np.ndarray) -> list[list[float]]:
    """Return corner, width and height."""
    corners: list[list[float]] = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()
    return corners


def _coco_table(frames: list[Frame]) -> np.ndarray:
    """Return (limits, classes) average precision by pycocotools; NaN where a class has no box."""
    truth = [
        {"image_id": i, "category_id": int(c), "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
        for i, (true, _) in enumerate(frames)
        for b, c in zip(_as_coco(true.boxes.reshape(-1, 4)), true.classes, strict=True)
    ]
    found = [
        {"image_id": i, "category_id": int(c), "bbox": b, "score": float(s)}
        for i, (_, one) in enumerate(frames)
        for b, c, s in zip(_as_coco(one.boxes), one.classes, one.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(len(frames))],
            "annotations": [{"id": number, **one} for number, one in enumerate(truth, start=1)],
            "categories": [{"id": index, "name": name} for index, name in enumerate(LABELS)],
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 2]
    return np.where(precision.min(axis=1) < 0, np.nan, precision.mean(axis=1))


def _table(frames: list[Frame]) -> np.ndarray:
    """Return the same table by the code under test."""
    return np.stack(
        [
            average_precision([match_frame(true, one, index) for true, one in frames])
            for index in range(len(LABELS))
        ],
        axis=1,
    )


@pytest.mark.verifies("SRS_TOOL_022", extent="full", technique="requirement")
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 25))
def test_every_limit_and_class_agrees_with_pycocotools(seed: int, count: int) -> None:
    """The reference implementation of the definition, on cases with ties, repeats and misses."""
    frames = _frames(seed, count)
    np.testing.assert_allclose(_table(frames), _coco_table(frames), atol=1e-9)


def test_more_than_a_hundred_detections_agree_with_pycocotools() -> None:
    """COCO looks at the best hundred of a class in a frame; a flood must not gain recall."""
    generator = np.random.default_rng(5)
    low = generator.uniform(0, 60, (150, 2))
    boxes = np.hstack([low, low + 20])
    scores = np.linspace(1, 0.5, 150)
    zeros = np.zeros(150, dtype=np.int64)
    frames = [(TrueBoxes(boxes, zeros), ScoredBoxes(boxes, zeros, scores))]
    np.testing.assert_allclose(_table(frames)[:, 0], _coco_table(frames)[:, 0], atol=1e-9)
    assert _table(frames)[0, 0] == pytest.approx(67 / 101)


def test_a_worked_example() -> None:
    """Two boxes; a hit, a false alarm, a hit: precision 1 up to recall 1/2, then 2/3."""
    hits = np.zeros((len(IOU_LIMITS), 3), dtype=bool)
    hits[:, [0, 2]] = True
    match = FrameMatch(np.array([0.9, 0.8, 0.7]), hits, 2)
    assert average_precision([match])[0] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_a_class_without_boxes_has_no_figure() -> None:
    """A zero would pull the mean down for a tool that was never there."""
    empty = FrameMatch(np.array([0.9]), np.zeros((len(IOU_LIMITS), 1), dtype=bool), 0)
    assert np.isnan(average_precision([empty])).all()


def test_nothing_found_scores_zero() -> None:
    """A detector that is silent must not be left out of the figure."""
    silent = FrameMatch(np.zeros(0), np.zeros((len(IOU_LIMITS), 0), dtype=bool), 3)
    assert (average_precision([silent]) == 0).all()


def test_overlap_of_boxes_by_hand() -> None:
    """A quarter of each is shared: 1 / 7; boxes apart and empty boxes share nothing."""
    first = np.array([[0.0, 0.0, 2.0, 2.0], [3.0, 3.0, 3.0, 3.0]])
    second = np.array([[1.0, 1.0, 3.0, 3.0], [5.0, 5.0, 6.0, 6.0], [3.0, 3.0, 3.0, 3.0]])
    assert box_iou(first, second)[0].tolist() == pytest.approx([1 / 7, 0.0, 0.0])
    assert box_iou(first, second)[1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.verifies("SRS_TOOL_023", extent="full", technique="requirement")
def test_interval_resamples_groups_and_not_frames() -> None:
    """Ten copies of a frame are one observation: the interval must not shrink for them."""
    frames = _frames(3, 12)
    groups = [str(index) for index in range(12)]
    alone = summarise_detection(frames, groups, LABELS, resample_count=200)["mean"]
    copied = summarise_detection(
        [frame for frame in frames for _ in range(10)],
        [group for group in groups for _ in range(10)],
        LABELS,
        resample_count=200,
    )["mean"]
    width, copied_width = (one.ap50_interval[1] - one.ap50_interval[0] for one in (alone, copied))
    assert copied.group_count == alone.group_count == 12
    assert copied_width > 0.7 * width
    assert alone.ap50_interval[0] <= alone.ap50 <= alone.ap50_interval[1]
    assert alone.ap50_95 < alone.ap50


def test_summary_leaves_out_classes_that_never_occur() -> None:
    """The mean is over the classes with boxes, as COCO takes it."""
    frames = _frames(8, 30)
    figures = summarise_detection(
        frames, ["a"] * 15 + ["b"] * 15, (*LABELS, "absent"), resample_count=20
    )
    assert set(figures) == {*LABELS, "mean"}
    assert figures["mean"].ap50 == pytest.approx(np.mean([figures[one].ap50 for one in LABELS]))
    assert figures["mean"].box_count == sum(figures[one].box_count for one in LABELS)


@pytest.mark.parametrize("group_count", [0, 2])
def test_frames_without_their_group_are_refused(group_count: int) -> None:
    """Zipped to the shorter list, frames would silently be left out."""
    with pytest.raises(ValueError, match="one group a frame"):
        summarise_detection(_frames(1, 3), ["a"] * group_count, LABELS)
