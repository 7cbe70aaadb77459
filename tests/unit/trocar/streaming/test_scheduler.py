"""Every frame is answered once or entered as dropped, whatever fails, and every sink is closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import structlog

from simulators.clock import FakeClock
from simulators.scripted_run import START_NS
from simulators.scripted_run import ScriptedRun as _Run
from simulators.scripted_run import timed_frames as _frames
from simulators.sink import RecordingSink
from simulators.source import ListSource, noise_pixels, raw_frame
from simulators.unit import ScriptedUnit, polyp_mask
from trocar.contracts.errors import (
    DecodeError,
    InferenceError,
    InvariantError,
    SinkError,
    SourceLostError,
)
from trocar.contracts.findings import Finding
from trocar.contracts.frame import Frame, RawFrame
from trocar.contracts.limits import NS_PER_MS, SOURCE_SILENCE_MS_MAX
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.ports import StopSignal
from trocar.streaming import scheduler
from trocar.streaming.latest_frame import LatestFrameSlot
from trocar.streaming.ledger import DropReason
from trocar.streaming.pacing import Pacing, StreamKind, undecodable
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import EndedBecause, StreamConfig

AS_FAST = StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE)
REALTIME = StreamConfig(pacing=Pacing.REALTIME, deadline_ms=100)
WAIT_S = 10.0


@pytest.mark.verifies("SRS_STREAM_002", extent="full", technique="requirement")
@pytest.mark.controls("RCM_FRAMEID_001")
def test_as_fast_as_possible_answers_every_frame_in_order() -> None:
    """Nothing is dropped and nothing is timed where nobody waits."""
    run = _Run(_frames(5))
    summary = run.go()
    assert [r.frame_index for r in run.sink.records] == list(range(5))
    assert {r.verdict for r in run.sink.records} == {DeadlineVerdict.NOT_TIMED}
    assert (summary.received_count, summary.answered_count, summary.finding_count) == (5, 5, 5)
    assert summary.ended_because is EndedBecause.SOURCE_ENDED
    assert (summary.started_at, summary.error_code) == ("2026-01-01T12:00:00+00:00", None)
    assert run.progress == [(i, None) for i in range(1, 6)]
    assert run.sink.close_count == 1


@pytest.mark.verifies("SRS_CLI_001", extent="partial", technique="requirement")
def test_run_works_without_anybody_watching() -> None:
    """Progress, ledger and the hook at the end are offers, not duties."""
    summary = run_stream(
        ListSource(_frames(2)),
        [ScriptedUnit()],
        [],
        clock=FakeClock(START_NS + 10),
        config=AS_FAST,
        stop=lambda: False,
    )
    assert summary.answered_count == 2
    assert summary.started_at.endswith("+00:00")


@pytest.mark.verifies("SRS_STREAM_003", extent="full", technique="boundary")
@pytest.mark.controls("RCM_DEADLINE_001")
@pytest.mark.parametrize(
    ("age_ns", "verdict", "late_count"),
    [
        (100 * NS_PER_MS, DeadlineVerdict.MET, 0),
        (100 * NS_PER_MS + 1, DeadlineVerdict.MISSED, 1),
    ],
)
def test_deadline_verdict_follows_the_age(
    age_ns: int, verdict: DeadlineVerdict, late_count: int
) -> None:
    """The verdict counts from acquisition to outcome, both ends of the limit checked."""
    clock = FakeClock(START_NS)
    unit = ScriptedUnit(on_run=lambda _: clock.advance_ns(age_ns))
    run = _Run(_frames(1), unit, config=REALTIME, clock=clock)
    summary = run.go()
    (record,) = run.sink.records
    assert (record.times.age_ns, record.verdict) == (age_ns, verdict)
    assert (summary.late_count, summary.missed_count) == (late_count, late_count)


@pytest.mark.verifies("SRS_STREAM_001", extent="full", technique="requirement")
@pytest.mark.verifies("SRS_STREAM_002", extent="full", technique="requirement")
@pytest.mark.proves_effect(
    "RCM_DEADLINE_001", measure="dropped frames that do not count as missed", acceptance="none"
)
def test_slow_unit_sees_the_newest_frame_and_drops_are_accounted_for() -> None:
    """While the unit works, frames pass; the next answer is for the newest one."""
    began, done = threading.Event(), threading.Event()
    items: list[Any] = [_frames(1)[0], lambda: began.wait(WAIT_S), *_frames(4, first=1), done.set]

    def wait(frame: Frame) -> None:
        if frame.frame_index == 0:
            began.set()
            done.wait(WAIT_S)

    unit = ScriptedUnit(on_run=wait)
    run = _Run(items, unit, config=REALTIME)
    summary = run.go()
    assert [r.frame_index for r in run.sink.records] == [0, 4]
    assert [r.dropped_before_count for r in run.sink.records] == [0, 3]
    assert [d.frame_index for d in run.ledger.dropped_frames()] == [1, 2, 3]
    assert (summary.received_count, summary.displaced_count, summary.missed_count) == (5, 3, 3)


@pytest.mark.verifies("SRS_STREAM_004", extent="full", technique="requirement")
@pytest.mark.verifies("SRS_STREAM_005", extent="partial", technique="requirement")
def test_frames_that_must_not_be_answered_never_reach_the_unit() -> None:
    """Refused at the border: no frame for the sinks. Refused by health: the frame is shown."""
    bad = undecodable("cut", frame_index=0, captured_at_ns=START_NS, source_id="list")
    black = raw_frame(1, captured_at_ns=START_NS, pixels=np.zeros((48, 64, 3), np.uint8))
    unit = ScriptedUnit()
    run = _Run([bad, black, raw_frame(2, captured_at_ns=START_NS + 1)], unit)
    summary = run.go()
    assert run.reasons == [Reason.FRAME_UNDECODABLE, Reason.FRAME_BLACK, None]
    assert [frame is None for frame in run.sink.frames] == [True, False, False]
    assert unit.seen_frame_indices == [2]
    assert summary.withheld_counts == {Reason.FRAME_UNDECODABLE: 1, Reason.FRAME_BLACK: 1}
    assert summary.decode_error_count == 1


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="boundary")
def test_frame_from_the_future_is_withheld() -> None:
    """An age that is negative would pass every age limit."""
    run = _Run([raw_frame(0, captured_at_ns=START_NS + 1)], clock=FakeClock(START_NS))
    run.go()
    assert run.reasons == [Reason.CLOCK_BACKWARDS]
    assert run.sink.records[0].times.age_ns == 0
    outcome = run.sink.records[0].outcome
    assert isinstance(outcome, Withheld)
    assert outcome.detail == f"acquired at {START_NS + 1} ns, seen at {START_NS} ns"


class _TimedUnit(ScriptedUnit):
    """Remembers the time that it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told_ns: list[int] = []

    def run(self, frame: Frame, *, now_ns: int) -> Finding | Withheld:
        """Answer, and remember."""
        self.told_ns.append(now_ns)
        return super().run(frame, now_ns=now_ns)


