"""One run in a fresh process: open the unit, one cold frame, warm-up until stable, timed frames."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from trocar.apps.endoscopy import DEMO_CLIP
from trocar.contracts.base import Contract
from trocar.contracts.errors import SourceLostError
from trocar.contracts.limits import NS_PER_S, SLEEP_SLICE_MS_MAX
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.ledger import DropLedger
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig
from trocar_lab.latency.frame_table import (
    FrameRow,
    TimesSink,
    all_rows,
    median_service_ns,
    write_table,
    write_whole,
)
from trocar_lab.latency.manifest import RunFacts
from trocar_lab.latency.settings import Arm, PlannedRun, RecordSettings
from trocar_lab.latency.source import PacedMemorySource, PictureBank, open_bank
from trocar_lab.latency.statistics import is_stable
from trocar_lab.latency.units_under_test import OpenedUnit, facts_of, open_units


class Job(Contract):
    """What a worker is told.

    Attributes:
        settings: Settings of the bundle.
        run: The run.
        pack: Folder of the first unit's pack, or None for the one of the release.
        trust: Trust folder of a site, or None for that of the release.
        folder: Where its files go.
        facts: Where its facts go.
        parent_id: Process that it belongs to; it ends when that one is gone.
        load: What else runs, in words.
    """

    settings: RecordSettings
    run: PlannedRun
    pack: str | None
    trust: str | None
    folder: str
    facts: str
    parent_id: int
    load: str

    def is_orphan(self) -> bool:
        """Return whether the process that asked for this run is gone."""
        return os.getppid() != self.parent_id


@dataclass(frozen=True)
class Bench:
    """Everything that is ready before the first frame."""

    job: Job
    opened: tuple[OpenedUnit, ...]
    bank: PictureBank
    open_ns: int


def open_bench(job: Job) -> Bench:
    """Open the units as the device does, and the pictures."""
    bank = open_bank(DEMO_CLIP, job.settings)
    begin_ns = time.monotonic_ns()
    opened = open_units(
        job.settings,
        None if job.pack is None else Path(job.pack),
        None if job.trust is None else Path(job.trust),
    )
    return Bench(job, opened, bank, time.monotonic_ns() - begin_ns)


def run_job(job: Job) -> None:
    """Record one run; its files appear only once they are whole."""
    bench = open_bench(job)
    folder = Path(job.folder)
    write_table(folder / job.run.warm_up_name, warm_up(bench))
    rows: list[FrameRow] = []
    for number, (first_index, frame_count) in enumerate(job.settings.stretches(job.run.arm)):
        if number:
            _pause(job)
        rows += measure(bench, first_index=first_index, frame_count=frame_count)
    write_table(folder / job.run.frames_name, rows)
    write_whole(Path(job.facts), _facts(bench).model_dump_json(indent=2).encode())


def run_load(job: Job) -> None:
    """Run the same unit at the same rate until ended: load of the second-instance arm."""
    bench = open_bench(job)
    print("ready", flush=True)
    while not job.is_orphan():
        measure(bench, first_index=0, frame_count=job.settings.warm_up_block)


def measure(bench: Bench, *, first_index: int, frame_count: int) -> list[FrameRow]:
    """Play one uninterrupted stretch through the device's own scheduler.

    Raises:
        SourceLostError: The recording process is gone.
    """
    job = bench.job
    clock = MonotonicClock()
    sink = TimesSink(clock, unit_count=len(bench.opened))
    ledger = DropLedger(length_max=frame_count)
    run_stream(
        PacedMemorySource(
            bench.bank,
            job.settings,
            clock=clock,
            first_index=first_index,
            frame_count=frame_count,
        ),
        [opened.unit for opened in bench.opened],
        [sink],
        clock=clock,
        config=StreamConfig(pacing=Pacing.REALTIME, deadline_ms=job.settings.deadline_ms),
        stop=job.is_orphan,
        ledger=ledger,
    )
    if job.is_orphan():
        raise SourceLostError("the process that records is gone", advice="record the bundle again")
    return all_rows(sink.rows, ledger)


def warm_up(bench: Bench) -> list[FrameRow]:
    """Return the cold frame and every block before the timed frames; bounded in number."""
    settings = bench.job.settings
    rows = measure(bench, first_index=0, frame_count=1)
    medians: list[float] = []
    for _ in range(settings.warm_up_block_count_max):
        block = measure(bench, first_index=len(rows), frame_count=settings.warm_up_block)
        rows += block
        medians.append(median_service_ns(block))
        if len(rows) > settings.warm_up_frame_count and is_stable(medians):
            break
    return rows


def _pause(job: Job) -> None:
    """Leave the unit idle, in slices, so that a run without its parent ends."""
    end_ns = time.monotonic_ns() + job.settings.gap_s * NS_PER_S
    while time.monotonic_ns() < end_ns and not job.is_orphan():
        time.sleep(SLEEP_SLICE_MS_MAX / 1000)


def _facts(bench: Bench) -> RunFacts:
    """Return what the raw tables do not hold."""
    first, *beside = facts_of(bench.opened)
    return RunFacts(
        run=bench.job.run,
        unit=first.info,
        model_sha256=first.model_sha256,
        engine_cache_sha256=None,
        input=bench.bank.identity,
        open_ns=bench.open_ns,
        reference_difference_max=first.reference_difference_max,
        load=bench.job.load,
        beside=tuple(beside),
    )


def load_words(arm: Arm, cpu_count: int) -> str:
    """Return what else runs in an arm, in words."""
    return {
        Arm.IDLE: "nothing else was started",
        Arm.IDLE_GAP: "nothing else was started; pauses between stretches of frames",
        Arm.SECOND_INSTANCE: "a second process ran the same unit at the same rate",
        Arm.CPU_STRESS: f"{cpu_count} processes computed without pause",
    }[arm]
