"""The checks that every unit with a model makes: age, engine, each value of the output."""

from __future__ import annotations

import numpy as np
import pytest

from simulators.backend import MemoryBackend
from trocar.contracts.errors import ContractError, InferenceError
from trocar.contracts.frame import Frame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.refusal import ask_model, find_fault, refuse_by_age

CAPTURED_NS = 10**9
LIMIT_MS = 100
BATCH = np.zeros((1, 2, 2, 3), np.uint8)


def _refusal(age_ns: int) -> Withheld | None:
    """Return the refusal of frame 5 at an age."""
    frame = Frame(
        pixels=np.zeros((40, 50, 3), np.uint8),
        frame_index=5,
        captured_at_ns=CAPTURED_NS,
        source_id="test",
    )
    return refuse_by_age(frame, now_ns=CAPTURED_NS + age_ns, frame_age_ms_max=LIMIT_MS)


@pytest.mark.verifies("SRS_POLYP_004", "SRS_TOOL_007", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_STALE_001")
@pytest.mark.parametrize(
    ("age_ns", "reason", "detail"),
    [
        (0, None, ""),
        (LIMIT_MS * NS_PER_MS, None, ""),
        (LIMIT_MS * NS_PER_MS + 1, Reason.STALE_FRAME, "100 ms old, limit 100 ms"),
        (123_999_999, Reason.STALE_FRAME, "123 ms old, limit 100 ms"),
        (-1, Reason.CLOCK_BACKWARDS, "captured 1 ns in the future"),
    ],
)
def test_age_is_refused_right_after_the_limit_and_before_zero(
    age_ns: int, reason: Reason | None, detail: str
) -> None:
    """At the limit yes, one nanosecond beyond no; a frame from the future is a broken clock."""
    expected = None if reason is None else Withheld(frame_index=5, reason=reason, detail=detail)
    assert _refusal(age_ns) == expected


@pytest.mark.verifies("SRS_POLYP_005", "SRS_TOOL_008", extent="full", technique="boundary")
@pytest.mark.controls("RCM_NONFINITE_001")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, None),
        (1.0, None),
        (np.nextafter(np.float32(1), np.float32(2)), Reason.OUTPUT_OUT_OF_RANGE),
        (-1e-7, Reason.OUTPUT_OUT_OF_RANGE),
        (np.nan, Reason.OUTPUT_NOT_FINITE),
        (np.inf, Reason.OUTPUT_NOT_FINITE),
        (-np.inf, Reason.OUTPUT_NOT_FINITE),
    ],
)
def test_one_bad_value_anywhere_is_found(value: float, expected: Reason | None) -> None:
    """One value out of many thousands is enough to distrust the output."""
    for position in ((0, 0, 0), (1, 7, 3), (2, 63, 63)):
        prob = np.full((3, 64, 64), 0.5, np.float32)
        prob[position] = value
        assert find_fault(prob) is expected


@pytest.mark.verifies("SRS_POLYP_005", "SRS_TOOL_008", extent="partial", technique="example")
def test_sound_output_is_handed_on_as_it_is() -> None:
    """The check changes no value and no shape."""
    output = np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 3, 2, 2)
    got = ask_model(MemoryBackend(output), BATCH, frame_index=8)
    assert isinstance(got, np.ndarray)
    np.testing.assert_array_equal(got, output)


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="fault_injection")
def test_failure_of_the_engine_is_a_reason_with_its_words() -> None:
    """One failed call costs one frame, not the stream."""
    backend = MemoryBackend(
        np.zeros((1, 1, 2, 2), np.float32), faults={0: InferenceError("no memory", advice="more")}
    )
    assert ask_model(backend, BATCH, frame_index=8) == Withheld(
        frame_index=8, reason=Reason.INFERENCE_FAILED, detail="no memory"
    )


@pytest.mark.verifies("SRS_POLYP_005", "SRS_TOOL_008", extent="partial", technique="example")
def test_refused_output_says_between_which_values_it_lay() -> None:
    """A value of 1.0000001 and one of 1e30 have different causes."""
    output = np.full((1, 1, 4, 4), 0.5, np.float32)
    output[0, 0, 1, 1], output[0, 0, 2, 2] = -0.25, 1.5
    assert ask_model(MemoryBackend(output), BATCH, frame_index=3) == Withheld(
        frame_index=3, reason=Reason.OUTPUT_OUT_OF_RANGE, detail="minimum -0.25, maximum 1.5"
    )


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="fault_injection")
def test_other_errors_of_a_backend_pass() -> None:
    """A batch of another shape is our mistake: it must not look like a bad frame."""
    backend = MemoryBackend(np.zeros((1, 1, 2, 2), np.float32), input_shape=(1, 9, 9, 3))
    with pytest.raises(ContractError):
        ask_model(backend, BATCH, frame_index=3)
