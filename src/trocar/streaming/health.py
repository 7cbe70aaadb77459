"""Detectors of a source that delivers frames which must not be answered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.errors import require
from trocar.contracts.frame import Frame
from trocar.contracts.limits import (
    BLACK_LEVEL_MAX,
    BLACK_SPREAD_MAX,
    NS_PER_MS,
    SATURATED_FRACTION_MAX,
)
from trocar.contracts.outcome import Reason, Withheld
from trocar.imaging.quality import FrameQuality, measure
from trocar.streaming.pacing import StreamKind

__all__ = ["StreamHealth"]


class StreamHealth:
    """State of one stream; one instance a run, not thread-safe.

    A stream of video keeps the size of its first frame: a frame of another size is withheld until
    the first size returns, because a change of size is a change of source. Stills may differ in
    size and have no time axis, so that only their index, black and saturated are checked.

    Args:
        kind: Video or stills.
        frozen_after_ms: Identical frames are allowed for this long (a recording of variable rate
            repeats frames).
        measure_quality: Measures of a frame; replaced in tests only.
    """

    def __init__(
        self,
        *,
        kind: StreamKind,
        frozen_after_ms: int,
        measure_quality: Callable[[NDArray[np.uint8]], FrameQuality] = measure,
    ) -> None:
        require(frozen_after_ms > 0, f"frozen after {frozen_after_ms} ms asked for")
        self._kind = kind
        self._frozen_after_ns = frozen_after_ms * NS_PER_MS
        self._measure_quality = measure_quality
        self._size_px: tuple[int, int] | None = None
        self._frame_index = -1
        self._captured_at_ns = -1
        self._time_ns = -1
        self._fingerprint = b""
        self._identical_since_ns = 0

    def check(self, frame: Frame) -> Withheld | None:
        """Return why this frame must not be answered, or None; remembers the frame."""
        problem = self._out_of_order(frame) or self._size_changed(frame) or self._unusable(frame)
        if problem is None:
            return None
        reason, detail = problem
        return Withheld(frame_index=frame.frame_index, reason=reason, detail=detail)

    # @need-ids: SRS_STREAM_009, RCM_ORDER_001
    def _out_of_order(self, frame: Frame) -> tuple[Reason, str] | None:
        """Refuse a frame that is not after the last one; it leaves no trace in the state."""
        reason = Reason.FRAME_OUT_OF_ORDER
        if frame.frame_index <= self._frame_index:
            return reason, f"frame {frame.frame_index} after frame {self._frame_index}"
        if self._kind is StreamKind.VIDEO:
            time_ns = _time_ns(frame)
            if frame.captured_at_ns < self._captured_at_ns:
                lag_ns = self._captured_at_ns - frame.captured_at_ns
                return reason, f"acquired {lag_ns} ns before the frame that came before it"
            if time_ns <= self._time_ns:
                return reason, f"time {time_ns} ns after time {self._time_ns} ns"
            self._time_ns = time_ns
        self._frame_index = frame.frame_index
        self._captured_at_ns = frame.captured_at_ns
        return None

    def _size_changed(self, frame: Frame) -> tuple[Reason, str] | None:
        """Refuse a frame of another size than the first one's."""
        size_px = (frame.width_px, frame.height_px)
        if self._size_px is None:
            self._size_px = size_px
        if self._kind is StreamKind.STILLS or size_px == self._size_px:
            return None
        expected, got = (f"{width}x{height}" for width, height in (self._size_px, size_px))
        return Reason.FRAME_SIZE_CHANGED, f"expected {expected}, got {got}"

    # @need-ids: SRS_STREAM_005, RCM_QUALITY_001
    def _unusable(self, frame: Frame) -> tuple[Reason, str] | None:
        """Refuse a black, saturated or frozen frame."""
        quality = self._measure_quality(frame.pixels)
        frozen_ns = self._identical_for_ns(frame, quality.fingerprint)
        if quality.level_mean <= BLACK_LEVEL_MAX and quality.level_spread <= BLACK_SPREAD_MAX:
            detail = f"mean level {quality.level_mean:.1f}, spread {quality.level_spread:.1f}"
            return Reason.FRAME_BLACK, detail
        if quality.saturated_fraction > SATURATED_FRACTION_MAX:
            return Reason.FRAME_SATURATED, f"{quality.saturated_fraction:.3f} of samples saturated"
        if frozen_ns > self._frozen_after_ns:
            return Reason.FRAME_FROZEN, f"identical for {frozen_ns // NS_PER_MS} ms"
        return None

    # @need-ids: SRS_STREAM_006, RCM_FROZEN_001
    def _identical_for_ns(self, frame: Frame, fingerprint: bytes) -> int:
        """Return for how long the stream has shown this very picture [ns]."""
        if self._kind is StreamKind.STILLS:
            return 0
        time_ns = _time_ns(frame)
        if fingerprint != self._fingerprint:
            self._fingerprint = fingerprint
            self._identical_since_ns = time_ns
        return time_ns - self._identical_since_ns


def _time_ns(frame: Frame) -> int:
    """Return the time on the stream's own axis: inside the recording where there is one [ns]."""
    return frame.captured_at_ns if frame.media_time_ns is None else frame.media_time_ns
