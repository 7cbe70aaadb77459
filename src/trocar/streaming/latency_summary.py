"""A sink that keeps the times of a run and writes the latency report, its page and raw times."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

from trocar.contracts.errors import SinkError
from trocar.contracts.frame import Frame
from trocar.contracts.limits import LATENCY_SAMPLE_COUNT_MAX
from trocar.contracts.outcome import DeadlineVerdict
from trocar.contracts.record import FrameRecord, UnitInfo
from trocar.streaming.latency_page import page_of
from trocar.streaming.latency_report import (
    LatencyReport,
    LatencySamples,
    MachineFacts,
    machine_facts,
    report_of,
)
from trocar.streaming.ledger import DropLedger

__all__ = ["LatencySummarySink"]

_ADVICE: Final = "free disk space or choose another output folder"


# @need-ids: SRS_SINK_003
class LatencySummarySink:
    """``ports.Sink`` that keeps the times (24 bytes a frame) and reports when it is closed.

    A run without a record leaves no file: there is nothing to report.

    Args:
        path: The JSON document.
        deadline_ms: Age up to which a result is in time [ms].
        page_path: The HTML page, or None.
        times_path: The raw times as gzip-compressed CSV, from which every number can be computed
            again, or None.
        ledger: The account of the run, which also knows drops after the last record.
        sample_count_max: Frames of which times are kept.
        machine: Where the run takes place; read from this machine when None.
    """

    def __init__(
        self,
        path: Path,
        *,
        deadline_ms: int,
        page_path: Path | None = None,
        times_path: Path | None = None,
        ledger: DropLedger | None = None,
        sample_count_max: int = LATENCY_SAMPLE_COUNT_MAX,
        machine: MachineFacts | None = None,
    ) -> None:
        self._path = path
        self._deadline_ms = deadline_ms
        self._page_path = page_path
        self._times_path = times_path
        self._ledger = ledger
        self._sample_count_max = sample_count_max
        self._machine = machine_facts() if machine is None else machine
        self._samples = LatencySamples()
        self._unit: UnitInfo | None = None
        self._report: LatencyReport | None = None
        self._is_closed = False

    @property
    def report(self) -> LatencyReport | None:
        """The report; None before ``close`` and after a run without a record."""
        return self._report

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Keep the times of one record.

        Raises:
            SinkError: The report was closed.
        """
        del frame
        if self._is_closed:
            raise SinkError(
                f"expected an open report, got a closed one: {self._path}", advice=_ADVICE
            )
        samples = self._samples
        self._unit = record.unit
        samples.answered_count += 1
        samples.displaced_count += record.dropped_before_count
        samples.late_count += record.verdict is DeadlineVerdict.MISSED
        samples.is_timed = samples.is_timed or record.verdict is not DeadlineVerdict.NOT_TIMED
        if len(samples.age_ns) < self._sample_count_max:
            samples.captured_at_ns.append(record.times.captured_at_ns)
            samples.age_ns.append(record.times.age_ns)
            samples.service_ns.append(record.times.service_ns)

    def close(self) -> None:
        """Write the report; may be called twice.

        Raises:
            SinkError: A file could not be written.
        """
        was_closed, self._is_closed = self._is_closed, True
        if was_closed or self._unit is None:
            return
        if self._ledger is not None:
            self._samples.displaced_count = self._ledger.totals().displaced_count
        self._report = report_of(
            self._samples, deadline_ms=self._deadline_ms, unit=self._unit, machine=self._machine
        )
        try:
            _write(self._path, self._report.model_dump_json(indent=2).encode("utf-8") + b"\n")
            if self._page_path is not None:
                _write(self._page_path, page_of(self._report, self._samples).encode("utf-8"))
            if self._times_path is not None:
                _write(self._times_path, self._times())
        except OSError as exc:
            raise SinkError(
                f"the latency report could not be written: {exc.strerror} ({exc.filename})",
                advice=_ADVICE,
            ) from exc

    def _times(self) -> bytes:
        """Return the raw times as compressed CSV; equal times give equal bytes."""
        samples = self._samples
        rows = zip(samples.captured_at_ns, samples.age_ns, samples.service_ns, strict=True)
        lines = ["captured_at_ns,age_ns,service_ns", *(f"{c},{a},{s}" for c, a, s in rows), ""]
        return gzip.compress("\n".join(lines).encode("ascii"), compresslevel=6, mtime=0)


def _write(path: Path, data: bytes) -> None:
    """Write beside the place and rename, so that no half of a document is ever seen."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
