"""Verify a bundle: every number anew from the raw files, then the verdict by the frozen limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trocar import RESEARCH_NOTICE
from trocar_lab.latency.arm_statistics import (
    ages_ns,
    bootstrap_report,
    miss_report,
    run_report,
    service_times_ns,
    shape_report,
    stretches_of,
    time_report,
)
from trocar_lab.latency.budgets import Budget, Budgets
from trocar_lab.latency.bundle import Bundle, RunFiles, read_bundle
from trocar_lab.latency.manifest import BundleManifest
from trocar_lab.latency.reports import (
    ArmReport,
    BundleReport,
    MissReport,
    RunReport,
    Verdict,
)
from trocar_lab.latency.run_checks import telemetry_faults
from trocar_lab.latency.settings import Arm
from trocar_lab.provenance.git import git_output
from trocar_lab.provenance.platform_record import AGX


def verify_bundle(
    folder: Path, budgets: Budgets, *, repository: Path | None = None
) -> BundleReport:
    """Verify a bundle.

    Args:
        folder: The bundle.
        budgets: Limits; those of the verifier, never any from the bundle.
        repository: Repository whose history must hold the bundle's commit, or None.
    """
    return judge(read_bundle(folder), budgets, repository=repository)


# @need-ids: SRS_LATENCY_001
def judge(bundle: Bundle, budgets: Budgets, *, repository: Path | None = None) -> BundleReport:
    """Return the report on a bundle that was read."""
    manifest = bundle.manifest
    if manifest is None:
        return _unreadable(bundle)
    faults = list(bundle.faults)
    if repository is not None:
        faults += _ancestry_faults(repository, manifest)
    platform = manifest.platform
    budget = budgets.find(platform.platform_class, manifest.settings.workload)
    arms = tuple(
        _judge_arm(arm, bundle, manifest, budget, faults)
        for arm in dict.fromkeys(manifest.settings.arms)
    )
    verdict, reasons = _bundle_verdict(arms, budget, faults)
    info = manifest.runs[0].unit if manifest.runs else None
    backend = info.backend if info else None
    return BundleReport(
        notice=RESEARCH_NOTICE,
        bundle_sha256=bundle.digest,
        label=platform.label,
        platform_class=platform.platform_class,
        unit=(
            f"{manifest.settings.workload} {info.unit_version}, pack {info.pack_id},"
            f" {backend.engine}, {backend.provider}, {backend.precision},"
            f" {backend.thread_count} threads"
            if info and backend
            else manifest.settings.workload
        ),
        commit=manifest.code.commit + (" (changed)" if manifest.code.is_dirty else ""),
        recorded_at=manifest.started_at,
        budget=budget,
        verdict=verdict,
        reasons=tuple(reasons),
        closes_agx_row=_closes_agx_row(manifest, verdict),
        arms=arms,
    )


def _unreadable(bundle: Bundle) -> BundleReport:
    """Return the report on a bundle without a usable manifest."""
    return BundleReport(
        notice=RESEARCH_NOTICE,
        bundle_sha256=bundle.digest,
        label="unknown machine",
        platform_class="",
        unit="",
        commit="",
        recorded_at="",
        budget=None,
        verdict=Verdict.INVALID,
        reasons=bundle.faults,
        closes_agx_row=False,
        arms=(),
    )


def _closes_agx_row(manifest: BundleManifest, verdict: Verdict) -> bool:
    """Return whether the AGX class requirement is met: never elsewhere or by unknown code."""
    is_known_code = manifest.code.is_dirty is False or manifest.code.wheel_sha256 is not None
    is_agx = manifest.platform.platform_class == AGX
    return verdict is Verdict.PASS and is_agx and is_known_code


def _ancestry_faults(repository: Path, manifest: BundleManifest) -> list[str]:
    """Check that the code under test belongs to the repository's history."""
    commit = manifest.code.commit
    words = ("merge-base", "--is-ancestor", commit, "HEAD")
    if commit and git_output(repository, *words) is not None:
        return []
    return [f"commit {commit or 'unknown'} is not in the history of the repository"]


