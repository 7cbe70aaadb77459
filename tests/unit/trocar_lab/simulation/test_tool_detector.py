"""The detector fails as it is told, and in no other way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import pytest

from trocar.contracts.findings import Detection
from trocar_lab.simulation.tool_detector import LABELS, DetectorSettings, FaultyDetector, TrueBox

SIZE_PX: Final = (640, 360)
TOOL: Final = TrueBox(1, 1, 2, (100.0, 100.0, 180.0, 160.0), 1.0)
PERFECT: Final = DetectorSettings(
    miss_probability=0.0,
    jitter=0.0,
    ghost_rate=0.0,
    flicker_probability=0.0,
    twin_probability=0.0,
)


def _look(
    settings: DetectorSettings, *truth: TrueBox, frames: int = 2000, seed: int = 0
) -> list[list[Detection]]:
    """Return what is said of the same frame again and again."""
    detector = FaultyDetector(settings, SIZE_PX, np.random.default_rng(seed))
    return [detector.look(truth) for _ in range(frames)]


def test_without_faults_it_says_the_truth() -> None:
    """One detection a tool, on its box, of its class, with a score that varies."""
    for found in _look(PERFECT, TOOL, frames=200):
        assert [(item.class_index, item.box_xyxy_px) for item in found] == [(2, TOOL.box_xyxy_px)]
        assert found[0].label == LABELS[2]


def test_hidden_tool_has_a_lower_score() -> None:
    """Half hidden costs about a quarter."""
    scores = [
        np.mean([found[0].score for found in _look(PERFECT, tool, frames=500)])
        for tool in (TOOL, replace(TOOL, visible_fraction=0.5))
    ]
    assert scores[0] - scores[1] == pytest.approx(0.275, abs=0.03)


@pytest.mark.parametrize("probability", [0.02, 0.1])
def test_misses_come_in_rows_and_half_of_them_as_doubt(probability: float) -> None:
    """A missed tool has no detection, or one below the operating point."""
    answers = _look(replace(PERFECT, miss_probability=probability), TOOL)
    shown = [bool(found) and found[0].score >= 0.5 for found in answers]
    rows = sum(not now and before for before, now in pairwise(shown))
    assert rows == pytest.approx(2000 * probability * 0.8, rel=0.4)
    missed = shown.count(False)
    assert missed / rows == pytest.approx(2.5, rel=0.3)
    doubts = sum(bool(found) and found[0].score < 0.5 for found in answers)
    assert doubts / missed == pytest.approx(0.5, abs=0.15)


def test_edges_shift_by_a_share_of_the_side() -> None:
    """The deviation is that of the settings, for each edge by its own side."""
    answers = _look(replace(PERFECT, jitter=0.05), TOOL)
    edges = np.array([found[0].box_xyxy_px for found in answers])
    assert edges.std(axis=0) == pytest.approx([4.0, 3.0, 4.0, 3.0], rel=0.1)
    assert edges.mean(axis=0) == pytest.approx(TOOL.box_xyxy_px, abs=0.5)


def test_boxes_stay_inside_the_frame_with_a_size() -> None:
    """Also at the rim, where a shift would turn a box inside out."""
    corner = replace(TOOL, box_xyxy_px=(630.0, 352.0, 640.0, 360.0))
    for found in _look(replace(PERFECT, jitter=2.0), corner):
        left, top, right, bottom = found[0].box_xyxy_px
        assert 0.0 <= left <= right - 3.99
        assert right <= 640.0
        assert 0.0 <= top <= bottom - 3.99
        assert bottom <= 360.0


def test_ghosts_stay_for_some_frames() -> None:
    """They are where no tool is, at one place for as long as they live."""
    answers = _look(replace(PERFECT, ghost_rate=0.05), frames=4000)
    ghosts = Counter(item.box_xyxy_px for found in answers for item in found)
    assert len(ghosts) == pytest.approx(200, rel=0.3)
    assert np.mean(list(ghosts.values())) == pytest.approx(2.5, rel=0.2)


def test_class_flickers_for_a_while() -> None:
    """It comes back to its own class each time."""
    answers = _look(replace(PERFECT, flicker_probability=0.05), TOOL)
    wrong = [found[0].class_index != 2 for found in answers]
    assert 0.03 < np.mean(wrong) < 0.2
    assert not wrong[-1] or not wrong[-6]


def test_twins_are_of_another_class() -> None:
    """A second box on the same tool, with no higher score."""
    answers = _look(replace(PERFECT, twin_probability=0.1), TOOL)
    twins = [found for found in answers if len(found) == 2]
    assert len(twins) == pytest.approx(200, rel=0.25)
    assert all(found[1].class_index != 2 and found[1].score <= found[0].score for found in twins)
