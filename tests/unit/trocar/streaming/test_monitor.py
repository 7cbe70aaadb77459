"""What is known of a run while it goes on, as a look from outside finds it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog

from simulators.clock import FakeClock
from simulators.link import LinkedSource, WatchedSink
from simulators.scripted_run import START_NS, timed_frames
from simulators.unit import ScriptedUnit, frame_record
from trocar.contracts.errors import SinkError, SourceLostError
from trocar.contracts.limits import (
    HEALTH_STREAK_COUNT,
    METRICS_PERIOD_MS,
    NS_PER_MS,
    PART_BUSY_MS_MAX,
)
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.contracts.record import FrameRecord
from trocar.streaming import monitor, scheduler
from trocar.streaming.health_state import HealthChange, HealthState
from trocar.streaming.ledger import DropLedger
from trocar.streaming.monitor import MonitorConfig, RunMonitor
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig
from trocar.streaming.watchdog import LinkStatus

WAIT_S = 10.0


class Look:
    """A monitor on simulators."""

    def __init__(self, config: MonitorConfig | None = None) -> None:
        self.clock = FakeClock(START_NS)
        self.source = LinkedSource([])
        self.sink = WatchedSink()
        self.ledger = DropLedger()
        self.monitor = RunMonitor(
            self.source,
            [ScriptedUnit(), ScriptedUnit(name="other")],
            [self.sink],
            ledger=self.ledger,
            clock=self.clock,
            config=MonitorConfig() if config is None else config,
        )

    def written(self, records: Sequence[FrameRecord]) -> None:
        """Say that records were written."""
        for record in records:
            self.monitor.written(record)

    def now(self) -> tuple[str, tuple[str, ...]]:
        """State and reasons."""
        health = self.monitor.health
        return health.state.value, health.reasons


def _withheld(index: int) -> FrameRecord:
    return frame_record(index, outcome=Withheld(frame_index=index, reason=Reason.FRAME_BLACK))


@pytest.mark.verifies("SRS_LIVE_010", extent="partial", technique="boundary")
def test_withheld_results_in_a_row_are_a_fault_until_findings_come() -> None:
    """A single black frame is none; a source that shows nothing is one."""
    look = Look()
    look.written([frame_record(0)])
    look.written([_withheld(i) for i in range(HEALTH_STREAK_COUNT - 1)])
    look.written([frame_record(0)])
    assert look.now() == ("ready", ())
    look.written([_withheld(i) for i in range(HEALTH_STREAK_COUNT)])
    assert look.now() == ("degraded", ("results_withheld",))
    look.written([frame_record(i) for i in range(HEALTH_STREAK_COUNT - 1)])
    assert look.now() == ("degraded", ("results_withheld",))
    look.written([frame_record(0)])
    assert look.now() == ("ready", ())


@pytest.mark.verifies("SRS_LIVE_010", extent="partial", technique="boundary")
def test_late_results_of_one_unit_are_not_hidden_by_another_one() -> None:
    """Two units take turns: the one that is in time must not end the streak of the other."""
    look = Look()
    late = frame_record(0, verdict=DeadlineVerdict.MISSED)
    good = frame_record(0, unit=ScriptedUnit(name="other").info)
    for _ in range(HEALTH_STREAK_COUNT):
        look.written([late, good])
    assert look.now() == ("degraded", ("deadlines_missed",))


@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("part", ["source", "loop", "sink"])
def test_each_part_that_hangs_is_found(part: str) -> None:
    """Source thread, loop and queued sink, each by itself."""
    look = Look()
    look.written([frame_record(0)])
    activities = {
        "source": (look.monitor.source_activity, "source_silent"),
        "loop": (look.monitor.loop_activity, "loop_stalled"),
        "sink": (look.sink.activity, "sink_stalled"),
    }
    activity, fault = activities[part]
    activity.begin(look.clock.now_ns())
    look.clock.advance_ns(PART_BUSY_MS_MAX * NS_PER_MS)
    look.monitor.tick()
    assert look.now() == ("ready", ())
    look.clock.advance_ns(1)
    look.monitor.tick()
    assert look.now() == ("degraded", (fault,))
    assert "trocar_watchdog_alive 0" in look.monitor.look()[0]


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="requirement")
def test_lost_connection_is_a_fault_and_a_first_one_is_not() -> None:
    """While it is connected for the first time, a run is starting; later it is degraded."""
    look = Look()
    look.source.link = LinkStatus(is_connected=False, reconnect_count=0)
    look.monitor.tick()
    assert look.now() == ("starting", ())
    assert not look.monitor.is_link_open
    look.source.link = LinkStatus(is_connected=False, reconnect_count=2, problem="gone")
    look.monitor.tick()
    assert look.now() == ("degraded", ("source_disconnected",))
    assert "trocar_source_reconnects_total 2" in look.monitor.look()[0]
    look.source.link = LinkStatus(is_connected=True, reconnect_count=3)
    look.monitor.tick()
    look.written([frame_record(0)])
    assert look.now() == ("ready", ())


@pytest.mark.verifies("SRS_LIVE_010", extent="partial", technique="requirement")
def test_sink_that_leaves_results_out_is_a_fault_while_it_does() -> None:
    """An overlay with holes is not a healthy one."""
    look = Look()
    look.sink.dropped_count = 3
    look.monitor.tick()
    assert look.now() == ("degraded", ("results_left_out",))
    look.monitor.tick()
    assert look.now() == ("degraded", ())
    assert "trocar_results_left_out_total 3" in look.monitor.look()[0]


@pytest.mark.verifies("SRS_LIVE_013", extent="partial", technique="requirement")
def test_file_of_metrics_is_written_once_a_period_and_at_the_end(tmp_path: Path) -> None:
    """The last version says how the run ended."""
    path = tmp_path / "trocar.prom"
    look = Look(MonitorConfig(metrics_path=path))
    look.monitor.tick()
    path.unlink()
    look.clock.advance_ns(METRICS_PERIOD_MS * NS_PER_MS - 1)
    look.monitor.tick()
    assert not path.exists()
    look.clock.advance_ns(1)
    look.monitor.tick()
    assert 'trocar_health_state{state="starting"} 1' in path.read_text()
    look.monitor.close(SourceLostError("gone", advice="wait"))
    assert 'trocar_health_reason{reason="SOURCE_LOST"} 1' in path.read_text()


@pytest.mark.verifies("SRS_LIVE_013", extent="partial", technique="fault_injection")
def test_run_goes_on_without_its_file_of_metrics(tmp_path: Path) -> None:
    """A full disk of the collector is no reason to stop looking at the patient; it is said once."""
    look = Look(MonitorConfig(metrics_path=tmp_path / "missing" / "trocar.prom"))
    with structlog.testing.capture_logs() as logged:
        look.monitor.tick()
        look.monitor.close(None)
    assert [line["event"] for line in logged] == ["metrics_not_written"]
    assert look.now() == ("starting", ())


@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="fault_injection")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_watchdog_that_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that nobody looks after any more must not look well."""
    monkeypatch.setattr(monitor, "WATCHDOG_PERIOD_MS_MAX", 1)
    failed = threading.Event()

    def on_change(change: HealthChange) -> None:
        if change.state is HealthState.FAILED:
            failed.set()

    look = Look(MonitorConfig(on_change=on_change))
    looked = threading.Event()

    def broken() -> None:
        looked.set()
        raise SystemExit

    monkeypatch.setattr(look.monitor, "tick", broken)
    look.monitor.start()
    assert failed.wait(WAIT_S)
    look.monitor.close(None)
    assert looked.is_set()
    assert look.now() == ("failed", ("watchdog_died",))


