"""Read a bundle and check that it is whole: sums, log, schema, plan, identity, raw files."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from trocar.contracts.errors import ContractError
from trocar_lab.latency.clocks import ClockReading
from trocar_lab.latency.frame_table import FrameRow, read_table
from trocar_lab.latency.manifest import BundleManifest, RunFacts
from trocar_lab.latency.run_checks import clock_faults, table_faults, warm_up_faults
from trocar_lab.latency.settings import LOG_NAME, MANIFEST_NAME, SUMS_NAME, PlannedRun, plan_runs
from trocar_lab.latency.telemetry import Telemetry, from_csv
from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.provenance.platform_record import PlatformRecord, platform_class

_SUM_LINE: Final = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True)
class RunFiles:
    """Raw files of one run.

    Attributes:
        run: The run.
        facts: What its worker reported.
        rows: Timed frames.
        warm_up: Cold frame and warm-up.
        telemetry: State of the machine.
        faults: What does not fit.
    """

    run: PlannedRun
    facts: RunFacts
    rows: list[FrameRow]
    warm_up: list[FrameRow]
    telemetry: list[Telemetry]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Bundle:
    """A bundle as read.

    Attributes:
        digest: SHA-256 of the sums, or empty.
        manifest: The manifest, or None where it cannot be read.
        runs: Runs whose files could be read.
        faults: What makes the bundle as a whole invalid.
    """

    digest: str
    manifest: BundleManifest | None
    runs: tuple[RunFiles, ...] = ()
    faults: tuple[str, ...] = field(default=())


# @need-ids: SRS_LATENCY_001
def read_bundle(folder: Path) -> Bundle:
    """Read a bundle; whatever is wrong with it becomes a fault, never an exception."""
    sums = folder / SUMS_NAME
    if not sums.is_file():
        return Bundle("", None, faults=(f"incomplete: no {SUMS_NAME}",))
    digest = file_sha256(sums)
    faults = sum_faults(folder)
    try:
        manifest = BundleManifest.model_validate_json((folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValidationError) as exc:
        return Bundle(digest, None, faults=(*faults, f"{MANIFEST_NAME} breaks its schema: {exc}"))
    faults += _plan_faults(folder, manifest)
    faults += _log_faults(folder / LOG_NAME, manifest.plan)
    faults += platform_faults(manifest.platform)
    faults += _identity_faults(manifest)
    runs: list[RunFiles] = []
    for run, facts in zip(manifest.plan, manifest.runs, strict=False):
        try:
            runs.append(_read_run(folder, run, facts, manifest))
        except (OSError, ContractError) as exc:
            faults.append(f"{run.name}: {exc}")
    readings = [
        ClockReading(monotonic_ns=t.monotonic_ns, wall_ns=t.wall_ns)
        for r in runs
        for t in r.telemetry
    ]
    faults += clock_faults([manifest.clock_at_start, manifest.clock_at_end, *readings])
    return Bundle(digest, manifest, tuple(runs), tuple(faults))


def sum_faults(folder: Path) -> list[str]:
    """Compare the folder with its sums: no file missing, extra, linked or changed."""
    listed: dict[str, str] = {}
    for line in (folder / SUMS_NAME).read_text(encoding="utf-8", errors="replace").splitlines():
        match = _SUM_LINE.fullmatch(line)
        if match is None or match["name"] in listed:
            return [
                f"{SUMS_NAME} has a line that is not a digest and a name of its own: {line[:80]!r}"
            ]
        listed[match["name"]] = match["sha256"]
    present = {path.name for path in folder.iterdir()} - {SUMS_NAME}
    faults = [f"{name} is listed but missing" for name in sorted(listed.keys() - present)]
    faults += [f"{name} is not listed" for name in sorted(present - listed.keys())]
    for name in sorted(present & listed.keys()):
        path = folder / name
        if not stat.S_ISREG(path.lstat().st_mode):
            faults.append(f"{name} is not a regular file")
        elif file_sha256(path) != listed[name]:
            faults.append(f"{name} differs from its digest")
    return faults


def _plan_faults(folder: Path, manifest: BundleManifest) -> list[str]:
    """Compare plan, facts and files with the settings."""
    faults = []
    if manifest.plan != plan_runs(manifest.settings):
        faults.append("the plan is not the one of the settings and their seed")
    if tuple(facts.run for facts in manifest.runs) != manifest.plan:
        faults.append("the facts are not those of the planned runs")
    expected = {name for run in manifest.plan for name in run.files}
    expected |= {MANIFEST_NAME, LOG_NAME, SUMS_NAME}
    present = {path.name for path in folder.iterdir()}
    faults += [f"{name} does not belong to the plan" for name in sorted(present ^ expected)]
    return faults


def _log_faults(path: Path, plan: Sequence[PlannedRun]) -> list[str]:
    """Check that the log tells of every run in its order, and of the end."""
    try:
        events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        told = [(event["event"], event.get("run"), event.get("exit_code")) for event in events]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        return [f"{LOG_NAME} cannot be read: {exc}"]
    expected: list[tuple[str, str | None, int | None]] = [("bundle_started", None, None)]
    for run in plan:
        expected += [("run_started", run.name, None), ("run_ended", run.name, 0)]
    expected.append(("bundle_complete", None, None))
    return [] if told == expected else [f"{LOG_NAME} does not tell of every run and the end"]


def platform_faults(platform: PlatformRecord) -> list[str]:
    """Compute the platform class anew from the machine's own texts."""
    found = platform_class(
        tegra_release=platform.tegra_release,
        board_model=platform.board_model,
        machine=platform.machine,
    )
    if found == platform.platform_class:
        return []
    return [f"labelled {platform.platform_class}, but the machine's own files say {found}"]


def _identity_faults(manifest: BundleManifest) -> list[str]:
    """Check that all runs used one model, engine and input, and those asked for."""
    facts = manifest.runs
    identities: dict[str, set[str | None]] = {
        "unit, pack or engine": {one.unit.model_dump_json() for one in facts},
        "model": {one.model_sha256 for one in facts},
        "unit beside it": {str([u.model_dump_json() for u in one.beside]) for one in facts},
        "input": {one.input.model_dump_json() for one in facts},
    }
    faults = [f"the runs did not have one {name}" for name, v in identities.items() if len(v) != 1]
    for one in facts:
        backend, asked = one.unit.backend, manifest.settings
        names = (one.unit.unit, *(beside.info.unit for beside in one.beside))
        ran = (names, backend.precision, backend.thread_count)
        if ran != (asked.units, asked.precision.value, asked.thread_count):
            faults.append(f"{one.run.name}: what ran is not what was asked for: {ran}")
    return faults


def _read_run(folder: Path, run: PlannedRun, facts: RunFacts, manifest: BundleManifest) -> RunFiles:
    """Read and check the raw files of one run.

    Raises:
        ContractError: A file is not a table of its kind.
        OSError: A file cannot be read.
    """
    rows = read_table(folder / run.frames_name)
    warm_up = read_table(folder / run.warm_up_name)
    telemetry = from_csv((folder / run.telemetry_name).read_bytes(), run.telemetry_name)
    faults = table_faults(rows, run, manifest.settings)
    faults += warm_up_faults(warm_up, manifest.settings)
    if warm_up and rows and warm_up[-1].t0_ns >= rows[0].t0_ns:
        faults.append("the warm-up is not before the timed frames")
    return RunFiles(run, facts, rows, warm_up, telemetry, tuple(faults))
