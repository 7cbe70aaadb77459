"""Rewriting of a graph's structure: the mirror image in the weights, fewer networks, cheaper ends.

``fold_mirror`` and ``upsample_by_phases`` compute the same function in another way. ``one_view``
and ``averaged_networks`` compute another function and carry their own figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from trocar_lab.optimise.graph import attribute, read_graph, replace_content, shapes_of, weights_of

__all__ = [
    "StructureError",
    "averaged_networks",
    "fold_mirror",
    "one_view",
    "upsample_by_phases",
]

_MIRROR_SAFE: Final = frozenset({
    "Add", "Cast", "Concat", "GlobalAveragePool", "Mul", "Relu", "Sigmoid", "Sub",
})  # fmt: skip
_LAST_AXIS: Final = (-1, 3)


class StructureError(ValueError):
    """The graph does not have the structure that the rewriting is for."""


def fold_mirror(model: bytes) -> bytes:
    """Turn the mirrored half of a graph into one that reads the frame as it is.

    Between the two flips along the width every operation commutes with the flip, or is a
    convolution, which does so with its kernel flipped and its padding exchanged. Where a strided
    convolution leaves out columns on the right, the flipped one must leave them out on the left; a
    column of zeros in its kernel does that.

    Raises:
        StructureError: There are no two flips, or an operation between them does not commute.
    """
    parsed = read_graph(model)
    nodes, weights = list(parsed.graph.node), weights_of(parsed.graph)
    shapes = shapes_of(parsed)
    begin, end = _flips(nodes, weights)
    reads = {begin.output[0]: begin.input[0], end.output[0]: end.input[0]}
    mirrored = {begin.output[0]}
    for node in nodes:
        if node is end or not mirrored & set(node.input):
            continue
        mirrored |= set(node.output)
        if node.op_type == "Conv":
            _flip_convolution(node, weights, shapes)
        elif not _commutes(node):
            raise StructureError(f"expected what commutes with a flip, got {node.op_type}")
    if mirrored & {one.name for one in parsed.graph.output}:
        raise StructureError("expected the mirrored half to end at the second flip, it does not")
    kept = [node for node in nodes if node is not begin and node is not end]
    for node in kept:
        for index, name in enumerate(node.input):
            node.input[index] = reads.get(name, name)
    return replace_content(parsed, kept, weights)


def _flips(
    nodes: Sequence[onnx.NodeProto], weights: Mapping[str, NDArray[Any]]
) -> tuple[onnx.NodeProto, onnx.NodeProto]:
    """Return the two flips along the width, first one first."""
    found = [
        node
        for node in nodes
        if node.op_type == "Slice"
        and len(node.input) == 5
        and all(name in weights for name in node.input[1:])
        and weights[node.input[4]].tolist() == [-1]
        and weights[node.input[3]].tolist()[0] in _LAST_AXIS
    ]
    if len(found) != 2:
        raise StructureError(f"expected two flips along the width, got {len(found)}")
    return found[0], found[1]


def _commutes(node: onnx.NodeProto) -> bool:
    """Say whether an operation gives the flipped result for a flipped input."""
    if node.op_type == "Resize":
        return attribute(node, "coordinate_transformation_mode") in {
            b"half_pixel",
            b"pytorch_half_pixel",
        }
    if node.op_type == "Concat":
        return attribute(node, "axis") == 1
    return node.op_type in _MIRROR_SAFE


def _flip_convolution(
    node: onnx.NodeProto,
    weights: dict[str, NDArray[Any]],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Flip one convolution along the width; see ``fold_mirror``."""
    kernel = weights[node.input[1]][..., ::-1]
    top, left, bottom, _ = _ints(node, "pads", [0, 0, 0, 0])
    stride, dilation = _ints(node, "strides", [1, 1])[1], _ints(node, "dilations", [1, 1])[1]
    reach = (kernel.shape[3] - 1) * dilation + 1
    width_in, width_out = shapes[node.input[0]][3], shapes[node.output[0]][3]
    needed = (width_out - 1) * stride + reach - width_in - left
    if needed < 0:
        if dilation != 1:
            raise StructureError("expected a dilated convolution to cover its input, it does not")
        kernel = np.pad(kernel, ((0, 0), (0, 0), (0, 0), (-needed, 0)))
        needed = 0
    name = f"{node.input[1]}.mirrored"
    weights[name] = np.ascontiguousarray(kernel)
    node.input[1] = name
    kept = [one for one in node.attribute if one.name not in {"pads", "kernel_shape"}]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.append(onnx.helper.make_attribute("kernel_shape", kernel.shape[2:]))
    node.attribute.append(onnx.helper.make_attribute("pads", [top, needed, bottom, left]))


def _ints(node: onnx.NodeProto, name: str, default: list[int]) -> list[int]:
    """Return an attribute that holds whole numbers."""
    found = attribute(node, name, default)
    return [int(one) for one in found] if isinstance(found, list) else default


