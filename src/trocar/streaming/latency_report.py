"""Latency of a run as one document: order statistics, misses with exact bounds, and the machine."""

from __future__ import annotations

import os
import platform
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import Field

from trocar import RESEARCH_NOTICE
from trocar.contracts.base import Contract
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.record import UnitInfo
from trocar.streaming.latency_statistics import (
    P999_BOUNDED_FROM_COUNT,
    miss_ratio_interval,
    percentile_of_sorted,
)

__all__ = [
    "LatencyReport",
    "LatencySamples",
    "LatencyVerdict",
    "MachineFacts",
    "MissRatio",
    "TimeStatistics",
    "machine_facts",
    "report_of",
]

_MISS_RATIO_LIMIT: Final = 1e-3
"""SYS_LATENCY_001: age above the deadline for at most one frame in a thousand."""

_DEVICE_TREE_MODEL: Final = Path("/proc/device-tree/model")
_CPU_FACTS: Final = Path("/proc/cpuinfo")


class LatencyVerdict(StrEnum):
    """What the bounds of the miss ratio say about the limit."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    """The one-sided 95 % upper bound is within the limit."""

    FAIL = "fail"
    """The one-sided 95 % lower bound is above the limit."""

    INSUFFICIENT = "insufficient"
    """Neither: more frames are needed."""

    NOT_TIMED = "not_timed"
    """The run was not in real time, so that no frame had a deadline."""


class TimeStatistics(Contract):
    """Order statistics of one time, nearest rank [ms].

    Attributes:
        p50: Median.
        p90: 90th percentile.
        p99: 99th percentile.
        p99_9: 99.9th percentile.
        is_p99_9_descriptive: Too few frames for a bound on p99.9: it describes this run and says
            nothing beyond it.
        observed_max: Largest of the observed times; not a worst case.
    """

    p50: float
    p90: float
    p99: float
    p99_9: float
    is_p99_9_descriptive: bool
    observed_max: float


class MissRatio(Contract):
    """Misses and their exact bounds, nominal because frames depend on their neighbours.

    Source:
        Clopper & Pearson, Biometrika 26 (1934) 404-413.

    Attributes:
        late_count: Answered frames that were late.
        displaced_count: Frames dropped for a newer one: each is a miss.
        missed_count: The sum of both.
        frame_count: Answered and dropped frames.
        ratio: Missed frames in all frames.
        one_sided_95_lower: Lower end of a one-sided 95 % interval.
        one_sided_95_upper: Upper end of a one-sided 95 % interval.
        two_sided_95_lower: Lower end of the two-sided 95 % interval.
        two_sided_95_upper: Upper end of the two-sided 95 % interval.
        limit: The ratio that must not be exceeded.
    """

    late_count: int = Field(ge=0)
    displaced_count: int = Field(ge=0)
    missed_count: int = Field(ge=0)
    frame_count: int = Field(ge=1)
    ratio: float
    one_sided_95_lower: float
    one_sided_95_upper: float
    two_sided_95_lower: float
    two_sided_95_upper: float
    limit: float


class MachineFacts(Contract):
    """Where the run took place.

    Attributes:
        platform_label: ``agx`` on a machine whose device tree says so, else ``surrogate``.
        model: Model from the device tree, or empty.
        cpu: Name of the processor, or its architecture.
        cpu_count: Logical processors.
        kernel: Operating system and kernel.
        python: Version of Python.
    """

    platform_label: str
    model: str
    cpu: str
    cpu_count: int
    kernel: str
    python: str


class LatencyReport(Contract):
    """The document ``latency.json``.

    Attributes:
        schema_id: Name and version of these fields.
        notice: Research notice.
        platform_label: ``agx`` or ``surrogate``; repeated at the top so that no one misses it.
        verdict: Against SYS_LATENCY_001; of this run on this machine only.
        deadline_ms: Age up to which a result is in time [ms].
        answered_count: Frames with a record.
        unsampled_count: Answered frames beyond the memory for times; they count in misses only.
        age: From acquisition to outcome, of answered frames; None where no frame was timed.
        service: From the unit's start to the outcome.
        misses: Missed frames; None where no frame was timed.
        machine: Where the run took place.
        unit: Provenance.
    """

    schema_id: str = "trocar.latency/1"
    notice: str = RESEARCH_NOTICE
    platform_label: str
    verdict: LatencyVerdict
    deadline_ms: int
    answered_count: int = Field(ge=1)
    unsampled_count: int = Field(ge=0)
    age: TimeStatistics | None
    service: TimeStatistics
    misses: MissRatio | None
    machine: MachineFacts
    unit: UnitInfo


@dataclass(slots=True)
class LatencySamples:
    """Times of a run, in the order of its records; the arrays have one length.

    Attributes:
        captured_at_ns: Acquisition [ns].
        age_ns: Age of the outcome [ns].
        service_ns: Time from the unit's start to the outcome [ns].
        answered_count: Records.
        late_count: Records whose verdict is "missed".
        displaced_count: Frames dropped before records.
        is_timed: Whether any record had a deadline.
    """

    captured_at_ns: array[int] = field(default_factory=lambda: array("q"))
    age_ns: array[int] = field(default_factory=lambda: array("q"))
    service_ns: array[int] = field(default_factory=lambda: array("q"))
    answered_count: int = 0
    late_count: int = 0
    displaced_count: int = 0
    is_timed: bool = False


# @need-ids: SRS_SINK_003, SRS_LATENCY_001
def report_of(
    samples: LatencySamples, *, deadline_ms: int, unit: UnitInfo, machine: MachineFacts
) -> LatencyReport:
    """Compute the report; nothing is left out, in particular no outlier and no dropped frame."""
    misses = _misses(samples) if samples.is_timed else None
    return LatencyReport(
        platform_label=machine.platform_label,
        verdict=_verdict(misses),
        deadline_ms=deadline_ms,
        answered_count=samples.answered_count,
        unsampled_count=samples.answered_count - len(samples.age_ns),
        age=_statistics(samples.age_ns) if samples.is_timed else None,
        service=_statistics(samples.service_ns),
        misses=misses,
        machine=machine,
        unit=unit,
    )


def machine_facts(
    *, device_tree_model: Path = _DEVICE_TREE_MODEL, cpu_facts: Path = _CPU_FACTS
) -> MachineFacts:
    """Return the facts of this machine; a fact that cannot be read is empty, never guessed."""
    model = _text(device_tree_model).strip("\0\n ")
    names = [line for line in _text(cpu_facts).splitlines() if line.startswith("model name")]
    return MachineFacts(
        platform_label="agx" if "agx" in model.lower() else "surrogate",
        model=model,
        cpu=names[0].partition(":")[2].strip() if names else platform.machine(),
        cpu_count=os.cpu_count() or 1,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


def _text(path: Path) -> str:
    """Return the text of a small system file, or nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _statistics(times_ns: Sequence[int]) -> TimeStatistics:
    """Return the order statistics of times [ns] in milliseconds."""
    ordered = sorted(times_ns)
    p50, p90, p99, p99_9, observed_max = (
        percentile_of_sorted(ordered, fraction) / NS_PER_MS
        for fraction in (0.5, 0.9, 0.99, 0.999, 1.0)
    )
    return TimeStatistics(
        p50=p50,
        p90=p90,
        p99=p99,
        p99_9=p99_9,
        is_p99_9_descriptive=len(ordered) < P999_BOUNDED_FROM_COUNT,
        observed_max=observed_max,
    )


def _misses(samples: LatencySamples) -> MissRatio:
    """Return the misses with their bounds."""
    missed_count = samples.late_count + samples.displaced_count
    frame_count = samples.answered_count + samples.displaced_count
    one_sided = miss_ratio_interval(missed_count, frame_count, tail=0.05)
    two_sided = miss_ratio_interval(missed_count, frame_count, tail=0.025)
    return MissRatio(
        late_count=samples.late_count,
        displaced_count=samples.displaced_count,
        missed_count=missed_count,
        frame_count=frame_count,
        ratio=missed_count / frame_count,
        one_sided_95_lower=one_sided[0],
        one_sided_95_upper=one_sided[1],
        two_sided_95_lower=two_sided[0],
        two_sided_95_upper=two_sided[1],
        limit=_MISS_RATIO_LIMIT,
    )


def _verdict(misses: MissRatio | None) -> LatencyVerdict:
    """Return what the one-sided bounds say."""
    if misses is None:
        return LatencyVerdict.NOT_TIMED
    if misses.one_sided_95_upper <= misses.limit:
        return LatencyVerdict.PASS
    if misses.one_sided_95_lower > misses.limit:
        return LatencyVerdict.FAIL
    return LatencyVerdict.INSUFFICIENT
