"""The loop: every frame of a source is answered once, or entered in the ledger of dropped frames.

In real time a thread of its own feeds a slot of capacity one, so that a slow unit sees the newest
frame and never a queue of old ones. As fast as possible, frames are pulled one by one and none is
dropped.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError

from trocar.contracts.errors import (
    InferenceError,
    InvariantError,
    SourceLostError,
    TrocarError,
    require,
)
from trocar.contracts.findings import Finding
from trocar.contracts.frame import Frame, RawFrame
from trocar.contracts.limits import (
    NS_PER_MS,
    NS_PER_S,
    SLOT_WAIT_MS_MAX,
    SOURCE_SILENCE_MS_MAX,
    THREAD_JOIN_MS_MAX,
)
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.ports import Clock, FrameSource, Sink, StopSignal, Unit
from trocar.contracts.record import FrameRecord, FrameTimes
from trocar.streaming.admission import admit
from trocar.streaming.health import StreamHealth
from trocar.streaming.latest_frame import LatestFrameSlot
from trocar.streaming.ledger import DropLedger, DropReason
from trocar.streaming.pacing import Pacing, UndecodableFrame
from trocar.streaming.summary import EndedBecause, StreamConfig, StreamSummary

__all__ = ["Progress", "run_stream"]

Progress = Callable[[int, int | None], None]
"""Called after each record with the numbers of answered frames and, where known, of all frames."""

_ADVICE_FAULT = "this is a fault of Trocar; report it with the log and the input's name"


def run_stream(
    source: FrameSource,
    unit: Unit,
    sinks: Sequence[Sink],
    *,
    clock: Clock,
    config: StreamConfig,
    stop: StopSignal,
    progress: Progress | None = None,
    ledger: DropLedger | None = None,
    on_end: Callable[[StreamSummary], None] | None = None,
    wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> StreamSummary:
    """Run a unit on a source until it ends, fails or is stopped; always close source and sinks.

    Args:
        source: Where frames come from; closed at the end.
        unit: What answers for each frame; not closed.
        sinks: Where each record goes, in this order; closed at the end.
        clock: Monotonic time.
        config: Pacing, deadline and limits.
        stop: Asked between frames; a KeyboardInterrupt ends the run in the same way.
        progress: Told after each record.
        ledger: Account to fill; handed in by a caller that wants to save it.
        on_end: Told the summary, also where the run ends with an error.
        wall_clock: Time with zone, for the summary only.

    Returns:
        The account of the run. The caller decides what a decode error or a missed deadline means
        to it.

    Raises:
        SourceError: The source failed, was lost, or stayed silent for longer than
            ``SOURCE_SILENCE_MS_MAX``.
        SinkError: A record could not be written.
        InvariantError: Trocar itself is at fault.
        TrocarError: Any other error of the unit; the first error is raised, later ones are logged.
    """
    run = _Run(source, unit, sinks, clock=clock, config=config, stop=stop, ledger=ledger)
    run.progress = progress
    started_at = wall_clock()
    error: TrocarError | None = None
    try:
        run.play()
    except KeyboardInterrupt:
        run.interrupt()
    except TrocarError as exc:
        error = exc
    except Exception as exc:  # noqa: BLE001 - outermost loop: whatever happens, the record is closed
        error = InvariantError(f"{type(exc).__name__}: {exc}", advice=_ADVICE_FAULT)
        error.__cause__ = exc
    error = run.finish(error)
    summary = run.summary(started_at, wall_clock(), error)
    if on_end is not None:
        on_end(summary)
    if error is not None:
        raise error
    return summary


class _Run:
    """State of one run; nothing in it grows with the number of frames."""

    def __init__(
        self,
        source: FrameSource,
        unit: Unit,
        sinks: Sequence[Sink],
        *,
        clock: Clock,
        config: StreamConfig,
        stop: StopSignal,
        ledger: DropLedger | None,
    ) -> None:
        self.ended_because = EndedBecause.SOURCE_ENDED
        self.progress: Progress | None = None
        self._source = source
        self._unit = unit
        self._sinks = tuple(sinks)
        self._clock = clock
        self._config = config
        self._stop = stop
        self._ledger = DropLedger() if ledger is None else ledger
        self._health = StreamHealth(kind=config.kind, frozen_after_ms=config.frozen_after_ms)
        self._log = structlog.get_logger().bind(source_id=source.source_id)
        self._slot: LatestFrameSlot[RawFrame] = LatestFrameSlot()
        self._feeder: threading.Thread | None = None
        self._is_ending = threading.Event()
        self._source_error: TrocarError | None = None
        self._is_interrupted = False
        self._frame_count = source.frame_count
        self._answered_count = 0
        self._late_count = 0
        self._decode_error_count = 0
        self._withheld_counts: Counter[Reason] = Counter()
        self._begin_ns = clock.now_ns()
        self._end_ns = self._begin_ns

    def play(self) -> None:
        """Answer frames until the run is over."""
        self._log.info("run_started", unit=self._unit.info.unit, pacing=str(self._config.pacing))
        if self._config.pacing is Pacing.REALTIME:
            self._play_realtime()
        else:
            self._play_as_fast_as_possible()

    def interrupt(self) -> None:
        """Note that the run was broken off anywhere: the account may lack one frame."""
        self.ended_because = EndedBecause.STOPPED
        self._is_interrupted = True

    def _play_as_fast_as_possible(self) -> None:
        """Pull frames one by one."""
        for raw in self._source.frames(self._stop):
            self._receive(raw)
            self._answer(raw, dropped_before_count=0)
            if self._is_over():
                return
        self._is_over()

    def _play_realtime(self) -> None:
        """Take the newest frame whenever the unit is free."""
        self._feeder = threading.Thread(target=self._feed, name="trocar-source", daemon=True)
        self._feeder.start()
        last_seen_ns = self._clock.now_ns()
        while not self._is_over():
            taken = self._slot.take(SLOT_WAIT_MS_MAX * NS_PER_MS / NS_PER_S)
            if taken is not None:
                self._answer(taken.item, dropped_before_count=taken.displaced_count)
                last_seen_ns = self._clock.now_ns()
            elif self._slot.is_closed:
                # The source's thread may have seen the stop first: the reason is still the stop.
                self._is_over()
                return
            else:
                self._check_silence(self._clock.now_ns() - last_seen_ns)

    def _feed(self) -> None:
        """Put every frame of the source into the slot; runs in a thread of its own."""
        try:
            for raw in self._source.frames(self._must_end):
                self._receive(raw)
                lost = self._slot.put(raw)
                if lost is not None:
                    was_displaced = lost is not raw
                    self._ledger.drop(
                        lost, DropReason.DISPLACED if was_displaced else DropReason.STOPPED
                    )
        except TrocarError as exc:
            self._source_error = exc
        except Exception as exc:  # noqa: BLE001 - a thread's fault must reach the caller, whatever it is
            self._source_error = InvariantError(
                f"source raised {type(exc).__name__}: {exc}", advice=_ADVICE_FAULT
            )
            self._source_error.__cause__ = exc
        finally:
            self._slot.close()

    def _must_end(self) -> bool:
        """Tell the source to end: the user says so, or the run is over for another reason."""
        return self._is_ending.is_set() or self._stop()

    def _receive(self, raw: RawFrame) -> None:
        """Count one frame that the source delivered."""
        self._ledger.receive()
        self._decode_error_count += isinstance(raw, UndecodableFrame)

    # @need-ids: SRS_STREAM_007
    def _is_over(self) -> bool:
        """Return whether the run ends here, and remember why."""
        if self._stop():
            self.ended_because = EndedBecause.STOPPED
            return True
        if self._answered_count == self._config.frame_count_max:
            self.ended_because = EndedBecause.FRAME_COUNT_MAX
            return True
        return False

    # @need-ids: SRS_STREAM_010, RCM_LOST_001
    def _check_silence(self, silent_ns: int) -> None:
        """Raise once a live source has been silent for too long."""
        if silent_ns > SOURCE_SILENCE_MS_MAX * NS_PER_MS:
            raise SourceLostError(
                f"expected a frame at least every {SOURCE_SILENCE_MS_MAX} ms from"
                f" {self._source.source_id}, got none for {silent_ns // NS_PER_MS} ms",
                advice="check the camera, its cable and the recorder, and start again",
            )

    def _answer(self, raw: RawFrame, *, dropped_before_count: int) -> None:
        """Answer for one frame and write its record."""
        is_recorded = False
        try:
            frame, record = self._record(raw, dropped_before_count)
            is_recorded = True
        finally:
            # Whatever ends the run in the middle of a frame, that frame stays in the account.
            if is_recorded:
                self._ledger.process()
            else:
                self._ledger.drop(raw, DropReason.STOPPED)
        self._count(record)
        self._write(record, frame)
        if self.progress is not None:
            self.progress(self._answered_count, self._frame_count)

    # @need-ids: SRS_STREAM_003, RCM_DEADLINE_001, RCM_FRAMEID_001
    def _record(self, raw: RawFrame, dropped_before_count: int) -> tuple[Frame | None, FrameRecord]:
        """Return the admitted frame, if it was, and the record of its answer."""
        started_at_ns = self._clock.now_ns()
        frame, outcome = self._examine(raw, started_at_ns)
        finished_at_ns = self._clock.now_ns()
        captured_at_ns = min(max(raw.captured_at_ns, 0), started_at_ns)
        try:
            record = FrameRecord(
                frame_index=raw.frame_index,
                source_id=raw.source_id,
                media_time_ns=raw.media_time_ns,
                outcome=outcome,
                unit=self._unit.info,
                times=FrameTimes(
                    captured_at_ns=captured_at_ns,
                    started_at_ns=started_at_ns,
                    finished_at_ns=finished_at_ns,
                ),
                verdict=self._verdict(finished_at_ns - captured_at_ns),
                dropped_before_count=dropped_before_count,
            )
        except ValidationError as exc:
            raise InvariantError(
                f"no valid record of frame {raw.frame_index}: {exc}", advice=_ADVICE_FAULT
            ) from exc
        return frame, record

    def _examine(self, raw: RawFrame, now_ns: int) -> tuple[Frame | None, Finding | Withheld]:
        """Return the frame if it was admitted, and its answer: the unit's, or why not asked."""
        admitted = admit(raw)
        if isinstance(admitted, Withheld):
            return None, admitted
        if admitted.captured_at_ns > now_ns:
            detail = f"acquired at {admitted.captured_at_ns} ns, seen at {now_ns} ns"
            return admitted, Withheld(
                frame_index=raw.frame_index, reason=Reason.CLOCK_BACKWARDS, detail=detail
            )
        return admitted, self._health.check(admitted) or self._infer(admitted)

    def _infer(self, frame: Frame) -> Finding | Withheld:
        """Run the unit; an engine that fails on one frame costs that frame only."""
        try:
            outcome = self._unit.run(frame, now_ns=self._clock.now_ns())
        except InferenceError as exc:
            self._log.warning("inference_failed", frame_index=frame.frame_index, **exc.context)
            return Withheld(
                frame_index=frame.frame_index, reason=Reason.INFERENCE_FAILED, detail=exc.problem
            )
        # @need-ids: RCM_GEOMETRY_001
        if not isinstance(outcome, Withheld):
            size_px = (outcome.mask.frame_width_px, outcome.mask.frame_height_px)
            require(
                size_px == (frame.width_px, frame.height_px),
                f"mask for {size_px} px under a frame of {frame.width_px}x{frame.height_px} px",
            )
        return outcome

    def _verdict(self, age_ns: int) -> DeadlineVerdict:
        """Return whether a result of this age is in time; only real time is timed."""
        if self._config.pacing is not Pacing.REALTIME:
            return DeadlineVerdict.NOT_TIMED
        is_met = age_ns <= self._config.deadline_ms * NS_PER_MS
        return DeadlineVerdict.MET if is_met else DeadlineVerdict.MISSED

    def _count(self, record: FrameRecord) -> None:
        """Count one record."""
        self._answered_count += 1
        self._late_count += record.verdict is DeadlineVerdict.MISSED
        if isinstance(record.outcome, Withheld):
            self._withheld_counts[record.outcome.reason] += 1

    def _write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Give the record to every sink, also to those after one that fails.

        Raises:
            TrocarError: The first error.
        """
        first: TrocarError | None = None
        for sink in self._sinks:
            try:
                sink.write(record, frame)
            except TrocarError as exc:
                first = self._first(first, exc)
        if first is not None:
            raise first

    def _first(self, first: TrocarError | None, later: TrocarError) -> TrocarError:
        """Return the error that counts: the first; a later one is logged."""
        if first is None:
            return later
        self._log.error("error_after_the_first", code=later.code, problem=later.problem)
        return first

    def finish(self, error: TrocarError | None) -> TrocarError | None:
        """End the source, close the account and all sinks; return the first error."""
        self._is_ending.set()
        self._slot.close()
        has_feeder_ended = self._join_feeder()
        waiting = self._slot.take(SLOT_WAIT_MS_MAX * NS_PER_MS / NS_PER_S)
        if waiting is not None:
            self._ledger.drop(waiting.item, DropReason.STOPPED)
        steps: list[Callable[[], None]] = [self._source.close]
        if has_feeder_ended and not self._is_interrupted:
            steps.append(self._ledger.require_balanced)
        steps += [sink.close for sink in self._sinks]
        if self._source_error is not None:
            error = self._first(error, self._source_error)
        for step in steps:
            failure = _failure(step)
            if failure is not None:
                error = self._first(error, failure)
        self._end_ns = self._clock.now_ns()
        if error is not None:
            self.ended_because = EndedBecause.FAILED
        self._log.info("run_ended", because=str(self.ended_because), answered=self._answered_count)
        return error

    def _join_feeder(self) -> bool:
        """Wait for the source's thread; one that hangs in a driver is left behind and logged."""
        if self._feeder is None:
            return True
        self._feeder.join(THREAD_JOIN_MS_MAX * NS_PER_MS / NS_PER_S)
        if self._feeder.is_alive():
            self._log.error("source_thread_left_behind", waited_ms=THREAD_JOIN_MS_MAX)
            return False
        return True

    def summary(
        self, started_at: datetime, ended_at: datetime, error: TrocarError | None
    ) -> StreamSummary:
        """Return the account of the run."""
        totals = self._ledger.totals()
        return StreamSummary(
            source_id=self._source.source_id,
            started_at=started_at.isoformat(),
            ended_at=ended_at.isoformat(),
            duration_ms=(self._end_ns - self._begin_ns) / NS_PER_MS,
            ended_because=self.ended_because,
            error_code=None if error is None else error.code,
            received_count=totals.received_count,
            answered_count=self._answered_count,
            finding_count=self._answered_count - self._withheld_counts.total(),
            withheld_counts=dict(self._withheld_counts),
            displaced_count=totals.displaced_count,
            undelivered_count=totals.stopped_count,
            unlisted_drop_count=totals.unlisted_count,
            late_count=self._late_count,
            missed_count=self._late_count + totals.displaced_count,
            decode_error_count=self._decode_error_count,
        )


def _failure(step: Callable[[], None]) -> TrocarError | None:
    """Run one step of the end and return its error, so that the steps after it run too."""
    try:
        step()
    except TrocarError as exc:
        return exc
    except Exception as exc:  # noqa: BLE001 - the end of the outermost loop: every sink gets closed
        error = InvariantError(f"{type(exc).__name__}: {exc}", advice=_ADVICE_FAULT)
        error.__cause__ = exc
        return error
    return None
