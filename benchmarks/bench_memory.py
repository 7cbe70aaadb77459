"""Memory of a long run: growth after warm-up, and whether every frame is accounted for."""

from __future__ import annotations

import os
import tempfile
from array import array
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.measure import Benchmark, Row
from benchmarks.scenes import (
    AGE_MS_MAX,
    MemorySource,
    ScriptedBackend,
    never,
    open_shipped,
    pictures,
)
from trocar.contracts.ports import Unit
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig
from trocar.units.polyp_segmentation.contract import PolypSegmentationConfig
from trocar.units.polyp_segmentation.unit import PolypSegmenter

__all__ = ["run"]

GROWTH_MIB_MAX: Final = 20.0
_FRAME_COUNT: Final = 20_000
_WARM_UP_SHARE: Final = 0.1
_SAMPLE_EVERY: Final = 50


def run(*, is_quick: bool) -> Benchmark:
    """Measure SYS_MEMORY_001."""
    opened = open_shipped(2)
    manifest = opened.pack.manifest
    side_px = manifest.input.shape[1]
    backend = ScriptedBackend(np.full((1, 1, side_px, side_px), 0.25, dtype=np.float32))
    config = PolypSegmentationConfig.from_manifest(manifest, frame_age_ms_max=AGE_MS_MAX)
    scripted = PolypSegmenter(config, backend, pack_id="scripted", pack_digest="0" * 64)
    real_count = int(os.environ.get("TROCAR_BENCH_REAL_FRAMES", "1000"))
    rows = _rows("all but the engine", scripted, 2_000 if is_quick else _FRAME_COUNT)
    rows += _rows("shipped pack", opened.unit, 200 if is_quick else real_count)
    return Benchmark(
        name="bench_memory",
        title="Memory of a long run",
        text=(
            "``run_stream`` over 512x512 frames in memory with the JSON record; resident memory is"
            f" read every {_SAMPLE_EVERY} frames, the first tenth is warm-up. Growth is the median"
            " of the last tenth less that of the second; the slope is a straight line through all"
            " samples after the warm-up, for 20,000 frames. Without the engine the network's output"
            " is a newly allocated copy, and everything else runs as shipped."
        ),
        rows=rows,
    )


def _rows(name: str, unit: Unit, count: int) -> list[Row]:
    """Return growth, slope and account of one run."""
    shown = pictures(height_px=512, width_px=512)
    resident_mib = array("d", [0.0]) * (count // _SAMPLE_EVERY)
    _resident_mib()

    def sample(answered_count: int, frame_count: int | None) -> None:
        del frame_count
        if answered_count % _SAMPLE_EVERY == 0:
            resident_mib[answered_count // _SAMPLE_EVERY - 1] = _resident_mib()

    with tempfile.TemporaryDirectory() as folder:
        summary = run_stream(
            MemorySource(shown, count=count),
            [unit],
            [JsonlSink(Path(folder) / "record.jsonl")],
            clock=MonotonicClock(),
            config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
            stop=never,
            progress=sample,
        )
        lines = (Path(folder) / "record.jsonl").read_bytes().count(b"\n")
    values = np.asarray(resident_mib)
    tenth = max(1, round(_WARM_UP_SHARE * len(values)))
    after = values[tenth:]
    growth = float(np.median(after[-tenth:]) - np.median(after[:tenth]))
    slope = float(np.polyfit(np.arange(len(after)) * _SAMPLE_EVERY, after, 1)[0])
    lost = count - summary.finding_count + count - lines
    title = f"{name}, {count} frames"
    return [
        Row(
            f"{title}: growth of resident memory",
            growth,
            growth,
            growth,
            "MiB",
            f"<= {GROWTH_MIB_MAX:g}",
            growth <= GROWTH_MIB_MAX,
            f"resident at the begin {values[0]:.0f} MiB, at the end {values[-1]:.0f} MiB",
        ),
        Row(
            f"{title}: slope, for 20,000 frames",
            slope * _FRAME_COUNT,
            slope * _FRAME_COUNT,
            slope * _FRAME_COUNT,
            "MiB",
            f"<= {GROWTH_MIB_MAX:g}",
            slope * _FRAME_COUNT <= GROWTH_MIB_MAX,
        ),
        Row(
            f"{title}: frames without a finding or a line of the record",
            lost,
            lost,
            lost,
            "frames",
            "<= 0",
            lost == 0,
        ),
    ]


def _resident_mib() -> float:
    """Return the resident memory of this process [MiB]."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2
