"""A worker opens one variant, or says why the engine refuses it, and answers line by line."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulators.packs import tiny_model, tiny_reference, write_tiny_pack
from trocar_lab.optimise import worker
from trocar_lab.optimise.worker import MODEL_FILE, SPEC_FILE, busy_s, main, serve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that describes the tiny model on ONNX Runtime."""
    manifest = write_tiny_pack(tmp_path / "pack").manifest
    spec = {
        "manifest": manifest.model_dump(mode="json"),
        "engine": "onnxruntime-cpu",
        "precision": "fp32",
        "thread_count": 1,
        "call_count": 1,
    }
    place = tmp_path / "variant"
    place.mkdir()
    (place / MODEL_FILE).write_bytes(tiny_model())
    (place / SPEC_FILE).write_text(json.dumps(spec), encoding="utf-8")
    return place


def _change(folder: Path, **changes: object) -> None:
    """Change the description."""
    path = folder / SPEC_FILE
    fields = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(fields), encoding="utf-8")


def _served(folder: Path, *requests: Mapping[str, object]) -> list[dict[str, Any]]:
    """Return the answers to some requests."""
    asked = io.StringIO("".join(json.dumps(one) + "\n" for one in requests))
    answers = io.StringIO()
    assert serve(folder, asked, answers) == 0
    return [json.loads(line) for line in answers.getvalue().splitlines()]


@pytest.mark.verifies("SRS_OPT_007", extent="partial", technique="equivalence")
@pytest.mark.parametrize("call_count", [1, 2])
def test_calls_are_timed(folder: Path, call_count: int) -> None:
    """As many times as were asked for, and how busy the machine was beside them."""
    _change(folder, call_count=call_count)
    opened, timed = _served(folder, {"do": "time", "count": 3})
    assert opened["engine"].startswith("onnxruntime")
    assert opened["precision"] == "fp32"
    assert len(timed["times_ms"]) == 3
    assert min(timed["times_ms"]) > 0
    assert timed["others_s"] >= 0


@pytest.mark.verifies("SRS_OPT_006", extent="partial", technique="equivalence")
def test_answers_are_those_of_the_model(folder: Path, tmp_path: Path) -> None:
    """Frame by frame, as the device calls it."""
    frame, expected = tiny_reference()
    np.save(tmp_path / "in.npy", np.concatenate([frame, frame]))
    request = {
        "do": "answers",
        "inputs": str(tmp_path / "in.npy"),
        "outputs": str(tmp_path / "out.npy"),
    }
    assert _served(folder, request)[1] == {"count": 2}
    np.testing.assert_allclose(np.load(tmp_path / "out.npy")[1:], expected, atol=1e-6)


@pytest.mark.verifies("SRS_OPT_006", extent="partial", technique="fault_injection")
def test_precision_that_the_engine_does_not_run_is_an_answer(folder: Path) -> None:
    """The table says why a combination is missing."""
    _change(folder, precision="bf16")
    (answer,) = _served(folder)
    assert "onnxruntime-cpu to run bf16" in answer["refused"]


def test_machine_without_that_account_is_never_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems than Linux have no such file; turns count as quiet there."""
    assert busy_s() > 0
    monkeypatch.setattr(worker, "Path", lambda _name: Path("/nowhere") / "at" / "all")
    assert busy_s() == 0.0


def test_process_serves_the_folder_that_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends when the requests end."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main([str(folder)]) == 0
    assert "engine" in json.loads(capsys.readouterr().out)
