"""An adapter asks of a frame what the device's own loop asks, with the same answers."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from simulators.clock import FakeClock
from simulators.sink import RecordingSink
from simulators.source import ListSource, noise_pixels, raw_frame
from simulators.unit import ScriptedUnit
from trocar.adapters.unit_step import StepConfig, UnitStep
from trocar.contracts.errors import InferenceError
from trocar.contracts.frame import RawFrame
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.record import FrameRecord
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig

NOW_NS: Final = 10_000_000_000
FRAMES: Final = (
    raw_frame(0, captured_at_ns=1),
    raw_frame(1, captured_at_ns=2, pixels=np.zeros((48, 64, 3), dtype=np.uint8)),
    raw_frame(2, captured_at_ns=3, pixels=np.full((48, 64, 3), 255, dtype=np.uint8)),
    raw_frame(3, captured_at_ns=4, pixels=noise_pixels(3, height_px=96)),
    raw_frame(2, captured_at_ns=5),
    raw_frame(5, captured_at_ns=6, pixels=np.zeros((48, 64), dtype=np.uint8)),
    raw_frame(6, captured_at_ns=NOW_NS + 1),
    raw_frame(7, captured_at_ns=8),
    raw_frame(8, captured_at_ns=9),
)


def _unit() -> ScriptedUnit:
    """Return a unit that fails on one frame."""
    return ScriptedUnit({7: InferenceError("planted", advice="none")})


def _through_the_loop() -> list[FrameRecord]:
    """Return the records of the device's own loop."""
    sink = RecordingSink()
    run_stream(
        ListSource(FRAMES),
        [_unit()],
        [sink],
        clock=FakeClock(NOW_NS),
        config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
        stop=lambda: False,
    )
    return sink.records


def _message(raw: RawFrame) -> dict[str, object]:
    """Return a frame as a message of a host runtime."""
    return {
        "pixels": raw.pixels,
        "frame_index": raw.frame_index,
        "captured_at_ns": raw.captured_at_ns,
    }


@pytest.mark.verifies("IFC_ADAPTER_BORDER", extent="full", technique="requirement")
@pytest.mark.verifies("SRS_HOLO_001", extent="full", technique="equivalence")
def test_adapter_and_loop_give_the_same_answers() -> None:
    """Sound, black, saturated, resized, double, misshapen, from the future, failed."""
    step = UnitStep(_unit(), StepConfig(source_id="list"), clock=FakeClock(NOW_NS))
    by_adapter = [step.answer(_message(raw)) for raw in FRAMES]
    by_loop = _through_the_loop()
    assert [record.outcome for record in by_adapter] == [record.outcome for record in by_loop]
    reasons = [one.outcome.reason for one in by_loop if isinstance(one.outcome, Withheld)]
    assert reasons == [
        Reason.FRAME_BLACK,
        Reason.FRAME_SATURATED,
        Reason.FRAME_SIZE_CHANGED,
        Reason.FRAME_OUT_OF_ORDER,
        Reason.FRAME_SHAPE,
        Reason.CLOCK_BACKWARDS,
        Reason.INFERENCE_FAILED,
    ]
    assert [record.times.captured_at_ns for record in by_adapter] == [
        record.times.captured_at_ns for record in by_loop
    ]
