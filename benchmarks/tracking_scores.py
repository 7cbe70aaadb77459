"""HOTA and its kin of Trocar's tracker and its peers on rendered sequences.

``python -m benchmarks.tracking_scores --write`` runs all of them and writes the figures of the
peers to ``verification/references/peer_trackers.json``, with which a test compares Trocar's own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.peer_trackers import PEERS, Tracker, make_own, make_peer, peer_versions
from trocar_lab.metrics.tracking import TrackingCounts, TrackingFrame, count_tracking, pool
from trocar_lab.simulation.tool_motion import SCENARIOS, ToolFrame, render_tool_motion

__all__ = ["OWN", "REFERENCE", "REPORT_SEEDS", "figures", "score", "sequences"]

OWN: Final = "Trocar"
"""Name of our own tracker among the rows."""

REPORT_SEEDS: Final = range(1000, 1010)
"""Seeds of the report; no value of the tracker was chosen on them."""

REFERENCE: Final = (
    Path(__file__).resolve().parents[1] / "verification" / "references" / "peer_trackers.json"
)
"""Where the figures of the peers stand."""

Sequences = Mapping[str, Sequence[Sequence[ToolFrame]]]


def sequences(seeds: Iterable[int]) -> dict[str, list[tuple[ToolFrame, ...]]]:
    """Return the sequences of each scenario."""
    chosen = list(seeds)
    return {
        scenario.name: [render_tool_motion(scenario, seed=seed) for seed in chosen]
        for scenario in SCENARIOS
    }


def score(
    make: Callable[[], Tracker], by_scenario: Sequences, *, is_by_instrument: bool = False
) -> dict[str, TrackingCounts]:
    """Return the counts of each scenario, and of all together under ``all``.

    Args:
        make: Makes a fresh tracker for each sequence.
        by_scenario: The sequences.
        is_by_instrument: Whether an instrument that comes back has its old identity in the truth;
            else each stay in view has one of its own.
    """
    counts = {
        name: pool([_count(make(), frames, is_by_instrument) for frames in group])
        for name, group in by_scenario.items()
    }
    return {**counts, "all": pool(list(counts.values()))}


def figures(counts: TrackingCounts) -> dict[str, float]:
    """Return what is reported, as fractions and counts."""
    return {
        "HOTA": round(counts.hota, 5),
        "DetA": round(counts.deta, 5),
        "AssA": round(counts.assa, 5),
        "IDF1": round(counts.idf1, 5),
        "MOTA": round(counts.mota, 5),
        "IDs": counts.switches,
        "FP": counts.false_positives,
        "FN": counts.false_negatives,
    }


def _count(
    tracker: Tracker,
    frames: Sequence[ToolFrame],
    is_by_instrument: bool,  # noqa: FBT001 - the one caller names it
) -> TrackingCounts:
    """Return the counts of one sequence."""
    judged = []
    for frame in frames:
        answer = tracker.update(tracker.prepare(frame.detections, frame.captured_at_ns))
        truth = {
            tool.tool_number if is_by_instrument else tool.visible_number: tool.box_xyxy_px
            for tool in frame.truth
        }
        judged.append(TrackingFrame(truth, tracker.seen(answer)))
    return count_tracking(judged)


def _peer_arms() -> dict[str, Callable[[], Tracker]]:
    """Return each peer in each way of feeding it."""
    arms: dict[str, Callable[[], Tracker]] = {}
    for name, is_shown_only, has_time in itertools.product(PEERS, (False, True), (False, True)):
        if name == "norfair" and has_time:
            continue
        feed = "shown detections" if is_shown_only else "all detections"
        text = f"{name}, {feed}{', with times' if has_time else ''}"
        arms[text] = partial(make_peer, name, is_shown_only=is_shown_only, has_time=has_time)
    return arms


def _row(make: Callable[[], Tracker], by_scenario: Sequences) -> dict[str, Any]:
    """Return the figures of one tracker."""
    counts = score(make, by_scenario)
    by_instrument = score(make, by_scenario, is_by_instrument=True)["all"]
    return {
        "all": figures(counts["all"]),
        "HOTA by scenario": {key: round(item.hota, 4) for key, item in counts.items()},
        "HOTA by instrument": round(by_instrument.hota, 5),
    }


def _write(rows: Mapping[str, Any]) -> None:
    """Put rows into the file, in place of older ones of the same name."""
    before = json.loads(REFERENCE.read_text(encoding="utf-8")) if REFERENCE.is_file() else {}
    content = {
        "what": "HOTA and its kin of trackers at their default settings, on the rendered sequences"
        " of trocar_lab.simulation.tool_motion with the seeds of the report",
        "command": "python -m benchmarks.tracking_scores --write",
        "seeds": [REPORT_SEEDS[0], REPORT_SEEDS[-1]],
        "versions": {"numpy": np.__version__, **peer_versions()},
        "rows": {**before.get("rows", {}), **rows},
    }
    REFERENCE.parent.mkdir(exist_ok=True)
    REFERENCE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Run the trackers that are asked for, print their figures, and write them where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking_scores")
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginnings of names; else all")
    parser.add_argument("--write", action="store_true", help=f"write into {REFERENCE.name}")
    options = parser.parse_args()
    by_scenario = sequences(REPORT_SEEDS)
    for name, make in {OWN: make_own, **_peer_arms()}.items():
        if options.names and not name.startswith(tuple(options.names)):
            continue
        row = _row(make, by_scenario)
        print(f"{name:38} {row['all']} by instrument {row['HOTA by instrument']}", flush=True)
        if options.write:
            _write({name: row})
    return 0


if __name__ == "__main__":
    sys.exit(main())
