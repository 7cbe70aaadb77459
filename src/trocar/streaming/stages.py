"""Times of each stage of a run in bounded memory: arrival, unit, outcome, written result."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.errors import require
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.record import FrameRecord

__all__ = ["DurationCounts", "Stage", "StageTimes", "StageTrace"]

_SUB_BITS: Final = 5
"""Each power of two is divided into 2**5 steps: a step is at most 1/32 of its value."""

_STEPS: Final = 1 << _SUB_BITS
_VALUE_BITS: Final = 63
_SLOT_COUNT: Final = (_VALUE_BITS - _SUB_BITS + 1) << _SUB_BITS


class Stage(StrEnum):
    """From where to where a time is taken."""

    ARRIVAL_TO_UNIT = "arrival_to_unit"
    UNIT_TO_OUTCOME = "unit_to_outcome"
    OUTCOME_TO_WRITTEN = "outcome_to_written"
    ARRIVAL_TO_WRITTEN = "arrival_to_written"


class StageTimes(Contract):
    """What is known of one stage of one unit; a percentile is at most 3.2 % too long.

    Attributes:
        unit: Name of the unit.
        stage: The stage.
        count: Records.
        p50_ms: Half of the times are at most this long [ms].
        p90_ms: 90 % of them.
        p99_ms: 99 % of them.
        p999_ms: 99.9 % of them.
        max_ms: The longest one that was seen, exactly [ms].
    """

    unit: str
    stage: Stage
    count: int = Field(ge=1)
    p50_ms: float = Field(ge=0.0)
    p90_ms: float = Field(ge=0.0)
    p99_ms: float = Field(ge=0.0)
    p999_ms: float = Field(ge=0.0)
    max_ms: float = Field(ge=0.0)


class DurationCounts:
    """Numbers of durations by length, in steps that grow with the length; fixed memory (15 KiB)."""

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _SLOT_COUNT))
        self._longest_ns = 0
        self._count = 0

    @property
    def count(self) -> int:
        """Durations counted so far."""
        return self._count

    @property
    def longest_ns(self) -> int:
        """The longest one [ns]."""
        return self._longest_ns

    def add(self, duration_ns: int) -> None:
        """Count one duration; one below zero counts as zero [ns]."""
        value = max(0, duration_ns)
        shift = max(0, value.bit_length() - _SUB_BITS - 1)
        self._counts[(shift << _SUB_BITS) + (value >> shift)] += 1
        self._count += 1
        self._longest_ns = max(self._longest_ns, value)

    def quantile_ns(self, share: float) -> int:
        """Return the upper end of the step that holds a quantile, at most the longest one [ns].

        Args:
            share: Share of the durations that are at most this long, above 0 and up to 1.

        Raises:
            InvariantError: Nothing was counted, or ``share`` is out of range.
        """
        require(self._count > 0 and 0.0 < share <= 1.0, f"quantile {share} of {self._count}")
        rank = math.ceil(share * self._count)
        seen, slot = 0, -1
        while seen < rank:
            slot += 1
            seen += self._counts[slot]
        shift = max(0, (slot >> _SUB_BITS) - 1)
        step = slot - (shift << _SUB_BITS)
        return min(((step + 1) << shift) - 1, self._longest_ns)


# @need-ids: SRS_LIVE_014
class StageTrace:
    """Times of every stage by unit; one instance a run, not thread-safe."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Stage], DurationCounts] = {}

    def add(self, record: FrameRecord, *, written_at_ns: int) -> None:
        """Count the times of one record that every sink has taken at ``written_at_ns``."""
        times, unit = record.times, record.unit.unit
        self._of(unit, Stage.ARRIVAL_TO_UNIT).add(times.started_at_ns - times.captured_at_ns)
        self._of(unit, Stage.UNIT_TO_OUTCOME).add(times.service_ns)
        self._of(unit, Stage.OUTCOME_TO_WRITTEN).add(written_at_ns - times.finished_at_ns)
        self._of(unit, Stage.ARRIVAL_TO_WRITTEN).add(written_at_ns - times.captured_at_ns)

    def report(self) -> tuple[StageTimes, ...]:
        """Return what is known so far, unit by unit."""
        return tuple(self._times())

    def _of(self, unit: str, stage: Stage) -> DurationCounts:
        """Return the counts of one stage."""
        found = self._counts.get((unit, stage))
        if found is None:
            found = self._counts[unit, stage] = DurationCounts()
        return found

    def _times(self) -> Iterator[StageTimes]:
        """Yield the summary of each stage."""
        for (unit, stage), counts in self._counts.items():
            p50, p90, p99, p999 = (
                counts.quantile_ns(share) / NS_PER_MS for share in (0.5, 0.9, 0.99, 0.999)
            )
            yield StageTimes(
                unit=unit,
                stage=stage,
                count=counts.count,
                p50_ms=p50,
                p90_ms=p90,
                p99_ms=p99,
                p999_ms=p999,
                max_ms=counts.longest_ns / NS_PER_MS,
            )
