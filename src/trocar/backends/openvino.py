"""OpenVINO on the CPU, in FP32, BF16 or INT8.

In INT8 the layers that the pack made for whole numbers run in them and the rest in FP32. OpenVINO
would run such a layer in FP32 without a word where it finds no fitting kernel, so the layers of the
compiled model are counted and compared with the pack.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from trocar.backends.choices import Precision
from trocar.backends.request import BackendRequest, check_batch, check_output, precision_of
from trocar.contracts.errors import BackendUnavailableError, InferenceError
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.record import BackendInfo

__all__ = ["OpenVinoBackend"]

_TELEMETRY: Final = "openvino_telemetry"
_CONVERTER: Final = "openvino.tools.ovc"
_ELEMENT_TYPES: Final = {
    Precision.FP32: "f32",
    Precision.BF16: "bf16",
    Precision.FP16: "f16",
    Precision.INT8: "f32",
}
_WHOLE_TYPES: Final = frozenset({"u8", "i8"})
_WHOLE_LAYERS: Final = frozenset({"Convolution", "FullyConnected", "MatMul"})


class _Call(Protocol):
    """OpenVINO's inference request; it is untyped."""

    def infer(
        self, inputs: Mapping[str, NDArray[Any]], *, share_inputs: bool
    ) -> Mapping[str, NDArray[Any]]: ...


class _Executed(Protocol):
    """OpenVINO's account of the layers that it runs; it is untyped."""

    def get_ops(self) -> Sequence[Any]: ...


class _Compiled(Protocol):
    """OpenVINO's compiled model; it is untyped."""

    def get_property(self, name: str) -> object: ...

    def create_infer_request(self) -> _Call: ...

    def get_runtime_model(self) -> _Executed: ...


_HELD: Final[list[tuple[_Compiled, _Call]]] = []
"""Every compiled model of this process, never freed.

OpenVINO gives the calling thread a stack for signals with each model and puts the one before it
back when the model is freed. Where two models are freed in the order in which they were made, that
is memory which is freed already, and the next Ctrl-C ends the process in the middle of a frame.
"""


class OpenVinoBackend:
    """One model compiled for the CPU.

    Args:
        model: Bytes of the ONNX file, verified.
        manifest: Its manifest.
        request: What must run.

    Raises:
        BackendUnavailableError: OpenVINO is not installed, or would run another precision or thread
            count than asked for.
    """

    # @need-ids: SRS_BACKEND_001, SRS_BACKEND_003, RCM_BACKEND_001
    def __init__(self, model: bytes, manifest: ModelManifest, request: BackendRequest) -> None:
        self._input = manifest.input
        self._output = manifest.output
        self._openvino = _import_openvino()
        precision = precision_of(request, manifest)
        wanted = _ELEMENT_TYPES[precision]
        compiled = _compile(self._openvino, model, wanted, request.thread_count)
        active = _text(compiled.get_property("INFERENCE_PRECISION_HINT"))
        threads = compiled.get_property("INFERENCE_NUM_THREADS")
        if active != wanted or threads != request.thread_count:
            raise BackendUnavailableError(
                f"expected {wanted} on {request.thread_count} threads, OpenVINO would run "
                f"{active} on {threads}",
                advice="ask for fp32, or for a thread count that this processor has",
            )
        if precision is Precision.INT8:
            _require_whole_numbers(compiled, manifest)
        self._call = compiled.create_infer_request()
        _HELD.append((compiled, self._call))
        self._info = BackendInfo(
            engine=f"openvino {self._openvino.__version__}",
            provider="CPU",
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
            results = self._call.infer({self._input.name: batch}, share_inputs=True)
        except Exception as exc:
            raise InferenceError(
                f"OpenVINO failed on {self._input.name}: {exc}",
                advice="see the log; restart the unit",
            ) from exc
        # The engine reuses its output memory for the next frame; a result must outlive it.
        return check_output(np.array(results[self._output.name]), self._output)

    def close(self) -> None:
        """Keep the compiled model until the process ends; see ``_HELD``."""


# @need-ids: SRS_NETWORK_001, SRS_START_003
def _import_openvino() -> ModuleType:
    """Import the engine without its reporter, or say how to install it.

    On import OpenVINO reports its use to a server through ``openvino_telemetry``, from a process of
    its own, and keeps an identifier in the home folder. It has a stub for where that package is
    missing; None here makes it missing in this process.

    The same holds for its converter from other frameworks: half of the time of the import, and
    native readers of formats that a pack cannot have. One that is in use already stays.
    """
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment] # the import system's mark
    sys.modules.setdefault(_CONVERTER, None)  # type: ignore[arg-type] # the same mark
    try:
        return importlib.import_module("openvino")
    except ImportError as exc:
        raise BackendUnavailableError(
            "expected OpenVINO, it is not installed", advice='pip install "trocar[openvino]"'
        ) from exc


def _compile(openvino: ModuleType, model: bytes, hint: str, thread_count: int) -> _Compiled:
    """Compile with one stream, fixed threads and the precision asked for."""
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(thread_count),
        "INFERENCE_PRECISION_HINT": hint,
    }
    try:
        core = openvino.Core()
        compiled: _Compiled = core.compile_model(core.read_model(model, b""), "CPU", settings)
    except Exception as exc:
        raise BackendUnavailableError(
            f"OpenVINO could not load the model: {exc}",
            advice="ask for fp32, or for onnxruntime-cpu",
        ) from exc
    return compiled


# @need-ids: SRS_OPT_003, RCM_OPT_002
def _require_whole_numbers(compiled: _Compiled, manifest: ModelManifest) -> None:
    """Refuse a compiled model that runs fewer layers in whole numbers than its pack says."""
    origin = manifest.derived_from
    wanted = 0 if origin is None else origin.integer_layer_count
    found = 0
    for layer in compiled.get_runtime_model().get_ops():
        facts = layer.get_rt_info()
        is_counted = _fact(facts, "layerType") in _WHOLE_LAYERS
        found += is_counted and _fact(facts, "runtimePrecision") in _WHOLE_TYPES
    if found < wanted:
        raise BackendUnavailableError(
            f"expected {wanted} layers in int8, OpenVINO would run {found}",
            advice="use the fp32 pack that this one was made from",
        )


def _fact(facts: Mapping[str, Any], name: str) -> str:
    """Return one line of OpenVINO's account of a layer, or nothing where it has none."""
    return str(facts[name].astype(str)) if name in facts else ""


def _text(value: object) -> str:
    """Return the name of one of OpenVINO's element types."""
    return str(getattr(value, "to_string", value.__str__)())
