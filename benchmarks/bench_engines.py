"""The shipped pack in each engine: speed, and agreement with the reference case."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.bench_plain_loop import play
from benchmarks.measure import Benchmark, Row, interleave_ms, median_row, ratios
from benchmarks.scenes import open_shipped
from trocar.apps.endoscopy import DEMO_CLIP
from trocar.apps.opening import OpenedUnit
from trocar.backends.choices import Engine, Precision
from trocar.contracts.errors import BackendUnavailableError

__all__ = ["run"]

FRAMES_PER_S_MIN: Final = 25.0
_ENGINES: Final = (
    (Engine.ONNXRUNTIME_CPU, Precision.FP32),
    (Engine.OPENVINO_CPU, Precision.FP32),
    (Engine.OPENVINO_CPU, Precision.BF16),
)


def run(*, is_quick: bool) -> Benchmark:
    """Measure SYS_POLYP_002 and what each engine gives."""
    rows: list[Row] = []
    for thread_count in (2, 1):
        opened, missing = _open_all(thread_count)
        rows += missing
        rows += _network_rows(opened, thread_count, rounds=10 if is_quick else 60)
        if thread_count == 2:
            rows += _file_rows(opened, rounds=1 if is_quick else 2)
    return Benchmark(
        name="bench_engines",
        title="Engines and precisions",
        text=(
            "The shipped pack in each engine, by turns on the same input. End to end is the demo"
            " clip, from the file to the JSON record, with 2 threads. The agreement with the"
            " reference case stands beside the time: a faster engine that gives another mask is"
            " refused when it is opened."
        ),
        rows=rows,
    )


def _open_all(thread_count: int) -> tuple[dict[str, OpenedUnit], list[Row]]:
    """Open the pack in every engine that this machine has, and say which it has not."""
    opened: dict[str, OpenedUnit] = {}
    missing: list[Row] = []
    for engine, precision in _ENGINES:
        name = f"{engine} {precision}"
        try:
            opened[name] = open_shipped(thread_count, engine, precision)
        except BackendUnavailableError as exc:
            missing.append(Row(f"{name}: not here", 0.0, 0.0, 0.0, "", note=exc.problem))
    return opened, missing


def _network_rows(opened: dict[str, OpenedUnit], thread_count: int, *, rounds: int) -> list[Row]:
    """Return the time of the network alone."""
    shape = next(iter(opened.values())).pack.manifest.input.shape
    batch = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)

    def call(unit: OpenedUnit) -> Callable[[], object]:
        backend: Any = vars(unit.unit)["_backend"]
        return lambda: backend.infer(batch)

    times_ms = interleave_ms({name: call(o) for name, o in opened.items()}, rounds=rounds)
    first = next(iter(times_ms))
    rows: list[Row] = []
    for name, values in times_ms.items():
        case = opened[name].reference_case
        what = f"{name}, {thread_count} thread(s)"
        agreement = (
            f"reference case: probability differs by {case.prob_difference_max:.2g}"
            f" (limit {case.prob_difference_limit:g}), mask Dice {case.mask_dice:.4f}"
            f" (limit {case.mask_dice_limit:g})"
        )
        rows.append(median_row(f"{what}: network p50", values, "ms", note=agreement))
        rows.append(median_row(f"{what}: network", [1e3 / v for v in values], "frame/s"))
        if name != first:
            speedup = ratios(times_ms[first], values)
            rows.append(median_row(f"{what}: speed against {first}", speedup, "ratio"))
    return rows


def _file_rows(opened: dict[str, OpenedUnit], *, rounds: int) -> list[Row]:
    """Return end-to-end frames per second on the demo clip."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.jsonl"
        counts: list[int] = []

        def call(unit: OpenedUnit) -> Callable[[], object]:
            return lambda: counts.append(play(DEMO_CLIP, unit, record))

        arms = {name: call(unit) for name, unit in opened.items()}
        times_ms = interleave_ms(arms, rounds=rounds, warm_up=0)
    if len(set(counts)) != 1:
        raise RuntimeError(f"expected one finding a frame, got {counts}")
    return [
        median_row(
            f"{name}, 2 threads: demo clip end to end",
            [1e3 * counts[0] / t for t in values],
            "frame/s",
            least=FRAMES_PER_S_MIN,
        )
        for name, values in times_ms.items()
    ]
