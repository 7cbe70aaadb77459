"""A backend is handed out warm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulators.packs import write_tiny_pack
from trocar.backends import select
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
