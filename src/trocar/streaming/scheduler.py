"""The loop: every frame of a source is answered once, or entered in the ledger of dropped frames.

In real time a thread of its own feeds a slot of capacity one, so that a slow unit sees the newest
frame and never a queue of old ones. As fast as possible, frames are pulled one by one and none is
dropped.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import structlog

from trocar.contracts.errors import (
    InvariantError,
    SourceLostError,
    TrocarError,
)
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
from trocar.contracts.record import FrameRecord
from trocar.streaming.answers import FrameAnswers
from trocar.streaming.latest_frame import LatestFrameSlot
from trocar.streaming.ledger import DropLedger, DropReason
from trocar.streaming.monitor import MonitorConfig, RunMonitor
from trocar.streaming.pacing import Pacing, UndecodableFrame
from trocar.streaming.summary import EndedBecause, StreamConfig, StreamSummary

__all__ = ["Progress", "run_stream"]

Progress = Callable[[int, int | None], None]
"""Called after each frame with the numbers of answered frames and, where known, of all frames."""

_ADVICE_FAULT = "this is a fault of Trocar; report it with the log and the input's name"


def run_stream(
    source: FrameSource,
    units: Sequence[Unit],
    sinks: Sequence[Sink],
    *,
    clock: Clock,
    config: StreamConfig,
    stop: StopSignal,
    progress: Progress | None = None,
    ledger: DropLedger | None = None,
    on_end: Callable[[StreamSummary], None] | None = None,
    monitor: MonitorConfig | None = None,
    wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> StreamSummary:
    """Run units on a source until it ends, fails or is stopped; always close source and sinks.

    Every unit answers for every frame that is taken, in the order of ``units``: one record a unit
    and frame, joined by nothing but the frame's index. Admission and the detectors look at a frame
    once; where they refuse it, the record of every unit carries the same reason. What goes wrong
    with one unit leaves the others alone.

    Args:
        source: Where frames come from; closed at the end.
        units: What answers for each frame, at least one; not closed.
        sinks: Where each record goes, in this order; closed at the end.
        clock: Monotonic time.
        config: Pacing, deadline and limits.
        stop: Asked between frames; a KeyboardInterrupt ends the run in the same way.
        progress: Told after each frame, when the records of all units are written.
        ledger: Account to fill; handed in by a caller that wants to save it.
        on_end: Told the summary, also where the run ends with an error.
        monitor: Who is told of health and metrics while the run goes on; with None, no watchdog
            looks at the run, and the summary alone holds what is known.
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
    run = _Run(
        source, units, sinks, clock=clock, config=config, stop=stop, ledger=ledger, monitor=monitor
    )
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
        units: Sequence[Unit],
        sinks: Sequence[Sink],
        *,
        clock: Clock,
        config: StreamConfig,
        stop: StopSignal,
        ledger: DropLedger | None,
        monitor: MonitorConfig | None,
    ) -> None:
        self.ended_because = EndedBecause.SOURCE_ENDED
        self.progress: Progress | None = None
        self._source = source
        self._answers = FrameAnswers(units, clock=clock, config=config, source_id=source.source_id)
        self._sinks = tuple(sinks)
        self._clock = clock
        self._config = config
        self._stop = stop
        self._ledger = DropLedger() if ledger is None else ledger
        self._log = structlog.get_logger().bind(source_id=source.source_id)
        self._monitor = RunMonitor(
            source,
            units,
            sinks,
            ledger=self._ledger,
            clock=clock,
            config=MonitorConfig() if monitor is None else monitor,
        )
        self._is_watched = monitor is not None
        self._slot: LatestFrameSlot[RawFrame] = LatestFrameSlot()
        self._feeder: threading.Thread | None = None
        self._is_ending = threading.Event()
        self._source_error: TrocarError | None = None
        self._is_interrupted = False
        self._frame_count = source.frame_count
        self._answered_count = 0
        self._record_count = 0
        self._late_count = 0
        self._decode_error_count = 0
        self._withheld_counts: Counter[Reason] = Counter()
        self._begin_ns = clock.now_ns()
        self._end_ns = self._begin_ns

    def play(self) -> None:
        """Answer frames until the run is over."""
        self._log.info(
            "run_started",
            units=", ".join(self._answers.unit_names),
            pacing=str(self._config.pacing),
        )
        if self._is_watched:
            self._monitor.start()
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
        for raw in self._delivered(self._stop):
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
                last_seen_ns = self._check_silence(last_seen_ns)

    def _feed(self) -> None:
        """Put every frame of the source into the slot; runs in a thread of its own."""
        try:
            for raw in self._delivered(self._must_end):
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

    def _delivered(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield and count every frame of the source; the watchdog sees the wait for the next one.

        The wait for the first frame is the begin of a run and no fault of it.
        """
        activity = self._monitor.source_activity
        try:
            for raw in self._source.frames(stop):
                self._ledger.receive()
                self._decode_error_count += isinstance(raw, UndecodableFrame)
                activity.end()
                yield raw
                activity.begin(self._clock.now_ns())
        finally:
            activity.end()

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
    def _check_silence(self, last_seen_ns: int) -> int:
        """Raise once a live source has been silent for too long; return since when it is silent.

        A source that says that it is not connected gives up by itself, within
        ``LINK_GIVE_UP_MS_MAX``; its silence counts from the moment when it is connected again.
        """
        now_ns = self._clock.now_ns()
        if not self._monitor.is_link_open:
            return now_ns
        silent_ns = now_ns - last_seen_ns
        if silent_ns > SOURCE_SILENCE_MS_MAX * NS_PER_MS:
            raise SourceLostError(
                f"expected a frame at least every {SOURCE_SILENCE_MS_MAX} ms from"
                f" {self._source.source_id}, got none for {silent_ns // NS_PER_MS} ms",
                advice="check the camera, its cable and the recorder, and start again",
            )
        return last_seen_ns

    def _answer(self, raw: RawFrame, *, dropped_before_count: int) -> None:
        """Answer for one frame by every unit, and write the records."""
        self._monitor.loop_activity.begin(self._clock.now_ns())
        is_recorded = False
        try:
            frame, records = self._answers.answer(raw, dropped_before_count=dropped_before_count)
            is_recorded = True
        finally:
            # Whatever ends the run in the middle of a frame, that frame stays in the account.
            if is_recorded:
                self._ledger.process()
            else:
                self._ledger.drop(raw, DropReason.STOPPED)
        self._answered_count += 1
        for record in records:
            self._count(record)
        self._write(records, frame)
        if self.progress is not None:
            self.progress(self._answered_count, self._frame_count)
        self._monitor.loop_activity.end()

    def _count(self, record: FrameRecord) -> None:
        """Count one record."""
        self._record_count += 1
        self._late_count += record.verdict is DeadlineVerdict.MISSED
        if isinstance(record.outcome, Withheld):
            self._withheld_counts[record.outcome.reason] += 1

    def _write(self, records: Sequence[FrameRecord], frame: Frame | None) -> None:
        """Give every record to every sink, also to those after one that fails.

        Raises:
            TrocarError: The first error.
        """
        first: TrocarError | None = None
        for record in records:
            for sink in self._sinks:
                try:
                    sink.write(record, frame)
                except TrocarError as exc:
                    first = self._first(first, exc)
            self._monitor.written(record)
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
        failure = _failure(lambda: self._monitor.close(error))
        if failure is not None:
            error = self._first(error, failure)
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
            units=self._answers.unit_names,
            started_at=started_at.isoformat(),
            ended_at=ended_at.isoformat(),
            duration_ms=(self._end_ns - self._begin_ns) / NS_PER_MS,
            ended_because=self.ended_because,
            error_code=None if error is None else error.code,
            received_count=totals.received_count,
            answered_count=self._answered_count,
            finding_count=self._record_count - self._withheld_counts.total(),
            withheld_counts=dict(self._withheld_counts),
            displaced_count=totals.displaced_count,
            undelivered_count=totals.stopped_count,
            unlisted_drop_count=totals.unlisted_count,
            late_count=self._late_count,
            missed_count=self._late_count + totals.displaced_count * len(self._answers.unit_names),
            decode_error_count=self._decode_error_count,
            health_changes=self._monitor.health.changes,
            health_change_count=self._monitor.health.change_count,
            stages=self._monitor.stages(),
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
