"""ONNX Runtime with one provider: CPU, CUDA or TensorRT.

ONNX Runtime gives a CPU session with a mere warning when the provider asked for cannot be had. Here
that is an error: nodes may not fall back to the CPU (``session.disable_cpu_ep_fallback``), the
session's providers are compared with the request, and the run-time fallback is switched off.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from trocar.backends.choices import Engine, Precision
from trocar.backends.request import BackendRequest, check_batch, check_output, precision_of
from trocar.contracts.errors import BackendUnavailableError, InferenceError
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.record import BackendInfo

__all__ = ["OnnxRuntimeBackend"]

_PROVIDERS: Final = {
    Engine.ONNXRUNTIME_CPU: "CPUExecutionProvider",
    Engine.ONNXRUNTIME_CUDA: "CUDAExecutionProvider",
    Engine.ONNXRUNTIME_TENSORRT: "TensorrtExecutionProvider",
}
_INSTALL: Final = {
    Engine.ONNXRUNTIME_CPU: 'pip install "trocar[cpu]"',
    Engine.ONNXRUNTIME_CUDA: 'pip install "trocar[gpu]" beside an NVIDIA GPU and its driver',
    Engine.ONNXRUNTIME_TENSORRT: 'pip install "trocar[gpu]" and TensorRT beside an NVIDIA GPU',
}
# The CUDA provider computes the layers of an int8 model in float: that would be another precision.
_PRECISIONS: Final = {
    Engine.ONNXRUNTIME_CPU: frozenset({Precision.FP32, Precision.INT8}),
    Engine.ONNXRUNTIME_CUDA: frozenset({Precision.FP32}),
    Engine.ONNXRUNTIME_TENSORRT: frozenset({Precision.FP32, Precision.FP16}),
}
_LOG_ERRORS_ONLY: Final = 3
_NO_REPORTS: Final = "ORT_DISABLE_TELEMETRY"


class _Session(Protocol):
    """ONNX Runtime's session; it is untyped."""

    def run(
        self, output_names: Sequence[str], feeds: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]]: ...

    def get_providers(self) -> list[str]: ...

    def disable_fallback(self) -> None: ...


class OnnxRuntimeBackend:
    """One model in one ONNX Runtime session.

    Args:
        model: Bytes of the ONNX file, verified.
        manifest: Its manifest.
        request: What must run.

    Raises:
        BackendUnavailableError: The engine is not installed, or would run something else than asked
            for.
    """

    # @need-ids: SRS_BACKEND_001, SRS_BACKEND_003, RCM_BACKEND_001
    def __init__(self, model: bytes, manifest: ModelManifest, request: BackendRequest) -> None:
        self._input = manifest.input
        self._output = manifest.output
        runtime = _import_runtime(request.engine)
        provider = _PROVIDERS[request.engine]
        precision = precision_of(request, manifest)
        _check_precision(request.engine, precision)
        if provider not in runtime.get_available_providers():
            raise BackendUnavailableError(
                f"expected {provider}, this ONNX Runtime offers "
                f"{runtime.get_available_providers()}",
                advice=_INSTALL[request.engine],
            )
        self._session = _open_session(runtime, model, request, precision)
        if self._session.get_providers()[0] != provider:
            raise BackendUnavailableError(
                f"expected {provider} to run, got {self._session.get_providers()}",
                advice=(
                    "check the driver and the libraries of the provider, or ask for another engine"
                ),
            )
        self._session.disable_fallback()
        self._info = BackendInfo(
            engine=f"onnxruntime {runtime.__version__}",
            provider=provider,
            precision=precision.value,
            thread_count=request.thread_count,
        )

    @property
    def info(self) -> BackendInfo:
        """What really runs."""
        return self._info

    def infer(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the model on one input; see ``ports.Backend``."""
        check_batch(batch, self._input)
        try:
            outputs = self._session.run([self._output.name], {self._input.name: batch})
        except Exception as exc:
            raise InferenceError(
                f"ONNX Runtime failed on {self._input.name}: {exc}",
                advice="see the log; restart the unit",
            ) from exc
        return check_output(outputs[0], self._output)

    def close(self) -> None:
        """Release the session's memory with the object; nothing else is held."""


# @need-ids: SRS_NETWORK_001
def _import_runtime(engine: Engine) -> ModuleType:
    """Import the engine without its reporter, or say how to install it.

    Official builds of ONNX Runtime report their use to a server, from native code, some seconds
    after a session begins, and keep an identifier in the home folder. The variable switches all of
    it off, if it is set before the first import (``Privacy.md`` in the package).
    """
    os.environ[_NO_REPORTS] = "1"
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as exc:
        raise BackendUnavailableError(
            f"expected ONNX Runtime for {engine}, it is not installed", advice=_INSTALL[engine]
        ) from exc


def _check_precision(engine: Engine, precision: Precision) -> None:
    """Refuse a precision that this engine would silently not use."""
    if precision not in _PRECISIONS[engine]:
        raise BackendUnavailableError(
            f"expected {engine} to run {precision}, it offers "
            f"{', '.join(sorted(_PRECISIONS[engine]))} for this pack",
            advice="ask for another precision, or for openvino-cpu",
        )


def _open_session(
    runtime: ModuleType, model: bytes, request: BackendRequest, precision: Precision
) -> _Session:
    """Open a session with one provider, fixed threads and no fallback."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = request.thread_count
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _LOG_ERRORS_ONLY
    # Threads that spin between frames would take the cores from decoding and display.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings: dict[str, str] = {}
    if request.engine is not Engine.ONNXRUNTIME_CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if request.engine is Engine.ONNXRUNTIME_TENSORRT:
        settings["trt_fp16_enable"] = str(int(precision is Precision.FP16))
    try:
        session: _Session = runtime.InferenceSession(
            model, sess_options=options, providers=[(_PROVIDERS[request.engine], settings)]
        )
    except Exception as exc:
        raise BackendUnavailableError(
            f"{request.engine} could not load the model: {exc}",
            advice="check the driver and the libraries of the provider, or ask for another engine",
        ) from exc
    return session
