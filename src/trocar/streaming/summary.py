"""What a run is told, and what it reports at its end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.limits import DEADLINE_MS_DEFAULT, FROZEN_AFTER_MS_DEFAULT
from trocar.contracts.outcome import Reason
from trocar.streaming.health_state import HealthChange
from trocar.streaming.pacing import Pacing, StreamKind
from trocar.streaming.stages import StageTimes

__all__ = ["EndedBecause", "StreamConfig", "StreamSummary"]


class StreamConfig(Contract):
    """How a stream is run.

    Attributes:
        pacing: In real time, with deadlines and drops; or as fast as possible, with neither.
        kind: Video, or unrelated stills.
        deadline_ms: Age up to which a result is in time [ms].
        frozen_after_ms: Time for which identical frames may arrive [ms].
        frame_count_max: The run ends after so many answered frames; None means at the end of the
            source.
    """

    pacing: Pacing
    kind: StreamKind = StreamKind.VIDEO
    deadline_ms: int = Field(default=DEADLINE_MS_DEFAULT, gt=0, le=60_000)
    frozen_after_ms: int = Field(default=FROZEN_AFTER_MS_DEFAULT, gt=0, le=60_000)
    frame_count_max: int | None = Field(default=None, ge=1)


class EndedBecause(StrEnum):
    """Why a run ended."""

    SOURCE_ENDED = "source_ended"
    STOPPED = "stopped"
    FRAME_COUNT_MAX = "frame_count_max"
    FAILED = "failed"


class StreamSummary(Contract):
    """The account of one run: received = answered + displaced + undelivered.

    Frames are counted once, however many units answer for them; findings, withheld results and late
    results are counted a record, and every answered frame has one record of every unit.

    Attributes:
        source_id: The source.
        units: Names of the units, in the order in which they answer.
        started_at: Wall-clock time of the begin, ISO 8601 with zone.
        ended_at: The same of the end.
        duration_ms: Monotonic time between them [ms].
        ended_because: Why the run ended.
        error_code: Code of the error that ended it, or None.
        received_count: Frames that the source delivered.
        answered_count: Frames with a record of every unit: a finding, or the reason for none.
        finding_count: Records with a finding.
        withheld_counts: Records without one, by reason; reasons that did not occur are left out.
        displaced_count: Frames dropped because a newer one came before the unit was free.
        undelivered_count: Frames that were waiting when the run ended.
        unlisted_drop_count: Dropped frames beyond the length of the ledger.
        late_count: Records whose verdict is "missed".
        missed_count: ``late_count + displaced_count * len(units)``: a dropped frame counts as
            missed, once for every unit.
        decode_error_count: Frames that could not be decoded, whether or not they were answered.
        health_changes: Changes of the state of health, the first ``HEALTH_CHANGE_COUNT_MAX``.
        health_change_count: Number of all changes.
        stages: Times of each stage of each unit.
    """

    source_id: str
    units: tuple[str, ...]
    started_at: str
    ended_at: str
    duration_ms: float = Field(ge=0.0)
    ended_because: EndedBecause
    error_code: str | None
    received_count: int = Field(ge=0)
    answered_count: int = Field(ge=0)
    finding_count: int = Field(ge=0)
    withheld_counts: Mapping[Reason, int]
    displaced_count: int = Field(ge=0)
    undelivered_count: int = Field(ge=0)
    unlisted_drop_count: int = Field(ge=0)
    late_count: int = Field(ge=0)
    missed_count: int = Field(ge=0)
    decode_error_count: int = Field(ge=0)
    health_changes: tuple[HealthChange, ...]
    health_change_count: int = Field(ge=1)
    stages: tuple[StageTimes, ...]
