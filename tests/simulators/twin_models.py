"""Small models with the structure of the shipped ones: the mean of two views, one of them mirrored.

Each network is a strided convolution, a strided shortcut, a sum and a linear doubling; the weights
are drawn from a seed. What exports leave behind is there too: half weights with casts, an identity,
constants, and weights that occur twice.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from simulators.packs import SIDE_PX

_HALF = SIDE_PX // 2


def twin_model(*, seed: int = 3, shared: bool = False, mirrored: bool = True) -> bytes:
    """Return an ONNX file: uint8 (1, s, s, 3) in, float32 (1, 1, s, s) in [0, 1] out.

    Args:
        seed: Seed of the weights.
        shared: Let both views have the same weights.
        mirrored: Show the second view the mirror image.
    """
    arrays: dict[str, NDArray[Any]] = {"scale": np.array(1 / 255, np.float32)}
    make = helper.make_node
    nodes = [
        make("Cast", ["frame"], ["levels"], to=TensorProto.FLOAT, name="cast"),
        make("Transpose", ["levels"], ["planes"], perm=[0, 3, 1, 2], name="planes"),
        make("Mul", ["planes", "scale"], ["image"], name="scale"),
    ]
    nodes += _network("a", "image", arrays, seed)
    if mirrored:
        nodes += [*_flip("in", "image", "turned")]
    nodes += _network("b", "turned" if mirrored else "image", arrays, seed + (not shared))
    if mirrored:
        nodes += [*_flip("out", "b.prob", "b.back")]
    arrays["half"] = np.array(0.5, np.float32)
    second = "b.back" if mirrored else "b.prob"
    nodes += [
        make("Identity", ["a.prob"], ["a.same"], name="same"),
        make("Add", ["a.same", second], ["total"], name="total"),
        make("Mul", ["total", "half"], ["prob"], name="mean"),
    ]
    return _model(nodes, arrays)


def _network(
    name: str, source: str, arrays: dict[str, NDArray[Any]], seed: int
) -> list[onnx.NodeProto]:
    """Return one network that reads ``source`` and gives ``name.prob``."""
    generator = np.random.default_rng(seed)
    shapes = {"first": (8, 3, 3, 3), "short": (8, 3, 1, 1), "head": (1, 8, 1, 1)}
    make, casts = helper.make_node, []
    for part, shape in shapes.items():
        weights = generator.normal(0, 0.6, shape).astype(np.float16)
        arrays[f"{name}.{part}.half"] = weights
        casts.append(
            make(
                "Cast",
                [f"{name}.{part}.half"],
                [f"{name}.{part}"],
                to=TensorProto.FLOAT,
                name=f"{name}.{part}.cast",
            )
        )
    doubling = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32))
    return [
        *casts,
        make("Constant", [], [f"{name}.doubling"], value=doubling, name=f"{name}.constant"),
        make(
            "Conv",
            [source, f"{name}.first"],
            [f"{name}.one"],
            strides=[2, 2],
            pads=[1, 1, 1, 1],
            name=f"{name}.first.conv",
        ),
        make(
            "Conv",
            [source, f"{name}.short"],
            [f"{name}.two"],
            strides=[2, 2],
            name=f"{name}.short.conv",
        ),
        make("Add", [f"{name}.one", f"{name}.two"], [f"{name}.sum"], name=f"{name}.add"),
        make("Relu", [f"{name}.sum"], [f"{name}.active"], name=f"{name}.relu"),
        make("Conv", [f"{name}.active", f"{name}.head"], [f"{name}.map"], name=f"{name}.head.conv"),
        make(
            "Resize",
            [f"{name}.map", "", f"{name}.doubling"],
            [f"{name}.logit"],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
            name=f"{name}.resize",
        ),
        make("Sigmoid", [f"{name}.logit"], [f"{name}.prob"], name=f"{name}.sigmoid"),
    ]


def _flip(name: str, source: str, target: str) -> list[onnx.NodeProto]:
    """Return the nodes that turn the width round."""
    values = {"starts": [-1], "ends": [-(2**62)], "axes": [3], "steps": [-1]}
    make = helper.make_node
    constants = [
        make(
            "Constant",
            [],
            [f"{name}.{part}"],
            value=numpy_helper.from_array(np.array(value, np.int64)),
            name=f"{name}.{part}",
        )
        for part, value in values.items()
    ]
    reads = [source, *(f"{name}.{part}" for part in values)]
    return [*constants, make("Slice", reads, [target], name=f"{name}.flip")]


def _model(nodes: list[onnx.NodeProto], arrays: dict[str, NDArray[Any]]) -> bytes:
    """Return the file, checked."""
    graph = helper.make_graph(
        nodes,
        "twin",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, SIDE_PX, SIDE_PX, 3])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, [1, 1, SIDE_PX, SIDE_PX])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def frames(count: int, *, seed: int = 1) -> NDArray[np.uint8]:
    """Return (count, s, s, 3) uint8 of coarse noise, so that masks have shapes."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(SIDE_PX // 8, axis=1).repeat(SIDE_PX // 8, axis=2)


def run(model: bytes, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the model's answers, frame by frame, by ONNX Runtime without its own rewriting."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"frame": one[np.newaxis]})[0] for one in inputs])
