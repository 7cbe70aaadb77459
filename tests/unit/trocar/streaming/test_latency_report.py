"""The report leaves nothing out, decides by bounds, and says on which machine."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from simulators.unit import UNIT_INFO
from trocar import RESEARCH_NOTICE
from trocar.contracts.limits import NS_PER_MS
from trocar.streaming.latency_report import (
    LatencyReport,
    LatencySamples,
    LatencyVerdict,
    MachineFacts,
    machine_facts,
    report_of,
)

MACHINE = MachineFacts(
    platform_label="surrogate", model="", cpu="test", cpu_count=2, kernel="Test 1", python="3.11"
)


def _samples(
    count: int, *, late_count: int = 0, displaced_count: int = 0, is_timed: bool = True
) -> LatencySamples:
    return LatencySamples(
        captured_at_ns=array("q", (40 * NS_PER_MS * i for i in range(count))),
        age_ns=array("q", (NS_PER_MS * (i + 1) for i in range(count))),
        service_ns=array("q", (NS_PER_MS // 2 * (i + 1) for i in range(count))),
        answered_count=count,
        late_count=late_count,
        displaced_count=displaced_count,
        is_timed=is_timed,
    )


def _report(samples: LatencySamples) -> LatencyReport:
    return report_of(samples, deadline_ms=100, unit=UNIT_INFO, machine=MACHINE)


@pytest.mark.verifies("SRS_SINK_003", extent="full", technique="requirement")
def test_order_statistics_in_milliseconds() -> None:
    """Nearest rank of 1 to 100 ms; the largest value is called observed."""
    report = _report(_samples(100))
    assert report.age is not None
    assert (report.age.p50, report.age.p90, report.age.p99) == (50.0, 90.0, 99.0)
    assert (report.age.p99_9, report.age.observed_max) == (100.0, 100.0)
    assert report.age.is_p99_9_descriptive
    assert report.service.p50 == 25.0
    assert report.notice == RESEARCH_NOTICE


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="boundary")
@pytest.mark.parametrize(("count", "is_descriptive"), [(3687, True), (3688, False)])
def test_tail_is_called_descriptive_below_its_bound(count: int, *, is_descriptive: bool) -> None:
    """Fewer frames say nothing about the thousandth one."""
    assert _report(_samples(count)).service.is_p99_9_descriptive is is_descriptive


@pytest.mark.verifies("SRS_SINK_003", extent="full", technique="boundary")
@pytest.mark.parametrize(
    ("count", "late_count", "displaced_count", "verdict"),
    [
        (2995, 0, 0, LatencyVerdict.PASS),
        (2994, 0, 0, LatencyVerdict.INSUFFICIENT),
        (2995, 0, 1, LatencyVerdict.INSUFFICIENT),
        (2995, 9, 0, LatencyVerdict.FAIL),
        (2995, 0, 9, LatencyVerdict.FAIL),
    ],
)
def test_verdict_follows_the_bounds_and_drops_count_as_misses(
    count: int, late_count: int, displaced_count: int, verdict: LatencyVerdict
) -> None:
    """A frame that was dropped was missed, whatever became of the others."""
    report = _report(_samples(count, late_count=late_count, displaced_count=displaced_count))
    assert report.verdict is verdict
    assert report.misses is not None
    assert report.misses.missed_count == late_count + displaced_count
    assert report.misses.frame_count == count + displaced_count


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="equivalence")
def test_run_that_was_not_timed_has_no_age() -> None:
    """Ages of a run as fast as possible mean nothing."""
    report = _report(_samples(10, is_timed=False))
    assert (report.age, report.misses, report.verdict) == (None, None, LatencyVerdict.NOT_TIMED)


@pytest.mark.verifies("SRS_LATENCY_001", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("model", "label"),
    [("NVIDIA Jetson AGX Orin\0", "agx"), ("Raspberry Pi 4\0", "surrogate"), (None, "surrogate")],
)
def test_only_an_agx_is_called_one(tmp_path: Path, model: str | None, label: str) -> None:
    """Numbers of a laptop must never pass for numbers of the target."""
    tree, cpu = tmp_path / "model", tmp_path / "cpuinfo"
    if model is not None:
        tree.write_text(model)
    cpu.write_text("processor: 0\nmodel name\t: Test CPU 3000\n")
    facts = machine_facts(device_tree_model=tree, cpu_facts=cpu)
    assert (facts.platform_label, facts.cpu) == (label, "Test CPU 3000")
    assert "\0" not in facts.model


@pytest.mark.verifies("SRS_LATENCY_001", extent="partial", technique="boundary")
def test_facts_that_cannot_be_read_are_not_guessed(tmp_path: Path) -> None:
    """A machine that says nothing is a surrogate."""
    missing = tmp_path / "missing"
    facts = machine_facts(device_tree_model=missing, cpu_facts=missing)
    assert (facts.platform_label, facts.model) == ("surrogate", "")
    assert facts.cpu_count >= 1
