"""Record a bundle: every run a fresh process, arms in random order, the sums last.

A recording that is broken off, even by kill -9, has no ``SHA256SUMS`` and no last line in its log,
so that ``verify`` calls it incomplete.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from trocar import RESEARCH_NOTICE
from trocar.contracts.errors import SinkError, SourceLostError
from trocar_lab.latency.child_process import command, environment
from trocar_lab.latency.clocks import ClockReading, read_clocks
from trocar_lab.latency.code_under_test import read_code_identity
from trocar_lab.latency.frame_table import write_whole
from trocar_lab.latency.gpu_watch import GpuWatch
from trocar_lab.latency.manifest import (
    SCHEMA_NAME,
    SCHEMA_VERSION,
    TIME_DEFINITIONS,
    BundleManifest,
    RunFacts,
)
from trocar_lab.latency.settings import (
    LOG_NAME,
    MANIFEST_NAME,
    REQUIREMENT_IDS,
    SUMS_NAME,
    PlannedRun,
    RecordSettings,
    plan_runs,
)
from trocar_lab.latency.stress import load_of
from trocar_lab.latency.telemetry import SAMPLE_SECONDS, Telemetry, sample, to_csv
from trocar_lab.latency.worker import Job, load_words
from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.provenance.platform_record import read_platform

Tell = Callable[[str], None]
"""Shows one line to the person who waits."""


# @need-ids: SRS_LATENCY_001
def record_bundle(
    folder: Path,
    settings: RecordSettings,
    *,
    pack: Path | None,
    trust: Path | None = None,
    operator: str,
    wheel: Path | None,
    tell: Tell,
) -> str:
    """Record one bundle.

    Args:
        folder: Created; must not hold anything yet.
        settings: What to record.
        pack: Folder of the first unit's pack, or None for the one of the release.
        trust: Trust folder of a site, or None for that of the release.
        operator: Who records.
        wheel: The wheel that is installed, where known.
        tell: Told about each run.

    Returns:
        SHA-256 of the sums, which stands for the whole bundle.

    Raises:
        SinkError: The folder is not empty.
        SourceLostError: A run failed; the bundle stays incomplete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SinkError(
            f"expected an empty folder, got {folder}", advice="name a folder of its own"
        )
    plan = plan_runs(settings)
    log = BundleLog(folder / LOG_NAME)
    begin, started_at = read_clocks(), now_text()
    log.write("bundle_started", runs=[run.name for run in plan], operator=operator)
    platform, code = read_platform(), read_code_identity(wheel)
    facts = []
    for number, run in enumerate(plan, start=1):
        tell(f"run {number} of {len(plan)}: {run.name}")
        facts.append(_record_run(folder, run, settings, pack=pack, trust=trust, log=log))
    manifest = BundleManifest(
        schema_name=SCHEMA_NAME,
        schema_version=SCHEMA_VERSION,
        notice=RESEARCH_NOTICE,
        requirement_ids=REQUIREMENT_IDS,
        settings=settings,
        plan=plan,
        code=code,
        platform=platform,
        operator=operator,
        started_at=started_at,
        ended_at=now_text(),
        clock_at_start=begin,
        clock_at_end=read_clocks(),
        time_definitions=TIME_DEFINITIONS,
        runs=tuple(facts),
    )
    write_whole(folder / MANIFEST_NAME, (manifest.model_dump_json(indent=2) + "\n").encode())
    log.write("bundle_complete")
    return write_sums(folder)


def write_sums(folder: Path) -> str:
    """Write the digest of every file; return the digest of that list."""
    paths = sorted(path for path in folder.iterdir() if path.name != SUMS_NAME)
    lines = [f"{file_sha256(path)}  {path.name}\n" for path in paths]
    write_whole(folder / SUMS_NAME, "".join(lines).encode())
    return file_sha256(folder / SUMS_NAME)


class BundleLog:
    """Append-only log of a recording; each line is on the disk before the next step."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, event: str, **values: object) -> None:
        """Append one event with both clocks."""
        clocks: ClockReading = read_clocks()
        line = {"event": event, "at": now_text(), "monotonic_ns": clocks.monotonic_ns, **values}
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _record_run(
    folder: Path,
    run: PlannedRun,
    settings: RecordSettings,
    *,
    pack: Path | None,
    trust: Path | None,
    log: BundleLog,
) -> RunFacts:
    """Record one run in a process of its own, with the machine's state beside it."""
    with tempfile.TemporaryDirectory() as scratch:
        job_file, facts_file = Path(scratch) / "job.json", Path(scratch) / "facts.json"
        job = Job(
            settings=settings,
            run=run,
            pack=None if pack is None else str(pack.resolve()),
            trust=None if trust is None else str(trust.resolve()),
            folder=str(folder.resolve()),
            facts=str(facts_file),
            parent_id=os.getpid(),
            load=load_words(run.arm, os.cpu_count() or 1),
        )
        job_file.write_text(job.model_dump_json(), encoding="utf-8")
        log.write("run_started", run=run.name, load=job.load)
        with load_of(run.arm, job_file):
            exit_code, telemetry, problem = watch("worker", job_file, Path(scratch) / "stderr")
        log.write("run_ended", run=run.name, exit_code=exit_code, problem=problem)
        if exit_code != 0:
            raise SourceLostError(
                f"run {run.name} ended with exit code {exit_code}: {problem}",
                advice="the bundle stays incomplete; mend the cause and record a fresh one",
            )
        write_whole(folder / run.telemetry_name, to_csv(telemetry))
        return RunFacts.model_validate_json(facts_file.read_bytes())


# @need-ids: SRS_LATE_006
def watch(role: str, job_file: Path, error_file: Path) -> tuple[int, list[Telemetry], str]:
    """Run a worker to its end; return exit code, telemetry, and the end of its complaints."""
    with error_file.open("wb") as errors, GpuWatch() as gpu:
        process = subprocess.Popen(
            command(role, job_file),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment(),
        )
        try:
            samples = [sample(process.pid, gpu=gpu.newest())]
            while True:
                try:
                    process.wait(SAMPLE_SECONDS)
                except subprocess.TimeoutExpired:
                    samples.append(sample(process.pid, gpu=gpu.newest()))
                else:
                    break
            samples.append(sample(process.pid, gpu=gpu.newest()))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    text = error_file.read_text(encoding="utf-8", errors="replace").strip()
    return process.returncode, samples, text[-2000:] if process.returncode else ""


def now_text() -> str:
    """Return the wall clock with its zone."""
    return dt.datetime.now().astimezone().isoformat(timespec="milliseconds")
