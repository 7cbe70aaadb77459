"""Our measures of tracking against those of TrackEval and motmetrics, in their own environment."""

from __future__ import annotations

import importlib.util
from typing import Final

import pytest

from simulators.tracking_cases import draw_case, frames_of, load_cases, read_mot
from trocar_lab.datasets.data_root import find_data_root
from trocar_lab.metrics.tracking import TrackingFrame, count_tracking
from trocar_lab.simulation.tool_motion import SCENARIOS, ToolScenario, render_tool_motion

ARE_THERE: Final = all(importlib.util.find_spec(name) for name in ("trackeval", "motmetrics"))
if ARE_THERE:
    from peers.measures import measures, versions

pytestmark = pytest.mark.skipif(
    not ARE_THERE, reason="needs TrackEval and motmetrics (tox -e peers)"
)

TOLERANCE: Final = 1e-6
PUBLIC: Final = "metric_oracles/mot/TUD-Campus"


def _compare(frames: list[TrackingFrame]) -> None:
    """Compare all figures of TrackEval with ours, and those of motmetrics where both mean one."""
    counts = count_tracking(frames)
    theirs = measures(frames)
    for name, expected in theirs["trackeval"].items():
        assert getattr(counts, name) == pytest.approx(expected, abs=TOLERANCE), name
    assert counts.idf1 == pytest.approx(theirs["motmetrics"]["idf1"], abs=TOLERANCE)
    # motmetrics keeps a pair over any absence of the tool: a few pairs are others.
    assert counts.mota == pytest.approx(theirs["motmetrics"]["mota"], abs=0.02)


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="statistical")
@pytest.mark.parametrize("seed", range(40))
def test_random_sequences_are_judged_alike(seed: int) -> None:
    """Switches, returns, misses and ghosts at random, with overlaps around every limit."""
    _compare(frames_of(draw_case(seed, frame_count=60, tool_count=2 + seed % 5)))


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="statistical")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda item: item.name)
def test_rendered_sequences_are_judged_alike(scenario: ToolScenario) -> None:
    """Detections of rendered tools, numbered by their class: a bad tracker with exact truth."""
    frames = [
        TrackingFrame(
            {tool.visible_number: tool.box_xyxy_px for tool in frame.truth},
            {item.class_index: item.box_xyxy_px for item in frame.detections.detections},
        )
        for frame in render_tool_motion(scenario, seed=77, frame_count=200)
    ]
    _compare(frames)


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="example")
def test_public_sequence_is_judged_alike() -> None:
    """TUD-Campus, which both packages use in their own tests."""
    root = find_data_root()
    if root is None or not (root / PUBLIC).is_dir():
        pytest.skip("no real data on this machine (TROCAR_DATA)")
    folder = root / PUBLIC
    _compare(read_mot(folder / "gt.txt", folder / "test.txt"))


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="example")
def test_stored_figures_are_those_of_these_versions() -> None:
    """The file that other environments compare with says what the peers say now."""
    stored = load_cases()
    assert stored["versions"] == versions()
    for case in stored["cases"].values():
        for peer, figures in measures(frames_of(case["frames"])).items():
            assert figures == pytest.approx(case["expected"][peer], abs=1e-12)
