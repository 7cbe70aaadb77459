"""The two kinds of answer that the device gives.

A finding, or a withheld result with its reason.
"""

from __future__ import annotations

from enum import StrEnum

from trocar.contracts.base import Contract
from trocar.contracts.frame import FrameIndex

__all__ = ["DeadlineVerdict", "Reason", "Withheld"]


class Reason(StrEnum):
    """Why a frame has no finding.

    Each value has a user-visible effect listed in the requirements.
    """

    FRAME_SHAPE = "frame_shape"
    FRAME_DTYPE = "frame_dtype"
    FRAME_NOT_FINITE = "frame_not_finite"
    FRAME_SIZE = "frame_size"
    FRAME_SIZE_CHANGED = "frame_size_changed"
    FRAME_BLACK = "frame_black"
    FRAME_SATURATED = "frame_saturated"
    FRAME_FROZEN = "frame_frozen"
    FRAME_OUT_OF_ORDER = "frame_out_of_order"
    FRAME_UNDECODABLE = "frame_undecodable"
    FRAME_CORRUPT = "frame_corrupt"
    STALE_FRAME = "stale_frame"
    CLOCK_BACKWARDS = "clock_backwards"
    OUTPUT_NOT_FINITE = "output_not_finite"
    OUTPUT_OUT_OF_RANGE = "output_out_of_range"
    INFERENCE_FAILED = "inference_failed"


class DeadlineVerdict(StrEnum):
    """Whether a result was available in time; measured as age, from acquisition to result."""

    MET = "met"
    MISSED = "missed"
    NOT_TIMED = "not_timed"


# @need-ids: SRS_OUTCOME_001
class Withheld(Contract):
    """No result for this frame, because.

    Attributes:
        frame_index: The frame that has no result.
        reason: Why.
        detail: Numbers for the record, such as the measured level; for people, never parsed.
    """

    frame_index: FrameIndex
    reason: Reason
    detail: str = ""
