"""The report as text for a terminal."""

from __future__ import annotations

from typing import Final

from trocar_lab.latency.reports import (
    ArmReport,
    BundleReport,
    MissReport,
    RunReport,
    ShapeReport,
    TimeReport,
)

_FAULTS_SHOWN_MAX: Final = 20


def text_of(report: BundleReport) -> str:
    """Return the report as lines."""
    lines = [
        report.notice,
        f"{report.verdict.value}  [{report.label}]",
        f"  unit      {report.unit}",
        f"  commit    {report.commit or '-'}   recorded {report.recorded_at or '-'}",
        f"  bundle    sha256 {report.bundle_sha256 or '-'}",
        f"  AGX row   {agx_row_text(report)}",
    ]
    lines += [f"  ! {reason}" for reason in report.reasons[:_FAULTS_SHOWN_MAX]]
    for arm in report.arms:
        lines += ["", *_arm_lines(arm)]
    return "\n".join(lines)


def agx_row_text(report: BundleReport) -> str:
    """Return what this bundle means for the requirement on AGX class hardware."""
    if report.closes_agx_row:
        return "closed by this bundle"
    if report.platform_class == "surrogate":
        return "open: recorded on a surrogate, which proves nothing about an AGX class machine"
    return "open"


def _arm_lines(arm: ArmReport) -> list[str]:
    """Return the lines of one arm."""
    role = "decides" if arm.decides else "shown beside"
    lines = [f"arm {arm.arm.value} ({role}): {arm.verdict.value}"]
    lines += [f"  - {reason}" for reason in arm.reasons[:_FAULTS_SHOWN_MAX]]
    if arm.misses is not None:
        counts, bounds = miss_lines(arm.misses)
        lines += [f"  {counts}", f"  miss ratio {bounds}"]
    for name, times in (
        ("age, dropped = oldest", arm.age),
        ("age, answered", arm.age_answered),
        ("service", arm.service),
    ):
        if times is not None:
            lines.append(f"  {name:<22} {time_text(times)}")
    if arm.shape is not None:
        lines.append(f"  {shape_text(arm.shape)}")
    lines += [f"  run {run.name}: {run_text(run)}" for run in arm.runs]
    return lines


def miss_lines(misses: MissReport) -> tuple[str, str]:
    """Return counts, and the ratio with its bounds."""
    counts = (
        f"{misses.miss_count} misses of {misses.frame_count} frames (late {misses.late_count},"
        f" dropped {misses.dropped_count}), longest run {misses.longest_run}"
    )
    note = "" if misses.miss_count else " (no miss: says nothing)"
    bounds = (
        f"{misses.ratio:.3g}; Clopper-Pearson 95 %: at most {misses.upper_one_sided_95:.3g}"
        f" (one-sided), [{misses.lower_two_sided_95:.3g}, {misses.upper_two_sided_95:.3g}]"
        f" (two-sided); bootstrap of 1 s blocks [{misses.bootstrap_lower_95:.3g},"
        f" {misses.bootstrap_upper_95:.3g}], of 10 s blocks [{misses.bootstrap_10s_lower_95:.3g},"
        f" {misses.bootstrap_10s_upper_95:.3g}]{note}"
    )
    return counts, bounds


def shape_text(shape: ShapeReport) -> str:
    """Return jitter, tail and flatness."""
    gap = shape.first_after_gap_max_ms
    return (
        f"jitter sd {ms(shape.jitter_sd_ms)}, longest output gap {ms(shape.output_gap_max_ms)},"
        f" p99.9-p50 {ms(shape.p99_9_minus_p50_ms)}, tail p95-p100 {ms(shape.tail_ms)},"
        f" flatness p10-p90 {ms(shape.flatness_ms)}"
        + ("" if gap is None else f", first frame after a pause at most {ms(gap)}")
    )


def run_text(run: RunReport) -> str:
    """Return the numbers of one run."""
    state = "stable" if run.is_stable else "NOT stable"
    return (
        f"{run.miss_count} misses of {run.frame_count} ({run.dropped_count} dropped),"
        f" longest run {run.longest_run}, p50 {ms(run.age_p50_ms)},"
        f" p99.9 {ms(run.age_p99_9_ms)}, opened in {ms(run.open_ms)},"
        f" cold frame {ms(run.cold_age_ms)}, warm-up {run.warm_up_count} ({state})"
    )


def time_text(times: TimeReport) -> str:
    """Return the order statistics of one time."""
    if times.is_p99_9_descriptive:
        interval = "descriptive"
    else:
        interval = f"{ms(times.p99_9_lower_ms)} to {ms(times.p99_9_upper_ms)}"
    return (
        f"p50 {ms(times.p50_ms)}, p90 {ms(times.p90_ms)}, p99 {ms(times.p99_ms)}"
        f", p99.9 {ms(times.p99_9_ms)} ({interval})"
        f"{_bootstrap_text(times)}, observed max of {times.count}: {ms(times.observed_max_ms)}"
    )


def _bootstrap_text(times: TimeReport) -> str:
    """Return the intervals of p99.9 from resampled blocks, where there are any."""
    found = times.bootstrap
    if found is None:
        return ""
    return (
        f", bootstrap of 1 s blocks {ms(found.lower_1s_ms)} to {ms(found.upper_1s_ms)}, of 10 s"
        f" blocks {ms(found.lower_10s_ms)} to {ms(found.upper_10s_ms)}"
    )


def ms(value: float | None) -> str:
    """Return milliseconds, or that the place is among frames without a result."""
    return "dropped" if value is None else f"{value:.1f} ms"
