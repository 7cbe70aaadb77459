"""What tool tracking takes, gives and remembers."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from trocar.contracts.base import Contract
from trocar.contracts.findings import BoxXyxyPx, FrameSizePx, UnitInterval
from trocar.contracts.frame import FrameIndex, MonotonicNs
from trocar.contracts.limits import (
    DETECTION_COUNT_MAX,
    TRACK_GAP_MS_MAX,
    TRACK_LABEL_COUNT_MAX,
)
from trocar.tracking.kalman import Axis
from trocar.tracking.lifecycle import LifeState

__all__ = [
    "STANDARD",
    "UNIT_NAME",
    "FrameMark",
    "LabelVote",
    "ToolTrackingConfig",
    "TrackMemory",
    "TrackerState",
]

UNIT_NAME: Final = "tool_tracking"
"""Name of the unit, in records."""

_Noise = Annotated[float, Field(gt=0.0, le=100.0)]
_Buffer = Annotated[float, Field(ge=0.0, le=2.0)]
_DurationMs = Annotated[int, Field(ge=1, le=TRACK_GAP_MS_MAX)]


class ToolTrackingConfig(Contract):
    """Configuration of the unit; ``STANDARD`` holds the values that were chosen on rendered data.

    Attributes:
        score_low_min: Score from which a detection below the operating point may carry a track on.
        overlap_min: Overlap from which a shown detection may belong to a track.
        overlap_low_min: The same for a detection below the operating point.
        overlap_twin_min: Overlap with a detection that is taken, from which no track begins.
        buffer_share: Share of its sides by which a box is enlarged at each edge before the overlap
            with its expected place is taken.
        buffer_again_share: The same for the place where a track was seen last, the second try.
        label_cost: Overlap by which a pair of different classes must be better.
        confirm_seen_count: Frames in which a tool must be seen before its track is confirmed.
        coast_ms_max: Time for which a track is carried on unseen.
        gap_ms_max: Time without an update after which all tracks end and the unit begins anew.
        reorder_ms_max: Time by which a frame may lie before the last one and still be refused as
            out of order; from beyond it, the source has begun anew.
        reorder_frame_count_max: The same in frames.
        track_count_max: Tracks at one time.
        box_noise_share: Standard deviation of a measured edge, in sides of the box.
        rate_share: Standard deviation of the speed of a tool that was just found, in sides a
            second.
        acceleration_share: How much its speed changes, in sides per s^1.5.
        size_acceleration_share: The same for width and height.
    """

    score_low_min: UnitInterval
    overlap_min: UnitInterval
    overlap_low_min: UnitInterval
    overlap_twin_min: UnitInterval
    buffer_share: _Buffer
    buffer_again_share: _Buffer
    label_cost: UnitInterval
    confirm_seen_count: int = Field(ge=1, le=100)
    coast_ms_max: _DurationMs
    gap_ms_max: _DurationMs
    reorder_ms_max: _DurationMs
    reorder_frame_count_max: int = Field(ge=1, le=1000)
    track_count_max: int = Field(ge=1, le=DETECTION_COUNT_MAX)
    box_noise_share: _Noise
    rate_share: _Noise
    acceleration_share: _Noise
    size_acceleration_share: _Noise

    @model_validator(mode="after")
    def _gap_ends_coasting(self) -> Self:
        """Refuse a configuration that would carry tracks over a gap."""
        if self.coast_ms_max > self.gap_ms_max:
            limits = f"{self.coast_ms_max} and {self.gap_ms_max}"
            msg = f"expected coast_ms_max up to gap_ms_max, got {limits}"
            raise ValueError(msg)
        return self


STANDARD: Final = ToolTrackingConfig(
    score_low_min=0.2,
    overlap_min=0.2,
    overlap_low_min=0.3,
    overlap_twin_min=0.6,
    buffer_share=0.3,
    buffer_again_share=0.8,
    label_cost=0.4,
    confirm_seen_count=3,
    coast_ms_max=1000,
    gap_ms_max=2000,
    reorder_ms_max=500,
    reorder_frame_count_max=15,
    track_count_max=32,
    box_noise_share=0.04,
    rate_share=2.0,
    acceleration_share=5.0,
    size_acceleration_share=1.5,
)
"""The values that the application uses; chosen on rendered sequences, on other seeds than those
that are reported."""


class LabelVote(Contract):
    """How often a track was taken for one class.

    Attributes:
        class_index: The class.
        label: Its name.
        weight: Sum of the scores of the detections of this class.
    """

    class_index: int = Field(ge=0)
    label: str = Field(min_length=1, max_length=64)
    weight: float = Field(ge=0.0)


class TrackMemory(Contract):
    """All that is kept of one track.

    Attributes:
        track_id: Its number.
        life: Where it is in its life; a lost track is not kept.
        axes: Centre x, centre y, width and height with their rates.
        predicted_at_ns: Time for which ``axes`` holds.
        last_box_xyxy_px: Where it was seen last.
        last_seen_ns: When it was seen last.
        score: Score of the detection then.
        seen_frame_count: Frames in which it was seen.
        votes: Votes for its class, in the order in which the classes were first seen.
    """

    track_id: int = Field(ge=1)
    life: LifeState
    axes: tuple[Axis, Axis, Axis, Axis]
    predicted_at_ns: MonotonicNs
    last_box_xyxy_px: BoxXyxyPx
    last_seen_ns: MonotonicNs
    score: UnitInterval
    seen_frame_count: int = Field(ge=1)
    votes: Annotated[tuple[LabelVote, ...], Field(min_length=1, max_length=TRACK_LABEL_COUNT_MAX)]

    @model_validator(mode="after")
    def _is_alive(self) -> Self:
        """Refuse a lost track, and variances that no filter can go on from."""
        if self.life is LifeState.LOST:
            msg = f"expected a track that is not lost, got {self.life}"
            raise ValueError(msg)
        variances = [(axis.var_value, axis.var_rate) for axis in self.axes]
        if any(value <= 0.0 or rate < 0.0 for value, rate in variances):
            msg = f"expected positive variances, got {variances}"
            raise ValueError(msg)
        return self


class FrameMark(Contract):
    """Place of a frame in the stream.

    Attributes:
        frame_index: The frame.
        captured_at_ns: When it was taken.
    """

    frame_index: FrameIndex
    captured_at_ns: MonotonicNs


class TrackerState(Contract):
    """All that a tracker remembers between two frames; a JSON round trip keeps every bit of it.

    Attributes:
        config: The configuration that it belongs to.
        tracks: Every track that is not lost, by its number.
        next_id: Number of the next track; all smaller ones are given away.
        reset_count: How often the tracker has begun anew.
        last_frame: The last frame that was taken or skipped; None before the first.
        last_update_ns: Time of the last frame with detections; None where there is no track.
        frame_size_px: Width and height of that frame, or None.
    """

    config: ToolTrackingConfig
    tracks: Annotated[tuple[TrackMemory, ...], Field(max_length=DETECTION_COUNT_MAX)]
    next_id: int = Field(ge=1)
    reset_count: int = Field(ge=0)
    last_frame: FrameMark | None
    last_update_ns: MonotonicNs | None
    frame_size_px: FrameSizePx | None

    # @need-ids: SRS_TRACK_008, RCM_TRACK_002
    @model_validator(mode="after")
    def _numbers_are_given_once(self) -> Self:
        """Refuse a state in which a number would come a second time."""
        numbers = [track.track_id for track in self.tracks]
        if numbers != sorted(set(numbers)) or (numbers and numbers[-1] >= self.next_id):
            msg = f"expected rising numbers below {self.next_id}, got {numbers}"
            raise ValueError(msg)
        return self
