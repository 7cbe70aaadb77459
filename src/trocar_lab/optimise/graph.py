"""ONNX graphs as nodes and named arrays: reading, cleaning of what export leaves, writing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

__all__ = [
    "CleanedGraph",
    "attribute",
    "clean",
    "graph_bytes",
    "read_graph",
    "replace_content",
    "shapes_of",
    "store_in_half",
    "weights_of",
]

_HALF_SIZE_FROM: Final = 64
_ELEMENT_TYPES: Final[Mapping[int, np.dtype[Any]]] = {
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
    onnx.TensorProto.FLOAT16: np.dtype(np.float16),
}


@dataclass(frozen=True)
class CleanedGraph:
    """A graph without what the export left behind.

    Attributes:
        model: Bytes of the ONNX file.
        removed: Number of nodes and weights that are gone, by kind.
    """

    model: bytes
    removed: Mapping[str, int]


def read_graph(model: bytes) -> onnx.ModelProto:
    """Return the parsed file."""
    return onnx.load_model_from_string(model)


def graph_bytes(model: onnx.ModelProto) -> bytes:
    """Return the file, checked, the same bytes for the same graph."""
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def weights_of(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """Return each stored array by name."""
    return {one.name: numpy_helper.to_array(one) for one in graph.initializer}


def attribute(node: onnx.NodeProto, name: str, default: object = None) -> object:
    """Return an attribute of a node, or the default where it has none."""
    for one in node.attribute:
        if one.name == name:
            return onnx.helper.get_attribute_value(one)
    return default


def shapes_of(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor, input, weight and result, by name."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    infos = [*inferred.value_info, *inferred.input, *inferred.output]
    shapes = {
        one.name: tuple(side.dim_value for side in one.type.tensor_type.shape.dim) for one in infos
    }
    return {**shapes, **{one.name: tuple(one.dims) for one in inferred.initializer}}


def clean(model: bytes) -> CleanedGraph:
    """Widen stored weights once, take out what computes nothing, and drop what nobody reads.

    A cast of a stored weight becomes the widened weight; an identity's readers read its input; a
    constant becomes a stored array; weights that occur twice are stored once. Arithmetic on the
    frame is left as it is, so that the results are those of the file before, to the last bit where
    the engine adds in the same order.
    """
    parsed = read_graph(model)
    graph = parsed.graph
    weights = weights_of(graph)
    removed: Counter[str] = Counter()
    reads: dict[str, str] = {}
    kept = []
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = reads.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in {one.name for one in graph.output}:
            reads[node.output[0]] = node.input[0]
        elif node.op_type == "Constant":
            value = attribute(node, "value")
            weights[node.output[0]] = numpy_helper.to_array(value)
        elif node.op_type == "Cast" and node.input[0] in weights:
            target = _ELEMENT_TYPES.get(int(str(attribute(node, "to"))))
            if target is None:
                kept.append(node)
                continue
            weights[node.output[0]] = weights[node.input[0]].astype(target)
        else:
            kept.append(node)
            continue
        removed[node.op_type] += 1
    removed["stored twice"] = _store_once(kept, weights)
    return CleanedGraph(_with(parsed, kept, weights), removed)


def _store_once(nodes: list[onnx.NodeProto], weights: Mapping[str, NDArray[Any]]) -> int:
    """Let nodes read one array where two hold the same bytes; return how many are spared."""
    first: dict[tuple[object, ...], str] = {}
    same = {
        name: first.setdefault((array.dtype.str, array.shape, array.tobytes()), name)
        for name, array in weights.items()
    }
    count = 0
    for node in nodes:
        for index, name in enumerate(node.input):
            if same.get(name, name) != name:
                node.input[index] = same[name]
                count += 1
    return count


def _with(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, NDArray[Any]],
) -> bytes:
    """Return the model with other nodes and the weights that they read."""
    graph = model.graph
    read = {name for node in nodes for name in node.input}
    kept = [numpy_helper.from_array(array, name) for name, array in weights.items() if name in read]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]
    return graph_bytes(model)


def replace_content(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, NDArray[Any]],
) -> bytes:
    """Return the model with these nodes, as far as the output needs them, and their weights."""
    wanted = {one.name for one in model.graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return _with(model, kept[::-1], weights)


def store_in_half(model: bytes) -> bytes:
    """Store each larger weight in float16 with a cast in front of its readers.

    The file has half the bytes; engines widen the weights when they load it.
    """
    parsed = read_graph(model)
    casts, weights = [], {}
    for name, values in weights_of(parsed.graph).items():
        if values.dtype != np.float32 or values.size < _HALF_SIZE_FROM:
            weights[name] = values
            continue
        weights[f"{name}.half"] = values.astype(np.float16)
        casts.append(
            onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
        )
    return _with(parsed, [*casts, *parsed.graph.node], weights)
