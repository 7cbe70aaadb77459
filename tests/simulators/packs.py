"""A tiny real pack for tests: the probability of a pixel is the mean of its channels over 255."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from trocar.packs.verify import VerifiedPack
from trocar_lab.packing.build import PackContent, write_pack

SIDE_PX = 64


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
    """Write the pack, with some facts changed; return it verified."""
    reference_input, reference_output = tiny_reference()
    content = PackContent(tiny_model(), "# Tiny\n", reference_input, reference_output)
    return write_pack(folder, content, {**tiny_facts(), **changes})


def edit_manifest(folder: Path, **changes: object) -> None:
    """Change top-level fields of a written manifest."""
    path = folder / "manifest.json"
    parsed = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**parsed, **changes}), encoding="utf-8")
