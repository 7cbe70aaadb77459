"""A backend is handed out warm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulators import tensorrt_runtime
from simulators.packs import write_tiny_pack
from trocar.backends import select
from trocar.backends.choices import Engine
from trocar.backends.onnxruntime import OnnxRuntimeBackend
from trocar.backends.request import BackendRequest


@pytest.mark.verifies("SRS_BACKEND_002", extent="full", technique="requirement")
def test_model_has_run_before_it_is_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as was asked, on the manifest's shape."""
    pack = write_tiny_pack(tmp_path / "pack")
    shapes: list[tuple[int, ...]] = []
    real = OnnxRuntimeBackend.infer

    def counted(self: OnnxRuntimeBackend, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        shapes.append(batch.shape)
        return real(self, batch)

    monkeypatch.setattr(OnnxRuntimeBackend, "infer", counted)
    select.open_backend(pack.model, pack.manifest, BackendRequest(warm_up_count=5))
    assert shapes == [pack.manifest.input.shape] * 5


@pytest.mark.verifies("SRS_BACKEND_001", "SRS_TRT_001", extent="partial", technique="example")
def test_tensorrt_is_warmed_up_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run of an engine loads kernels; a frame must not pay for it."""
    machine = tensorrt_runtime.install(monkeypatch)
    pack = write_tiny_pack(tmp_path / "pack")
    request = BackendRequest(engine=Engine.TENSORRT, warm_up_count=4)
    before = len(machine.driver.current)
    backend = select.open_backend(pack.model, pack.manifest, request)
    assert backend.info.engine.startswith("tensorrt")
    assert len(machine.driver.current) == before + 1 + 4
