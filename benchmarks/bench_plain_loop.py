"""Trocar against the loop that one would write without it: OpenCV, ONNX Runtime, a JSON line."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks.measure import Benchmark, Row, interleave_ms, median_row, ratios
from benchmarks.scenes import Session, make_clip, never, open_shipped, session_of
from trocar.apps.opening import OpenedUnit
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig
from trocar.streaming.video_file import VideoFileSource

__all__ = ["play", "run"]

THROUGHPUT_RATIO_MIN: Final = 0.97
_THREAD_COUNT: Final = 2
_CLIP_FRAME_COUNT: Final = 30
_SIDE_PX: Final = 256
"""Side of the shipped network's input."""


def run(*, is_quick: bool) -> Benchmark:
    """Measure the throughput of whole files."""
    opened = open_shipped(_THREAD_COUNT)
    same = session_of(opened)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "480.mp4", folder / "1080.mp4"
        make_clip(large, height_px=1080, width_px=1920, count=_CLIP_FRAME_COUNT)
        make_clip(small, height_px=480, width_px=480, count=_CLIP_FRAME_COUNT)
        clips = [("480x480", small), ("1920x1080", large)]
        for title, clip in clips:
            rows += _clip_rows(title, clip, folder, opened, same, rounds=2 if is_quick else 10)
    return Benchmark(
        name="bench_plain_loop",
        title="Trocar against a plain loop",
        text=(
            f"Files of the demo clip's first {_CLIP_FRAME_COUNT} frames at two sizes, as fast as"
            " possible: ``VideoFileSource``, unit and JSON record against ``cv2.VideoCapture``,"
            " ``cv2.resize``, ``session.run``, a threshold and a line of JSON, by turns, 2 threads."
            " Both plain loops use the unit's own session. INTER_LINEAR reads four pixels of the"
            " frame for each pixel of the network's input and aliases; the model was trained on"
            " area means, so that this loop is faster by doing something else."
        ),
        rows=rows,
    )


def play(clip: Path, opened: OpenedUnit, record: Path) -> int:
    """Run Trocar over a file and return the number of findings."""
    summary = run_stream(
        VideoFileSource(clip, pacing=Pacing.AS_FAST_AS_POSSIBLE, clock=MonotonicClock()),
        [opened.unit],
        [JsonlSink(record, replace=True)],
        clock=MonotonicClock(),
        config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
        stop=never,
    )
    return summary.finding_count


def _clip_rows(
    title: str,
    clip: Path,
    folder: Path,
    opened: OpenedUnit,
    session: Session,
    *,
    rounds: int,
) -> list[Row]:
    """Return the lines of one clip."""
    threshold = np.float32(opened.pack.manifest.threshold.value)

    def plain(interpolation: int) -> Callable[[], object]:
        return lambda: _plain_loop(clip, session, interpolation, threshold, folder / "plain.jsonl")

    times_ms = interleave_ms(
        {
            "trocar": lambda: play(clip, opened, folder / "record.jsonl"),
            "area": plain(cv2.INTER_AREA),
            "linear": plain(cv2.INTER_LINEAR),
        },
        rounds=rounds,
        warm_up=1,
    )
    count = play(clip, opened, folder / "record.jsonl")
    rows = [
        median_row(f"{title}: {name}", [1e3 * count / t for t in times_ms[arm]], "frame/s")
        for arm, name in (
            ("trocar", "Trocar"),
            ("area", "plain, INTER_AREA"),
            ("linear", "plain, INTER_LINEAR"),
        )
    ]
    for arm, name in (
        ("area", "INTER_AREA"),
        ("linear", "INTER_LINEAR"),
    ):
        values = ratios(times_ms[arm], times_ms["trocar"])
        what = f"{title}: Trocar / plain, {name}"
        rows.append(median_row(what, values, "ratio", least=THROUGHPUT_RATIO_MIN))
    return rows


def _plain_loop(
    clip: Path, session: Session, interpolation: int, threshold: np.float32, record: Path
) -> None:
    """Segment a file as a short script would."""
    capture = cv2.VideoCapture(str(clip))
    index = 0
    with record.open("w", encoding="utf-8") as stream:
        while True:
            is_read, bgr = capture.read()
            if not is_read:
                break
            small = cv2.resize(bgr, (_SIDE_PX, _SIDE_PX), interpolation=interpolation)
            rgb = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
            prob = session.run(["prob"], {"frame": rgb[np.newaxis]})[0][0, 0]
            mask = prob >= threshold
            line = {"frame": index, "area": float(mask.mean()), "prob_max": float(prob.max())}
            stream.write(json.dumps(line) + "\n")
            index += 1
    capture.release()
