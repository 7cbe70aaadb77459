"""Maps become boxes by rules that can be worked out by hand, and by others' slower ways."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from trocar.contracts.findings import ToolDetections
from trocar.contracts.limits import (
    BOX_CANDIDATE_COUNT_MAX,
    BOX_OVERLAP_MAX,
    BOX_SCORE_MIN,
    DETECTION_COUNT_MAX,
)
from trocar.units.tool_detection.postprocess import (
    decode_boxes,
    detections_of,
    find_peaks,
    overlaps,
    suppress,
)

LABELS: Final = ("grasper", "hook")
Boxes = NDArray[np.float64]
SEEDS: Final = st.integers(0, 2**32 - 1)


def _maps(*cells: tuple[int, int, int, float], reach: float = 0.05) -> NDArray[np.float32]:
    """Return maps of 8 x 12 cells with scores (class, row, column, score) and equal boxes."""
    maps = np.zeros((6, 8, 12), np.float32)
    maps[2:] = reach
    for index, row, column, score in cells:
        maps[index, row, column] = score
    return maps


def _random_boxes(seed: int, count: int) -> tuple[Boxes, NDArray[np.float32], NDArray[np.intp]]:
    """Return boxes that overlap a lot, with scores of which no two are equal, and two classes."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 40, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (count, 2))], axis=1)
    scores = rng.permutation(np.linspace(0.05, 0.95, count)).astype(np.float32)
    return boxes, scores, rng.integers(0, 2, count)


def _plain_overlap(first: list[float], second: list[float]) -> float:
    """Return the intersection over union of two boxes, as written in any textbook."""
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    both = max(0.0, wide) * max(0.0, high)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return both / (sum(areas) - both)


def _plain_suppression(
    boxes: Boxes, scores: NDArray[np.float32], classes: NDArray[np.intp]
) -> list[int]:
    """Return what greedy suppression by class leaves, one box after the other, in plain Python.

    The rule of ``torchvision.ops.batched_nms``: a box goes where its overlap with a kept box of its
    class exceeds the threshold, strictly.
    """
    kept: list[int] = []
    for place in sorted(range(len(scores)), key=lambda at: -float(scores[at])):
        is_new = all(
            classes[place] != classes[other]
            or _plain_overlap(boxes[place].tolist(), boxes[other].tolist()) <= BOX_OVERLAP_MAX
            for other in kept
        )
        if is_new:
            kept.append(place)
    return kept


@pytest.mark.verifies("SRS_TOOL_004", extent="full", technique="example")
@pytest.mark.controls("RCM_TOOL_001")
def test_box_lies_where_its_cell_and_distances_say() -> None:
    """Row 2, column 3 of 8 x 12 in a frame of 1920 x 800: each of the four edges by itself."""
    distances = np.zeros((4, 8, 12), np.float32)
    distances[:, 2, 3] = (1 / 8, 1 / 16, 1 / 4, 1 / 2)
    boxes = decode_boxes(distances, np.array([2]), np.array([3]), height_px=800, width_px=1920)
    centre_x, centre_y = 1920 * 3.5 / 12, 800 * 2.5 / 8
    expected = [centre_x - 240, centre_y - 50, centre_x + 480, centre_y + 400]
    np.testing.assert_allclose(boxes, [expected], rtol=0, atol=1e-9)


@pytest.mark.verifies("SRS_TOOL_004", extent="full", technique="property")
@given(
    distances=hnp.arrays(np.float32, (4, 4, 5), elements=st.floats(0, 1, width=32)),
    height_px=st.integers(32, 8192),
    width_px=st.integers(32, 8192),
)
def test_no_box_leaves_its_frame(
    distances: NDArray[np.float32], height_px: int, width_px: int
) -> None:
    """Whatever the model says of the edges, in a frame of any size."""
    rows, columns = (axis.ravel() for axis in np.indices((4, 5)))
    boxes = decode_boxes(distances, rows, columns, height_px=height_px, width_px=width_px)
    assert (boxes >= 0).all()
    assert (boxes[:, [0, 2]] <= width_px).all()
    assert (boxes[:, [1, 3]] <= height_px).all()
    assert (boxes[:, :2] <= boxes[:, 2:]).all()


@pytest.mark.verifies("SRS_TOOL_009", extent="partial", technique="boundary")
def test_peak_is_not_exceeded_by_any_of_its_neighbours() -> None:
    """Eight neighbours count, corners too; another class and the far side of the row do not."""
    maps = _maps(
        (0, 3, 3, 0.5),
        (0, 4, 4, 0.4),
        (1, 4, 4, 0.3),
        (0, 3, 6, 0.2),
        (0, 0, 11, 0.9),
        (0, 1, 0, 0.6),
        (0, 7, 11, 0.15),
        (1, 0, 0, 0.8),
    )
    classes, rows, columns = find_peaks(maps[:2])
    found = list(zip(classes.tolist(), rows.tolist(), columns.tolist(), strict=True))
    assert found == [(0, 0, 11), (1, 0, 0), (0, 1, 0), (0, 3, 3), (1, 4, 4), (0, 3, 6), (0, 7, 11)]


