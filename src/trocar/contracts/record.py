"""The record of one frame: outcome, provenance, times, verdict.

Everything that leaves the device is one of these.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from trocar.contracts.base import Contract
from trocar.contracts.findings import Finding
from trocar.contracts.frame import FrameIndex, FrameOrigin, MonotonicNs, SourceId
from trocar.contracts.outcome import DeadlineVerdict, Withheld

__all__ = ["BackendInfo", "FrameRecord", "FrameTimes", "Sha256Hex", "UnitInfo"]

Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest."""


class BackendInfo(Contract):
    """What really runs.

    Attributes:
        engine: Engine and version, such as ``onnxruntime 1.31.1``.
        provider: Execution provider or device, such as ``CPUExecutionProvider``.
        precision: Precision of the arithmetic: fp32, bf16, fp16 or int8.
        thread_count: Threads inside one call.
    """

    engine: str
    provider: str
    precision: str
    thread_count: int = Field(ge=1)


# @need-ids: SRS_PROVENANCE_001
class UnitInfo(Contract):
    """Provenance of a finding.

    Attributes:
        unit: Name of the unit.
        unit_version: Version of the device that holds the unit.
        pack_id: Name and version of the model pack.
        pack_digest: SHA-256 of the pack's manifest, which names the digest of every file in it.
        backend: What really runs.
    """

    unit: str
    unit_version: str
    pack_id: str
    pack_digest: Sha256Hex
    backend: BackendInfo


class FrameTimes(Contract):
    """Monotonic times of one frame [ns].

    Attributes:
        captured_at_ns: Acquisition, or arrival where the source carries no acquisition time.
        started_at_ns: The unit began.
        finished_at_ns: The outcome was available.
    """

    captured_at_ns: MonotonicNs
    started_at_ns: MonotonicNs
    finished_at_ns: MonotonicNs

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        """Refuse times that run backwards."""
        if not self.captured_at_ns <= self.started_at_ns <= self.finished_at_ns:
            msg = f"expected captured <= started <= finished, got {self!r}"
            raise ValueError(msg)
        return self

    @property
    def age_ns(self) -> int:
        """Age of the outcome when it became available [ns]."""
        return self.finished_at_ns - self.captured_at_ns

    @property
    def service_ns(self) -> int:
        """Time from the unit's start to the outcome [ns]."""
        return self.finished_at_ns - self.started_at_ns


class FrameRecord(Contract):
    """One frame's answer.

    Attributes:
        frame_index: The frame.
        source_id: Its source.
        media_time_ns: Its presentation time inside a recording [ns], or None.
        outcome: A finding or the reason for none.
        unit: Provenance.
        times: Monotonic times.
        verdict: Whether the outcome was in time.
        dropped_before_count: Frames of the source dropped since the frame before this one.
        origin: What the frame's message says of it, where it came as one.
    """

    frame_index: FrameIndex
    source_id: SourceId
    media_time_ns: MonotonicNs | None
    outcome: Finding | Withheld
    unit: UnitInfo
    times: FrameTimes
    verdict: DeadlineVerdict
    dropped_before_count: int = Field(ge=0)
    origin: FrameOrigin | None = None

    @model_validator(mode="after")
    def _same_frame(self) -> Self:
        """Refuse an outcome that belongs to another frame."""
        if self.outcome.frame_index != self.frame_index:
            msg = f"outcome of frame {self.outcome.frame_index} under frame {self.frame_index}"
            raise ValueError(msg)
        return self
