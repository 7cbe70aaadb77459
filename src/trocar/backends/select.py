"""Choose the adapter for a request, warm it up, and hand it out ready to run."""

from __future__ import annotations

import numpy as np

from trocar.backends.choices import Engine
from trocar.backends.onnxruntime import OnnxRuntimeBackend
from trocar.backends.openvino import OpenVinoBackend
from trocar.backends.request import BackendRequest
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.ports import Backend

__all__ = ["open_backend"]


# @need-ids: SRS_BACKEND_001, SRS_BACKEND_002, SRS_START_003
def open_backend(model: bytes, manifest: ModelManifest, request: BackendRequest) -> Backend:
    """Return the backend that was asked for, warmed up; no other one is tried.

    Args:
        model: Bytes of the ONNX file, verified.
        manifest: Its manifest.
        request: What must run.

    Returns:
        A backend that has run ``request.warm_up_count`` times on the shape of the manifest.

    Raises:
        BackendUnavailableError: The engine is missing or would run something else.
        ContractError: The model's tensors are not those of the manifest.
        InferenceError: The model cannot run on its own input shape.
    """
    backend: Backend
    if request.engine is Engine.OPENVINO_CPU:
        backend = OpenVinoBackend(model, manifest, request)
    elif request.engine is Engine.TENSORRT:
        from trocar.backends.tensorrt import (  # noqa: PLC0415 - other engines need not load it
            TensorRtBackend,
        )

        backend = TensorRtBackend(model, manifest, request)
    else:
        backend = OnnxRuntimeBackend(model, manifest, request)
    batch = np.zeros(manifest.input.shape, dtype=manifest.input.dtype.value)
    for _ in range(request.warm_up_count):
        backend.infer(batch)
    return backend
