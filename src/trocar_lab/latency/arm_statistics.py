"""From the raw rows of one arm to its numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trocar.contracts.limits import NS_PER_MS
from trocar.streaming.latency_statistics import P999_BOUNDED_FROM_COUNT
from trocar_lab.latency.bundle import RunFiles
from trocar_lab.latency.frame_table import FrameRow, median_service_ns
from trocar_lab.latency.reports import (
    MissReport,
    PercentileBootstrap,
    RunReport,
    ShapeReport,
    TimeReport,
)
from trocar_lab.latency.settings import RecordSettings
from trocar_lab.latency.statistics import (
    DROPPED_NS,
    Bools,
    block_bootstrap,
    is_stable,
    longest_run,
    miss_ratio,
    output_intervals,
    percentile,
    percentile_bootstrap,
    percentile_interval,
)

Stretch = Sequence[FrameRow]


def stretches_of(runs: Sequence[RunFiles], settings: RecordSettings) -> list[Stretch]:
    """Return the rows of each uninterrupted stretch of all runs."""
    return [
        files.rows[first : first + count]
        for files in runs
        for first, count in settings.stretches(files.run.arm)
    ]


def miss_report(stretches: Sequence[Stretch], *, deadline_ms: int, fps: int) -> MissReport:
    """Return the misses of an arm."""
    masks = [misses_of(rows, deadline_ms) for rows in stretches]
    dropped_count = sum(row.is_dropped for rows in stretches for row in rows)
    miss_count = int(sum(mask.sum() for mask in masks))
    exact = miss_ratio(miss_count, sum(len(mask) for mask in masks))
    bootstrap = block_bootstrap(masks, block_length=fps)
    bootstrap_10s = block_bootstrap(masks, block_length=10 * fps)
    return MissReport(
        frame_count=exact.frame_count,
        late_count=miss_count - dropped_count,
        dropped_count=dropped_count,
        miss_count=miss_count,
        ratio=exact.ratio,
        lower_one_sided_95=exact.lower_one_sided,
        upper_one_sided_95=exact.upper_one_sided,
        lower_two_sided_95=exact.lower_two_sided,
        upper_two_sided_95=exact.upper_two_sided,
        bootstrap_lower_95=bootstrap.lower or 0.0,
        bootstrap_upper_95=bootstrap.upper or 0.0,
        bootstrap_10s_lower_95=bootstrap_10s.lower or 0.0,
        bootstrap_10s_upper_95=bootstrap_10s.upper or 0.0,
        longest_run=max(longest_run(mask) for mask in masks),
    )


def misses_of(rows: Stretch, deadline_ms: int) -> Bools:
    """Return for each frame whether it was late or dropped."""
    deadline_ns = deadline_ms * NS_PER_MS
    return np.array(
        [row.age_ns is None or row.age_ns > deadline_ns for row in rows], dtype=np.bool_
    )


def ages_ns(stretches: Sequence[Stretch], *, with_dropped: bool) -> list[int]:
    """Return ages sorted upwards [ns]; a dropped frame is older than any, or left out."""
    ages = [row.age_ns for rows in stretches for row in rows]
    if with_dropped:
        return sorted(DROPPED_NS if age is None else age for age in ages)
    return sorted(age for age in ages if age is not None)


def service_times_ns(stretches: Sequence[Stretch]) -> list[int]:
    """Return service times of answered frames sorted upwards [ns]."""
    times = (row.service_ns for rows in stretches for row in rows)
    return sorted(time for time in times if time is not None)


def bootstrap_report(stretches: Sequence[Stretch], *, fps: int) -> PercentileBootstrap | None:
    """Return the intervals of p99.9 of the age, dropped frames the oldest."""
    segments = [
        np.array([DROPPED_NS if row.age_ns is None else row.age_ns for row in rows], dtype=np.int64)
        for rows in stretches
    ]
    if not segments:
        return None
    of_1s = percentile_bootstrap(segments, 0.999, block_length=fps)
    of_10s = percentile_bootstrap(segments, 0.999, block_length=10 * fps)
    return PercentileBootstrap(
        lower_1s_ms=_ms(of_1s.lower),
        upper_1s_ms=_ms(of_1s.upper),
        lower_10s_ms=_ms(of_10s.lower),
        upper_10s_ms=_ms(of_10s.upper),
    )


def time_report(
    times_ns: Sequence[int], bootstrap: PercentileBootstrap | None = None
) -> TimeReport | None:
    """Return the order statistics of times sorted upwards; None where there is none."""
    if not times_ns:
        return None
    interval = percentile_interval(times_ns, 0.999)
    return TimeReport(
        count=len(times_ns),
        p50_ms=_ms(percentile(times_ns, 0.5)),
        p90_ms=_ms(percentile(times_ns, 0.9)),
        p99_ms=_ms(percentile(times_ns, 0.99)),
        p99_9_ms=_ms(percentile(times_ns, 0.999)),
        p99_9_lower_ms=_ms(interval.lower),
        p99_9_upper_ms=_ms(interval.upper),
        is_p99_9_descriptive=len(times_ns) < P999_BOUNDED_FROM_COUNT,
        observed_max_ms=_ms(times_ns[-1]),
        bootstrap=bootstrap,
    )


def shape_report(stretches: Sequence[Stretch]) -> ShapeReport | None:
    """Return jitter, tail and flatness of answered frames; None where there is none."""
    ages = ages_ns(stretches, with_dropped=False)
    if not ages:
        return None
    intervals = output_intervals(
        np.array([row.t3_ns for row in rows if row.t3_ns is not None], dtype=np.int64)
        for rows in stretches
    )
    firsts = [rows[0].age_ns for rows in stretches if rows[0].frame_index > 0]
    after_gap = [age for age in firsts if age is not None]
    return ShapeReport(
        jitter_sd_ms=float(intervals.std(ddof=1)) / NS_PER_MS if len(intervals) > 1 else None,
        output_gap_max_ms=float(intervals.max()) / NS_PER_MS if len(intervals) else None,
        p99_9_minus_p50_ms=(percentile(ages, 0.999) - percentile(ages, 0.5)) / NS_PER_MS,
        tail_ms=(ages[-1] - percentile(ages, 0.95)) / NS_PER_MS,
        flatness_ms=(percentile(ages, 0.9) - percentile(ages, 0.1)) / NS_PER_MS,
        first_after_gap_max_ms=max(after_gap) / NS_PER_MS if after_gap else None,
    )


def run_report(files: RunFiles, settings: RecordSettings, *, deadline_ms: int) -> RunReport:
    """Return the numbers of one run."""
    misses = misses_of(files.rows, deadline_ms)
    ages = ages_ns([files.rows], with_dropped=False)
    memory = [one.rss_bytes for one in files.telemetry if one.rss_bytes is not None]
    cold_age_ns = files.warm_up[0].age_ns if files.warm_up else None
    return RunReport(
        name=files.run.name,
        frame_count=len(files.rows),
        miss_count=int(misses.sum()),
        dropped_count=sum(row.is_dropped for row in files.rows),
        age_p50_ms=_ms(percentile(ages, 0.5)) if ages else None,
        age_p99_9_ms=_ms(percentile(ages, 0.999)) if ages else None,
        open_ms=files.facts.open_ns / NS_PER_MS,
        cold_age_ms=_ms(cold_age_ns),
        warm_up_count=max(0, len(files.warm_up) - 1),
        is_stable=is_warm(files, settings),
        longest_run=max(
            longest_run(misses_of(rows, deadline_ms)) for rows in stretches_of([files], settings)
        ),
        rss_max_bytes=int(max(memory)) if memory else None,
    )


def is_warm(files: RunFiles, settings: RecordSettings) -> bool:
    """Return whether the last blocks of the warm-up agree, from the raw rows."""
    rows, block = files.warm_up[1:], settings.warm_up_block
    medians = [median_service_ns(rows[i : i + block]) for i in range(0, len(rows), block)]
    return is_stable(medians)


def _ms(time_ns: float | None) -> float | None:
    """Return milliseconds; None for a frame that never had a result."""
    return None if time_ns is None or time_ns >= DROPPED_NS else time_ns / NS_PER_MS
