"""Cost of the unit over its bare arithmetic: resize, network, threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Benchmark, Row, interleave_ms, median_row, ratios
from benchmarks.scenes import AGE_MS_MAX, ScriptedBackend, open_shipped, pictures, session_of
from trocar.apps.endoscopy import OpenedUnit
from trocar.contracts.frame import Frame
from trocar.contracts.outcome import Withheld
from trocar.imaging.resize import RgbResizer
from trocar.units.polyp_segmentation.contract import PolypSegmentationConfig
from trocar.units.polyp_segmentation.unit import PolypSegmenter

__all__ = ["run"]

FRAME_US_MAX: Final = 5.0
RATIO_MAX: Final = 1.03
EXTRA_US_MAX: Final = 150.0
LIMIT: Final = "<= 1.03 or 150 us more"
_SIZES_PX: Final = ((512, 512), (1080, 1920), (352, 352))


def run(*, is_quick: bool) -> Benchmark:
    """Measure SRS_CONTRACT_003."""
    rows = [_frame_row(2_000 if is_quick else 20_000)]
    for thread_count in (2, 1):
        opened = open_shipped(thread_count)
        for height_px, width_px in _SIZES_PX:
            frame = _frame(pictures(height_px=height_px, width_px=width_px, count=1)[0])
            rounds = 15 if is_quick else 80
            rows += _unit_rows(opened, frame, thread_count=thread_count, rounds=rounds)
            if thread_count == 1:
                rows.append(_scripted_row(opened, frame, rounds=100 if is_quick else 500))
    return Benchmark(
        name="bench_unit",
        title="Cost of a contract",
        text=(
            "``unit.run(frame)`` against the same resize, the same session and the same threshold"
            " called one after the other, by turns on the same frame. The limit is 3 % or 150 us,"
            " whichever holds. The lines without an engine replace the network by a copy of its"
            " output: they show what the unit adds, free of the network's own spread."
        ),
        rows=rows,
    )


def _frame(pixels: NDArray[np.uint8]) -> Frame:
    """Return a frame of these pixels that is a millisecond old."""
    return Frame(pixels=pixels, frame_index=1, captured_at_ns=1, source_id="bench", media_time_ns=1)


def _frame_row(calls: int) -> Row:
    """Return the cost of constructing a frame of 1080p."""
    pixels = np.zeros((1080, 1920, 3), dtype=np.uint8)

    def many() -> None:
        for _ in range(calls // 10):
            _frame(pixels)

    times_ms = interleave_ms({"frame": many}, rounds=15)["frame"]
    per_call_us = [1e3 * took_ms / (calls // 10) for took_ms in times_ms]
    return median_row("Frame of 1920x1080 constructed", per_call_us, "us", most=FRAME_US_MAX)


def _bare(
    infer: Callable[[NDArray[Any]], NDArray[np.float32]], side_px: int, prob_threshold: float
) -> Callable[[NDArray[np.uint8]], NDArray[np.bool_]]:
    """Return the arithmetic of the unit without the unit."""
    resizer = RgbResizer(height_px=side_px, width_px=side_px)

    def segment(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        prob = infer(resizer.resize(pixels)[np.newaxis])[0, 0]
        mask: NDArray[np.bool_] = prob >= np.float32(prob_threshold)
        return mask

    return segment


def _unit_rows(opened: OpenedUnit, frame: Frame, *, thread_count: int, rounds: int) -> list[Row]:
    """Return the unit beside its bare arithmetic, with the shipped network."""
    manifest = opened.pack.manifest
    session = session_of(opened)

    def infer(batch: NDArray[Any]) -> NDArray[np.float32]:
        return session.run([manifest.output.name], {manifest.input.name: batch})[0]

    segment = _bare(infer, manifest.input.shape[1], manifest.threshold.value)
    times_ms = interleave_ms(
        {"bare": lambda: segment(frame.pixels), "unit": lambda: _answer(opened.unit, frame)},
        rounds=rounds,
        warm_up=5,
    )
    extra_us = [1e3 * (u - b) for u, b in zip(times_ms["unit"], times_ms["bare"], strict=True)]
    name = f"{frame.width_px}x{frame.height_px}, {thread_count} thread(s)"
    ratio = median_row(f"{name}: unit / bare", ratios(times_ms["unit"], times_ms["bare"]), "ratio")
    extra = median_row(f"{name}: unit - bare", extra_us, "us")
    held = [
        text
        for text, is_held in (
            ("3 %", ratio.value <= RATIO_MAX),
            ("150 us", extra.value <= EXTRA_US_MAX),
        )
        if is_held
    ]
    note = f"holds: {' and '.join(held) or 'neither'}; the unit takes {extra.value:.0f} us more"
    limited = replace(ratio, limit=LIMIT, is_met=bool(held), note=note)
    return [median_row(f"{name}: bare", times_ms["bare"], "ms"), limited, extra]


def _scripted_row(opened: OpenedUnit, frame: Frame, *, rounds: int) -> Row:
    """Return what the unit adds where the network takes no time."""
    manifest = opened.pack.manifest
    side_px = manifest.input.shape[1]
    backend = ScriptedBackend(np.full((1, 1, side_px, side_px), 0.25, dtype=np.float32))
    config = PolypSegmentationConfig.from_manifest(manifest, frame_age_ms_max=AGE_MS_MAX)
    unit = PolypSegmenter(config, backend, pack_id="scripted", pack_digest="0" * 64)
    segment = _bare(backend.infer, side_px, manifest.threshold.value)
    times_ms = interleave_ms(
        {"bare": lambda: segment(frame.pixels), "unit": lambda: _answer(unit, frame)},
        rounds=rounds,
    )
    extra_us = [1e3 * (u - b) for u, b in zip(times_ms["unit"], times_ms["bare"], strict=True)]
    what = f"{frame.width_px}x{frame.height_px}, no engine: unit - bare"
    return median_row(what, extra_us, "us", most=EXTRA_US_MAX)


def _answer(unit: PolypSegmenter, frame: Frame) -> None:
    """Run the unit once; a benchmark that measured refusals would measure nothing."""
    outcome = unit.run(frame, now_ns=2)
    if isinstance(outcome, Withheld):
        raise TypeError(f"expected a finding, got {outcome.reason}")
