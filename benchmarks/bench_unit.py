"""Cost of each unit over its bare arithmetic: resize and network."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Benchmark, Row, interleave_ms, median_row, ratios
from benchmarks.scenes import (
    AGE_MS_MAX,
    ScriptedBackend,
    open_shipped,
    open_tools,
    pictures,
    session_of,
)
from trocar.apps.opening import OpenedUnit
from trocar.contracts.frame import Frame
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.outcome import Withheld
from trocar.contracts.ports import Unit
from trocar.imaging.resize import RgbResizer
from trocar.units.polyp_segmentation.contract import PolypSegmentationConfig
from trocar.units.polyp_segmentation.unit import PolypSegmenter
from trocar.units.tool_detection.contract import ToolDetectionConfig
from trocar.units.tool_detection.unit import ToolDetector

__all__ = ["run"]

FRAME_US_MAX: Final = 5.0
RATIO_MAX: Final = 1.03
EXTRA_US_MAX: Final = 150.0
LIMIT: Final = "<= 1.03 or 150 us more"
_SIZES_PX: Final = ((512, 512), (1080, 1920), (352, 352))
_Infer = Callable[[NDArray[Any]], NDArray[np.float32]]
_Finish = Callable[[NDArray[np.float32]], object]


def run(*, is_quick: bool) -> Benchmark:
    """Measure SRS_CONTRACT_003."""
    rows = [_frame_row(2_000 if is_quick else 20_000)]
    for thread_count in (2, 1):
        polyp, tools = open_shipped(thread_count), open_tools(thread_count)
        for height_px, width_px in _SIZES_PX:
            frame = _frame(pictures(height_px=height_px, width_px=width_px, count=1)[0])
            rounds = 15 if is_quick else 80
            rows += _unit_rows(
                "polyp", polyp, _cut(polyp), frame, thread_count=thread_count, rounds=rounds
            )
            rows += _unit_rows(
                "tools", tools, _as_is, frame, thread_count=thread_count, rounds=rounds
            )
            if thread_count == 1:
                rounds = 100 if is_quick else 500
                rows.append(_scripted_polyp_row(polyp, frame, rounds=rounds))
                rows.append(_scripted_tools_row(tools, frame, rounds=rounds))
    return Benchmark(
        name="bench_unit",
        title="Cost of a contract",
        text=(
            "``unit.run(frame)`` against the same resize and the same session called one after the"
            " other, by turns on the same frame; for polyps the threshold stands on both sides, for"
            " tools the decoding of boxes is the unit's own. The limit is 3 % or 150 us, whichever"
            " holds. The lines without an engine replace the network by a copy of one output: they"
            " show what the unit adds, free of the network's own spread. For tools this output is"
            " that of the pack's reference case."
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
    infer: _Infer, manifest: ModelManifest, finish: _Finish
) -> Callable[[NDArray[np.uint8]], object]:
    """Return the arithmetic of a unit without the unit."""
    _, height_px, width_px, _ = manifest.input.shape
    resizer = RgbResizer(height_px=height_px, width_px=width_px)
    return lambda pixels: finish(infer(resizer.resize(pixels)[np.newaxis]))


def _cut(opened: OpenedUnit) -> _Finish:
    """Return the cut at the pack's threshold."""
    prob_min = np.float32(opened.pack.manifest.threshold.value)
    return lambda output: output[0, 0] >= prob_min


def _as_is(output: NDArray[np.float32]) -> object:
    """Return the output itself."""
    return output


def _unit_rows(
    what: str,
    opened: OpenedUnit,
    finish: _Finish,
    frame: Frame,
    *,
    thread_count: int,
    rounds: int,
) -> list[Row]:
    """Return a unit beside its bare arithmetic, with its shipped network."""
    manifest = opened.pack.manifest
    session = session_of(opened)

    def infer(batch: NDArray[Any]) -> NDArray[np.float32]:
        return session.run([manifest.output.name], {manifest.input.name: batch})[0]

    bare = _bare(infer, manifest, finish)
    times_ms = interleave_ms(
        {"bare": lambda: bare(frame.pixels), "unit": lambda: _answer(opened.unit, frame)},
        rounds=rounds,
        warm_up=5,
    )
    extra_us = [1e3 * (u - b) for u, b in zip(times_ms["unit"], times_ms["bare"], strict=True)]
    name = f"{what}, {frame.width_px}x{frame.height_px}, {thread_count} thread(s)"
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


def _scripted_polyp_row(opened: OpenedUnit, frame: Frame, *, rounds: int) -> Row:
    """Return what polyp segmentation adds where the network takes no time."""
    manifest = opened.pack.manifest
    backend = ScriptedBackend(np.full(manifest.output.shape, 0.25, dtype=np.float32))
    config = PolypSegmentationConfig.from_manifest(manifest, frame_age_ms_max=AGE_MS_MAX)
    unit = PolypSegmenter(config, backend, pack_id="scripted", pack_digest="0" * 64)
    return _scripted_row("polyp", unit, _bare(backend.infer, manifest, _cut(opened)), frame, rounds)


def _scripted_tools_row(opened: OpenedUnit, frame: Frame, *, rounds: int) -> Row:
    """Return what tool detection adds where the network takes no time."""
    manifest = opened.pack.manifest
    stored = opened.pack.content[manifest.reference_output]
    backend = ScriptedBackend(np.load(io.BytesIO(stored), allow_pickle=False))
    config = ToolDetectionConfig.from_manifest(manifest, frame_age_ms_max=AGE_MS_MAX)
    unit = ToolDetector(config, backend, pack_id="scripted", pack_digest="0" * 64)
    found = unit.run(frame, now_ns=2)
    count = 0 if isinstance(found, Withheld) else len(found.detections)
    bare = _bare(backend.infer, manifest, _as_is)
    row = _scripted_row("tools", unit, bare, frame, rounds)
    return replace(row, note=f"{count} detections")


def _scripted_row(
    what: str,
    unit: Unit,
    bare: Callable[[NDArray[np.uint8]], object],
    frame: Frame,
    rounds: int,
) -> Row:
    """Return what a unit adds, once a round."""
    times_ms = interleave_ms(
        {"bare": lambda: bare(frame.pixels), "unit": lambda: _answer(unit, frame)}, rounds=rounds
    )
    extra_us = [1e3 * (u - b) for u, b in zip(times_ms["unit"], times_ms["bare"], strict=True)]
    line = f"{what}, {frame.width_px}x{frame.height_px}, no engine: unit - bare"
    return median_row(line, extra_us, "us", most=EXTRA_US_MAX)


def _answer(unit: Unit, frame: Frame) -> None:
    """Run the unit once; a benchmark that measured refusals would measure nothing."""
    outcome = unit.run(frame, now_ns=2)
    if isinstance(outcome, Withheld):
        raise TypeError(f"expected a finding, got {outcome.reason}")
