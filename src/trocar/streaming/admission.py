"""The border of the device: what a source delivers becomes a ``Frame``, or the reason why not."""

from __future__ import annotations

import numpy as np
from pydantic import ValidationError

from trocar.contracts.errors import ContractError, require
from trocar.contracts.frame import Frame, RawFrame
from trocar.contracts.limits import (
    FRAME_PIXEL_COUNT_MAX,
    FRAME_SIDE_PX_MAX,
    FRAME_SIDE_PX_MIN,
)
from trocar.contracts.outcome import Reason, Withheld
from trocar.streaming.pacing import UndecodableFrame

__all__ = ["admit"]


# @need-ids: SRS_STREAM_004, RCM_ADMIT_001
def admit(raw: RawFrame) -> Frame | Withheld:
    """Check one raw frame; memory that is not contiguous is copied, nothing else is converted.

    Args:
        raw: What the source delivered.

    Returns:
        The frame, or the reason for which it is refused with what was expected and what came.

    Raises:
        InvariantError: The frame index is negative: the source is at fault, and no record could
            name the frame.
        ContractError: A field other than the pixels is not valid, such as an empty source name.
    """
    require(raw.frame_index >= 0, f"source delivered frame index {raw.frame_index}")
    refusal = _refusal(raw)
    if refusal is not None:
        reason, detail = refusal
        return Withheld(frame_index=raw.frame_index, reason=reason, detail=detail)
    try:
        return Frame(
            pixels=np.ascontiguousarray(raw.pixels),
            frame_index=raw.frame_index,
            captured_at_ns=raw.captured_at_ns,
            source_id=raw.source_id,
            media_time_ns=raw.media_time_ns,
            origin=raw.origin,
        )
    except ValidationError as exc:
        raise ContractError(
            f"source delivered frame {raw.frame_index} with fields that are not valid: {exc}",
            advice="report the source's name and kind; the run cannot be recorded",
        ) from exc


def _refusal(raw: RawFrame) -> tuple[Reason, str] | None:
    """Return why the pixels cannot be admitted, or None."""
    if isinstance(raw, UndecodableFrame):
        return raw.reason, raw.problem
    pixels = raw.pixels
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        return Reason.FRAME_SHAPE, f"expected (height, width, 3), got {pixels.shape}"
    height_px, width_px = pixels.shape[:2]
    is_small = min(height_px, width_px) < FRAME_SIDE_PX_MIN
    is_large = max(height_px, width_px) > FRAME_SIDE_PX_MAX
    if is_small or is_large or height_px * width_px > FRAME_PIXEL_COUNT_MAX:
        expected = (
            f"{FRAME_SIDE_PX_MIN} to {FRAME_SIDE_PX_MAX} px, {FRAME_PIXEL_COUNT_MAX} px in all"
        )
        return Reason.FRAME_SIZE, f"expected sides of {expected}, got {width_px}x{height_px}"
    if pixels.dtype != np.uint8:
        if np.issubdtype(pixels.dtype, np.inexact) and not np.isfinite(pixels).all():
            return (
                Reason.FRAME_NOT_FINITE,
                f"expected uint8, got {pixels.dtype} with NaN or infinity",
            )
        return Reason.FRAME_DTYPE, f"expected uint8, got {pixels.dtype}"
    return None
