"""A tiny real pack in whole numbers, whose network does what can be worked out by hand.

It is the segmenting pack of ``simulators.packs`` with its one convolution between pairs of Q and
DQ: a step is 2 levels, so that even levels are kept, and a weight is 127 steps of 1 / (765 * 127).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from simulators.packs import SIDE_PX, tiny_facts, tiny_reference
from simulators.trust import sign_and_trust, trust_of
from trocar.packs.verify import VerifiedPack, verify_pack
from trocar_lab.packing.build import PackContent, write_pack

INTEGER_LAYER_COUNT = 1


def int8_model() -> bytes:
    """Return an ONNX file: uint8 (1, s, s, 3) in, float32 (1, 1, s, s) in [0, 1] out."""
    make = helper.make_node
    nodes = [
        make("Cast", ["frame"], ["levels"], to=TensorProto.FLOAT),
        make("Transpose", ["levels"], ["planes"], perm=[0, 3, 1, 2]),
        make("QuantizeLinear", ["planes", "step", "zero"], ["whole"]),
        make("DequantizeLinear", ["whole", "step", "zero"], ["widened"]),
        make("DequantizeLinear", ["steps", "step_of_weights", "no_offset"], ["weights"], axis=0),
        make("Conv", ["widened", "weights"], ["prob"]),
    ]
    arrays = {
        "step": np.array(2.0, np.float32),
        "zero": np.array(0, np.uint8),
        "steps": np.full((1, 3, 1, 1), 127, np.int8),
        "step_of_weights": np.array([1 / (765 * 127)], np.float32),
        "no_offset": np.array([0], np.int8),
    }
    graph = helper.make_graph(
        nodes,
        "tiny_int8",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, SIDE_PX, SIDE_PX, 3])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, [1, 1, SIDE_PX, SIDE_PX])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def int8_facts(*, integer_layer_count: int = INTEGER_LAYER_COUNT) -> dict[str, Any]:
    """Return the facts of the manifest, of format 2."""
    return tiny_facts() | {
        "format_version": 2,
        "pack_name": "tiny_int8",
        "precision": "int8",
        "derived_from": {
            "pack_id": "tiny 0.0.1",
            "digest": "0" * 64,
            "method": "by hand",
            "integer_layer_count": integer_layer_count,
            "calibration": {
                "data_id": "DATA_NONE",
                "digest": "0" * 64,
                "item_count": 1,
                "side": "none",
            },
        },
    }


def write_int8_pack(folder: Path, *, integer_layer_count: int = 1) -> VerifiedPack:
    """Write the pack, sign and approve it; return it verified."""
    reference_input, reference_output = tiny_reference()
    content = PackContent(int8_model(), "# Tiny int8\n", reference_input, reference_output)
    write_pack(folder, content, int8_facts(integer_layer_count=integer_layer_count))
    sign_and_trust(folder)
    return verify_pack(folder, trust_of(folder))
