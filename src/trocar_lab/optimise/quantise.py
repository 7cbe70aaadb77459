"""Static quantisation: ranges from calibration frames, whole numbers between pairs of Q and DQ."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from trocar_lab.optimise.graph import graph_bytes, read_graph

__all__ = ["QuantisePlan", "RangeMethod", "integer_layer_count", "quantise"]

_FRAMES_AT_ONCE: Final = 2
_LAYERS: Final = frozenset({"Conv", "Gemm", "MatMul"})


class RangeMethod(StrEnum):
    """How the range of an activation is chosen from what the calibration frames gave."""

    MIN_MAX = "min_max"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"


@dataclass(frozen=True)
class QuantisePlan:
    """How a graph is quantised.

    Attributes:
        method: How ranges are chosen.
        operations: Operations that compute in whole numbers; empty for all that can.
        keep_ends_float: Leave the first and the last layer of each path in float.
    """

    method: RangeMethod
    operations: tuple[str, ...] = ("Conv",)
    keep_ends_float: bool = False

    @property
    def text(self) -> str:
        """What was done, for the manifest and the card."""
        ends = ", first and last layers in float" if self.keep_ends_float else ""
        which = " and ".join(self.operations) or "all operations that can"
        return (
            f"static quantisation of {which}: weights int8 per output channel, activations uint8 "
            f"with ranges by {self.method.value.replace('_', '-')}{ends}"
        )


def quantise(model: bytes, frames: Sequence[NDArray[np.uint8]], plan: QuantisePlan) -> bytes:
    """Return the quantised graph.

    Args:
        model: A cleaned float graph.
        frames: Inputs of the network to take ranges from; at least one.
        plan: How.

    Raises:
        ValueError: No frames: ranges over none mean nothing.
    """
    if not frames:
        raise ValueError("expected at least one calibration frame, got none")
    runtime = _quantiser()
    parsed = read_graph(model)
    operations = list(plan.operations) or [*runtime.QDQRegistry, *runtime.QLinearOpsRegistry]
    operations = sorted(set(operations))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.onnx"
        path.write_bytes(model)
        ranges = _ranges(runtime, path, frames, plan.method, operations)
        loaded = runtime.load_model_with_shape_infer(path)
    quantizer = runtime.QDQQuantizer(
        loaded,
        per_channel=True,
        reduce_range=False,
        weight_qType=runtime.QuantType.QInt8,
        activation_qType=runtime.QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[],
        nodes_to_exclude=_ends(parsed) if plan.keep_ends_float else [],
        op_types_to_quantize=operations,
        extra_options={},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantised: onnx.ModelProto = quantizer.model.model
    quantised.producer_name, quantised.producer_version = "trocar", ""
    del quantised.metadata_props[:]
    del quantised.graph.value_info[:]
    return graph_bytes(quantised)


class _Frames:
    """Calibration frames, one after another, as the quantiser reads them."""

    def __init__(self, name: str, frames: Sequence[NDArray[np.uint8]]) -> None:
        self._name = name
        self._rest: Iterator[NDArray[np.uint8]] = iter(frames)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next input, or None after the last one."""
        frame = next(self._rest, None)
        return None if frame is None else {self._name: frame}


def _ranges(
    runtime: SimpleNamespace,
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    method: RangeMethod,
    operations: list[str],
) -> object:
    """Return the range of each tensor; few frames at once, since every tensor is kept of each."""
    choices = {
        RangeMethod.MIN_MAX: (runtime.CalibrationMethod.MinMax, {}),
        RangeMethod.PERCENTILE: (
            runtime.CalibrationMethod.Percentile,
            {"num_bins": 2048, "percentile": 99.99},
        ),
        RangeMethod.ENTROPY: (runtime.CalibrationMethod.Entropy, {"num_bins": 128}),
    }
    chosen, settings = choices[method]
    calibrator = runtime.create_calibrator(
        path,
        operations,
        augmented_model_path=str(path.with_name("augmented.onnx")),
        calibrate_method=chosen,
        extra_options=settings,
    )
    name = read_graph(path.read_bytes()).graph.input[0].name
    # The calibrator prints what it does, frame by frame.
    with contextlib.redirect_stdout(io.StringIO()):
        for begin in range(0, len(frames), _FRAMES_AT_ONCE):
            calibrator.collect_data(_Frames(name, frames[begin : begin + _FRAMES_AT_ONCE]))
        return calibrator.compute_data()


def _ends(model: onnx.ModelProto) -> list[str]:
    """Return the names of the layers before which, and after which, there is no other one."""
    nodes = list(model.graph.node)
    begins = _first_layers(nodes, {one.name for one in model.graph.input})
    turned = [
        onnx.helper.make_node(node.op_type, list(node.output), list(node.input), name=node.name)
        for node in reversed(nodes)
    ]
    return sorted({*begins, *_first_layers(turned, {one.name for one in model.graph.output})})


def _first_layers(nodes: Sequence[onnx.NodeProto], begin: set[str]) -> set[str]:
    """Return the layers that are reached from some tensors without passing another layer."""
    reached, found = set(begin), set()
    for node in nodes:
        if not reached & set(node.input):
            continue
        if node.op_type in _LAYERS:
            found.add(node.name)
        else:
            reached |= set(node.output)
    return found


def integer_layer_count(model: bytes) -> int:
    """Return how many layers read both their input and their weights in whole numbers."""
    graph = read_graph(model).graph
    widened = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    return sum(node.op_type in _LAYERS and set(node.input[:2]) <= widened for node in graph.node)


def _quantiser() -> SimpleNamespace:
    """Return the parts of ONNX Runtime's quantiser; untyped."""
    # ONNX Runtime reports its use over the network unless this is set before the first import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from onnxruntime import quantization  # noqa: PLC0415 - see the first line
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer  # noqa: PLC0415 - as before
    from onnxruntime.quantization.quant_utils import (  # noqa: PLC0415 - as before
        load_model_with_shape_infer,
    )
    from onnxruntime.quantization.registry import (  # noqa: PLC0415 - as before
        QDQRegistry,
        QLinearOpsRegistry,
    )

    return SimpleNamespace(
        CalibrationMethod=quantization.CalibrationMethod,
        QuantType=quantization.QuantType,
        create_calibrator=quantization.calibrate.create_calibrator,
        QDQQuantizer=QDQQuantizer,
        QDQRegistry=QDQRegistry,
        QLinearOpsRegistry=QLinearOpsRegistry,
        load_model_with_shape_infer=load_model_with_shape_infer,
    )
