"""Arms are timed by turns, and a turn beside other work is taken again while there is time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulators.packs import tiny_model, write_tiny_pack
from trocar.backends.choices import Engine, Precision
from trocar.contracts.manifest import ModelManifest
from trocar_lab.optimise import turns
from trocar_lab.optimise.turns import Arm, VariantProcess, WorkerError, measure_by_turns


class ScriptedProcess:
    """Stands for a process: how long each arm takes, and beside which turns other work ran."""

    log: list[str]
    busy: Iterator[bool]

    def __init__(self, arm: Arm) -> None:
        self.refused = "not here" if arm.name == "missing" else None
        self._arm = arm

    def turn(self, count: int) -> turns.Turn:
        """Return times that tell the arms apart."""
        self.log.append(self._arm.name)
        is_busy = next(self.busy, False)
        took_ms = 20.0 if self._arm.name == "slow" else 5.0
        return turns.Turn([took_ms * (4 if is_busy else 1)] * count, is_quiet=not is_busy)

    def close(self) -> None:
        """Note the end."""
        self.log.append(f"closed {self._arm.name}")


@pytest.fixture
def manifest(tmp_path: Path) -> ModelManifest:
    """Return the manifest of the tiny pack."""
    return write_tiny_pack(tmp_path / "pack").manifest


def _arm(name: str, manifest: ModelManifest) -> Arm:
    """Return an arm of the tiny model."""
    return Arm(name, tiny_model(), manifest, Engine.ONNXRUNTIME_CPU, Precision.FP32, 1)


def _script(monkeypatch: pytest.MonkeyPatch, busy: Sequence[bool] = ()) -> list[str]:
    """Put scripted processes in place; return their log."""
    log: list[str] = []
    monkeypatch.setattr(ScriptedProcess, "log", log, raising=False)
    monkeypatch.setattr(ScriptedProcess, "busy", iter(busy), raising=False)
    monkeypatch.setattr(turns, "VariantProcess", ScriptedProcess)
    monkeypatch.setattr("trocar_lab.optimise.turns.time.sleep", lambda _seconds: None)
    return log


@pytest.mark.verifies("SRS_OPT_007", extent="full", technique="equivalence")
def test_arms_take_turns_and_the_first_is_what_others_are_compared_with(
    manifest: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is turned round each time; a refused arm is named and not timed."""
    log = _script(monkeypatch)
    arms = [_arm(name, manifest) for name in ("slow", "fast", "missing")]
    speeds, refused = measure_by_turns(arms, round_count=2, call_count=3)
    assert log[:4] == ["slow", "fast", "fast", "slow"]
    assert log[4:] == ["closed slow", "closed fast", "closed missing"]
    assert refused == {"missing": "not here"}
    assert speeds["slow"].ratio == 1.0
    fast = speeds["fast"]
    assert (fast.ratio, fast.ratio_lower, fast.ratio_upper) == (4.0, 4.0, 4.0)
    assert (fast.p50_ms, fast.frames_per_s, fast.frame_count) == (5.0, 200.0, 6)
    assert fast.quiet_share == 1.0


@pytest.mark.verifies("SRS_OPT_007", extent="full", technique="state_table")
def test_turn_beside_other_work_is_taken_again(
    manifest: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While there is time for it; then the turn stands and is counted as not quiet."""
    _script(monkeypatch, [True, True, False])
    arms = [_arm("slow", manifest)]
    patient, _ = measure_by_turns(arms, round_count=1, call_count=2, patience_s=60.0)
    assert (patient["slow"].p50_ms, patient["slow"].quiet_share) == (20.0, 1.0)
    _script(monkeypatch, [True])
    hasty, _ = measure_by_turns(arms, round_count=1, call_count=2)
    assert (hasty["slow"].p50_ms, hasty["slow"].quiet_share) == (80.0, 0.0)


def test_nothing_that_runs_gives_no_times(
    manifest: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every arm was refused."""
    _script(monkeypatch)
    speeds, refused = measure_by_turns([_arm("missing", manifest)], round_count=1, call_count=1)
    assert speeds == {}
    assert set(refused) == {"missing"}


@pytest.mark.verifies("SRS_OPT_007", extent="partial", technique="equivalence")
def test_process_answers_and_ends(manifest: ModelManifest) -> None:
    """A real process with the tiny model: opened, timed, asked, closed."""
    with VariantProcess(_arm("real", manifest)) as process:
        assert process.refused is None
        assert process.engine.startswith("onnxruntime")
        assert len(process.turn(2).times_ms) == 2
        got = process.outputs(np.zeros((2, 64, 64, 3), np.uint8))
    assert got.shape == (2, 1, 64, 64)


def test_process_that_ends_without_an_answer_is_an_error(
    manifest: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed worker must not be taken for one that found nothing."""

    class Ended:
        """A process that wrote nothing."""

        stdin: Any = None
        stdout: Any = None

        def wait(self, timeout: float | None = None) -> int:
            """Return the code of a kill."""
            del timeout
            return -9

    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_rest: Ended())
    with pytest.raises(WorkerError, match="exit code -9"):
        VariantProcess(_arm("ended", manifest))
