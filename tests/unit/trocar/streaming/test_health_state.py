"""The state of health follows one table, and says why."""

from __future__ import annotations

import itertools

import pytest
import structlog

from simulators.clock import FakeClock
from trocar.contracts.limits import HEALTH_CHANGE_COUNT_MAX, NS_PER_MS
from trocar.streaming.health_state import (
    TRANSITIONS,
    Fault,
    HealthChange,
    HealthEvent,
    HealthState,
    RunHealth,
)

STARTING, READY, DEGRADED, FAILED = HealthState
RESULT, FAULT, FAILURE = HealthEvent


@pytest.mark.verifies("SRS_LIVE_010", extent="full", technique="state_table")
@pytest.mark.controls("RCM_LIVE_001")
@pytest.mark.parametrize(("state", "event"), list(itertools.product(HealthState, HealthEvent)))
def test_every_state_has_a_next_one_for_every_event(state: HealthState, event: HealthEvent) -> None:
    """Failed is for good; a fault is never ready; only a result makes ready."""
    following = TRANSITIONS[state, event]
    if state is FAILED or event is FAILURE:
        assert following is FAILED
    else:
        assert following is (READY if event is RESULT else DEGRADED)


@pytest.mark.verifies("SRS_LIVE_010", extent="partial", technique="requirement")
def test_faults_end_and_the_next_result_makes_ready() -> None:
    """That a fault is over is not yet a result."""
    told: list[HealthChange] = []
    clock = FakeClock()
    health = RunHealth(clock=clock, on_change=told.append)
    assert (health.state, health.reasons) == (STARTING, ())
    health.result()
    clock.advance_ns(5 * NS_PER_MS)
    health.set_fault(Fault.SOURCE_SILENT, is_open=True)
    health.set_fault(Fault.SINK_STALLED, is_open=True)
    health.set_fault(Fault.SINK_STALLED, is_open=True)
    health.result()
    assert (health.state, health.reasons) == (DEGRADED, ("sink_stalled", "source_silent"))
    health.set_fault(Fault.SOURCE_SILENT, is_open=False)
    health.set_fault(Fault.SINK_STALLED, is_open=False)
    assert (health.state, health.reasons) == (DEGRADED, ())
    health.result()
    assert [(change.state, change.reasons) for change in told] == [
        (READY, ()),
        (DEGRADED, ("source_silent",)),
        (DEGRADED, ("sink_stalled", "source_silent")),
        (READY, ()),
    ]
    assert health.changes[1:] == tuple(told)
    assert [change.after_ms for change in told] == [0.0, 5.0, 5.0, 5.0]


@pytest.mark.verifies("SRS_LIVE_010", extent="partial", technique="requirement")
def test_failure_is_for_good_and_its_first_reason_stays() -> None:
    """Whatever comes after it, the run has to be started again."""
    health = RunHealth(clock=FakeClock())
    health.fail("loop_hangs")
    health.fail("SOURCE_LOST")
    health.set_fault(Fault.SOURCE_SILENT, is_open=True)
    health.result()
    assert (health.state, health.reasons, health.change_count) == (FAILED, ("loop_hangs",), 2)


@pytest.mark.verifies("SRS_LIVE_010", extent="partial", technique="requirement")
def test_each_change_is_logged_once() -> None:
    """Who reads the log alone sees every change, and no line for a frame."""
    with structlog.testing.capture_logs() as logged:
        health = RunHealth(clock=FakeClock())
        health.result()
        health.result()
        health.set_fault(Fault.DEADLINES_MISSED, is_open=True)
    assert [(line["state"], line["reasons"]) for line in logged] == [
        ("ready", ()),
        ("degraded", ("deadlines_missed",)),
    ]


@pytest.mark.verifies("SRS_LIVE_010", extent="partial", technique="boundary")
def test_list_of_changes_is_bounded() -> None:
    """A source that comes and goes for days must not fill the memory."""
    health = RunHealth(clock=FakeClock())
    for _ in range(HEALTH_CHANGE_COUNT_MAX):
        health.set_fault(Fault.SOURCE_SILENT, is_open=True)
        health.set_fault(Fault.SOURCE_SILENT, is_open=False)
        health.result()
    assert len(health.changes) == HEALTH_CHANGE_COUNT_MAX
    assert health.change_count == 1 + 2 * HEALTH_CHANGE_COUNT_MAX
