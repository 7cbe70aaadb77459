"""How a stream is paced, what kind of stream it is, and a frame that could not be decoded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from trocar.contracts.frame import FrameOrigin, RawFrame
from trocar.contracts.limits import NS_PER_MS, SLEEP_SLICE_MS_MAX
from trocar.contracts.outcome import Reason
from trocar.contracts.ports import Clock, StopSignal

__all__ = ["Pacing", "StreamKind", "UndecodableFrame", "undecodable", "wait_until"]


class Pacing(StrEnum):
    """When frames become available."""

    REALTIME = "realtime"
    """Open loop: each frame at its own time, whether or not anybody is ready for it."""

    AS_FAST_AS_POSSIBLE = "as_fast_as_possible"
    """Each frame when it is asked for; nothing is dropped and nothing is timed."""


class StreamKind(StrEnum):
    """What neighbouring frames have to do with each other."""

    VIDEO = "video"
    """One camera: one size, one time axis, no frame twice."""

    STILLS = "stills"
    """Unrelated pictures: any size, no time axis."""


@dataclass(frozen=True, slots=True)
class UndecodableFrame(RawFrame):
    """A place in the source whose pixels could not be decoded; ``pixels`` is empty.

    Attributes:
        problem: What was expected and what came.
        reason: The reason that its record carries.
    """

    problem: str = ""
    reason: Reason = Reason.FRAME_UNDECODABLE


def undecodable(
    problem: str,
    *,
    frame_index: int,
    captured_at_ns: int,
    source_id: str,
    reason: Reason = Reason.FRAME_UNDECODABLE,
    origin: FrameOrigin | None = None,
) -> UndecodableFrame:
    """Return the stand-in for a frame that has no pixels, so that the record has a line for it."""
    return UndecodableFrame(
        pixels=np.empty((0, 0, 3), dtype=np.uint8),
        frame_index=frame_index,
        captured_at_ns=captured_at_ns,
        media_time_ns=None,
        source_id=source_id,
        problem=problem,
        reason=reason,
        origin=origin,
    )


def wait_until(due_ns: int, *, clock: Clock, stop: StopSignal) -> bool:
    """Wait in slices of at most ``SLEEP_SLICE_MS_MAX``, so that a stop is seen in time.

    Args:
        due_ns: Monotonic time to wait for [ns].
        clock: Time of the device.
        stop: Asked before each slice.

    Returns:
        True once the time has come; False as soon as ``stop`` says so.
    """
    while not stop():
        now_ns = clock.now_ns()
        if now_ns >= due_ns:
            return True
        clock.sleep_until_ns(min(due_ns, now_ns + SLEEP_SLICE_MS_MAX * NS_PER_MS))
    return False
