"""Sequences of boxes with identities for the measures of tracking, and what peers say of them.

``verification/references/tracking_measures.json`` holds boxes and the figures that TrackEval and
motmetrics gave for them; it is written by ``python -m peers.write_references`` in the environment
``tox -e peers`` and compared there again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from trocar_lab.metrics.tracking import TrackingFrame

__all__ = ["REFERENCE", "draw_case", "frames_of", "load_cases", "read_mot"]

REFERENCE: Final = (
    Path(__file__).resolve().parents[2] / "verification" / "references" / "tracking_measures.json"
)
Box = tuple[float, float, float, float]


def draw_case(seed: int, *, frame_count: int = 30, tool_count: int = 4) -> list[dict[str, Any]]:
    """Return a sequence in which a tracker does everything wrong that it can.

    Tools come and go; boxes shift around the overlaps that count; identities change places, end
    and begin again; some boxes are missed and some are of no tool.

    Args:
        seed: Seed of all randomness.
        frame_count: Number of frames.
        tool_count: Number of tools.
    """
    draw = np.random.default_rng(seed)
    places = draw.uniform(20, 260, (tool_count, 2))
    speeds = draw.normal(0, 4, (tool_count, 2))
    numbers = list(range(10, 10 + tool_count))
    frames: list[dict[str, Any]] = []
    for _ in range(frame_count):
        places += speeds
        if draw.random() < 0.15:
            first, second = draw.choice(tool_count, 2, replace=False)
            numbers[first], numbers[second] = numbers[second], numbers[first]
        if draw.random() < 0.12:
            numbers[int(draw.integers(tool_count))] = max(numbers) + 1
        truth: dict[str, list[float]] = {}
        tracks: dict[str, list[float]] = {}
        for at in range(tool_count):
            if draw.random() < 0.85:
                truth[str(at + 1)] = _box(places[at], draw.uniform(38, 42, 2))
            if draw.random() < 0.85:
                shift = draw.normal(0, 6, 2)
                tracks[str(numbers[at])] = _box(places[at] + shift, draw.uniform(36, 46, 2))
        if draw.random() < 0.2:
            tracks["900"] = _box(draw.uniform(0, 300, 2), draw.uniform(30, 50, 2))
        frames.append({"truth": truth, "tracks": tracks})
    return frames


def _box(place: np.ndarray[Any, Any], size: np.ndarray[Any, Any]) -> list[float]:
    """Return a box with edges rounded to a tenth, so that its text holds all of it."""
    return [round(float(edge), 1) for edge in (*place, *(place + size))]


def frames_of(case: list[dict[str, Any]]) -> list[TrackingFrame]:
    """Return the frames of a case as the measures take them."""
    return [
        TrackingFrame(
            {int(key): _four(box) for key, box in frame["truth"].items()},
            {int(key): _four(box) for key, box in frame["tracks"].items()},
        )
        for frame in case
    ]


def _four(edges: list[float]) -> Box:
    """Return four edges as a box."""
    left, top, right, bottom = edges
    return left, top, right, bottom


def load_cases() -> dict[str, Any]:
    """Return what is stored: cases by name, each with boxes and the figures of the peers."""
    content: dict[str, Any] = json.loads(REFERENCE.read_text(encoding="utf-8"))
    return content


def read_mot(truth: Path, tracks: Path) -> list[TrackingFrame]:
    """Return the frames of two files in the format of MOT15: frame, id, left, top, width, height.

    Args:
        truth: The truth.
        tracks: What a tracker gave.
    """
    by_file: list[dict[int, dict[int, Box]]] = []
    for path in (truth, tracks):
        frames: dict[int, dict[int, Box]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            frame, number, left, top, width, height = (float(x) for x in line.split(",")[:6])
            box = (left, top, left + width, top + height)
            frames.setdefault(int(frame), {})[int(number)] = box
        by_file.append(frames)
    count = max(max(frames) for frames in by_file)
    return [
        TrackingFrame(by_file[0].get(at, {}), by_file[1].get(at, {})) for at in range(1, count + 1)
    ]
