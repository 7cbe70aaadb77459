"""The process of a soak: the real loop and the real record; nothing in it grows with the frames."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from trocar.apps.endoscopy import DEMO_CLIP
from trocar.contracts.errors import SourceLostError
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.ledger import DropLedger
from trocar.streaming.monitor import MonitorConfig
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig, StreamSummary
from trocar_lab.latency.frame_table import (
    FrameRow,
    TimesSink,
    cells_of,
    dropped_rows,
    line_of,
    write_whole,
)
from trocar_lab.latency.soak_plan import RunCounts, SoakFacts, SoakJob
from trocar_lab.latency.source import PacedMemorySource, open_bank
from trocar_lab.latency.units_under_test import OpenedUnit, facts_of, open_units

_READ_BYTES: Final = 2**20
_METRICS_NAME: Final = "metrics.prom"


class RowFile:
    """Rows of frames, one line each, handed to the operating system as they come."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("x", encoding="ascii", buffering=1)

    def append(self, row: FrameRow) -> None:
        """Write one row."""
        self._stream.write(line_of(cells_of(row)))

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def run_soak(job: SoakJob) -> None:
    """Run the units over every frame of the plan; leave rows and facts.

    Raises:
        SourceLostError: The process that asked for it is gone.
    """
    settings = job.plan.settings
    bank = open_bank(DEMO_CLIP, settings)
    begin_ns = time.monotonic_ns()
    opened = open_units(
        settings,
        None if job.pack is None else Path(job.pack),
        None if job.trust is None else Path(job.trust),
    )
    open_ns = time.monotonic_ns() - begin_ns
    clock = MonotonicClock()
    source = PacedMemorySource(
        bank, settings, clock=clock, first_index=0, frame_count=settings.frame_count
    )
    summary = _play(job, source, opened, clock)
    facts = SoakFacts(
        units=facts_of(opened),
        input=bank.identity,
        open_ns=open_ns,
        counts=RunCounts.of(summary),
        record_line_count=count_lines(Path(job.records)),
    )
    write_whole(Path(job.facts), facts.model_dump_json().encode())


def _play(
    job: SoakJob,
    source: PacedMemorySource,
    opened: tuple[OpenedUnit, ...],
    clock: MonotonicClock,
) -> StreamSummary:
    """Play the stretch; dropped frames join the rows at its end."""
    settings = job.plan.settings
    rows = RowFile(Path(job.rows))
    ledger = DropLedger(length_max=settings.frame_count)
    try:
        summary = run_stream(
            source,
            [one.unit for one in opened],
            [
                TimesSink(clock, unit_count=len(opened), keep=rows.append),
                JsonlSink(Path(job.records)),
            ],
            clock=clock,
            config=StreamConfig(pacing=Pacing.REALTIME, deadline_ms=settings.deadline_ms),
            stop=lambda: os.getppid() != job.parent_id,
            ledger=ledger,
            monitor=MonitorConfig(metrics_path=Path(job.records).with_name(_METRICS_NAME)),
        )
        for row in dropped_rows(ledger):
            rows.append(row)
    finally:
        rows.close()
    if os.getppid() != job.parent_id:
        raise SourceLostError("the process that records is gone", advice="record the soak again")
    return summary


def count_lines(path: Path) -> int:
    """Return the number of lines of a file of any length."""
    count = 0
    with path.open("rb") as stream:
        while data := stream.read(_READ_BYTES):
            count += data.count(b"\n")
    return count
