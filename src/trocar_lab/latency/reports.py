"""What ``verify`` says: numbers computed from the raw files, and a verdict with its reasons."""

from __future__ import annotations

from enum import StrEnum

from trocar.contracts.base import Contract
from trocar_lab.latency.budgets import Budget
from trocar_lab.latency.settings import Arm


class Verdict(StrEnum):
    """What an arm or a bundle proves."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a secret
    FAIL = "FAIL"
    INSUFFICIENT = "INSUFFICIENT"
    INVALID = "INVALID"


class PercentileBootstrap(Contract):
    """95 % intervals of p99.9 over resampled blocks of neighbours [ms].

    An end of None lies among frames that never had a result.

    Attributes:
        lower_1s_ms: Lower end with blocks of one second.
        upper_1s_ms: Upper end of the same.
        lower_10s_ms: Lower end with blocks of ten seconds.
        upper_10s_ms: Upper end of the same.
    """

    lower_1s_ms: float | None
    upper_1s_ms: float | None
    lower_10s_ms: float | None
    upper_10s_ms: float | None


class TimeReport(Contract):
    """Order statistics of one time, nearest rank [ms].

    A value of None lies among frames that never had a result.

    Attributes:
        count: Frames.
        p50_ms: Half of the frames were not older.
        p90_ms: Nine in ten.
        p99_ms: Ninety-nine in a hundred.
        p99_9_ms: Nine hundred and ninety-nine in a thousand.
        p99_9_lower_ms: Lower end of the 95 % interval of p99.9.
        p99_9_upper_ms: Upper end; None also where the sample does not bound it.
        is_p99_9_descriptive: Whether there are too few frames for an upper end.
        observed_max_ms: Largest of ``count``; not a worst case.
        bootstrap: Intervals of p99.9 from resampled blocks; None where they were not asked for.
    """

    count: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    p99_9_ms: float | None
    p99_9_lower_ms: float | None
    p99_9_upper_ms: float | None
    is_p99_9_descriptive: bool
    observed_max_ms: float | None
    bootstrap: PercentileBootstrap | None = None


class MissReport(Contract):
    """Misses of an arm.

    Attributes:
        frame_count: All frames of all runs.
        late_count: Results older than the deadline.
        dropped_count: Frames without a result.
        miss_count: Sum of both.
        ratio: Share of misses.
        lower_one_sided_95: Exact one-sided lower bound (Clopper-Pearson), nominal.
        upper_one_sided_95: The same upper bound: what the limit is compared with.
        lower_two_sided_95: Lower end of the exact two-sided interval.
        upper_two_sided_95: Its upper end.
        bootstrap_lower_95: Lower end of the block bootstrap interval; blocks of one second.
        bootstrap_upper_95: Its upper end; says nothing without any miss.
        bootstrap_10s_lower_95: The same with blocks of ten seconds.
        bootstrap_10s_upper_95: Its upper end.
        longest_run: Most misses in a row.
    """

    frame_count: int
    late_count: int
    dropped_count: int
    miss_count: int
    ratio: float
    lower_one_sided_95: float
    upper_one_sided_95: float
    lower_two_sided_95: float
    upper_two_sided_95: float
    bootstrap_lower_95: float
    bootstrap_upper_95: float
    bootstrap_10s_lower_95: float
    bootstrap_10s_upper_95: float
    longest_run: int


class ShapeReport(Contract):
    """Course of the results of answered frames [ms].

    Attributes:
        jitter_sd_ms: Standard deviation of the time between neighbouring results.
        output_gap_max_ms: Longest time between neighbouring results.
        p99_9_minus_p50_ms: Spread of the age.
        tail_ms: p100 - p95 of the age.
        flatness_ms: p90 - p10 of the age.
        first_after_gap_max_ms: Oldest first result after a pause; None in arms without one.
    """

    jitter_sd_ms: float | None
    output_gap_max_ms: float | None
    p99_9_minus_p50_ms: float
    tail_ms: float
    flatness_ms: float
    first_after_gap_max_ms: float | None


class RunReport(Contract):
    """One run: the replicate.

    Attributes:
        name: Arm and number.
        frame_count: Timed frames.
        miss_count: Late and dropped ones.
        dropped_count: Dropped ones.
        age_p50_ms: Median age of answered frames.
        age_p99_9_ms: Their p99.9; descriptive in a run of fewer than 3,688 frames.
        open_ms: Time to open the unit.
        cold_age_ms: Age of the very first result, or None where it was dropped.
        warm_up_count: Frames of the warm-up.
        is_stable: Whether its last blocks agreed.
        longest_run: Most misses in a row.
        rss_max_bytes: Largest resident memory seen.
    """

    name: str
    frame_count: int
    miss_count: int
    dropped_count: int
    age_p50_ms: float | None
    age_p99_9_ms: float | None
    open_ms: float
    cold_age_ms: float | None
    warm_up_count: int
    is_stable: bool
    longest_run: int
    rss_max_bytes: int | None


class ArmReport(Contract):
    """One arm.

    Attributes:
        arm: The arm.
        load: What else ran.
        decides: Whether the budget asks for this arm.
        verdict: What it proves.
        reasons: Why.
        misses: Misses; None where the raw files cannot be used.
        age: Age of all frames; a dropped frame counts as older than any other.
        age_answered: Age of answered frames.
        service: Service time of answered frames.
        shape: Jitter, tail, flatness.
        runs: Each run.
    """

    arm: Arm
    load: str
    decides: bool
    verdict: Verdict
    reasons: tuple[str, ...]
    misses: MissReport | None
    age: TimeReport | None
    age_answered: TimeReport | None
    service: TimeReport | None
    shape: ShapeReport | None
    runs: tuple[RunReport, ...]


class BundleReport(Contract):
    """The whole bundle.

    Attributes:
        notice: Research notice.
        bundle_sha256: Digest of the sums, or empty.
        label: Platform class and machine.
        platform_class: ``agx``, ``surrogate``, or empty where the manifest cannot be read.
        unit: Unit, version, pack, engine.
        commit: Code under test.
        recorded_at: Begin of the recording.
        budget: Limits that were applied, or None where there are none.
        verdict: What the bundle proves for its own platform class.
        reasons: Why, beyond the reasons of the arms.
        closes_agx_row: Whether this closes the requirement on AGX class hardware.
        arms: Each arm.
    """

    notice: str
    bundle_sha256: str
    label: str
    platform_class: str
    unit: str
    commit: str
    recorded_at: str
    budget: Budget | None
    verdict: Verdict
    reasons: tuple[str, ...]
    closes_agx_row: bool
    arms: tuple[ArmReport, ...]
