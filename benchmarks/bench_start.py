"""From the start of a process to its first result, beside the floors that nobody gets under."""

from __future__ import annotations

import compileall
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from benchmarks.measure import Benchmark, Row, median_row, ratios
from trocar.apps.endoscopy import SHIPPED_PACK
from trocar.packs.verify import verify_pack

__all__ = ["run"]

FIRST_RECORD_S_MAX: Final = 1.5
IMPORT_S_MAX: Final = 0.15
WHEEL_MB_MAX: Final = 15.0
"""SYS_START_001."""

_POLL_S: Final = 0.002
_SECONDS_MAX: Final = 120
_PACKAGE: Final = SHIPPED_PACK.parents[2]
_ENGINES: Final = {"onnxruntime-cpu": "onnxruntime", "openvino-cpu": "openvino"}

_BARE_ONNXRUNTIME: Final = """
import sys
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
one = session.get_inputs()[0]
session.run(None, {one.name: np.zeros(one.shape, dtype=np.uint8)})
"""
_BARE_OPENVINO: Final = """
import sys
sys.modules["openvino_telemetry"] = None
import numpy as np
import openvino
model = openvino.Core().compile_model(sys.argv[1], "CPU", {"PERFORMANCE_HINT": "LATENCY"})
model([np.zeros(tuple(model.inputs[0].shape), dtype=np.uint8)])
"""
_BARE: Final = {"onnxruntime-cpu": _BARE_ONNXRUNTIME, "openvino-cpu": _BARE_OPENVINO}
"""What a program needs that does nothing but answer once: arrays, engine, the same model."""


def run(*, is_quick: bool) -> Benchmark:
    """Measure SYS_START_001, but for the size of an installation."""
    compileall.compile_dir(_PACKAGE, quiet=2)
    with tempfile.TemporaryDirectory() as folder:
        still = Path(folder) / "still.png"
        levels = np.random.default_rng(3).integers(90, 160, (1080, 1920, 3), dtype=np.uint8)
        Image.fromarray(levels).save(still)
        times = _rounds(_arms(still, Path(folder)), rounds=2 if is_quick else 9)
    rows = [
        median_row("python -c pass", times["pass"], "s"),
        median_row(
            "import trocar, beyond python -c pass",
            [a - b for a, b in zip(times["import"], times["pass"], strict=True)],
            "s",
            most=IMPORT_S_MAX,
        ),
        median_row("trocar --version", times["version"], "s"),
    ]
    for engine in _ENGINES:
        rows += _engine_rows(engine, times)
    return Benchmark(
        name="bench_start",
        title="Start",
        text=(
            "Fresh processes, by turns, with a warm disk cache and compiled modules. The first"
            " record is the first whole line of `results.jsonl` of `trocar run` on one still of"
            " 1920 x 1080. The floor is a program that imports NumPy and the engine, opens the same"
            " model and answers once, without a check of anything: the ratio says what the"
            " signature, the digests, the contracts, three calls of warm-up, the reference case,"
            " the picture and the record cost beside it."
        ),
        rows=[*rows, _pack_row(2 if is_quick else 9), _wheel_row()],
    )


def _arms(still: Path, folder: Path) -> dict[str, Callable[[], float]]:
    """Return what is measured; each arm gives its time [s]."""
    model = SHIPPED_PACK / verify_pack(SHIPPED_PACK).manifest.model_file
    arms = {
        "pass": lambda: _process_s("-c", "pass"),
        "import": lambda: _process_s("-c", "import trocar"),
        "version": lambda: _process_s("-m", "trocar", "--version"),
    }
    for engine in _ENGINES:
        arms[f"bare {engine}"] = partial(_process_s, "-c", _BARE[engine], str(model))
        arms[f"first {engine}"] = partial(_first_record_s, still, folder / engine, engine)
    return arms


def _rounds(arms: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, list[float]]:
    """Call every arm once a round, in turn, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in arms}
    names = list(arms)
    for round_index in range(rounds + 1):
        for name in names:
            took_s = arms[name]()
            if round_index:
                times[name].append(took_s)
        names.reverse()
    return times


def _process_s(*words: str) -> float:
    """Return the time of one Python process [s]."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, *words],
        check=True,
        timeout=_SECONDS_MAX,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin


def _first_record_s(still: Path, folder: Path, engine: str) -> float:
    """Return the time until a fresh process has written its first whole record [s]."""
    record = folder / "results.jsonl"
    record.unlink(missing_ok=True)
    words = ["run", "polyp_segmentation", str(still), "-o", str(folder), "--engine", engine]
    begin = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "trocar", *words, "--replace"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not (record.is_file() and record.read_bytes().endswith(b"\n")):
            if process.poll() is not None:
                raise RuntimeError(f"trocar run ended with {process.returncode}, without a record")
            time.sleep(_POLL_S)
        took_s = time.perf_counter() - begin
        process.wait(_SECONDS_MAX)
    return took_s


def _engine_rows(engine: str, times: Mapping[str, list[float]]) -> list[Row]:
    """Return the lines of one engine."""
    first, bare = times[f"first {engine}"], times[f"bare {engine}"]
    return [
        median_row(
            f"{engine}: first record", first, "s", most=FIRST_RECORD_S_MAX, note=_priority()
        ),
        median_row(f"{engine}: floor, arrays, engine and model alone", bare, "s"),
        median_row(f"{engine}: first record over the floor", ratios(first, bare), "times"),
    ]


def _priority() -> str:
    """Return what a reader must know where the processes went before all others."""
    is_usual = os.sched_getscheduler(0) == os.SCHED_OTHER
    return "" if is_usual else "with real-time priority, since other work shared the machine"


def _pack_row(rounds: int) -> Row:
    """Return the time of one verification of the shipped pack."""
    size_mb = sum(map(len, verify_pack(SHIPPED_PACK).content.values())) / 1e6
    times_s = []
    for _ in range(rounds):
        begin = time.perf_counter()
        verify_pack(SHIPPED_PACK)
        times_s.append(time.perf_counter() - begin)
    return median_row(
        f"verify and load the shipped pack of {size_mb:.1f} MB",
        times_s,
        "s",
        note=f"{size_mb / statistics.median(times_s):.0f} MB/s",
    )


def _wheel_row() -> Row:
    """Return the size of the package as the wheel packs it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path in sorted(_PACKAGE.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                wheel.write(path, path.relative_to(_PACKAGE.parent))
    size_mb = len(archive.getvalue()) / 1e6
    return median_row("size of the wheel, packs included", [size_mb], "MB", most=WHEEL_MB_MAX)
