"""Measures of tracking: small cases by hand, stored figures of the reference tools, public data."""

from __future__ import annotations

import json
from typing import Final

import pytest

from simulators.tracking_cases import frames_of, load_cases, read_mot
from trocar_lab.datasets.data_root import find_data_root
from trocar_lab.metrics.tracking import TrackingFrame, count_tracking, pool

A: Final = (0.0, 0.0, 10.0, 10.0)
B: Final = (100.0, 0.0, 110.0, 10.0)
HALF_OFF: Final = (5.0, 0.0, 15.0, 10.0)
AT_LIMIT: Final = (0.0, 0.0, 10.0, 20.0)
BELOW_LIMIT: Final = (0.0, 0.0, 10.0, 20.1)
PUBLIC: Final = "metric_oracles/mot/TUD-Campus"


def test_perfect_tracks_score_one() -> None:
    """Every box, under one number each."""
    counts = count_tracking([TrackingFrame({1: A, 2: B}, {7: B, 8: A})] * 5)
    assert (counts.mota, counts.motp, counts.idf1) == (1.0, 1.0, 1.0)
    assert (counts.hota, counts.deta, counts.assa, counts.loca) == (1.0, 1.0, 1.0, 1.0)
    assert (counts.switches, counts.false_positives, counts.false_negatives) == (0, 0, 0)
    assert (counts.mostly_tracked, counts.partly_tracked, counts.mostly_lost) == (2, 0, 0)


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="example")
def test_one_switch_costs_half_of_the_association() -> None:
    """Four frames, the number changes in the middle: each figure by hand."""
    counts = count_tracking(
        [TrackingFrame({1: A}, {7: A})] * 2 + [TrackingFrame({1: A}, {8: A})] * 2
    )
    assert (counts.switches, counts.fragmentations) == (1, 0)
    assert counts.mota == pytest.approx(1 - 1 / 4)
    assert counts.idf1 == pytest.approx(2 * 2 / (4 + 4))
    # Each match: TPA 2, FNA 2, FPA 0.
    assert counts.assa == pytest.approx(2 / 4)
    assert counts.hota == pytest.approx((1.0 * 2 / 4) ** 0.5)


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="example")
def test_missed_frame_breaks_a_tool_in_two_fragments() -> None:
    """Found, not found beside another tool that is, found again under its number."""
    frames = [
        TrackingFrame({1: A, 2: B}, {7: A, 8: B}),
        TrackingFrame({1: A, 2: B}, {8: B}),
        TrackingFrame({1: A, 2: B}, {7: A, 8: B}),
    ]
    counts = count_tracking(frames)
    assert (counts.fragmentations, counts.switches, counts.false_negatives) == (1, 0, 1)
    assert (counts.mostly_tracked, counts.partly_tracked) == (1, 1)


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="boundary")
@pytest.mark.parametrize(("box", "matches"), [(AT_LIMIT, 1), (BELOW_LIMIT, 0), (HALF_OFF, 0)])
def test_pair_matches_at_half_an_overlap(
    box: tuple[float, float, float, float], matches: int
) -> None:
    """An overlap of exactly 0.5 counts, one just below is a miss and a ghost."""
    counts = count_tracking([TrackingFrame({1: A}, {7: box})])
    assert (counts.matches, counts.identity_matches) == (matches, matches)
    assert counts.false_positives == counts.false_negatives == 1 - matches
    assert counts.mota == 1.0 - 2.0 * (1 - matches)


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="requirement")
def test_pair_that_goes_on_is_kept() -> None:
    """A nearer track does not take over while the old one still overlaps enough."""
    shifted = (2.0, 0.0, 12.0, 10.0)
    frames = [TrackingFrame({1: A}, {7: A}), TrackingFrame({1: A}, {7: shifted, 8: A})]
    counts = count_tracking(frames)
    assert (counts.switches, counts.false_positives) == (0, 1)
    assert counts.motp == pytest.approx((1.0 + 8 / 12) / 2)


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("truth", "tracks", "expected"),
    [
        ({}, {}, (0, 0, 1.0)),
        ({}, {7: A}, (1, 0, 0.0)),
        ({1: A}, {}, (0, 1, 0.0)),
    ],
)
def test_sides_without_boxes(
    truth: dict[int, tuple[float, float, float, float]],
    tracks: dict[int, tuple[float, float, float, float]],
    expected: tuple[int, int, float],
) -> None:
    """Nothing divides by nothing."""
    counts = count_tracking([TrackingFrame(truth, tracks)])
    assert (counts.false_positives, counts.false_negatives, counts.mota) == expected
    assert (counts.hota, counts.idf1, counts.motp) == (0.0, 0.0, 0.0)


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("found", "kind"),
    [(2, "partly_tracked"), (1, "mostly_lost"), (8, "partly_tracked"), (9, "mostly_tracked")],
)
def test_tools_by_the_share_of_frames_in_which_they_are_found(found: int, kind: str) -> None:
    """0.8 and 0.2 themselves are in between."""
    frames = [
        TrackingFrame({1: A, 2: B}, {7: A, 8: B} if at < found else {8: B}) for at in range(10)
    ]
    counts = count_tracking(frames)
    kinds = {
        name: getattr(counts, name) for name in ("mostly_tracked", "partly_tracked", "mostly_lost")
    }
    # The other tool is found in each frame.
    kinds["mostly_tracked"] -= 1
    assert kinds == {name: int(name == kind) for name in kinds}


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="requirement")
def test_pooled_counts_are_sums() -> None:
    """A long sequence weighs more than a short one."""
    good = count_tracking([TrackingFrame({1: A}, {7: A})] * 9)
    bad = count_tracking([TrackingFrame({1: A}, {7: B})])
    both = pool([good, bad])
    assert both.mota == pytest.approx(1 - 2 / 10)
    assert both.deta == pytest.approx(9 / 11)
    assert both.assa == pytest.approx(1.0)
    assert pool([good]).hota == good.hota


