"""Metrics are whole, in the form that a collector reads, and name no more than they must."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulators.unit import UNIT_INFO, frame_record
from trocar import __version__
from trocar.contracts.errors import SinkError
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar.streaming.health_state import HealthState
from trocar.streaming.ledger import LedgerTotals
from trocar.streaming.metrics import MetricsState, RunMetrics, write_metrics

MS = 1_000_000
STATE = MetricsState(
    totals=LedgerTotals(
        received_count=10,
        processed_count=7,
        displaced_count=2,
        stopped_count=1,
        unlisted_count=0,
    ),
    health=HealthState.DEGRADED,
    reasons=("sink_stalled",),
    reconnect_count=3,
    left_out_count=4,
    is_alive=False,
)
_SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? ([0-9.e+-]+|\+Inf)')


def _samples(text: str) -> dict[str, float]:
    """Return each sample by name and labels; every line must have the form of 0.0.4."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP|TYPE) [a-z_]+ .+", line)
            continue
        match = _SAMPLE.fullmatch(line)
        assert match is not None, line
        found[match[1] + (match[2] or "")] = float(match[3])
    return found


@pytest.mark.verifies("SRS_LIVE_012", extent="full", technique="requirement")
def test_text_holds_the_account_of_the_run() -> None:
    """Counts of the ledger, the state of health, and who answered."""
    text = RunMetrics(source_id="list", units=[UNIT_INFO]).text(STATE)
    samples = _samples(text)
    assert samples["trocar_frames_received_total"] == 10
    assert samples["trocar_frames_answered_total"] == 7
    assert samples['trocar_frames_dropped_total{reason="displaced"}'] == 2
    assert samples['trocar_frames_dropped_total{reason="stopped"}'] == 1
    assert samples["trocar_source_reconnects_total"] == 3
    assert samples["trocar_results_left_out_total"] == 4
    assert samples['trocar_health_state{state="degraded"}'] == 1
    assert samples['trocar_health_state{state="ready"}'] == 0
    assert samples['trocar_health_reason{reason="sink_stalled"}'] == 1
    assert samples["trocar_watchdog_alive"] == 0
    assert f'pack_digest="{UNIT_INFO.pack_digest}"' in text
    assert text.endswith("\n")
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


@pytest.mark.verifies("SRS_LIVE_012", extent="partial", technique="requirement")
def test_records_are_counted_by_unit_and_reason() -> None:
    """A late finding counts as a finding and as a missed deadline."""
    other = UNIT_INFO.model_copy(update={"unit": "other"})
    metrics = RunMetrics(source_id="list", units=[UNIT_INFO, other])
    withheld = Withheld(frame_index=0, reason=Reason.FRAME_BLACK)
    metrics.add(frame_record(0, outcome=withheld, unit=other))
    metrics.add(frame_record(0, verdict=DeadlineVerdict.MISSED))
    samples = _samples(metrics.text(STATE))
    assert samples['trocar_findings_total{unit="scripted"}'] == 1
    assert samples['trocar_findings_total{unit="other"}'] == 0
    assert samples['trocar_results_withheld_total{unit="other",reason="frame_black"}'] == 1
    assert samples['trocar_deadlines_missed_total{unit="scripted"}'] == 1
    assert samples['trocar_deadlines_missed_total{unit="other"}'] == 0


@pytest.mark.verifies("SRS_LIVE_012", extent="partial", technique="boundary")
def test_buckets_are_cumulative_and_hold_their_upper_end() -> None:
    """100 ms belongs to the bucket of 100 ms, one nanosecond more to the next one."""
    metrics = RunMetrics(source_id="list", units=[UNIT_INFO])
    metrics.add(frame_record(0, age_ns=100 * MS, service_ns=1))
    metrics.add(frame_record(1, age_ns=100 * MS + 1, service_ns=1))
    metrics.add(frame_record(2, age_ns=6000 * MS, service_ns=1))
    samples = _samples(metrics.text(STATE))

    def bucket(edge: str) -> float:
        return samples[f'trocar_result_age_seconds_bucket{{unit="scripted",le="{edge}"}}']

    assert [bucket(e) for e in ("0.067", "0.1", "0.15", "5", "+Inf")] == [0, 1, 2, 2, 3]
    assert samples['trocar_result_age_seconds_count{unit="scripted"}'] == 3
    assert samples['trocar_result_age_seconds_sum{unit="scripted"}'] == pytest.approx(6.2)
    assert samples['trocar_unit_service_seconds_bucket{unit="scripted",le="0.001"}'] == 3


@pytest.mark.verifies("SRS_LIVE_012", extent="partial", technique="fault_injection")
def test_name_of_a_source_cannot_break_out_of_its_label() -> None:
    """A file may be called anything."""
    text = RunMetrics(source_id='a"} 1\nforged 2\\', units=[]).text(STATE)
    labels = f'source="a\\"}} 1\\nforged 2\\\\",version="{__version__}"'
    assert _samples(text)[f"trocar_build_info{{{labels}}}"] == 1
    assert not any(line.startswith("forged") for line in text.splitlines())


@pytest.mark.verifies("SRS_LIVE_013", extent="partial", technique="requirement")
def test_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """A collector that reads at any moment gets one version or the other."""
    path = tmp_path / "trocar.prom"
    write_metrics(path, "a 1\n")
    before = path.stat().st_ino
    write_metrics(path, "a 2\n")
    assert path.read_text() == "a 2\n"
    assert path.stat().st_ino != before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.verifies("SRS_LIVE_013", extent="partial", technique="fault_injection")
def test_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The caller decides what it means to the run."""
    with pytest.raises(SinkError, match="metrics could not be written"):
        write_metrics(tmp_path / "missing" / "trocar.prom", "")