@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_LIVE_001")
def test_unit_that_hangs_is_seen_while_it_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of the watchdog finds it although the loop says nothing."""
    monkeypatch.setattr(monitor, "WATCHDOG_PERIOD_MS_MAX", 1)
    seen, clock = threading.Event(), FakeClock(START_NS + 1000)

    def hang(_: object) -> None:
        clock.advance_ns((PART_BUSY_MS_MAX + 1) * NS_PER_MS)
        seen.wait(WAIT_S)

    def on_change(change: HealthChange) -> None:
        if "loop_stalled" in change.reasons:
            seen.set()

    summary = run_stream(
        LinkedSource(timed_frames(1)),
        [ScriptedUnit(on_run=hang)],
        [],
        clock=clock,
        config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
        stop=lambda: False,
        monitor=MonitorConfig(on_change=on_change),
    )
    assert seen.is_set()
    assert [change.state for change in summary.health_changes][:2] == [
        HealthState.STARTING,
        HealthState.DEGRADED,
    ]


@pytest.mark.verifies("SRS_AUDIT_007", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_004")
def test_audit_log_that_cannot_be_written_is_a_fault_while_it_cannot() -> None:
    """Results go on, and whoever looks at the run sees that its log does not."""
    held = [False]
    look = Look(MonitorConfig(is_audit_held=lambda: held[0]))
    look.written([frame_record(0)])
    look.monitor.tick()
    assert look.now() == ("ready", ())
    held[0] = True
    look.monitor.tick()
    look.written([frame_record(1)])
    assert look.now() == ("degraded", ("audit_not_written",))
    held[0] = False
    look.monitor.tick()
    look.written([frame_record(2)])
    assert look.now() == ("ready", ())
    held[0] = True
    look.monitor.close(None)
    assert look.now() == ("degraded", ("audit_not_written",))


@pytest.mark.verifies("SRS_LIVE_010", extent="partial", technique="fault_injection")
def test_listener_that_fails_at_the_end_does_not_hide_why_the_run_ended() -> None:
    """A console that is gone must not take the place of the lost source."""

    def broken(change: HealthChange) -> None:
        raise OSError(change.state.value)

    lost = SourceLostError("gone", advice="wait")
    with structlog.testing.capture_logs() as logged, pytest.raises(SourceLostError):
        run_stream(
            LinkedSource([lost]),
            [ScriptedUnit()],
            [],
            clock=FakeClock(START_NS),
            config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
            stop=lambda: False,
            monitor=MonitorConfig(on_change=broken),
        )
    later = [line["problem"] for line in logged if line["event"] == "error_after_the_first"]
    assert later == ["OSError: failed"]


@pytest.mark.verifies("SRS_LIVE_013", extent="partial", technique="fault_injection")
def test_port_that_cannot_be_taken_ends_the_run_before_its_first_frame() -> None:
    """Who asked for metrics must not run without them, and every sink is closed."""
    sink = WatchedSink()
    source = LinkedSource(timed_frames(1))
    with pytest.raises(SinkError, match="expected a free port"):
        run_stream(
            source,
            [ScriptedUnit()],
            [sink],
            clock=FakeClock(START_NS + 1000),
            config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
            stop=lambda: False,
            monitor=MonitorConfig(metrics_port=70_000),
        )
    assert (sink.records, sink.close_count, source.close_count) == ([], 1, 1)


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="requirement")
def test_source_that_is_being_sought_again_judges_its_loss_itself() -> None:
    """Its silence counts from the moment when it is connected again."""
    source = LinkedSource([])
    source.link = LinkStatus(is_connected=False, reconnect_count=0, problem="gone")
    run = scheduler._Run(
        source,
        [ScriptedUnit()],
        [],
        clock=FakeClock(START_NS),
        config=StreamConfig(pacing=Pacing.REALTIME),
        stop=lambda: False,
        ledger=None,
        monitor=None,
    )
    assert run._check_silence(0) == START_NS
