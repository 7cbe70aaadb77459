"""Times of the pictures of a live stream: when each arrived, and by how much it lags behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trocar.contracts.limits import NS_PER_MS, NS_PER_S, SOURCE_SILENCE_MS_MAX

__all__ = ["ArrivalTimes"]

_WINDOW_NS: Final = 5 * NS_PER_S
"""The fastest picture is sought in the present window of this length and in the one before it: long
against jitter, short against the drift of two clocks (50 ppm make 0.5 ms in 10 s)."""

_JUMP_NS: Final = SOURCE_SILENCE_MS_MAX * NS_PER_MS
_TICK_NS: Final = 1


@dataclass(slots=True)
class _Base:
    """Where the time axis of one connection begins."""

    pts_ns: int
    arrived_ns: int
    media_ns: int


# @need-ids: SRS_LIVE_002, SRS_LIVE_004
class ArrivalTimes:
    """Capture and media time of each picture of a live stream; one a source, not thread-safe.

    A live stream carries presentation times of the sender's clock. Their differences say how far
    pictures were apart when they were made; the differences of arrival say how far apart they came.
    A picture that came later than the fastest picture of the last seconds did, by these two, has
    waited somewhere, and this wait is taken off its time of arrival: a burst of old pictures after
    a stall is old, not fresh. A delay that all pictures share cannot be seen.

    Media time counts from the first picture of the run and goes on over a new connection by the
    time of this device, so that it never runs backwards.
    """

    def __init__(self) -> None:
        self._first_arrived_ns: int | None = None
        self._base: _Base | None = None
        self._lags_ns: tuple[int | None, int] | None = None
        self._window_end_ns = 0
        self._captured_at_ns = 0
        self._media_time_ns = -_TICK_NS

    def begin(self) -> None:
        """Note that a new connection begins: its presentation times have another origin."""
        self._base = None

    def place(self, arrived_ns: int, pts_ns: int | None) -> tuple[int, int]:
        """Return capture time and media time of one picture [ns]; both never run backwards.

        Args:
            arrived_ns: Monotonic time of arrival [ns].
            pts_ns: Presentation time of the sender [ns], or None where it gives none.
        """
        if self._first_arrived_ns is None:
            self._first_arrived_ns = arrived_ns
        elapsed_ns = arrived_ns - self._first_arrived_ns
        late_ns = 0
        media_ns = elapsed_ns
        if pts_ns is not None:
            base = self._based(arrived_ns, pts_ns, elapsed_ns)
            media_ns = base.media_ns + pts_ns - base.pts_ns
            late_ns = self._late_ns(
                arrived_ns, (arrived_ns - base.arrived_ns) - (pts_ns - base.pts_ns)
            )
        self._captured_at_ns = max(self._captured_at_ns, arrived_ns - late_ns)
        self._media_time_ns = max(self._media_time_ns + _TICK_NS, media_ns)
        return self._captured_at_ns, self._media_time_ns

    def _based(self, arrived_ns: int, pts_ns: int, elapsed_ns: int) -> _Base:
        """Return the origin of the present axis; begin a new one at a connection and at a jump."""
        base = self._base
        if base is not None:
            expected_ns = base.pts_ns + arrived_ns - base.arrived_ns
            if abs(pts_ns - expected_ns) <= _JUMP_NS:
                return base
        base = self._base = _Base(pts_ns, arrived_ns, elapsed_ns)
        self._lags_ns = None
        return base

    def _late_ns(self, arrived_ns: int, lag_ns: int) -> int:
        """Return by how much a picture is later than the fastest one of the last two windows."""
        if self._lags_ns is None:
            self._lags_ns = (None, lag_ns)
            self._window_end_ns = arrived_ns + _WINDOW_NS
        before_ns, now_ns = self._lags_ns
        if arrived_ns >= self._window_end_ns:
            before_ns, now_ns = now_ns, lag_ns
            self._window_end_ns = arrived_ns + _WINDOW_NS
        now_ns = min(now_ns, lag_ns)
        self._lags_ns = (before_ns, now_ns)
        fastest_ns = now_ns if before_ns is None else min(before_ns, now_ns)
        return lag_ns - fastest_ns
