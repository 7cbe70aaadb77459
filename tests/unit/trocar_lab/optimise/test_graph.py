"""Cleaning takes out what computes nothing and leaves the numbers as they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from simulators.twin_models import frames, run, twin_model
from trocar_lab.optimise.graph import (
    attribute,
    clean,
    graph_bytes,
    read_graph,
    replace_content,
    shapes_of,
    store_in_half,
    weights_of,
)


@pytest.mark.verifies("SRS_OPT_004", extent="full", technique="equivalence")
def test_cleaning_changes_no_number() -> None:
    """Casts of weights, identities, constants and copies are gone; each answer stays."""
    model = twin_model(shared=True)
    cleaned = clean(model)
    left = {node.op_type for node in read_graph(cleaned.model).graph.node}
    assert not left & {"Identity", "Constant"}
    assert cleaned.removed == {"Cast": 6, "Constant": 10, "Identity": 1, "stored twice": 9}
    inputs = frames(2)
    np.testing.assert_array_equal(run(cleaned.model, inputs), run(model, inputs))


def test_cast_of_the_frame_stays() -> None:
    """The frame's own cast is arithmetic, not storage."""
    nodes = read_graph(clean(twin_model()).model).graph.node
    assert [node.name for node in nodes if node.op_type == "Cast"] == ["cast"]


def test_identity_of_the_output_and_cast_to_whole_numbers_stay() -> None:
    """An output keeps its name; a cast that is no widening is not understood, so it stays."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["weights"], ["whole"], to=TensorProto.INT32),
            helper.make_node("Cast", ["whole"], ["sum"], to=TensorProto.FLOAT),
            helper.make_node("Identity", ["sum"], ["prob"]),
        ],
        "odd",
        [],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.array([1.5, 2.5], np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    cleaned = clean(graph_bytes(model))
    assert dict(cleaned.removed) == {"stored twice": 0}
    assert len(read_graph(cleaned.model).graph.node) == 3


@pytest.mark.verifies("SRS_OPT_004", extent="partial", technique="equivalence")
def test_storage_in_half_has_fewer_bytes_and_the_same_numbers() -> None:
    """Weights that came from float16 lose nothing by going back."""
    cleaned = clean(twin_model()).model
    half = store_in_half(cleaned)
    stored = weights_of(read_graph(half).graph)
    assert {str(one.dtype) for name, one in stored.items() if name.endswith(".half")} == {"float16"}
    inputs = frames(1)
    np.testing.assert_array_equal(run(half, inputs), run(cleaned, inputs))


def test_same_graph_gives_the_same_bytes() -> None:
    """A digest of a variant can be compared."""
    assert clean(twin_model()).model == clean(twin_model()).model


def test_attributes_have_a_default() -> None:
    """A node without the attribute has what the caller says."""
    node = helper.make_node("Conv", ["a", "b"], ["c"], strides=[2, 2])
    assert attribute(node, "strides") == [2, 2]
    assert attribute(node, "pads", [0]) == [0]


def test_shapes_are_those_of_the_graph() -> None:
    """Inputs, weights and results have their sizes."""
    shapes = shapes_of(read_graph(clean(twin_model()).model))
    assert shapes["frame"] == (1, 64, 64, 3)
    assert shapes["a.one"] == (1, 8, 32, 32)
    assert shapes["a.first"] == (8, 3, 3, 3)


def test_what_the_output_does_not_need_is_dropped() -> None:
    """A branch that nobody reads goes with its weights."""
    parsed = read_graph(clean(twin_model()).model)
    stray = helper.make_node("Relu", ["image"], ["nobody"], name="stray")
    kept = replace_content(parsed, [*parsed.graph.node, stray], weights_of(parsed.graph))
    names = [node.name for node in onnx.load_model_from_string(kept).graph.node]
    assert "stray" not in names
    assert "mean" in names
