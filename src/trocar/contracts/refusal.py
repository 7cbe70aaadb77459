"""When a unit with a model gives no answer: the checks that each of them makes, in one place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.errors import InferenceError
from trocar.contracts.frame import Frame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.ports import Backend

__all__ = ["ask_model", "find_fault", "refuse_by_age"]


# @need-ids: SRS_POLYP_004, SRS_TOOL_007, RCM_STALE_001
def refuse_by_age(frame: Frame, *, now_ns: int, frame_age_ms_max: int) -> Withheld | None:
    """Return why a frame is not worth an answer for its age, or None.

    Args:
        frame: An admitted frame.
        now_ns: Monotonic time [ns].
        frame_age_ms_max: Age above which there is no answer [ms]; at the limit there is one.

    Returns:
        ``CLOCK_BACKWARDS`` for a frame from the future, ``STALE_FRAME`` for one that is too old.
    """
    age_ns = now_ns - frame.captured_at_ns
    if age_ns < 0:
        return Withheld(
            frame_index=frame.frame_index,
            reason=Reason.CLOCK_BACKWARDS,
            detail=f"captured {-age_ns} ns in the future",
        )
    if age_ns > frame_age_ms_max * NS_PER_MS:
        return Withheld(
            frame_index=frame.frame_index,
            reason=Reason.STALE_FRAME,
            detail=f"{age_ns // NS_PER_MS} ms old, limit {frame_age_ms_max} ms",
        )
    return None


# @need-ids: SRS_POLYP_005, SRS_TOOL_008, RCM_NONFINITE_001
def find_fault(prob: NDArray[np.float32]) -> Reason | None:
    """Return why an output cannot be used, or None.

    Args:
        prob: Any shape, float32, not empty.

    Returns:
        ``OUTPUT_NOT_FINITE`` for NaN or infinity anywhere, ``OUTPUT_OUT_OF_RANGE`` for a value
        outside [0, 1].
    """
    # NaN and infinity survive minimum and maximum, so two passes find them without a mask of the
    # whole array.
    lowest, highest = float(prob.min()), float(prob.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        return Reason.OUTPUT_NOT_FINITE
    if lowest < 0.0 or highest > 1.0:
        return Reason.OUTPUT_OUT_OF_RANGE
    return None


# @need-ids: SRS_OUTCOME_001, SRS_POLYP_005, SRS_TOOL_008
def ask_model(
    backend: Backend, batch: NDArray[Any], *, frame_index: int
) -> NDArray[np.float32] | Withheld:
    """Run the model on one frame and return its output only where each value can be used.

    Args:
        backend: A warmed-up model whose output lies in [0, 1].
        batch: Its input, made from the frame.
        frame_index: The frame.

    Returns:
        The output, newly allocated, each value finite and in [0, 1]; or the reason for none.

    Raises:
        ContractError: The batch is not the one that the backend was made for.
    """
    try:
        output = backend.infer(batch)
    except InferenceError as exc:
        return Withheld(frame_index=frame_index, reason=Reason.INFERENCE_FAILED, detail=exc.problem)
    fault = find_fault(output)
    if fault is None:
        return output
    return Withheld(
        frame_index=frame_index,
        reason=fault,
        detail=f"minimum {output.min()}, maximum {output.max()}",
    )
