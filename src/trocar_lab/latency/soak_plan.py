"""What a soak is asked for and what it leaves: one uninterrupted run of the real loop."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from trocar.contracts.base import Contract
from trocar.streaming.summary import StreamSummary
from trocar_lab.latency.clocks import ClockReading
from trocar_lab.latency.manifest import CodeIdentity, InputIdentity, UnitFacts
from trocar_lab.latency.settings import Arm, PlannedRun, RecordSettings
from trocar_lab.provenance.platform_record import PlatformRecord

SOAK_SCHEMA: Final = "trocar.soak_bundle"
SOAK_REQUIREMENT_IDS: Final = ("SYS_MEMORY_001", "SYS_RECORD_001", "SRS_LATE_004")
SOAK_RUN: Final = PlannedRun(arm=Arm.IDLE, run_number=1)
"""The one run; its files have the names of such a run."""


class SoakPlan(Contract):
    """Settings of one soak.

    Attributes:
        settings: Units, engine, rate, size, deadline, and the frames of the whole stretch.
        warm_up_s: Seconds at its begin that the slope of memory leaves out [s].
        timed_s: Seconds after them [s].
    """

    settings: RecordSettings
    warm_up_s: int = Field(ge=1, le=86_400)
    timed_s: int = Field(ge=1, le=7 * 86_400)

    @model_validator(mode="after")
    def _frames_fit(self) -> Self:
        """Refuse a number of frames that is not that of the time and rate."""
        expected = self.settings.fps * (self.warm_up_s + self.timed_s)
        if self.settings.frame_count != expected:
            msg = f"expected {expected} frames, got {self.settings.frame_count}"
            raise ValueError(msg)
        return self

    @property
    def warm_up_frame_count(self) -> int:
        """Frames of the warm-up."""
        return self.settings.fps * self.warm_up_s


class SoakJob(Contract):
    """What the process of a soak is told.

    Attributes:
        plan: What is asked for.
        pack: Folder of the first unit's pack, or None for the one of the release.
        trust: Trust folder of a site, or None for that of the release.
        rows: File for the rows of frames, appended while the run goes on.
        records: File for the device's own record.
        facts: File for what it reports at the end.
        parent_id: Process that it belongs to; it ends when that one is gone.
    """

    plan: SoakPlan
    pack: str | None
    trust: str | None
    rows: str
    records: str
    facts: str
    parent_id: int


class RunCounts(Contract):
    """The device's own account of the run, as far as a soak compares it.

    Attributes:
        ended_because: Why the run ended.
        received_count: Frames that the source delivered.
        answered_count: Frames with a record of every unit.
        displaced_count: Frames dropped for a newer one.
        undelivered_count: Frames that were waiting when the run ended.
        unlisted_drop_count: Dropped frames beyond the length of the ledger.
    """

    ended_because: str
    received_count: int = Field(ge=0)
    answered_count: int = Field(ge=0)
    displaced_count: int = Field(ge=0)
    undelivered_count: int = Field(ge=0)
    unlisted_drop_count: int = Field(ge=0)

    @classmethod
    def of(cls, summary: StreamSummary) -> Self:
        """Return the counts of an account, whose other fields change from release to release."""
        return cls(
            ended_because=summary.ended_because.value,
            received_count=summary.received_count,
            answered_count=summary.answered_count,
            displaced_count=summary.displaced_count,
            undelivered_count=summary.undelivered_count,
            unlisted_drop_count=summary.unlisted_drop_count,
        )


class SoakFacts(Contract):
    """What the process of a soak reports.

    Attributes:
        units: Units that ran.
        input: Pictures.
        open_ns: Time to open the units [ns].
        counts: The device's own account of the run.
        record_line_count: Lines of the device's own record.
    """

    units: tuple[UnitFacts, ...] = Field(min_length=1)
    input: InputIdentity
    open_ns: int = Field(ge=0)
    counts: RunCounts
    record_line_count: int = Field(ge=0)


class SoakManifest(Contract):
    """The manifest of a soak; it holds no statistic, because each is computed from the raw files.

    Attributes:
        schema_name: Name of this format.
        schema_version: Its version.
        notice: Research notice.
        requirement_ids: Requirements that it speaks to.
        plan: What was asked for.
        code: Code under test.
        platform: The machine.
        operator: Who recorded it, and what else ran.
        started_at: Wall-clock time of the begin, ISO 8601 with zone.
        ended_at: The same of the end.
        clock_at_start: Both clocks at the begin.
        clock_at_end: Both clocks at the end.
        facts: What its process reported.
    """

    schema_name: Literal["trocar.soak_bundle"]
    schema_version: Literal[1]
    notice: str
    requirement_ids: tuple[str, ...]
    plan: SoakPlan
    code: CodeIdentity
    platform: PlatformRecord
    operator: str = Field(min_length=1, max_length=200)
    started_at: str
    ended_at: str
    clock_at_start: ClockReading
    clock_at_end: ClockReading
    facts: SoakFacts
