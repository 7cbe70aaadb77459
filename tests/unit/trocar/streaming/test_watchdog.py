"""A part that hangs is seen from outside, at its limit and not before."""

from __future__ import annotations

import pytest

from simulators.clock import FakeClock
from trocar.contracts.limits import NS_PER_MS, PART_BUSY_MS_MAX, PART_HANG_MS_MAX
from trocar.streaming.health_state import Fault, HealthState, RunHealth
from trocar.streaming.watchdog import Activity, Watchdog, Watched

BUSY_NS = PART_BUSY_MS_MAX * NS_PER_MS
HANG_NS = PART_HANG_MS_MAX * NS_PER_MS


def _watchdog(*parts: Watched) -> tuple[Watchdog, RunHealth]:
    health = RunHealth(clock=FakeClock())
    return Watchdog(parts, health=health), health


@pytest.mark.verifies("SRS_LIVE_011", extent="full", technique="boundary")
@pytest.mark.parametrize(
    ("busy_ns", "state", "reasons"),
    [
        (0, HealthState.STARTING, ()),
        (BUSY_NS, HealthState.STARTING, ()),
        (BUSY_NS + 1, HealthState.DEGRADED, ("loop_stalled",)),
        (HANG_NS, HealthState.DEGRADED, ("loop_stalled",)),
        (HANG_NS + 1, HealthState.FAILED, ("loop_hangs",)),
    ],
)
def test_part_beyond_its_limit_is_a_fault_and_then_a_failure(
    busy_ns: int, state: HealthState, reasons: tuple[str, ...]
) -> None:
    """Neither a false alarm at the limit nor a miss one nanosecond after it."""
    activity = Activity()
    watchdog, health = _watchdog(Watched("loop", activity, Fault.LOOP_STALLED))
    activity.begin(100)
    is_alive = watchdog.check(100 + busy_ns)
    assert (health.state, health.reasons) == (state, reasons)
    assert is_alive == (busy_ns <= BUSY_NS)


@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="requirement")
def test_part_without_work_does_not_hang() -> None:
    """A sink without results waits as long as it likes; work that is done ends the fault."""
    activity = Activity()
    watchdog, health = _watchdog(Watched("sink", activity, Fault.SINK_STALLED))
    assert watchdog.check(10 * HANG_NS)
    activity.begin(0)
    assert not watchdog.check(BUSY_NS + 1)
    activity.end()
    assert watchdog.check(BUSY_NS + 2)
    assert health.reasons == ()


@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_LIVE_001", measure="hanging parts hidden by one that lives", acceptance="0"
)
@pytest.mark.parametrize("hanging", [0, 1, 2])
def test_one_part_that_hangs_is_not_hidden_by_others_that_live(hanging: int) -> None:
    """Two sinks share a fault: the one that lives must not end it for the other."""
    activities = [Activity(), Activity(), Activity()]
    watchdog, health = _watchdog(
        Watched("source", activities[0], Fault.SOURCE_SILENT, fails_after_ms=None),
        Watched("sink", activities[1], Fault.SINK_STALLED),
        Watched("sink", activities[2], Fault.SINK_STALLED),
    )
    for number, activity in enumerate(activities):
        activity.begin(0 if number == hanging else BUSY_NS)
    assert not watchdog.check(BUSY_NS + 1)
    assert health.reasons == ("source_silent",) if hanging == 0 else ("sink_stalled",)


@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="boundary")
def test_silent_source_is_a_fault_and_its_loss_is_the_loops_to_judge() -> None:
    """A source that is being sought again may take longer than a part that hangs."""
    activity = Activity()
    watchdog, health = _watchdog(
        Watched("source", activity, Fault.SOURCE_SILENT, fails_after_ms=None)
    )
    activity.begin(0)
    watchdog.check(10 * HANG_NS)
    assert health.state is HealthState.DEGRADED


@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="boundary")
def test_activity_of_a_clock_behind_counts_as_none() -> None:
    """Two threads read the clock at two moments."""
    activity = Activity()
    activity.begin(10)
    assert activity.busy_ns(9) == 0