@pytest.mark.verifies("SRS_TOOL_009", extent="partial", technique="property")
@given(scores=hnp.arrays(np.float32, (2, 5, 6), elements=st.floats(0, 1, width=32)))
def test_peaks_are_those_of_the_definition(scores: NDArray[np.float32]) -> None:
    """Cell by cell, with its neighbours cut out of the map; equal neighbours are peaks both."""
    expected = set()
    for index, row, column in np.ndindex(scores.shape):
        around = scores[index, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        score = scores[index, row, column]
        if score >= np.float32(BOX_SCORE_MIN) and score == around.max():
            expected.add((index, row, column))
    classes, rows, columns = find_peaks(scores)
    found = list(zip(classes.tolist(), rows.tolist(), columns.tolist(), strict=True))
    assert set(found) == expected
    assert len(found) == len(expected)
    peaks = scores[classes, rows, columns]
    assert (np.diff(peaks) <= 0).all()


@pytest.mark.verifies("SRS_TOOL_001", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("score", "is_found"),
    [
        (np.float32(BOX_SCORE_MIN), True),
        (np.nextafter(np.float32(BOX_SCORE_MIN), np.float32(0)), False),
        (1.0, True),
    ],
)
def test_score_stands_in_the_record_from_its_floor(score: float, *, is_found: bool) -> None:
    """At the floor yes, the next number below no."""
    found = detections_of(_maps((0, 3, 3, score)), LABELS, height_px=480, width_px=854)
    assert bool(found) is is_found


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
def test_of_too_many_peaks_the_highest_are_looked_at() -> None:
    """The time for one frame stays bounded, whatever the model gives; which ones go is fixed."""
    scores = np.zeros((2, 60, 60), np.float32)
    places = scores[:, ::2, ::2]
    places[:] = np.linspace(0.9, 0.1, places.size).reshape(places.shape)
    classes, rows, columns = find_peaks(scores)
    assert len(classes) == BOX_CANDIDATE_COUNT_MAX < places.size
    np.testing.assert_array_equal(
        scores[classes, rows, columns], np.sort(places.ravel())[::-1][:BOX_CANDIDATE_COUNT_MAX]
    )


@pytest.mark.verifies("SRS_TOOL_004", extent="partial", technique="boundary")
def test_at_most_a_hundred_detections_leave_the_unit() -> None:
    """A model that marks everything fills the result up to its bound; the highest scores stay."""
    maps = np.zeros((6, 40, 40), np.float32)
    maps[0, ::2, ::2] = np.linspace(0.2, 0.8, 400).reshape(20, 20)
    maps[2:] = 0.01
    found = detections_of(maps, LABELS, height_px=480, width_px=480)
    assert len(found) == DETECTION_COUNT_MAX
    np.testing.assert_allclose(
        [item.score for item in found], np.linspace(0.2, 0.8, 400)[:-101:-1], rtol=1e-6
    )


@pytest.mark.verifies("SRS_TOOL_004", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("reach", "is_found"), [(0.0, False), (0.49 / 96, False), (0.51 / 96, True)]
)
def test_box_without_area_marks_nothing(reach: float, *, is_found: bool) -> None:
    """A side below one pixel of the frame is no place of a tool."""
    maps = _maps((1, 4, 6, 0.9))
    maps[[2, 4]] = reach
    assert bool(detections_of(maps, LABELS, height_px=64, width_px=96)) is is_found


@pytest.mark.verifies("SRS_TOOL_009", extent="full", technique="property")
@given(seed=SEEDS, count=st.integers(0, 40))
def test_suppression_agrees_with_the_plain_rule(seed: int, count: int) -> None:
    """The matrix and the loop in plain Python keep the same boxes in the same order."""
    boxes, scores, classes = _random_boxes(seed, count)
    kept = suppress(boxes, scores, classes)
    assert kept.tolist() == _plain_suppression(boxes, scores, classes)


@pytest.mark.verifies("SRS_TOOL_009", extent="partial", technique="property")
@pytest.mark.parametrize("seed", range(100))
def test_suppression_agrees_with_opencv(seed: int) -> None:
    """An implementation of other origin, in C++, keeps the same boxes in the same order."""
    boxes, scores, classes = _random_boxes(seed, 30)
    corners_and_sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(
        corners_and_sides.tolist(), scores.tolist(), classes.tolist(), 0.0, BOX_OVERLAP_MAX
    )
    assert suppress(boxes, scores, classes).tolist() == list(kept)


@pytest.mark.verifies("SRS_TOOL_009", extent="partial", technique="boundary")
@pytest.mark.parametrize(("offset", "kept_count"), [(10.0, 2), (9.999, 1), (30.0, 2)])
def test_overlap_at_the_limit_is_no_overlap(offset: float, kept_count: int) -> None:
    """Two boxes of 30 x 10, moved by 10: intersection 200, union 400, exactly one half."""
    boxes = np.array([[0, 0, 30, 10], [offset, 0, 30 + offset, 10]], dtype=np.float64)
    scores = np.array([0.9, 0.8], np.float32)
    assert len(suppress(boxes, scores, np.zeros(2, np.intp))) == kept_count
    assert len(suppress(boxes, scores, np.arange(2))) == 2


@pytest.mark.verifies("SRS_TOOL_009", extent="partial", technique="property")
@given(seed=SEEDS)
def test_suppression_twice_is_suppression_once(seed: int) -> None:
    """What remains does not overlap: nothing more goes."""
    boxes, scores, classes = _random_boxes(seed, 30)
    kept = suppress(boxes, scores, classes)
    again = suppress(boxes[kept], scores[kept], classes[kept])
    assert again.tolist() == list(range(len(kept)))


@pytest.mark.verifies("SRS_TOOL_009", extent="partial", technique="property")
@given(seed=SEEDS)
def test_order_of_the_boxes_does_not_matter(seed: int) -> None:
    """Engines may give peaks in any order; scores alone decide."""
    boxes, scores, classes = _random_boxes(seed, 30)
    mixed = np.random.default_rng(seed).permutation(30)
    there = suppress(boxes, scores, classes)
    back = mixed[suppress(boxes[mixed], scores[mixed], classes[mixed])]
    assert there.tolist() == back.tolist()


@pytest.mark.verifies("SRS_TOOL_009", extent="partial", technique="example")
def test_removed_box_removes_no_other() -> None:
    """A chain of three: the middle one goes, and with it its say about the third."""
    boxes = np.array([[0, 0, 30, 10], [8, 0, 38, 10], [16, 0, 46, 10]], dtype=np.float64)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert suppress(boxes, scores, np.zeros(3, np.intp)).tolist() == [0, 2]


@given(seed=SEEDS)
def test_overlap_is_that_of_the_textbook(seed: int) -> None:
    """One with itself, the same both ways, and the value of the plain formula."""
    boxes, _, _ = _random_boxes(seed, 12)
    found = overlaps(boxes)
    expected = [[_plain_overlap(a, b) for b in boxes.tolist()] for a in boxes.tolist()]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.verifies("SRS_TOOL_004", extent="partial", technique="property")
@given(seed=SEEDS)
def test_mirrored_maps_give_mirrored_boxes(seed: int) -> None:
    """Nothing in the decoding prefers one side: left and right swap, and nothing else changes."""
    rng = np.random.default_rng(seed)
    # Powers of two, so that mirroring is exact in floating point; no two scores are equal.
    maps = np.zeros((6, 8, 16), np.float32)
    maps[:2] = rng.permutation(np.linspace(0, 1, 256)).reshape(2, 8, 16)
    maps[2:] = rng.integers(0, 64, (4, 8, 16)) / 256
    mirrored = maps[[0, 1, 4, 3, 2, 5], :, ::-1]
    found = detections_of(maps, LABELS, height_px=256, width_px=512)
    turned = detections_of(mirrored, LABELS, height_px=256, width_px=512)
    boxes = np.array([item.box_xyxy_px for item in found])
    expected = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (512, 0, 512, 0)
    assert expected.tolist() == [list(item.box_xyxy_px) for item in turned]
    assert [(i.label, i.score) for i in found] == [(i.label, i.score) for i in turned]


@pytest.mark.verifies("SRS_TOOL_004", extent="partial", technique="property")
@given(
    maps=hnp.arrays(np.float32, (6, 6, 7), elements=st.floats(0, 1, width=32)),
    height_px=st.integers(32, 8192),
    width_px=st.integers(32, 8192),
)
def test_any_maps_make_a_valid_result(
    maps: NDArray[np.float32], height_px: int, width_px: int
) -> None:
    """The contract of the result refuses nothing that the decoding gives."""
    found = detections_of(maps, LABELS, height_px=height_px, width_px=width_px)
    result = ToolDetections(
        frame_index=0,
        detections=found,
        score_shown_min=0.5,
        frame_height_px=height_px,
        frame_width_px=width_px,
    )
    assert [item.label for item in result.detections] == [
        LABELS[item.class_index] for item in result.detections
    ]
