"""Variants measured by turns: each in its own process, one computing at a time, ratios by round.

Other work runs on the machine and its clock changes; a ratio within one round is what holds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from trocar.backends.choices import Engine, Precision
from trocar.contracts.manifest import ModelManifest
from trocar_lab.optimise.worker import MODEL_FILE, SPEC_FILE

__all__ = ["Arm", "Speed", "Turn", "VariantProcess", "WorkerError", "measure_by_turns"]

_STOP_SECONDS: Final = 30.0
_REPLICATES: Final = 2000
_OTHERS_SHARE_MAX: Final = 0.1
_TICK_S: Final = 0.01
_PAUSE_S: Final = 0.1


class WorkerError(RuntimeError):
    """The process of a variant ended without an answer."""


@dataclass(frozen=True)
class Arm:
    """One variant in one engine.

    Attributes:
        name: What it is called in the tables.
        model: The ONNX file.
        manifest: Manifest that says in which precision it computes.
        engine: Engine.
        precision: Precision.
        thread_count: Threads of one call.
        call_count: Calls at a time, each with its own threads.
    """

    name: str
    model: bytes
    manifest: ModelManifest
    engine: Engine
    precision: Precision
    thread_count: int
    call_count: int = 1


@dataclass(frozen=True)
class Speed:
    """Times of one arm.

    Attributes:
        p50_ms: Median time of a frame [ms].
        p90_ms: 90th percentile [ms].
        ratio: Median over the rounds of the first arm's time over this one's, medians of a round.
        ratio_lower: Lower end of its 95 % interval, resampled by round.
        ratio_upper: Upper end.
        frame_count: Frames that were timed.
        quiet_share: Share of the turns beside which other work was below the limit.
    """

    p50_ms: float
    p90_ms: float
    ratio: float
    ratio_lower: float
    ratio_upper: float
    frame_count: int
    quiet_share: float

    @property
    def frames_per_s(self) -> float:
        """Throughput [frames/s]."""
        return 1000.0 / self.p50_ms


@dataclass(frozen=True)
class Turn:
    """Times of some calls in a row.

    Attributes:
        times_ms: Time of each call [ms].
        is_quiet: Whether other processes took less than a share of the machine beside them.
    """

    times_ms: list[float]
    is_quiet: bool


class _Patience:
    """A bounded time to spend on turns that are taken again because the machine was not quiet."""

    def __init__(self, seconds: float) -> None:
        """Begin with the whole time."""
        self._left_s = seconds

    def turn(self, process: VariantProcess, count: int) -> Turn:
        """Return a quiet turn, or the last one that there was time for."""
        while True:
            begin_s = time.monotonic()
            found = process.turn(count)
            if found.is_quiet or self._left_s <= 0:
                return found
            time.sleep(_PAUSE_S)
            self._left_s -= time.monotonic() - begin_s


class VariantProcess:
    """A running worker; closes with its ``with`` block.

    Attributes:
        refused: Why the engine does not run the variant, or None.
        engine: Engine and version that runs it.
    """

    refused: str | None
    engine: str

    def __init__(self, arm: Arm) -> None:
        """Start the process and wait until the variant is open or refused."""
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        (folder / MODEL_FILE).write_bytes(arm.model)
        spec = {
            "manifest": arm.manifest.model_dump(mode="json"),
            "engine": arm.engine.value,
            "precision": arm.precision.value,
            "thread_count": arm.thread_count,
            "call_count": arm.call_count,
        }
        (folder / SPEC_FILE).write_text(json.dumps(spec), encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trocar_lab.optimise.worker", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            opened = self._answer()
        except WorkerError:
            self.close()
            raise
        self.refused = opened.get("refused")
        self.engine = opened.get("engine", "")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self.close()

    def close(self) -> None:
        """End the process and remove its folder."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=_STOP_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._folder.cleanup()

    def turn(self, count: int) -> Turn:
        """Return the times of some calls; one more before them is not counted."""
        answer = self._ask({"do": "time", "count": count})
        times = [float(one) for one in answer["times_ms"]]
        allowed_s = _OTHERS_SHARE_MAX * sum(times) / 1000 + _TICK_S
        return Turn(times, is_quiet=answer["others_s"] <= allowed_s)

    def outputs(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's answer to each frame, (N, ...)."""
        before, after = Path(self._folder.name) / "in.npy", Path(self._folder.name) / "out.npy"
        np.save(before, inputs)
        self._ask({"do": "answers", "inputs": str(before), "outputs": str(after)})
        found: NDArray[np.float32] = np.load(after)
        return found

    def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        """Send one request and return its answer."""
        if self._process.stdin is None:
            raise WorkerError("expected a process that takes requests")
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        """Return the next answer."""
        line = "" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            raise WorkerError(f"a worker ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure_by_turns(
    arms: Sequence[Arm], *, round_count: int, call_count: int, patience_s: float = 0.0
) -> tuple[dict[str, Speed], dict[str, str]]:
    """Time every arm once a round, the order turned round each time.

    Args:
        arms: What is compared; the first one is what the others are compared with.
        round_count: Rounds.
        call_count: Timed calls of one arm in one round.
        patience_s: Time to spend on turns that are taken again because the machine was not quiet
            [s].

    Returns:
        Times of each arm that runs, and the reason of each that does not.
    """
    processes = {arm.name: VariantProcess(arm) for arm in arms}
    try:
        refused = {n: one.refused for n, one in processes.items() if one.refused is not None}
        names = [name for name in processes if name not in refused]
        turns: dict[str, list[Turn]] = {name: [] for name in names}
        patience = _Patience(patience_s)
        for index in range(round_count):
            for name in names if index % 2 == 0 else names[::-1]:
                turns[name].append(patience.turn(processes[name], call_count))
    finally:
        for process in processes.values():
            process.close()
    return _speeds(turns, names[0]) if names else {}, refused


def _speeds(turns: Mapping[str, Sequence[Turn]], first: str) -> dict[str, Speed]:
    """Return the figures of each arm."""
    times = {name: np.array([one.times_ms for one in rows]) for name, rows in turns.items()}
    medians = {name: np.median(rows, axis=1) for name, rows in times.items()}
    return {
        name: _speed(
            rows,
            medians[first] / medians[name],
            float(np.mean([one.is_quiet for one in turns[name]])),
        )
        for name, rows in times.items()
    }


def _speed(times: NDArray[np.float64], ratios: NDArray[np.float64], quiet_share: float) -> Speed:
    """Return the figures of one arm; the interval is that of the median over drawn rounds."""
    drawn = np.random.default_rng(0).integers(0, len(ratios), size=(_REPLICATES, len(ratios)))
    lower, upper = np.percentile(np.median(ratios[drawn], axis=1), [2.5, 97.5])
    p50, p90 = np.percentile(times, [50, 90])
    return Speed(
        p50_ms=float(p50),
        p90_ms=float(p90),
        ratio=float(np.median(ratios)),
        ratio_lower=float(lower),
        ratio_upper=float(upper),
        frame_count=times.size,
        quiet_share=quiet_share,
    )