def upsample_by_phases(model: bytes) -> bytes:
    """Replace each doubling of a single map by one small convolution and a change of order.

    A linear doubling mixes each value with its neighbours by 3/4 and 1/4, in four phases; engines
    have slow general code for it where there is only one channel.

    Raises:
        StructureError: There is no such doubling.
    """
    parsed = read_graph(model)
    weights, shapes = weights_of(parsed.graph), shapes_of(parsed)
    nodes: list[onnx.NodeProto] = []
    count = 0
    for node in parsed.graph.node:
        before, after = shapes.get(node.input[0], ()), shapes.get(node.output[0], ())
        is_single = node.op_type == "Resize" and len(before) == 4 and before[:2] == (1, 1)
        if not is_single or after != (1, 1, 2 * before[2], 2 * before[3]) or not _is_linear(node):
            nodes.append(node)
            continue
        count += 1
        nodes += _phases(node, weights)
    if not count:
        raise StructureError("expected a linear doubling of a single map, got none")
    return replace_content(parsed, nodes, weights)


def _is_linear(node: onnx.NodeProto) -> bool:
    """Say whether a resize is linear between centres of pixels."""
    return attribute(node, "mode") == b"linear" and _commutes(node)


def _phases(node: onnx.NodeProto, weights: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    """Return the nodes that double one map."""
    even, odd = np.array([0.25, 0.75, 0.0]), np.array([0.0, 0.75, 0.25])
    kernel = np.stack([np.outer(down, across) for down in (even, odd) for across in (even, odd)])
    weights["phases.weight"] = kernel[:, np.newaxis].astype(np.float32)
    weights["phases.pads"] = np.array([0, 0, 1, 1, 0, 0, 1, 1], dtype=np.int64)
    name = node.output[0]
    make = onnx.helper.make_node
    return [
        make(
            "Pad",
            [node.input[0], "phases.pads"],
            [f"{name}.padded"],
            name=f"{name}.pad",
            mode="edge",
        ),
        make(
            "Conv",
            [f"{name}.padded", "phases.weight"],
            [f"{name}.phases"],
            name=f"{name}.phases",
            kernel_shape=[3, 3],
        ),
        make(
            "DepthToSpace",
            [f"{name}.phases"],
            [name],
            name=f"{name}.order",
            blocksize=2,
            mode="DCR",
        ),
    ]


def one_view(model: bytes) -> bytes:
    """Keep the first of two averaged views: half the arithmetic, another function.

    Raises:
        StructureError: The output is not the mean of two.
    """
    parsed = read_graph(model)
    weights, nodes = weights_of(parsed.graph), list(parsed.graph.node)
    mean, total = _mean_of_two(nodes, weights)
    output = parsed.graph.output[0].name
    kept = [node for node in nodes if node is not mean and node is not total]
    for node in kept:
        for index, name in enumerate(node.output):
            node.output[index] = output if name == total.input[0] else name
    return replace_content(parsed, kept, weights)


def _mean_of_two(
    nodes: Sequence[onnx.NodeProto], weights: Mapping[str, NDArray[Any]]
) -> tuple[onnx.NodeProto, onnx.NodeProto]:
    """Return the multiplication by one half at the end, and the addition before it."""
    mean = nodes[-1]
    makers = {name: node for node in nodes for name in node.output}
    total = makers.get(mean.input[0], mean)
    factor = weights.get(mean.input[-1])
    is_mean = (
        mean.op_type == "Mul"
        and total.op_type == "Add"
        and factor is not None
        and factor.size == 1
        and float(factor.reshape(-1)[0]) == 0.5
    )
    if not is_mean:
        raise StructureError(f"expected the mean of two at the end, got {mean.op_type}")
    return mean, total


def averaged_networks(model: bytes) -> bytes:
    """Keep one network, with the mean of the weights of both: half the arithmetic and the bytes.

    Sensible only for two networks of one course of training, which lie in one valley.

    Raises:
        StructureError: The output is not the mean of two networks of one shape.

    Source:
        Wortsman et al. 2022, arXiv 2203.05482 (mean of weights instead of mean of outputs).
    """
    parsed = read_graph(model)
    weights = weights_of(parsed.graph)
    first = weights_of(read_graph(one_view(model)).graph)
    readers = [node for node in parsed.graph.node if node.op_type == "Conv"]
    ours = [node for node in readers if node.input[1] in first]
    others = [node for node in readers if node.input[1] not in first]
    if len(ours) != len(others):
        raise StructureError(f"expected two networks, got {len(ours)} and {len(others)} layers")
    for node, other in zip(ours, others, strict=True):
        for name, twin in zip(node.input[1:], other.input[1:], strict=True):
            if weights[name].shape != weights[twin].shape:
                raise StructureError(f"expected one shape, got {name} and {twin}")
            weights[name] = ((weights[name] + weights[twin]) * 0.5).astype(np.float32)
    return one_view(replace_content(parsed, list(parsed.graph.node), weights))
