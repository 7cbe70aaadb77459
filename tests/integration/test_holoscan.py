"""The operator in a real graph of Holoscan on the CPU; skipped where Holoscan is not installed."""

from __future__ import annotations

import importlib.util
from typing import Final

import numpy as np
import pytest

from simulators.holoscan_graph import FRAME_COUNT, PICTURES, Graph, core
from simulators.unit import ScriptedUnit
from trocar.adapters.unit_step import StepConfig, UnitStep
from trocar.apps.endoscopy import SHIPPED_PACK, open_unit
from trocar.backends.request import BackendRequest
from trocar.contracts.errors import InferenceError, InvariantError
from trocar.contracts.findings import PolypMask
from trocar.contracts.frame import Frame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.ports import Unit
from trocar.streaming.clock import MonotonicClock

CLOCK: Final = MonotonicClock()

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("holoscan") is None,
        reason="Holoscan is not installed (tox -e holoscan)",
    ),
    # The wheel warns of a stack of 8 MiB and of its own use of old names of NumPy.
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def _step(unit: Unit) -> UnitStep:
    """Return a step on the real clock, without a deadline that a busy machine could miss."""
    config = StepConfig(source_id="graph", deadline_ms=60_000)
    return UnitStep(unit, config, clock=CLOCK)


@pytest.mark.verifies("SRS_HOLO_006", extent="full", technique="requirement")
def test_each_message_of_a_graph_has_its_record() -> None:
    """Forty messages, forty records in order, no gap, and the account agrees."""
    graph = Graph(_step(ScriptedUnit()))
    graph.run()
    assert [record.frame_index for record in graph.records] == list(range(FRAME_COUNT))
    assert not any(isinstance(record.outcome, Withheld) for record in graph.records)
    assert graph.step.account.received_count == FRAME_COUNT
    assert graph.step.account.dropped_count == 0


@pytest.mark.verifies("SRS_HOLO_006", extent="full", technique="equivalence")
@pytest.mark.parametrize("form", ["tensor", "array"])
def test_tensor_with_numbers_in_the_metadata_is_answered(form: str) -> None:
    """Operators of Holoscan send tensors; index and time travel in its metadata."""

    def sends(index: int) -> object:
        pixels = PICTURES[index % len(PICTURES)]
        return core().Tensor.as_tensor(pixels) if form == "tensor" else {"": pixels}

    graph = Graph(_step(ScriptedUnit()), frame_count=5, sends=sends)
    graph.run()
    assert [record.frame_index for record in graph.records] == list(range(5))
    assert not any(isinstance(record.outcome, Withheld) for record in graph.records)


@pytest.mark.verifies("SRS_HOLO_006", extent="full", technique="requirement")
def test_slow_unit_sees_new_frames_and_the_gaps_are_counted() -> None:
    """A unit of a fifth of the rate: every frame is a record or in a gap, and none waits long."""
    graph = Graph(_step(_slow_unit(25)), period_ms=5, frame_count=100)
    graph.run()
    indices = [record.frame_index for record in graph.records]
    assert indices == sorted(set(indices))
    assert graph.step.account.dropped_count > 0
    accounted = len(indices) + sum(record.dropped_before_count for record in graph.records)
    assert accounted == indices[-1] + 1
    assert sum(record.dropped_before_count for record in graph.records) == (
        graph.step.account.dropped_count
    )


def _slow_unit(ms: int) -> ScriptedUnit:
    """Return a unit that takes so long."""

    def wait(_frame: Frame) -> None:
        CLOCK.sleep_until_ns(CLOCK.now_ns() + ms * NS_PER_MS)

    return ScriptedUnit(on_run=wait)


@pytest.mark.verifies("SRS_HOLO_006", extent="full", technique="fault_injection")
def test_failed_inference_leaves_the_graph_running() -> None:
    """One withheld frame among forty."""
    graph = Graph(_step(ScriptedUnit({7: InferenceError("planted", advice="none")})))
    graph.run()
    withheld = [r.frame_index for r in graph.records if isinstance(r.outcome, Withheld)]
    assert (len(graph.records), withheld) == (FRAME_COUNT, [7])


@pytest.mark.verifies("SRS_HOLO_006", extent="full", technique="fault_injection")
def test_faulty_unit_leaves_the_graph_running_and_is_raised_after_it() -> None:
    """The graph ends by itself; each frame from the fault on says why it has no finding."""
    graph = Graph(_step(ScriptedUnit({7: InvariantError("planted", advice="none")})))
    graph.run()
    outcomes = [record.outcome for record in graph.records]
    assert len(outcomes) == FRAME_COUNT
    assert all(
        isinstance(outcome, Withheld) and outcome.reason is Reason.INFERENCE_FAILED
        for outcome in outcomes[7:]
    )
    with pytest.raises(InvariantError, match="planted"):
        graph.step.require_sound()


@pytest.mark.verifies("SRS_HOLO_006", extent="partial", technique="fault_injection")
def test_foreign_exception_is_raised_by_the_graph() -> None:
    """What is no error of Trocar ends the graph, and whoever ran it gets that very exception."""
    graph = Graph(_step(ScriptedUnit({7: KeyError("planted")})))
    with pytest.raises(KeyError, match="planted"):
        graph.run()
    assert len(graph.records) <= 7


@pytest.mark.verifies("SRS_HOLO_006", extent="full", technique="replay")
def test_shipped_unit_answers_in_a_graph_as_in_the_loop() -> None:
    """The same pixels give the same mask through Holoscan and without it."""
    if not (SHIPPED_PACK / "manifest.json").is_file():
        pytest.skip("this build ships no pack")
    unit = open_unit(SHIPPED_PACK, BackendRequest(thread_count=1), frame_age_ms_max=60_000).unit
    graph = Graph(_step(unit), frame_count=3)
    graph.run()
    for record in graph.records:
        frame = Frame(
            pixels=PICTURES[record.frame_index],
            frame_index=record.frame_index,
            captured_at_ns=record.times.captured_at_ns,
            source_id="plain",
        )
        plain = unit.run(frame, now_ns=CLOCK.now_ns())
        assert isinstance(plain, PolypMask)
        assert isinstance(record.outcome, PolypMask)
        assert np.array_equal(record.outcome.mask.prob, plain.mask.prob)
