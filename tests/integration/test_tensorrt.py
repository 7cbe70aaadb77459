"""Engines of TensorRT through the command line, on a simulated library and GPU."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simulators.command_line import CommandLine
from simulators.tensorrt_runtime import Faults, TensorRtModule, install
from trocar.apps.endoscopy import SHIPPED_PACK


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> TensorRtModule:
    """Return a machine with a GPU."""
    return install(monkeypatch)


@pytest.fixture
def trocar(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Return the command line with the pack that comes with the release."""
    return CommandLine(capsys, SHIPPED_PACK)


def _words(folder: Path) -> tuple[object, ...]:
    """Return the words of a self-test of one pack."""
    engine = ("--engine", "tensorrt", "--engine-cache", folder)
    return ("selftest", "--json", "--verbose", "--pack", SHIPPED_PACK, *engine)


def _events(err: str) -> list[dict[str, str]]:
    """Return the lines of the log about engines."""
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"].startswith("engine")]


@pytest.mark.verifies("SRS_TRT_002", "SRS_TRT_010", extent="full", technique="requirement")
@pytest.mark.verifies("IFC_ENGINE_REQUEST", extent="partial", technique="example")
def test_build_is_seen_and_the_result_is_one_object(
    trocar: CommandLine, machine: TensorRtModule, tmp_path: Path
) -> None:
    """Progress and log on standard error; the second start is silent and says hit."""
    first = trocar(*_words(tmp_path / "engines"))
    assert first.code == 0, first.err
    lines = [line for line in first.err.splitlines() if line.startswith("engine: ")]
    assert lines[0] == "engine:   0 % building an engine for this GPU"
    assert lines[-1] == "engine: 100 % engine built"
    (case,) = first.fields["selftest"]
    assert case["backend"] == {
        "engine": "tensorrt 11.4.0.106",
        "provider": "Simulated GPU",
        "precision": "fp32",
        "thread_count": 2,
    }
    second = trocar(*_words(tmp_path / "engines"))
    assert second.code == 0
    assert "engine: " not in second.err
    assert [event["outcome"] for event in _events(second.err)] == ["hit"]
    assert second.fields == first.fields
    assert machine.build_count == 1


@pytest.mark.verifies("SRS_TRT_009", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_TRT_002")
def test_engine_outside_the_limits_ends_the_command(
    trocar: CommandLine, machine: TensorRtModule, tmp_path: Path
) -> None:
    """What to do says what was deleted; the next start builds, and passes."""
    folder = tmp_path / "engines"
    assert trocar(*_words(folder)).code == 0
    machine.faults.output = np.zeros_like
    failed = trocar(*_words(folder))
    assert failed.code == 69
    assert "differs from the reference case" in failed.err
    assert "the stored engine was deleted, the next start builds a new one" in failed.err
    assert not list(folder.glob("*.engine"))
    machine.faults.output = lambda output: output
    assert trocar(*_words(folder)).code == 0
    assert machine.build_count == 2


@pytest.mark.verifies("SRS_TRT_003", extent="partial", technique="fault_injection")
def test_ctrl_c_during_a_build_leaves_no_file(
    trocar: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit code 130, as at any other moment before the run."""

    def interrupted(*words: object) -> None:
        raise KeyboardInterrupt

    install(monkeypatch)
    monkeypatch.setattr("trocar.cli.engine_progress.EngineProgress.__call__", interrupted)
    answer = trocar(*_words(tmp_path / "engines"))
    assert answer.code == 130
    assert answer.out == ""
    assert [path.name for path in (tmp_path / "engines").iterdir()] == ["lock"]


@pytest.mark.verifies("SRS_TRT_001", "SRS_ERROR_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("what", ["library", "driver", "layer", "memory", "folder"])
def test_what_is_missing_is_an_error_with_advice(
    trocar: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    """No other engine is tried, and nobody sees a traceback."""
    machine = install(monkeypatch, faults=Faults())
    if what == "library":
        monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    elif what == "driver":
        machine.driver.faults["cuInit"] = 100
    elif what == "layer":
        machine.faults.parser = [("Einsum", "layer_7", "no importer")]
    elif what == "memory":
        machine.faults.build = "Error Code 2: OutOfMemory"
    else:
        (tmp_path / "engines").write_bytes(b"")
    trocar(*_words(tmp_path / "engines")).require_clean_error(69, "BACKEND_UNAVAILABLE")
