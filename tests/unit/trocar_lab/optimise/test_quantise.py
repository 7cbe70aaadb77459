"""Quantised graphs compute nearly the same, in the layers that they say."""

from __future__ import annotations

import numpy as np
import pytest

from simulators.twin_models import frames, run, twin_model
from trocar_lab.optimise.graph import clean, read_graph, weights_of
from trocar_lab.optimise.quantise import (
    QuantisePlan,
    RangeMethod,
    integer_layer_count,
    quantise,
)
from trocar_lab.optimise.structure import fold_mirror


@pytest.fixture(scope="module")
def model() -> bytes:
    """Return a cleaned and folded twin."""
    return fold_mirror(clean(twin_model()).model)


@pytest.mark.verifies("SRS_OPT_004", extent="full", technique="equivalence")
@pytest.mark.parametrize("method", list(RangeMethod))
@pytest.mark.parametrize("operations", [("Conv",), ()])
def test_quantised_model_computes_nearly_the_same(
    model: bytes, method: RangeMethod, operations: tuple[str, ...]
) -> None:
    """Every way of choosing ranges, in convolutions alone and wherever it can be."""
    inputs = frames(4)
    whole = quantise(model, list(inputs[:, np.newaxis]), QuantisePlan(method, operations))
    assert integer_layer_count(whole) == 6
    assert np.abs(run(whole, inputs) - run(model, inputs)).mean() < 0.03


@pytest.mark.verifies("SRS_OPT_004", extent="partial", technique="equivalence")
def test_weights_are_whole_numbers_of_each_output_channel(model: bytes) -> None:
    """A channel with small weights keeps its own step."""
    whole = quantise(model, list(frames(2)[:, np.newaxis]), QuantisePlan(RangeMethod.MIN_MAX))
    stored = weights_of(read_graph(whole).graph)
    steps = [array for array in stored.values() if array.dtype == np.int8 and array.ndim == 4]
    scales = [one for name, one in stored.items() if "first" in name and one.shape == (8,)]
    assert len(steps) == 6
    assert scales


def test_ends_can_stay_in_float(model: bytes) -> None:
    """First and last layers are all layers of this network: none is left in whole numbers."""
    plan = QuantisePlan(RangeMethod.MIN_MAX, keep_ends_float=True)
    whole = quantise(model, list(frames(2)[:, np.newaxis]), plan)
    assert integer_layer_count(whole) == 0
    assert integer_layer_count(model) == 0
    assert "first and last layers in float" in plan.text


def test_ranges_over_no_frames_are_refused(model: bytes) -> None:
    """A range of nothing would be made up."""
    with pytest.raises(ValueError, match="at least one calibration frame"):
        quantise(model, [], QuantisePlan(RangeMethod.MIN_MAX))


def test_plan_says_what_is_done() -> None:
    """The text stands in the manifest of the pack."""
    assert "all operations that can" in QuantisePlan(RangeMethod.ENTROPY, ()).text
    assert "ranges by min-max" in QuantisePlan(RangeMethod.MIN_MAX).text