@pytest.mark.verifies("SRS_STREAM_003", "SRS_POLYP_004", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_DEADLINE_001", "RCM_FRAMEID_001")
@pytest.mark.parametrize("captured_at_ns", [0, 1, START_NS])
def test_times_of_a_record_are_those_of_the_clock(captured_at_ns: int) -> None:
    """The unit judges the age of a frame by the time it is told, so that must be the present."""
    unit, clock = _TimedUnit(), FakeClock(START_NS, step_ns=7)
    frame = raw_frame(3, captured_at_ns=captured_at_ns, media_time_ns=120 * NS_PER_MS)
    run = _Run([frame], unit, clock=clock)
    run.go()
    (record,) = run.sink.records
    assert (record.frame_index, record.media_time_ns) == (3, 120 * NS_PER_MS)
    assert record.times.captured_at_ns == captured_at_ns
    assert unit.told_ns == [record.times.started_at_ns + 7]
    assert record.times.finished_at_ns == record.times.started_at_ns + 14


@pytest.mark.verifies("SRS_STREAM_003", extent="partial", technique="boundary")
def test_time_before_the_clock_began_counts_as_its_beginning() -> None:
    """A record of a refused frame is valid too, and the frame never looks younger than it is."""
    run = _Run([undecodable("cut off", frame_index=0, captured_at_ns=-5, source_id="list")])
    run.go()
    assert run.sink.records[0].times.captured_at_ns == 0


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="equivalence")
def test_stills_of_different_sizes_are_answered() -> None:
    """Pictures of a folder have nothing to do with each other."""
    frames = [
        raw_frame(0, captured_at_ns=START_NS),
        raw_frame(1, captured_at_ns=START_NS, pixels=noise_pixels(1, height_px=80)),
    ]
    stills = StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE, kind=StreamKind.STILLS)
    run = _Run(frames, config=stills)
    run.go()
    assert run.reasons == [None, None]


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="fault_injection")
def test_engine_that_fails_on_one_frame_costs_that_frame() -> None:
    """The other frames of the examination are still answered."""
    unit = ScriptedUnit({1: InferenceError("no memory", advice="wait", bytes=7)})
    run = _Run(_frames(3), unit)
    with structlog.testing.capture_logs() as logged:
        run.go()
    assert run.reasons == [None, Reason.INFERENCE_FAILED, None]
    outcome = run.sink.records[1].outcome
    assert isinstance(outcome, Withheld)
    assert (outcome.frame_index, outcome.detail) == (1, "no memory")
    failed = [line for line in logged if line["log_level"] == "warning"]
    assert [{**line, "source_id": ""} for line in failed] == [
        {
            "event": "inference_failed",
            "log_level": "warning",
            "unit": "scripted",
            "frame_index": 1,
            "bytes": 7,
            "source_id": "",
        }
    ]


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="requirement")
def test_reason_of_the_unit_is_recorded_as_it_is() -> None:
    """The unit knows reasons of its own, such as a frame that is too old."""
    stale = Withheld(frame_index=0, reason=Reason.STALE_FRAME)
    run = _Run(_frames(2), ScriptedUnit({0: stale}))
    assert run.go().withheld_counts == {Reason.STALE_FRAME: 1}
    assert run.reasons == [Reason.STALE_FRAME, None]


