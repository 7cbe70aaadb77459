"""A message becomes one record; nothing of it is lost, guessed or raised into the graph."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from simulators.clock import FakeClock
from simulators.source import noise_pixels
from simulators.unit import UNIT_INFO, ScriptedUnit, polyp_mask
from trocar.adapters.unit_step import StepConfig, UnitStep
from trocar.contracts.errors import ContractError, InferenceError, InvariantError
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.streaming.pacing import StreamKind

NOW_NS: Final = 1_000_000_000
CONFIG: Final = StepConfig(source_id="graph", deadline_ms=100)


def _step(
    unit: ScriptedUnit | None = None, *, config: StepConfig = CONFIG, now_ns: int = NOW_NS
) -> tuple[UnitStep, FakeClock]:
    """Return a step and its clock."""
    clock = FakeClock(now_ns)
    return UnitStep(unit or ScriptedUnit(), config, clock=clock), clock


def _message(index: int, **changes: object) -> dict[str, object]:
    """Return one message; no two show the same picture."""
    return {
        "pixels": noise_pixels(seed=index),
        "frame_index": index,
        "captured_at_ns": NOW_NS - 1000 + index,
        **changes,
    }


@pytest.mark.verifies("SRS_HOLO_001", extent="full", technique="requirement")
def test_message_becomes_the_record_of_its_frame() -> None:
    """Index, times, source and provenance of the answer are those of the message and the unit."""
    step, clock = _step(ScriptedUnit(on_run=lambda _: clock.sleep_until_ns(NOW_NS + 7)))
    record = step.answer(_message(0, media_time_ns=40))
    assert (record.frame_index, record.source_id, record.media_time_ns) == (0, "graph", 40)
    assert record.outcome == polyp_mask(0)
    assert record.unit == UNIT_INFO
    assert (record.times.captured_at_ns, record.times.finished_at_ns) == (NOW_NS - 1000, NOW_NS + 7)
    assert record.verdict is DeadlineVerdict.MET
    assert step.account.finding_count == step.account.received_count == 1


@pytest.mark.verifies("SRS_HOLO_001", extent="full", technique="boundary")
@pytest.mark.parametrize(
    ("age_ms", "verdict"), [(100, DeadlineVerdict.MET), (101, DeadlineVerdict.MISSED)]
)
def test_verdict_is_that_of_the_age(age_ms: int, verdict: DeadlineVerdict) -> None:
    """The deadline is met up to itself, and a late answer is counted."""
    step, _ = _step()
    message = _message(0, captured_at_ns=NOW_NS - age_ms * NS_PER_MS)
    assert step.answer(message).verdict is verdict
    assert step.account.late_count == (verdict is DeadlineVerdict.MISSED)


@pytest.mark.verifies("SRS_HOLO_001", extent="full", technique="equivalence")
def test_unsound_picture_is_withheld_and_the_unit_not_asked() -> None:
    """Admission and the detectors stand before the unit here as in the device's own loop."""
    unit = ScriptedUnit()
    step, _ = _step(unit)
    reasons = [
        step.answer(message).outcome
        for message in (
            _message(0, pixels=np.zeros((48, 64), dtype=np.uint8)),
            _message(1, pixels=np.zeros((48, 64, 3), dtype=np.uint8)),
            _message(2),
            _message(1),
            _message(4, captured_at_ns=NOW_NS + 2 * NS_PER_MS),
        )
    ]
    assert [one.reason if isinstance(one, Withheld) else None for one in reasons] == [
        Reason.FRAME_SHAPE,
        Reason.FRAME_BLACK,
        None,
        Reason.FRAME_OUT_OF_ORDER,
        Reason.CLOCK_BACKWARDS,
    ]
    assert unit.seen_frame_indices == [2]
    assert step.account.withheld_counts[Reason.FRAME_BLACK] == 1


@pytest.mark.verifies("SRS_HOLO_002", extent="full", technique="boundary")
def test_gap_of_the_index_is_counted_as_dropped_frames() -> None:
    """Frames that the queue dropped stand in the next record and in the account, from frame 0."""
    step, _ = _step()
    gaps = [step.answer(_message(index)).dropped_before_count for index in (2, 3, 9, 4, 10)]
    assert gaps == [2, 0, 5, 0, 0]
    assert step.account.dropped_count == 7


