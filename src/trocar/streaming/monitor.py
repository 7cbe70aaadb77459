"""What is known of a run while it goes on: health, metrics and times, and the thread that looks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from trocar.contracts.errors import SinkError, TrocarError
from trocar.contracts.limits import (
    HEALTH_STREAK_COUNT,
    METRICS_PERIOD_MS,
    NS_PER_MS,
    NS_PER_S,
    THREAD_JOIN_MS_MAX,
    WATCHDOG_PERIOD_MS_MAX,
)
from trocar.contracts.outcome import DeadlineVerdict, Withheld
from trocar.contracts.ports import Clock, FrameSource, Sink, Unit
from trocar.contracts.record import FrameRecord
from trocar.streaming.health_state import Fault, HealthChange, HealthState, RunHealth
from trocar.streaming.ledger import DropLedger
from trocar.streaming.metrics import MetricsState, RunMetrics, write_metrics
from trocar.streaming.metrics_server import MetricsServer
from trocar.streaming.service_notice import ServiceNotice
from trocar.streaming.stages import StageTimes, StageTrace
from trocar.streaming.watchdog import Activity, ReportsLink, Supervised, Watchdog, Watched

__all__ = ["MonitorConfig", "RunMonitor"]


@dataclass(frozen=True, slots=True)
class MonitorConfig:
    """Who is told how a run is, besides the log and the summary.

    Attributes:
        on_change: Told of each change of health by the thread that made it; must return at once.
        metrics_path: File of metrics, replaced about once a second; None for none.
        metrics_port: Port of metrics on the loopback address; None for none, 0 for a free one,
            which the log names.
        notify_address: Value of ``NOTIFY_SOCKET`` where a service manager waits for notices.
        is_audit_held: Whether events of the audit log wait because it cannot be written; asked at
            each look, must return at once.
    """

    on_change: Callable[[HealthChange], None] | None = None
    metrics_path: Path | None = None
    metrics_port: int | None = None
    notify_address: str | None = None
    is_audit_held: Callable[[], bool] = field(default=lambda: False)


@dataclass(slots=True)
class _Streak:
    """Whether something is going wrong: so many bad ones in a row, until as many good ones."""

    is_open: bool = False
    _run_count: int = 0

    def take(self, *, is_bad: bool) -> bool:
        """Take the next one; return whether it is going wrong."""
        self._run_count = 0 if is_bad == self.is_open else self._run_count + 1
        if self._run_count == HEALTH_STREAK_COUNT:
            self.is_open, self._run_count = is_bad, 0
        return self.is_open


@dataclass(slots=True)
class _Streaks:
    """Streaks of one unit."""

    withheld: _Streak = field(default_factory=_Streak)
    late: _Streak = field(default_factory=_Streak)


# @need-ids: SRS_LIVE_010, SRS_LIVE_011, RCM_LIVE_001
class RunMonitor:
    """Everything that looks at one run from outside; the loop tells it what happens.

    Between ``start`` and ``close``, a thread looks at every part each ``WATCHDOG_PERIOD_MS_MAX``.

    Args:
        source: The source; asked for its connection where it has one.
        units: The units that answer.
        sinks: The sinks; those with a thread of their own are watched.
        ledger: The account of the run.
        clock: Monotonic time.
        config: Who is told.
    """

    def __init__(
        self,
        source: FrameSource,
        units: Sequence[Unit],
        sinks: Sequence[Sink],
        *,
        ledger: DropLedger,
        clock: Clock,
        config: MonitorConfig,
    ) -> None:
        self.source_activity = Activity()
        self.loop_activity = Activity()
        self._clock = clock
        self._config = config
        self._ledger = ledger
        self._link = source if isinstance(source, ReportsLink) else None
        self._queues = [sink for sink in sinks if isinstance(sink, Supervised)]
        self._health = RunHealth(clock=clock, on_change=config.on_change)
        self._metrics = RunMetrics(source_id=source.source_id, units=[unit.info for unit in units])
        self._stages = StageTrace()
        self._streaks: dict[str, _Streaks] = {}
        self._watchdog = Watchdog(
            [
                Watched("source", self.source_activity, Fault.SOURCE_SILENT, fails_after_ms=None),
                Watched("loop", self.loop_activity, Fault.LOOP_STALLED),
                *(Watched("sink", sink.activity, Fault.SINK_STALLED) for sink in self._queues),
            ],
            health=self._health,
        )
        self._is_alive = True
        self._left_out_count = 0
        self._written_at_ns: int | None = None
        self._has_write_failed = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._notice = ServiceNotice(config.notify_address)
        self._has_said_ready = False
        self._server: MetricsServer | None = None

    @property
    def health(self) -> RunHealth:
        """State of health."""
        return self._health

    @property
    def is_link_open(self) -> bool:
        """Whether frames may come: False only while a source says that it is not connected."""
        return self._link is None or self._link.link_status().is_connected

    def stages(self) -> tuple[StageTimes, ...]:
        """Return the times of each stage so far; called by the loop's thread."""
        return self._stages.report()

    def start(self) -> None:
        """Begin to look; called once.

        Raises:
            SinkError: The port of metrics cannot be taken.
        """
        if self._config.metrics_port is not None:
            self._server = MetricsServer(self._config.metrics_port, look=self.look)
            structlog.get_logger().info("metrics_served", port=self._server.port)
        self._thread = threading.Thread(target=self._watch, name="trocar-watchdog", daemon=True)
        self._thread.start()

    def written(self, record: FrameRecord) -> None:
        """Count one record that every sink has taken."""
        self._stages.add(record, written_at_ns=self._clock.now_ns())
        self._metrics.add(record)
        is_withheld = isinstance(record.outcome, Withheld)
        is_late = record.verdict is DeadlineVerdict.MISSED
        of_unit = self._streaks.get(record.unit.unit)
        if of_unit is None:
            of_unit = self._streaks[record.unit.unit] = _Streaks()
        of_unit.withheld.take(is_bad=is_withheld)
        of_unit.late.take(is_bad=is_late)
        streaks = self._streaks.values()
        self._health.set_fault(
            Fault.RESULTS_WITHHELD, is_open=any(item.withheld.is_open for item in streaks)
        )
        self._health.set_fault(
            Fault.DEADLINES_MISSED, is_open=any(item.late.is_open for item in streaks)
        )
        if not is_withheld:
            self._health.result()

    def tick(self) -> None:
        """Look at every part once, and tell whoever asked."""
        now_ns = self._clock.now_ns()
        self._is_alive = self._watchdog.check(now_ns)
        if self._link is not None:
            link = self._link.link_status()
            is_lost = not link.is_connected and link.problem != ""
            self._health.set_fault(Fault.SOURCE_DISCONNECTED, is_open=is_lost)
        left_out_count = sum(sink.dropped_count for sink in self._queues)
        self._health.set_fault(
            Fault.RESULTS_LEFT_OUT, is_open=left_out_count > self._left_out_count
        )
        self._left_out_count = left_out_count
        self._look_at_audit()
        self._tell_manager()
        if self._written_at_ns is None or now_ns - self._written_at_ns >= (
            METRICS_PERIOD_MS * NS_PER_MS
        ):
            self._written_at_ns = now_ns
            self._write_metrics()

    def look(self) -> tuple[str, HealthState]:
        """Return the metrics as text, and the state of health; for any thread."""
        health = self._health.state
        link = None if self._link is None else self._link.link_status()
        state = MetricsState(
            totals=self._ledger.totals(),
            health=health,
            reasons=self._health.reasons,
            reconnect_count=0 if link is None else link.reconnect_count,
            left_out_count=sum(sink.dropped_count for sink in self._queues),
            is_alive=self._is_alive,
        )
        return self._metrics.text(state), health

    def close(self, error: TrocarError | None) -> None:
        """End the thread, say how the run ended, write the last metrics; called once."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(THREAD_JOIN_MS_MAX * NS_PER_MS / NS_PER_S)
        self._look_at_audit()
        if error is not None:
            self._health.fail(error.code)
        self._write_metrics()
        self._notice.close()
        if self._server is not None:
            self._server.close()

    def _watch(self) -> None:
        """Look again and again; runs in a thread of its own."""
        try:
            while not self._ended.wait(WATCHDOG_PERIOD_MS_MAX * NS_PER_MS / NS_PER_S):
                self.tick()
        finally:
            # A watchdog that died must not leave a state behind that looks well.
            if not self._ended.is_set():
                self._is_alive = False
                self._health.fail("watchdog_died")

    # @need-ids: SRS_AUDIT_007
    def _look_at_audit(self) -> None:
        """Say that the run is degraded while the audit log cannot be written."""
        self._health.set_fault(Fault.AUDIT_NOT_WRITTEN, is_open=self._config.is_audit_held())

    def _tell_manager(self) -> None:
        """Say ready once, what is going on, and that every part lives, while it does."""
        state, reasons = self._health.state, self._health.reasons
        if state is HealthState.READY and not self._has_said_ready:
            self._has_said_ready = True
            self._notice.ready()
        self._notice.status(f"{state.value} {' '.join(reasons)}".strip())
        if self._is_alive and state is not HealthState.FAILED:
            self._notice.alive()

    def _write_metrics(self) -> None:
        """Replace the file of metrics; a run goes on without it, and says so once."""
        if self._config.metrics_path is None:
            return
        try:
            write_metrics(self._config.metrics_path, self.look()[0])
        except SinkError as exc:
            if not self._has_write_failed:
                structlog.get_logger().warning("metrics_not_written", problem=exc.problem)
            self._has_write_failed = True
