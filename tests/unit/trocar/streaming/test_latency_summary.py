"""The sink keeps a bounded number of times and writes whole documents."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from conformance.sink_suite import SinkSuite
from simulators.source import raw_frame
from simulators.unit import UNIT_INFO, frame_record
from trocar.contracts.errors import SinkError
from trocar.contracts.outcome import DeadlineVerdict
from trocar.contracts.ports import Sink
from trocar.streaming.latency_summary import LatencySummarySink
from trocar.streaming.ledger import DropLedger, DropReason


@pytest.mark.verifies("SRS_SINK_003", extent="full", technique="conformance")
class TestLatencySummarySink(SinkSuite):
    """The report keeps what every sink promises."""

    def make_sink(self, folder: Path) -> Sink:
        """Return a new report."""
        return LatencySummarySink(folder / "latency.json", deadline_ms=100)

    def read_record_count(self, folder: Path) -> int:
        """Return the number of answered frames; a run without any leaves no report."""
        path = folder / "latency.json"
        return int(json.loads(path.read_text())["answered_count"]) if path.exists() else 0


@pytest.mark.verifies("SRS_SINK_003", extent="full", technique="requirement")
def test_documents_are_written_at_the_end(tmp_path: Path) -> None:
    """Report, page and the raw times from which both can be computed again."""
    sink = LatencySummarySink(
        tmp_path / "latency.json",
        deadline_ms=100,
        page_path=tmp_path / "latency.html",
        times_path=tmp_path / "times.csv.gz",
    )
    sink.write(frame_record(0), None)
    sink.write(frame_record(1, verdict=DeadlineVerdict.MISSED, dropped_before_count=2), None)
    assert sink.report is None
    sink.close()
    sink.close()
    report = json.loads((tmp_path / "latency.json").read_text())
    assert report["schema_id"] == "trocar.latency/1"
    assert (report["misses"]["missed_count"], report["misses"]["frame_count"]) == (3, 4)
    assert report["unit"] == UNIT_INFO.model_dump(mode="json")
    times = gzip.decompress((tmp_path / "times.csv.gz").read_bytes()).decode().splitlines()
    assert times == [
        "captured_at_ns,age_ns,service_ns",
        "1000000000,40000000,10000000",
        "1000000000,40000000,10000000",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "latency.html", "latency.json", "times.csv.gz",
    ]  # fmt: skip


@pytest.mark.verifies("SRS_STREAM_008", extent="full", technique="boundary")
def test_memory_for_times_is_bounded_and_misses_go_on(tmp_path: Path) -> None:
    """A run of days keeps its miss ratio, and says of how many frames the times are."""
    sink = LatencySummarySink(tmp_path / "latency.json", deadline_ms=100, sample_count_max=3)
    for index in range(5):
        sink.write(frame_record(index, verdict=DeadlineVerdict.MISSED), None)
    sink.close()
    assert sink.report is not None
    assert sink.report.misses is not None
    assert (sink.report.unsampled_count, sink.report.misses.late_count) == (2, 5)


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="requirement")
def test_drops_after_the_last_record_count(tmp_path: Path) -> None:
    """The ledger knows of drops that no record follows."""
    ledger = DropLedger()
    ledger.drop(raw_frame(8), DropReason.DISPLACED)
    sink = LatencySummarySink(tmp_path / "latency.json", deadline_ms=100, ledger=ledger)
    sink.write(frame_record(0), None)
    sink.close()
    assert sink.report is not None
    assert sink.report.misses is not None
    assert sink.report.misses.displaced_count == 1


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="boundary")
def test_run_without_a_record_leaves_no_report(tmp_path: Path) -> None:
    """There is nothing to report, and nothing may be taken for a report."""
    sink = LatencySummarySink(tmp_path / "latency.json", deadline_ms=100)
    sink.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SinkError, match="closed one"):
        sink.write(frame_record(0), None)


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_report_that_cannot_be_written_leaves_no_part(tmp_path: Path) -> None:
    """A place that is taken by a folder stands for every failing disk."""
    (tmp_path / "latency.json").mkdir()
    sink = LatencySummarySink(tmp_path / "latency.json", deadline_ms=100)
    sink.write(frame_record(0), None)
    with pytest.raises(SinkError, match="latency report"):
        sink.close()
    assert [p.name for p in tmp_path.iterdir()] == ["latency.json"]