@pytest.mark.verifies("SRS_STREAM_002", extent="full", technique="fault_injection")
@pytest.mark.parametrize("pacing", list(Pacing))
@pytest.mark.parametrize(
    "fault", [InvariantError("broken", advice="report"), RuntimeError("broken")]
)
def test_our_own_mistake_stops_the_run_and_keeps_the_record(
    fault: Exception, pacing: Pacing
) -> None:
    """Records so far are closed, and the frame at fault stays in the account."""
    unit = ScriptedUnit({0: fault})
    run = _Run(_frames(1), unit, config=StreamConfig(pacing=pacing))
    with pytest.raises(InvariantError, match="broken"):
        run.go()
    assert run.sink.close_count == 1
    (summary,) = run.ends
    assert (summary.ended_because, summary.error_code) == (EndedBecause.FAILED, "INVARIANT")
    assert (summary.received_count, summary.undelivered_count) == (1, 1)


@pytest.mark.verifies("SRS_OUTCOME_001", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_FRAMEID_001", measure="answers recorded under another frame", acceptance="none"
)
def test_answer_for_another_frame_stops_the_run() -> None:
    """An outline from another frame is in the wrong place."""
    run = _Run(_frames(1), ScriptedUnit({0: polyp_mask(7)}))
    with pytest.raises(InvariantError, match="no valid record of frame 0") as caught:
        run.go()
    assert caught.value.advice == scheduler._ADVICE_FAULT
    assert run.sink.records == []


@pytest.mark.verifies("SRS_POLYP_001", extent="partial", technique="fault_injection")
def test_mask_for_another_size_stops_the_run() -> None:
    """An outline for another size is in the wrong place as well."""
    run = _Run(_frames(1), ScriptedUnit({0: polyp_mask(0, height_px=480)}))
    with pytest.raises(InvariantError, match="under a frame of 64x48 px"):
        run.go()


