"""The report on a soak as text for a terminal."""

from __future__ import annotations

from typing import Final

from trocar_lab.latency.soak_verify import SoakReport
from trocar_lab.latency.text import miss_lines, time_text

_REASONS_SHOWN_MAX: Final = 20


def soak_text(report: SoakReport) -> str:
    """Return the report as lines."""
    lines = [
        report.notice,
        f"{report.verdict.value}  [{report.label}]  soak of {report.minutes:.3g} min",
        f"  units     {report.workload}",
        f"  commit    {report.commit or '-'}   recorded {report.recorded_at or '-'}",
        f"  operator  {report.operator or '-'}",
        f"  bundle    sha256 {report.bundle_sha256 or '-'}",
    ]
    lines += [f"  - {reason}" for reason in report.reasons[:_REASONS_SHOWN_MAX]]
    frames, memory = report.frames, report.memory
    if frames is not None:
        lines.append(
            f"  frames    {frames.planned_count} planned, {frames.answered_count} answered"
            f" ({frames.withheld_count} withheld), {frames.dropped_count} dropped,"
            f" {frames.unaccounted_count} not accounted for"
        )
    if memory is not None:
        lines.append(
            f"  memory    {memory.mib_per_hour:+.3f} MiB/h"
            f" [{memory.lower_95:+.3f}, {memory.upper_95:+.3f}], {memory.first_mib:.1f} MiB at"
            f" first, {memory.last_mib:.1f} MiB at last, observed max of {memory.sample_count}"
            f" samples {memory.observed_max_mib:.1f} MiB"
        )
    if report.misses is not None:
        lines += [f"  {line}" for line in miss_lines(report.misses)]
    if report.age is not None:
        lines.append(f"  age       {time_text(report.age)}")
    return "\n".join(lines)
