"""Judge a soak from its raw files: whole, every frame accounted for, memory flat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from trocar import RESEARCH_NOTICE
from trocar.contracts.base import Contract
from trocar.contracts.errors import ContractError
from trocar_lab.latency.arm_statistics import ages_ns, bootstrap_report, miss_report, time_report
from trocar_lab.latency.budgets import Budgets, SoakBudget
from trocar_lab.latency.bundle import platform_faults, sum_faults
from trocar_lab.latency.clocks import ClockReading
from trocar_lab.latency.frame_table import WITHHELD, FrameRow, read_table
from trocar_lab.latency.memory_slope import MemorySlope, memory_slope
from trocar_lab.latency.reports import MissReport, TimeReport, Verdict
from trocar_lab.latency.run_checks import clock_faults, table_faults, telemetry_faults
from trocar_lab.latency.settings import LOG_NAME, MANIFEST_NAME, SUMS_NAME
from trocar_lab.latency.soak_plan import SOAK_RUN, SoakManifest
from trocar_lab.latency.telemetry import Telemetry, from_csv
from trocar_lab.provenance.code_identity import file_sha256

_FILES: Final = {
    MANIFEST_NAME,
    LOG_NAME,
    SUMS_NAME,
    SOAK_RUN.frames_name,
    SOAK_RUN.telemetry_name,
}


class FrameAccount(Contract):
    """Where each frame of the plan is.

    Attributes:
        planned_count: Frames that the source was to deliver.
        answered_count: Frames with an answer of every unit.
        withheld_count: Those of them with an answer without a finding.
        dropped_count: Frames in the ledger.
        unaccounted_count: Frames that are nowhere, or more than once, or that the device's own
            account or record counts otherwise.
    """

    planned_count: int
    answered_count: int
    withheld_count: int
    dropped_count: int
    unaccounted_count: int


class SoakReport(Contract):
    """What a soak proves.

    Attributes:
        notice: Research notice.
        bundle_sha256: Digest of the sums, or empty.
        label: Platform class and machine.
        workload: Units, version, engine.
        commit: Code under test.
        recorded_at: Begin of the recording.
        operator: Who recorded it, and what else ran.
        minutes: Time after the warm-up [min].
        budget: Limits that were applied.
        verdict: What it proves.
        reasons: Why.
        frames: Where each frame is; None where the raw files cannot be used.
        memory: Course of resident memory after the warm-up, or None.
        misses: Late and dropped frames after the warm-up; shown, not judged.
        age: Ages of all frames after the warm-up; shown, not judged.
    """

    notice: str
    bundle_sha256: str
    label: str
    workload: str
    commit: str
    recorded_at: str
    operator: str
    minutes: float
    budget: SoakBudget
    verdict: Verdict
    reasons: tuple[str, ...]
    frames: FrameAccount | None
    memory: MemorySlope | None
    misses: MissReport | None
    age: TimeReport | None


@dataclass(frozen=True)
class _Raw:
    """Raw files of a soak that could be read."""

    rows: list[FrameRow]
    telemetry: list[Telemetry]


# @need-ids: SRS_LATENCY_001
def verify_soak(folder: Path, budgets: Budgets) -> SoakReport:
    """Verify a soak; whatever is wrong with it becomes a reason, never an exception.

    Args:
        folder: The soak.
        budgets: Limits; those of the verifier, never any from the folder.
    """
    sums = folder / SUMS_NAME
    if not sums.is_file():
        return _unreadable("", [f"incomplete: no {SUMS_NAME}"], budgets)
    digest = file_sha256(sums)
    faults = sum_faults(folder)
    present = {path.name for path in folder.iterdir()}
    faults += [f"{name} does not belong to a soak" for name in sorted(present ^ _FILES)]
    try:
        manifest = SoakManifest.model_validate_json((folder / MANIFEST_NAME).read_bytes())
        rows = read_table(folder / SOAK_RUN.frames_name)
        name = SOAK_RUN.telemetry_name
        telemetry = from_csv((folder / name).read_bytes(), name)
    except (OSError, ValidationError, ContractError) as exc:
        return _unreadable(digest, [*faults, str(exc)], budgets)
    raw = _Raw(rows, telemetry)
    return _judged(manifest, raw, faults, digest=digest, budget=budgets.soak)


def _unreadable(digest: str, faults: Sequence[str], budgets: Budgets) -> SoakReport:
    """Return the report on a soak whose files cannot be used."""
    return SoakReport(
        notice=RESEARCH_NOTICE,
        bundle_sha256=digest,
        label="unknown machine",
        workload="",
        commit="",
        recorded_at="",
        operator="",
        minutes=0.0,
        budget=budgets.soak,
        verdict=Verdict.INVALID,
        reasons=tuple(faults),
        frames=None,
        memory=None,
        misses=None,
        age=None,
    )


def _judged(
    manifest: SoakManifest, raw: _Raw, faults: list[str], *, digest: str, budget: SoakBudget
) -> SoakReport:
    """Return the report on a soak that was read."""
    plan = manifest.plan
    account = _account(manifest, raw.rows)
    timed = [row for row in raw.rows if row.frame_index >= plan.warm_up_frame_count]
    faults = faults + _raw_faults(manifest, raw, account)
    memory = memory_slope(raw.telemetry, begin_ns=timed[0].t0_ns) if timed else None
    verdict, reasons = _verdict(manifest, account, memory, budget, faults)
    info = manifest.facts.units[0].info
    settings = plan.settings
    return SoakReport(
        notice=RESEARCH_NOTICE,
        bundle_sha256=digest,
        label=manifest.platform.label,
        workload=f"{settings.workload} {info.unit_version}, {info.backend.engine},"
        f" {info.backend.precision}, {info.backend.thread_count} threads,"
        f" {settings.fps} frames/s of {settings.width_px} x {settings.height_px}",
        commit=manifest.code.commit + (" (changed)" if manifest.code.is_dirty else ""),
        recorded_at=manifest.started_at,
        operator=manifest.operator,
        minutes=plan.timed_s / 60,
        budget=budget,
        verdict=verdict,
        reasons=tuple(reasons),
        frames=account,
        memory=memory,
        misses=miss_report([timed], deadline_ms=settings.deadline_ms, fps=settings.fps)
        if timed
        else None,
        age=time_report(
            ages_ns([timed], with_dropped=True), bootstrap_report([timed], fps=settings.fps)
        )
        if timed
        else None,
    )


# @need-ids: SRS_LATE_005
def _account(manifest: SoakManifest, rows: Sequence[FrameRow]) -> FrameAccount:
    """Return where each frame is, from the rows, the device's account and the device's record."""
    told = manifest.facts.counts
    planned = manifest.plan.settings.frame_count
    counts = Counter(row.frame_index for row in rows)
    answered = [row for row in rows if not row.is_dropped]
    dropped_count = len(rows) - len(answered)
    wrong = {index for index in range(planned) if counts[index] != 1}
    wrong |= {index for index in counts if not 0 <= index < planned}
    line_count = manifest.facts.record_line_count
    # The device counts in three places of its own; each must say what the rows say.
    differences = [
        abs(told.received_count - planned),
        abs(told.answered_count - len(answered)),
        abs(told.displaced_count + told.undelivered_count - dropped_count),
        abs(line_count - len(answered) * len(manifest.facts.units)),
        told.unlisted_drop_count,
    ]
    return FrameAccount(
        planned_count=planned,
        answered_count=len(answered),
        withheld_count=sum(WITHHELD in row.outcome for row in answered),
        dropped_count=dropped_count,
        unaccounted_count=max(len(wrong), *differences),
    )


def _raw_faults(manifest: SoakManifest, raw: _Raw, account: FrameAccount) -> list[str]:
    """Return what makes the recording invalid, whatever it says of memory and frames."""
    faults = platform_faults(manifest.platform)
    names = tuple(unit.info.unit for unit in manifest.facts.units)
    if names != manifest.plan.settings.units:
        faults.append(f"what ran is not what was asked for: {names}")
    if not raw.rows:
        return [*faults, "no raw frames"]
    if account.unaccounted_count == 0:
        faults += table_faults(raw.rows, SOAK_RUN, manifest.plan.settings)
    faults += telemetry_faults(raw.telemetry, raw.rows, clock_change_ratio_max=None)
    readings = [
        ClockReading(monotonic_ns=one.monotonic_ns, wall_ns=one.wall_ns) for one in raw.telemetry
    ]
    return faults + clock_faults([manifest.clock_at_start, manifest.clock_at_end, *readings])


# @need-ids: SRS_LATE_004
def _verdict(
    manifest: SoakManifest,
    account: FrameAccount,
    memory: MemorySlope | None,
    budget: SoakBudget,
    faults: Sequence[str],
) -> tuple[Verdict, list[str]]:
    """Return the verdict; the order of the questions is part of the protocol."""
    if faults:
        return Verdict.INVALID, list(faults)
    limit = budget.slope_mib_per_hour_max
    wrong = []
    if account.unaccounted_count:
        wrong.append(f"{account.unaccounted_count} frames are not accounted for")
    if memory is not None and memory.lower_95 > limit:
        wrong.append(f"memory grows by at least {memory.lower_95:.3g} MiB/h, {limit:g} is allowed")
    if wrong:
        return Verdict.FAIL, wrong
    plan = manifest.plan
    short = [
        f"{what} of {seconds / 60:.3g} min, {wanted} min are needed"
        for what, seconds, wanted in (
            ("warm-up", plan.warm_up_s, budget.warm_up_minutes_min),
            ("run", plan.timed_s, budget.minutes_min),
        )
        if seconds < 60 * wanted
    ]
    if memory is None:
        short.append("too few samples for a slope of memory")
    elif memory.upper_95 > limit:
        short.append(
            f"memory may grow by up to {memory.upper_95:.3g} MiB/h, {limit:g} is allowed:"
            " a longer run is needed"
        )
    if short or memory is None:
        return Verdict.INSUFFICIENT, short
    return Verdict.PASS, [
        f"memory grows by at most {memory.upper_95:.3g} MiB/h, {limit:g} is allowed",
        f"all {account.planned_count} frames are accounted for",
    ]