@pytest.mark.verifies("SRS_STREAM_007", extent="full", technique="requirement")
@pytest.mark.parametrize("pacing", list(Pacing))
def test_stop_ends_the_run_with_its_outputs_intact(pacing: Pacing) -> None:
    """Ctrl-C is the normal end of a live run: no error, all sinks closed."""
    stopped = threading.Event()
    unit = ScriptedUnit(on_run=lambda frame: stopped.set() if frame.frame_index == 1 else None)
    items: list[Any] = []
    answered = threading.Semaphore(0)
    for frame in _frames(4):
        items += [frame, lambda: answered.acquire(timeout=WAIT_S)]
    if pacing is Pacing.AS_FAST_AS_POSSIBLE:
        items = list(_frames(4))
    run = _Run(items, unit, config=StreamConfig(pacing=pacing), stop=stopped.is_set)
    release = RecordingSink()
    release.write = lambda *_: answered.release()  # type: ignore[method-assign]
    run._sinks.append(release)
    summary = run.go()
    assert summary.ended_because is EndedBecause.STOPPED
    assert [r.frame_index for r in run.sink.records] == [0, 1]
    assert run.sink.close_count == 1
    assert summary.received_count == summary.answered_count + summary.undelivered_count


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="requirement")
def test_stop_before_the_first_frame() -> None:
    """A run that was never wanted answers nothing and is still no error."""
    summary = _Run(_frames(2), stop=lambda: True).go()
    assert (summary.answered_count, summary.ended_because) == (0, EndedBecause.STOPPED)


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="fault_injection")
def test_keyboard_interrupt_ends_like_a_stop() -> None:
    """Ctrl-C before a handler is in place must not lose the record either."""

    def interrupt(frame: Frame) -> None:
        if frame.frame_index == 1:
            raise KeyboardInterrupt

    run = _Run(_frames(3), ScriptedUnit(on_run=interrupt))
    summary = run.go()
    assert summary.ended_because is EndedBecause.STOPPED
    assert (len(run.sink.records), run.sink.close_count) == (1, 1)


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="requirement")
def test_frame_waiting_at_the_end_is_accounted_for() -> None:
    """The frame in the slot was delivered and not answered: the ledger says so."""
    done = threading.Event()
    config = StreamConfig(pacing=Pacing.REALTIME, frame_count_max=1)
    began = threading.Event()

    def wait(frame: Frame) -> None:
        began.set()
        done.wait(WAIT_S)

    items: list[Any] = [_frames(1)[0], lambda: began.wait(WAIT_S), *_frames(1, first=1), done.set]
    run = _Run(items, ScriptedUnit(on_run=wait), config=config)
    summary = run.go()
    assert summary.ended_because is EndedBecause.FRAME_COUNT_MAX
    assert [d.reason for d in run.ledger.dropped_frames()] == [DropReason.STOPPED]
    assert (summary.undelivered_count, summary.missed_count) == (1, 0)


@pytest.mark.verifies("SRS_STREAM_002", extent="partial", technique="boundary")
def test_frame_delivered_after_the_end_is_accounted_for() -> None:
    """A source may deliver one more frame while the run ends."""
    gate = threading.Event()

    class LateSource(ListSource):
        """Delivers its second frame only after the slot was closed."""

        def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
            """Yield one frame, wait for the end, yield another one."""
            first, second = _frames(2)
            yield first
            while not stop() and not gate.wait(0.001):
                pass
            while not slot_closed():
                gate.wait(0.001)
            yield second

    slots: list[LatestFrameSlot[RawFrame]] = []

    def slot_closed() -> bool:
        return bool(slots and slots[0].is_closed)

    class Slot(LatestFrameSlot[RawFrame]):
        """Remembers itself."""

        def __init__(self) -> None:
            super().__init__()
            slots.append(self)

    config = StreamConfig(pacing=Pacing.REALTIME, frame_count_max=1)
    run = _Run(LateSource([]), config=config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "LatestFrameSlot", Slot)
        summary = run.go()
    assert (summary.received_count, summary.undelivered_count) == (2, 1)


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="boundary")
def test_run_ends_after_the_number_of_frames_asked_for() -> None:
    """A latency protocol asks for so many frames, not for so many seconds."""
    config = StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE, frame_count_max=2)
    summary = _Run(_frames(5), config=config).go()
    assert (summary.answered_count, summary.ended_because) == (2, EndedBecause.FRAME_COUNT_MAX)


