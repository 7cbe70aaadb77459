"""Several units look at one frame: each answers for itself, joined by the frame's index alone."""

from __future__ import annotations

import numpy as np
import pytest

from simulators.clock import FakeClock
from simulators.scripted_run import START_NS, ScriptedRun, timed_frames
from simulators.source import raw_frame
from simulators.unit import ScriptedUnit, polyp_mask
from trocar.contracts.errors import InferenceError, InvariantError
from trocar.contracts.findings import PolypMask
from trocar.contracts.frame import CrcVerdict, FrameOrigin
from trocar.contracts.outcome import Reason, Withheld
from trocar.streaming.answers import FrameAnswers
from trocar.streaming.pacing import Pacing, undecodable
from trocar.streaming.summary import StreamConfig

AS_FAST = StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE)
ORIGIN = FrameOrigin(device_name="Endoscope", sender_wall_ns=None, crc=CrcVerdict.VERIFIED)


@pytest.mark.verifies("SRS_LIVE_001", extent="full", technique="requirement")
def test_every_unit_answers_for_every_frame_in_order() -> None:
    """Sinks see frame by frame, unit by unit: whoever joins results needs the index only."""
    run = ScriptedRun(timed_frames(2), [ScriptedUnit(name="first"), ScriptedUnit(name="second")])
    summary = run.go()
    got = [(r.frame_index, r.unit.unit) for r in run.sink.records]
    assert got == [(0, "first"), (0, "second"), (1, "first"), (1, "second")]
    assert summary.units == ("first", "second")
    assert (summary.answered_count, summary.finding_count) == (2, 4)


@pytest.mark.verifies("SRS_LIVE_001", extent="partial", technique="fault_injection")
def test_what_goes_wrong_with_one_unit_leaves_the_others_alone() -> None:
    """An engine that fails, or a unit that says why not, costs its own record only."""
    failing = ScriptedUnit({
        0: InferenceError("no memory", advice="wait"),
        1: Withheld(frame_index=1, reason=Reason.OUTPUT_NOT_FINITE),
    })
    run = ScriptedRun(timed_frames(2), [failing, ScriptedUnit()])
    summary = run.go()
    assert run.reasons == [Reason.INFERENCE_FAILED, None, Reason.OUTPUT_NOT_FINITE, None]
    assert summary.withheld_counts == {Reason.INFERENCE_FAILED: 1, Reason.OUTPUT_NOT_FINITE: 1}
    assert (summary.answered_count, summary.finding_count) == (2, 2)


@pytest.mark.verifies("SRS_LIVE_001", extent="partial", technique="requirement")
def test_refused_frame_carries_one_reason_for_all_units() -> None:
    """A frame is looked at once; a second look would call it a repeated one."""
    black = raw_frame(1, captured_at_ns=START_NS, pixels=np.zeros((48, 64, 3), np.uint8))
    bad = undecodable("cut", frame_index=2, captured_at_ns=START_NS, source_id="list")
    units = [ScriptedUnit(), ScriptedUnit()]
    run = ScriptedRun([black, bad], units)
    run.go()
    assert run.reasons == [Reason.FRAME_BLACK] * 2 + [Reason.FRAME_UNDECODABLE] * 2
    assert [unit.seen_frame_indices for unit in units] == [[], []]


@pytest.mark.verifies("SRS_LIVE_001", extent="partial", technique="requirement")
def test_each_unit_is_timed_by_itself() -> None:
    """The second unit's service time must not hold the first one's."""
    clock = FakeClock(START_NS)
    units = [
        ScriptedUnit(on_run=lambda _: clock.advance_ns(5_000_000)),
        ScriptedUnit(on_run=lambda _: clock.advance_ns(2_000_000)),
    ]
    answers = FrameAnswers(units, clock=clock, config=AS_FAST, source_id="list")
    _, records = answers.answer(timed_frames(1)[0], dropped_before_count=0)
    assert [r.times.service_ns for r in records] == [5_000_000, 2_000_000]
    assert [r.times.age_ns for r in records] == [5_000_000, 7_000_000]


@pytest.mark.verifies("SRS_LIVE_001", extent="partial", technique="requirement")
def test_origin_of_a_frame_reaches_unit_and_record() -> None:
    """What the message said of the frame stands beside the answer, also where there is none."""
    seen: list[FrameOrigin | None] = []
    unit = ScriptedUnit(on_run=lambda frame: seen.append(frame.origin))
    raw = raw_frame(0, captured_at_ns=START_NS, origin=ORIGIN)
    corrupt = undecodable(
        "checksum differs",
        frame_index=1,
        captured_at_ns=START_NS,
        source_id="list",
        reason=Reason.FRAME_CORRUPT,
        origin=ORIGIN,
    )
    run = ScriptedRun([raw, corrupt], unit)
    run.go()
    assert seen == [ORIGIN]
    assert [record.origin for record in run.sink.records] == [ORIGIN, ORIGIN]
    assert run.reasons == [None, Reason.FRAME_CORRUPT]


@pytest.mark.verifies("SRS_LIVE_001", extent="partial", technique="fault_injection")
def test_finding_for_another_size_is_our_fault() -> None:
    """Places on a frame of another size are wrong places."""
    units = [ScriptedUnit(), ScriptedUnit({0: polyp_mask(0, width_px=640)})]
    run = ScriptedRun(timed_frames(1), units)
    with pytest.raises(InvariantError, match="under a frame of 64x48 px"):
        run.go()
    assert run.sink.records == []
    assert run.ends[0].undelivered_count == 1


@pytest.mark.verifies("SRS_LIVE_001", extent="partial", technique="boundary")
def test_run_without_a_unit_is_refused() -> None:
    """A run that answers nothing is a mistake of the caller."""
    with pytest.raises(InvariantError, match="without any unit"):
        FrameAnswers([], clock=FakeClock(), config=AS_FAST, source_id="list")


@pytest.mark.verifies("SRS_LIVE_001", extent="partial", technique="requirement")
def test_dropped_frame_is_missed_by_every_unit() -> None:
    """Each unit owes an answer for it."""
    answers = FrameAnswers(
        [ScriptedUnit(name="a"), ScriptedUnit(name="b")],
        clock=FakeClock(START_NS),
        config=AS_FAST,
        source_id="list",
    )
    _, records = answers.answer(timed_frames(1)[0], dropped_before_count=3)
    assert [record.dropped_before_count for record in records] == [3, 3]
    assert all(isinstance(record.outcome, PolypMask) for record in records)
