"""Tiny real packs for tests, whose networks do what can be worked out by hand.

The segmenting one: the probability of a pixel is the mean of its channels over 255. The detecting
one: red and green of a cell are the scores of its two classes, and blue is the size of its box.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from simulators.trust import sign_and_trust, trust_of
from trocar.packs.verify import VerifiedPack, verify_pack
from trocar_lab.packing.build import PackContent, write_pack

SIDE_PX = 64

CELL_PX = 8
DETECTOR_HEIGHT_PX, DETECTOR_WIDTH_PX = 64, 96
DETECTOR_LABELS = ("grasper", "hook")
DETECTOR_REACH = (0.25, 0.5, 0.125, 0.25)
"""Distance to the left, upper, right and lower edge where blue is 255, as fractions of a frame."""


def tiny_model() -> bytes:
    """Return an ONNX file: uint8 (1, s, s, 3) in, float32 (1, 1, s, s) in [0, 1] out."""
    nodes = [
        helper.make_node("Cast", ["frame"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["levels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weights"], ["prob"]),
    ]
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [1, 3, 1, 1], [1 / 765.0] * 3)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, SIDE_PX, SIDE_PX, 3])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, [1, 1, SIDE_PX, SIDE_PX])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def tiny_facts() -> dict[str, Any]:
    """Return the facts of the manifest."""
    return {
        "pack_name": "tiny",
        "pack_version": "0.0.1",
        "unit": "polyp_segmentation",
        "model_need": "MDL_TINY",
        "intended_use": "tests",
        "not_for": "anything else",
        "input": {
            "name": "frame",
            "dtype": "uint8",
            "axes": ["batch", "height", "width", "channel"],
            "shape": [1, SIDE_PX, SIDE_PX, 3],
            "meaning": "levels",
        },
        "output": {
            "name": "prob",
            "dtype": "float32",
            "axes": ["batch", "class", "height", "width"],
            "shape": [1, 1, SIDE_PX, SIDE_PX],
            "meaning": "mean level",
        },
        "preprocessing": {"colour_order": "RGB", "resize": "area", "normalisation": "in_graph"},
        "threshold": {"value": 0.5, "chosen_by": "tests"},
        "parity": {"prob_difference_max": 0.02, "mask_dice_min": 0.98},
        "trained_on": [
            {"data_id": "DATA_NONE", "digest": "0" * 64, "split": "none", "licence": "none"}
        ],
        "metrics": [
            {
                "name": "none",
                "value": 0.0,
                "lower_95": 0.0,
                "upper_95": 0.0,
                "item_count": 1,
                "group_count": 1,
                "data": "none",
                "method": "none",
            }
        ],
        "created_on": "2026-11-21",
    }


def tiny_reference() -> tuple[
    np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, np.dtype[np.float32]]
]:
    """Return the reference case: a bright square on a dark ground."""
    frame = np.full((1, SIDE_PX, SIDE_PX, 3), 40, dtype=np.uint8)
    frame[:, 16:40, 20:50] = 220
    prob = frame.astype(np.float32).mean(axis=3)[:, np.newaxis] / 255
    return frame, prob.astype(np.float32)


def write_tiny_pack(folder: Path, **changes: object) -> VerifiedPack:
    """Write the pack, with some facts changed, sign and approve it; return it verified."""
    reference_input, reference_output = tiny_reference()
    content = PackContent(tiny_model(), "# Tiny\n", reference_input, reference_output)
    return _signed(folder, content, {**tiny_facts(), **changes})


def detector_model() -> bytes:
    """Return an ONNX file: uint8 (1, 64, 96, 3) in, float32 (1, 6, 8, 12) in [0, 1] out."""
    nodes = [
        helper.make_node("Cast", ["frame"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["levels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool",
            ["planes"],
            ["means"],
            kernel_shape=[CELL_PX, CELL_PX],
            strides=[CELL_PX, CELL_PX],
        ),
        helper.make_node("Conv", ["means", "weights"], ["cells"]),
    ]
    rows = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), *((0.0, 0.0, reach) for reach in DETECTOR_REACH)]
    flat = [value / 255 for row in rows for value in row]
    shape = [1, len(rows), DETECTOR_HEIGHT_PX // CELL_PX, DETECTOR_WIDTH_PX // CELL_PX]
    size = [1, DETECTOR_HEIGHT_PX, DETECTOR_WIDTH_PX, 3]
    graph = helper.make_graph(
        nodes,
        "tiny_detector",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, size)],
        [helper.make_tensor_value_info("cells", TensorProto.FLOAT, shape)],
        [helper.make_tensor("weights", TensorProto.FLOAT, [len(rows), 3, 1, 1], flat)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def detector_maps(
    frame: np.ndarray[Any, np.dtype[np.uint8]],
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return what the detecting network gives for a batch of its own size, in NumPy."""
    cells = frame.astype(np.float64).reshape(
        1, DETECTOR_HEIGHT_PX // CELL_PX, CELL_PX, DETECTOR_WIDTH_PX // CELL_PX, CELL_PX, 3
    )
    red, green, blue = np.moveaxis(cells.mean(axis=(2, 4)) / 255, -1, 0)
    maps = np.stack([red, green, *(blue * reach for reach in DETECTOR_REACH)], axis=1)
    return maps.astype(np.float32)


def painted_cells(
    *cells: tuple[int, int, tuple[int, int, int]],
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a picture of the detector's size, black but for some cells (row, column, colour)."""
    pixels = np.zeros((DETECTOR_HEIGHT_PX, DETECTOR_WIDTH_PX, 3), dtype=np.uint8)
    for row, column, colour in cells:
        top, left = CELL_PX * row, CELL_PX * column
        pixels[top : top + CELL_PX, left : left + CELL_PX] = colour
    return pixels


def detector_facts() -> dict[str, Any]:
    """Return the facts of the detecting pack's manifest."""
    facts = tiny_facts()
    maps = [1, 6, DETECTOR_HEIGHT_PX // CELL_PX, DETECTOR_WIDTH_PX // CELL_PX]
    return facts | {
        "pack_name": "tiny_detector",
        "unit": "tool_detection",
        "model_need": "MDL_TINY_DETECTOR",
        "input": facts["input"] | {"shape": [1, DETECTOR_HEIGHT_PX, DETECTOR_WIDTH_PX, 3]},
        "output": {
            "name": "cells",
            "dtype": "float32",
            "axes": ["batch", "channel", "height", "width"],
            "shape": maps,
            "meaning": "scores, and distances to the edges",
        },
        "labels": list(DETECTOR_LABELS),
    }


def write_detector_pack(folder: Path, **changes: object) -> VerifiedPack:
    """Write the detecting pack, with some facts changed; sign, approve, return it verified."""
    frame = painted_cells((2, 3, (230, 0, 200)), (5, 9, (0, 180, 100)))[np.newaxis]
    content = PackContent(detector_model(), "# Tiny detector\n", frame, detector_maps(frame))
    return _signed(folder, content, {**detector_facts(), **changes})


def _signed(folder: Path, content: PackContent, facts: dict[str, Any]) -> VerifiedPack:
    """Write, sign and approve a pack; its trust folder lies beside it."""
    write_pack(folder, content, facts)
    sign_and_trust(folder)
    return verify_pack(folder, trust_of(folder))


def edit_manifest(folder: Path, **changes: object) -> None:
    """Change top-level fields of a written manifest; sign and approve the result."""
    path = folder / "manifest.json"
    parsed = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**parsed, **changes}), encoding="utf-8")
    sign_and_trust(folder)