@pytest.mark.verifies("SRS_STREAM_010", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_LOST_001")
def test_silent_source_is_lost() -> None:
    """A picture that stands still because nothing comes must not pass for a quiet examination."""
    clock = FakeClock(START_NS + 10)
    hang = threading.Event()

    def let_time_pass() -> None:
        clock.step_ns = (SOURCE_SILENCE_MS_MAX + 1) * NS_PER_MS

    source = ListSource([*_frames(1), let_time_pass], hang=hang)
    run = _Run(source, config=REALTIME, clock=clock)
    with pytest.raises(SourceLostError, match="expected a frame at least every"):
        run.go()
    assert len(run.sink.records) <= 1
    assert (run.sink.close_count, source.close_count) == (1, 1)


@pytest.mark.verifies("SRS_STREAM_010", extent="partial", technique="boundary")
@pytest.mark.proves_effect(
    "RCM_LOST_001", measure="silence that is tolerated", acceptance="exactly the limit"
)
def test_silence_up_to_the_limit_is_tolerated() -> None:
    """Neither a false alarm at the limit nor a miss one nanosecond after it."""
    run = scheduler._Run(
        ListSource([]),
        [ScriptedUnit()],
        [],
        clock=FakeClock(START_NS),
        config=REALTIME,
        stop=lambda: False,
        ledger=None,
        monitor=None,
    )
    last_seen_ns = START_NS - SOURCE_SILENCE_MS_MAX * NS_PER_MS
    assert run._check_silence(last_seen_ns) == last_seen_ns
    with pytest.raises(SourceLostError) as caught:
        run._check_silence(last_seen_ns - 1)
    assert caught.value.problem == (
        "expected a frame at least every 5000 ms from list, got none for 5000 ms"
    )
    assert caught.value.advice == "check the camera, its cable and the recorder, and start again"


@pytest.mark.verifies("SRS_STREAM_010", extent="partial", technique="fault_injection")
def test_source_that_ignores_the_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that hangs must not keep the record from being closed."""
    monkeypatch.setattr(scheduler, "THREAD_JOIN_MS_MAX", 1)
    hang = threading.Event()
    source = ListSource(_frames(1), hang=hang, ignores_stop=True)
    config = StreamConfig(pacing=Pacing.REALTIME, frame_count_max=1)
    run = _Run(source, config=config)
    summary = run.go()
    hang.set()
    assert summary.ended_because is EndedBecause.FRAME_COUNT_MAX
    assert run.sink.close_count == 1


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("pacing", list(Pacing))
def test_error_of_the_source_surfaces_after_its_frames(pacing: Pacing) -> None:
    """What came before the error is answered and kept."""
    error = DecodeError("cut off", advice="copy again")
    gate = threading.Event()
    unit = ScriptedUnit(on_run=lambda _: gate.set())
    items = [*_frames(1), lambda: gate.wait(WAIT_S) if pacing is Pacing.REALTIME else None, error]
    run = _Run(items, unit, config=StreamConfig(pacing=pacing))
    with pytest.raises(DecodeError, match="cut off"):
        run.go()
    assert (len(run.sink.records), run.sink.close_count) == (1, 1)
    assert run.ends[0].error_code == "DECODE"


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_foreign_exception_of_the_source_becomes_ours() -> None:
    """No error of a library reaches the user as a traceback of a thread."""
    run = _Run([ZeroDivisionError("driver")], config=REALTIME)
    with pytest.raises(InvariantError, match="source raised ZeroDivisionError") as caught:
        run.go()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.verifies("SRS_SINK_004", extent="full", technique="fault_injection")
def test_failing_sink_stops_the_run_and_the_others_get_the_record() -> None:
    """A run whose record cannot be kept must not go on; what can be kept is kept."""
    bad = RecordingSink(write_errors={1: SinkError("disk full", advice="free space")})
    last = RecordingSink(write_errors={1: SinkError("later", advice="none")})
    run = _Run(_frames(4), sinks=[bad, last])
    with pytest.raises(SinkError, match="disk full"):
        run.go()
    assert [r.frame_index for r in run.sink.records] == [0, 1]
    assert [s.close_count for s in (run.sink, bad, last)] == [1, 1, 1]


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("fault", "error_type"),
    [(SinkError("cannot finish", advice="free"), SinkError), (ValueError("odd"), InvariantError)],
)
def test_error_while_closing_does_not_keep_others_open(
    fault: Exception, error_type: type[Exception]
) -> None:
    """The first error is raised, and every sink is closed all the same."""
    bad, last = RecordingSink(close_error=fault), RecordingSink()
    run = _Run(_frames(1), sinks=[bad, last])
    with pytest.raises(error_type):
        run.go()
    assert last.close_count == 1


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_first_error_wins() -> None:
    """The cause is reported, not its consequences."""
    source = ListSource(
        [DecodeError("cause", advice="none")], close_error=SinkError("consequence", advice="none")
    )
    with pytest.raises(DecodeError, match="cause"):
        _Run(source).go()
