"""The operator declares its ports, hands each message to the step, and emits the record."""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np
import pytest

from simulators.clock import FakeClock
from simulators.holoscan_core import Port, holoscan_core
from simulators.source import noise_pixels
from simulators.unit import ScriptedUnit
from trocar.adapters.holoscan import INPUT_PORT, OUTPUT_PORT, unit_operator
from trocar.adapters.unit_step import StepConfig, UnitStep
from trocar.contracts.errors import BackendUnavailableError, ContractError
from trocar.contracts.record import FrameRecord

NOW_NS: Final = 1_000_000_000


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> UnitStep:
    """Return a step beside a simulated Holoscan."""
    monkeypatch.setitem(sys.modules, "holoscan.core", holoscan_core())
    return UnitStep(ScriptedUnit(), StepConfig(source_id="graph"), clock=FakeClock(NOW_NS))


def _compute(
    step: UnitStep, message: object, metadata: dict[str, object] | None = None
) -> FrameRecord:
    """Send one message through a fresh operator; return the record."""
    operator: Any = unit_operator(None, step)
    operator.metadata = metadata or {}
    port = Port(message)
    operator.compute(port, port, None)
    ((record, name),) = port.emitted
    assert (name, port.received_from) == (OUTPUT_PORT, [INPUT_PORT])
    assert isinstance(record, FrameRecord)
    return record


@pytest.mark.verifies("SRS_HOLO_002", extent="full", technique="requirement")
def test_queue_holds_one_message_and_drops_the_oldest(step: UnitStep) -> None:
    """The policy is set, because the default keeps old frames or holds up the source."""
    operator: Any = unit_operator("graph", step, "condition", name="polyps")
    ((name, (length, policy)),) = operator.spec.inputs.items()
    assert (name, length, policy.name) == (INPUT_PORT, 1, "POP")
    assert operator.spec.outputs == [OUTPUT_PORT]
    assert (operator.fragment, operator.conditions, operator.name) == (
        "graph",
        ("condition",),
        "polyps",
    )


@pytest.mark.verifies("SRS_HOLO_001", extent="full", technique="equivalence")
@pytest.mark.parametrize("form", ["mapping", "tensor map", "array", "unnamed"])
def test_each_form_of_message_is_answered(step: UnitStep, form: str) -> None:
    """Numbers stand beside the pixels or in the metadata; a lone tensor may have any name."""
    pixels = noise_pixels(seed=1)
    numbers: dict[str, object] = {"frame_index": np.int64(3), "captured_at_ns": NOW_NS}
    message: object = {
        "mapping": {"pixels": pixels, **numbers},
        "tensor map": {"pixels": pixels},
        "array": pixels,
        "unnamed": {"": pixels},
    }[form]
    record = _compute(step, message, None if form == "mapping" else numbers)
    assert (record.frame_index, record.dropped_before_count) == (3, 3)


@pytest.mark.verifies("SRS_HOLO_004", extent="full", technique="equivalence")
def test_two_tensors_without_a_name_are_refused(step: UnitStep) -> None:
    """Which of them is the picture is not guessed."""
    numbers: dict[str, object] = {"frame_index": 0, "captured_at_ns": NOW_NS}
    with pytest.raises(ContractError, match="expected a message"):
        _compute(step, {"a": noise_pixels(), "b": noise_pixels()}, numbers)


@pytest.mark.verifies("SRS_HOLO_005", extent="full", technique="fault_injection")
def test_missing_package_is_an_error_with_advice(
    step: UnitStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has no Holoscan is told what to install; importing the adapter needs none."""
    monkeypatch.setitem(sys.modules, "holoscan.core", None)
    with pytest.raises(BackendUnavailableError, match="cannot be imported") as caught:
        unit_operator(None, step)
    assert "trocar[holoscan]" in caught.value.advice
