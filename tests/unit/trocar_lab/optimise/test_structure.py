"""Rewritten graphs give the same numbers where they say so, and refuse what they do not know."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper

from simulators.twin_models import frames, run, twin_model
from trocar_lab.optimise.graph import clean, graph_bytes, read_graph, weights_of
from trocar_lab.optimise.structure import (
    StructureError,
    averaged_networks,
    fold_mirror,
    one_view,
    upsample_by_phases,
)


def _cleaned(*, shared: bool = False, mirrored: bool = True) -> bytes:
    """Return a cleaned twin."""
    return clean(twin_model(shared=shared, mirrored=mirrored)).model


def _changed(change: Callable[[onnx.NodeProto], None], name: str) -> bytes:
    """Return a cleaned twin in which one node is changed."""
    parsed = read_graph(_cleaned())
    change(next(node for node in parsed.graph.node if node.name == name))
    return graph_bytes(parsed)


@pytest.mark.verifies("SRS_OPT_004", extent="full", technique="equivalence")
@pytest.mark.parametrize("shared", [False, True])
def test_mirror_image_folded_into_the_weights_changes_no_number(*, shared: bool) -> None:
    """Also where strides leave out columns, which lie on the other side then."""
    cleaned = _cleaned(shared=shared)
    folded = fold_mirror(cleaned)
    assert "Slice" not in {node.op_type for node in read_graph(folded).graph.node}
    inputs = frames(3)
    np.testing.assert_allclose(run(folded, inputs), run(cleaned, inputs), atol=1e-6)


@pytest.mark.verifies("SRS_OPT_004", extent="full", technique="equivalence")
def test_doubling_by_phases_changes_no_number() -> None:
    """Inside and at the edges, where a linear doubling repeats the last value."""
    cleaned = _cleaned()
    phased = upsample_by_phases(cleaned)
    kinds = [node.op_type for node in read_graph(phased).graph.node]
    assert "Resize" not in kinds
    assert kinds.count("DepthToSpace") == 2
    inputs = frames(3)
    np.testing.assert_allclose(run(phased, inputs), run(cleaned, inputs), atol=1e-6)


@pytest.mark.verifies("SRS_OPT_004", extent="partial", technique="equivalence")
def test_one_view_is_the_first_network_alone() -> None:
    """The output keeps its name; the weights of the other view are gone."""
    model = one_view(_cleaned())
    stored = set(weights_of(read_graph(model).graph))
    assert not {name for name in stored if name.startswith("b.")}
    same = run(_cleaned(shared=True, mirrored=False), frames(2))
    np.testing.assert_allclose(run(model, frames(2)), same, atol=1e-6)


@pytest.mark.verifies("SRS_OPT_004", extent="partial", technique="equivalence")
def test_averaged_network_has_the_mean_of_the_weights() -> None:
    """One network, whose weights lie half way between both."""
    cleaned = _cleaned()
    before = weights_of(read_graph(cleaned).graph)
    after = weights_of(read_graph(averaged_networks(cleaned)).graph)
    np.testing.assert_allclose(after["a.first"], (before["a.first"] + before["b.first"]) / 2)
    assert "b.first" not in after


def test_graph_without_two_flips_is_refused() -> None:
    """Nothing is folded where there is no mirror image."""
    with pytest.raises(StructureError, match="two flips"):
        fold_mirror(_cleaned(mirrored=False))


def test_operation_that_does_not_commute_is_refused() -> None:
    """A resize that begins at corners is not its own mirror image."""

    def corners(node: onnx.NodeProto) -> None:
        for one in node.attribute:
            if one.name == "coordinate_transformation_mode":
                one.s = b"asymmetric"

    model = _changed(corners, "b.resize")
    with pytest.raises(StructureError, match="commutes with a flip, got Resize"):
        fold_mirror(model)
    assert b"asymmetric" in upsample_by_phases(model)


def test_other_operation_between_the_flips_is_refused() -> None:
    """A softmax along the width would be another one."""

    def softmax(node: onnx.NodeProto) -> None:
        node.op_type = "Softmax"

    with pytest.raises(StructureError, match="got Softmax"):
        fold_mirror(_changed(softmax, "b.sigmoid"))


def test_mirrored_half_that_goes_on_after_the_second_flip_is_refused() -> None:
    """The output would be the mean of a picture and its mirror image."""

    def around(node: onnx.NodeProto) -> None:
        node.input[1] = "b.prob"

    with pytest.raises(StructureError, match="end at the second flip"):
        fold_mirror(_changed(around, "total"))


def test_dilated_convolution_that_leaves_out_columns_is_refused() -> None:
    """A column of zeros would have to be a dilated one."""

    def dilate(node: onnx.NodeProto) -> None:
        node.attribute.append(helper.make_attribute("dilations", [1, 2]))

    with pytest.raises(StructureError, match="dilated"):
        fold_mirror(_changed(dilate, "b.short.conv"))


@pytest.mark.parametrize("name", ["mean", "total"])
def test_output_that_is_no_mean_of_two_is_refused(name: str) -> None:
    """Half of something else is not a view."""

    def other(node: onnx.NodeProto) -> None:
        node.op_type = "Sub"

    with pytest.raises(StructureError, match="mean of two"):
        one_view(_changed(other, name))


def test_model_without_a_doubling_is_refused() -> None:
    """There is nothing to gain."""
    once = upsample_by_phases(_cleaned())
    with pytest.raises(StructureError, match="doubling"):
        upsample_by_phases(once)


def test_networks_of_shared_weights_are_not_averaged() -> None:
    """There is one network only."""
    with pytest.raises(StructureError, match="expected two networks"):
        averaged_networks(_cleaned(shared=True))


def test_networks_of_other_shapes_are_not_averaged() -> None:
    """Weights of another shape have no mean."""
    parsed = read_graph(_cleaned())
    convs = [node for node in parsed.graph.node if node.op_type == "Conv"]
    by_name = {node.name: node for node in convs}
    first, short = by_name["b.first.conv"], by_name["b.short.conv"]
    nodes = list(parsed.graph.node)
    one, two = nodes.index(first), nodes.index(short)
    nodes[one], nodes[two] = nodes[two], nodes[one]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del parsed.graph.node[:]
    parsed.graph.node.extend(copies)
    with pytest.raises(StructureError, match="one shape"):
        averaged_networks(graph_bytes(parsed))