@pytest.mark.verifies("SRS_TRACK_015", extent="full", technique="example")
@pytest.mark.parametrize("name", list(load_cases()["cases"]))
def test_figures_are_those_of_trackeval(name: str) -> None:
    """Stored boxes with switches, ghosts and returns, judged by TrackEval 1.3.0 elsewhere."""
    case = load_cases()["cases"][name]
    counts = count_tracking(frames_of(case["frames"]))
    for figure, expected in case["expected"]["trackeval"].items():
        assert getattr(counts, figure) == pytest.approx(expected, abs=1e-6), figure
    assert counts.idf1 == pytest.approx(case["expected"]["motmetrics"]["idf1"], abs=1e-6)


@pytest.mark.verifies("SRS_TRACK_015", extent="partial", technique="example")
def test_public_sequence_gives_its_published_figures() -> None:
    """TUD-Campus: the figures that the MOTChallenge development kit and motmetrics publish."""
    root = find_data_root()
    if root is None or not (root / PUBLIC).is_dir():
        pytest.skip("no real data on this machine (TROCAR_DATA)")
    folder = root / PUBLIC
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["expected"]
    counts = count_tracking(read_mot(folder / "gt.txt", folder / "test.txt"))
    assert round(100 * counts.idf1, 1) == expected["IDF1"]
    assert round(100 * counts.mota, 1) == expected["MOTA"]
    assert round(1 - counts.motp, 3) == expected["MOTP_distance"]
    found = {
        "FP": counts.false_positives,
        "FN": counts.false_negatives,
        "IDs": counts.switches,
        "FM": counts.fragmentations,
        "MT": counts.mostly_tracked,
        "PT": counts.partly_tracked,
        "ML": counts.mostly_lost,
    }
    assert found == {name: expected[name] for name in found}