@pytest.mark.verifies("SRS_HOLO_002", extent="full", technique="boundary")
def test_source_may_begin_at_another_index() -> None:
    """A graph that joins a running camera does not count the frames before it."""
    step, _ = _step(config=StepConfig(source_id="graph", first_index=500))
    assert step.answer(_message(501)).dropped_before_count == 1


@pytest.mark.verifies("SRS_HOLO_003", extent="full", technique="fault_injection")
def test_failed_inference_costs_one_frame() -> None:
    """The next frame is answered again, and the graph has nothing to raise."""
    step, _ = _step(ScriptedUnit({1: InferenceError("planted", advice="none")}))
    outcomes = [step.answer(_message(index)).outcome for index in range(3)]
    assert isinstance(outcomes[1], Withheld)
    assert (outcomes[1].reason, outcomes[1].detail) == (Reason.INFERENCE_FAILED, "planted")
    assert outcomes[2] == polyp_mask(2)
    step.require_sound()


@pytest.mark.verifies("SRS_HOLO_003", extent="full", technique="fault_injection")
def test_any_other_error_puts_the_unit_out_of_work_and_is_raised_at_the_end() -> None:
    """No exception goes into the graph; each later frame says why it has no finding."""
    unit = ScriptedUnit({1: InvariantError("planted", advice="none")})
    step, _ = _step(unit)
    outcomes = [step.answer(_message(index)).outcome for index in range(4)]
    reasons = [one.reason if isinstance(one, Withheld) else None for one in outcomes]
    assert reasons == [None, *[Reason.INFERENCE_FAILED] * 3]
    assert isinstance(outcomes[3], Withheld)
    assert "INVARIANT at frame 1" in outcomes[3].detail
    assert unit.seen_frame_indices == [0, 1]
    assert step.account.failure == "INVARIANT"
    with pytest.raises(InvariantError, match="planted"):
        step.require_sound()


@pytest.mark.verifies("SRS_HOLO_003", extent="full", technique="fault_injection")
def test_finding_of_another_size_is_never_passed_on() -> None:
    """A mask for another picture is a fault of the unit, not a result."""
    step, _ = _step(ScriptedUnit({0: polyp_mask(0, height_px=50)}))
    outcome = step.answer(_message(0)).outcome
    assert isinstance(outcome, Withheld)
    assert step.account.failure == "INVARIANT"


@pytest.mark.verifies("SRS_HOLO_003", extent="full", technique="equivalence")
def test_withheld_answer_of_the_unit_is_passed_on() -> None:
    """The unit's own reason stays, and the unit stays in work."""
    withheld = Withheld(frame_index=0, reason=Reason.STALE_FRAME)
    step, _ = _step(ScriptedUnit({0: withheld}))
    assert step.answer(_message(0)).outcome == withheld
    step.require_sound()


@pytest.mark.verifies("SRS_HOLO_004", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    "changes",
    [
        {"frame_index": None},
        {"captured_at_ns": None},
        {"pixels": None},
        {"frame_index": -1},
        {"frame_index": True},
        {"frame_index": 1.0},
        {"captured_at_ns": "now"},
        {"media_time_ns": -5},
    ],
)
def test_message_that_no_record_can_name_is_refused(changes: dict[str, object]) -> None:
    """A graph that is wired wrongly ends at its first message, with what was expected."""
    step, _ = _step()
    with pytest.raises(ContractError, match="expected"):
        step.answer(_message(0, **changes))
    assert step.account.received_count == 0


class _GpuTensor:
    """What a tensor in the memory of a GPU looks like to Python."""

    __cuda_array_interface__: Final = {"shape": (48, 64, 3)}


@pytest.mark.verifies("SRS_HOLO_004", extent="full", technique="equivalence")
def test_tensor_on_a_gpu_is_refused_with_advice() -> None:
    """Nothing is copied from a GPU behind the user's back."""
    step, _ = _step()
    with pytest.raises(ContractError, match="host memory") as caught:
        step.answer(_message(0, pixels=_GpuTensor()))
    assert "copies the tensor" in caught.value.advice


@pytest.mark.verifies("SRS_HOLO_001", extent="full", technique="equivalence")
def test_numbers_of_numpy_and_stills_are_welcome() -> None:
    """Graphs carry NumPy integers; stills have no size in common."""
    config = StepConfig(source_id="graph", kind=StreamKind.STILLS)
    step, _ = _step(config=config)
    step.answer(_message(0, frame_index=np.int64(0)))
    record = step.answer(_message(1, pixels=noise_pixels(height_px=96, seed=9)))
    assert not isinstance(record.outcome, Withheld)