def _judge_arm(
    arm: Arm, bundle: Bundle, manifest: BundleManifest, budget: Budget | None, faults: Sequence[str]
) -> ArmReport:
    """Return the numbers and the verdict of one arm."""
    settings = manifest.settings
    runs = sorted((r for r in bundle.runs if r.run.arm is arm), key=lambda r: r.run.run_number)
    deadline_ms = settings.deadline_ms if budget is None else budget.deadline_ms
    reasons = [f"{r.run.name}: {fault}" for r in runs for fault in _run_faults(r, budget)]
    invalid = [*faults, *reasons]
    is_usable = bool(runs) and all(len(r.rows) == settings.frame_count for r in runs)
    stretches = stretches_of(runs, settings) if is_usable else []
    misses = (
        miss_report(stretches, deadline_ms=deadline_ms, fps=settings.fps) if is_usable else None
    )
    run_reports = tuple(run_report(r, settings, deadline_ms=deadline_ms) for r in runs if r.rows)
    verdict, why = _arm_verdict(misses, run_reports, manifest, budget, invalid=invalid)
    return ArmReport(
        arm=arm,
        load=runs[0].facts.load if runs else "",
        decides=budget is None or arm in budget.arms_required,
        verdict=verdict,
        reasons=tuple(why),
        misses=misses,
        age=time_report(
            ages_ns(stretches, with_dropped=True), bootstrap_report(stretches, fps=settings.fps)
        ),
        age_answered=time_report(ages_ns(stretches, with_dropped=False)),
        service=time_report(service_times_ns(stretches)),
        shape=shape_report(stretches),
        runs=run_reports,
    )


def _run_faults(files: RunFiles, budget: Budget | None) -> list[str]:
    """Return what makes one run invalid."""
    faults = list(files.faults)
    if files.rows:
        ratio_max = None if budget is None else budget.clock_change_ratio_max
        faults += telemetry_faults(files.telemetry, files.rows, clock_change_ratio_max=ratio_max)
    return faults


def _arm_verdict(
    misses: MissReport | None,
    runs: Sequence[RunReport],
    manifest: BundleManifest,
    budget: Budget | None,
    *,
    invalid: Sequence[str],
) -> tuple[Verdict, list[str]]:
    """Return the verdict of one arm; the order of the questions is part of the protocol."""
    if invalid or misses is None:
        return Verdict.INVALID, list(invalid) or ["no raw frames"]
    if budget is None:
        unit, platform = manifest.settings.workload, manifest.platform.platform_class
        return Verdict.FAIL, [f"no budget for {unit} on {platform}"]
    lower, upper = misses.lower_one_sided_95, misses.upper_one_sided_95
    limit = budget.miss_ratio_max
    short = _condition_shortfalls(manifest, budget)
    if misses.frame_count < budget.frames_min:
        short.append(f"{misses.frame_count} frames, {budget.frames_min} are needed")
        if lower > limit:
            short.append(
                f"the misses so far already speak against the limit: {lower:.3g} > {limit:g}"
            )
    if short:
        return Verdict.INSUFFICIENT, short
    if lower > limit:
        return Verdict.FAIL, [f"lower bound {lower:.3g} of the miss ratio is above {limit:g}"]
    short = _run_shortfalls(runs, budget)
    if upper > limit:
        short.append(
            f"upper bound {upper:.3g} of the miss ratio is above {limit:g}: more frames are needed"
        )
    if short:
        return Verdict.INSUFFICIENT, short
    return Verdict.PASS, [f"upper bound {upper:.3g} of the miss ratio does not exceed {limit:g}"]


def _condition_shortfalls(manifest: BundleManifest, budget: Budget) -> list[str]:
    """Return where the recording was made under other conditions than the budget's."""
    settings = manifest.settings
    return [
        f"recorded with {name} {was}, the budget is for {wanted}"
        for name, was, wanted in (
            ("fps", settings.fps, budget.fps),
            ("height", settings.height_px, budget.height_px),
            ("width", settings.width_px, budget.width_px),
            ("deadline_ms", settings.deadline_ms, budget.deadline_ms),
        )
        if was != wanted
    ]


def _run_shortfalls(runs: Sequence[RunReport], budget: Budget) -> list[str]:
    """Return where the runs are too few or not warm."""
    short = []
    if len(runs) < budget.runs_min:
        short.append(f"{len(runs)} runs, {budget.runs_min} are needed")
    for run in runs:
        if run.warm_up_count < budget.warm_up_frames_min:
            short.append(
                f"{run.name}: warm-up of {run.warm_up_count} frames,"
                f" {budget.warm_up_frames_min} are needed"
            )
        if not run.is_stable:
            short.append(f"{run.name}: the warm-up did not become stable")
    return short


def _bundle_verdict(
    arms: Sequence[ArmReport], budget: Budget | None, faults: Sequence[str]
) -> tuple[Verdict, list[str]]:
    """Return the verdict of the bundle: the worst of the arms that decide."""
    found = {arm.arm: arm.verdict for arm in arms}
    if faults or Verdict.INVALID in found.values():
        return Verdict.INVALID, list(faults)
    if budget is None:
        return Verdict.FAIL, ["a unit without a budget fails"]
    deciding = [found.get(arm, Verdict.INSUFFICIENT) for arm in budget.arms_required]
    missing = [arm.value for arm in budget.arms_required if arm not in found]
    reasons = [f"arm {name} was not recorded" for name in missing]
    for verdict in (Verdict.FAIL, Verdict.INSUFFICIENT):
        if verdict in deciding:
            return verdict, reasons
    return Verdict.PASS, reasons
