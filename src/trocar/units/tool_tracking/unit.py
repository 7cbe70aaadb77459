"""The unit: order, gap, prediction, association, life, result; once per frame."""

from __future__ import annotations

from collections.abc import Sequence

from trocar.contracts.errors import ContractError
from trocar.contracts.findings import (
    BoxXyxyPx,
    Detection,
    FrameSizePx,
    ToolDetections,
    ToolTracks,
)
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.tracking.lifecycle import LifeState
from trocar.units.tool_tracking.contract import FrameMark, ToolTrackingConfig, TrackerState
from trocar.units.tool_tracking.live_track import LiveTrack
from trocar.units.tool_tracking.matching import Stage, match, overlap

__all__ = ["ToolTracker"]


class ToolTracker:
    """Follow tools from frame to frame; no model, one thread at a time.

    Args:
        config: Limits and weights.

    Source:
        Detections below the operating point in a second try: Zhang et al. 2022, arXiv 2110.06864.
        A last try at the place of the last observation: Cao et al. 2023, arXiv 2203.14360.
    """

    def __init__(self, config: ToolTrackingConfig) -> None:
        self._config = config
        self._expected = Stage(config.overlap_min, config.buffer_share, config.label_cost)
        self._doubtful = Stage(config.overlap_low_min, 0.0, config.label_cost)
        self._again = Stage(config.overlap_min, config.buffer_again_share, config.label_cost)
        self._tracks: list[LiveTrack] = []
        self._next_id = 1
        self._reset_count = 0
        self._last_frame: FrameMark | None = None
        self._last_update_ns: int | None = None
        self._frame_size_px: FrameSizePx | None = None

    @property
    def config(self) -> ToolTrackingConfig:
        """The configuration."""
        return self._config

    @property
    def reset_count(self) -> int:
        """How often the tracker has begun anew."""
        return self._reset_count

    # @need-ids: SRS_TRACK_001
    def update(self, detections: ToolDetections, *, captured_at_ns: int) -> ToolTracks | Withheld:
        """Take the detections of the next frame.

        Args:
            detections: What was found in the frame.
            captured_at_ns: When the frame was taken, on the monotonic clock [ns].

        Returns:
            The tracks in this frame, or ``FRAME_OUT_OF_ORDER`` for a frame that does not come
            after the last one; the tracks are then as they were.
        """
        frame_index = detections.frame_index
        if not self._is_next(frame_index, captured_at_ns):
            return Withheld(
                frame_index=frame_index,
                reason=Reason.FRAME_OUT_OF_ORDER,
                detail=f"captured at {captured_at_ns} ns, not after {self._last_frame}",
            )
        size_px = detections.frame_size_px
        self._end_what_cannot_go_on(captured_at_ns, size_px)
        for track in self._tracks:
            track.predict(captured_at_ns, size_px)
        self._associate(detections, captured_at_ns)
        self._last_update_ns, self._frame_size_px = captured_at_ns, size_px
        return ToolTracks(
            frame_index=frame_index,
            tracks=tuple(track.report(size_px) for track in self._tracks),
            detections=detections,
            reset_count=self._reset_count,
            frame_height_px=size_px[1],
            frame_width_px=size_px[0],
        )

    # @need-ids: SRS_TRACK_005
    def skip(self, frame_index: int, *, captured_at_ns: int) -> None:
        """Note a frame that has no detections because its result was withheld.

        Nothing is said about it and no track moves; a long row of such frames is a gap.

        Args:
            frame_index: The frame.
            captured_at_ns: When it was taken [ns].
        """
        self._is_next(frame_index, captured_at_ns)

    # @need-ids: SRS_TRACK_008
    def snapshot(self) -> TrackerState:
        """Return all that the tracker remembers."""
        return TrackerState(
            config=self._config,
            tracks=tuple(track.memory() for track in self._tracks),
            next_id=self._next_id,
            reset_count=self._reset_count,
            last_frame=self._last_frame,
            last_update_ns=self._last_update_ns,
            frame_size_px=self._frame_size_px,
        )

    # @need-ids: SRS_TRACK_008
    def restore(self, state: TrackerState) -> None:
        """Go on from a snapshot; what follows is what would have followed then.

        Args:
            state: A snapshot of a tracker with the same configuration.

        Raises:
            ContractError: The snapshot was made with another configuration.
        """
        if state.config != self._config:
            raise ContractError(
                f"expected a snapshot of {self._config!r}, got one of {state.config!r}",
                advice="restore it into a tracker that was made with the snapshot's configuration",
            )
        self._tracks = [LiveTrack(self._config, memory) for memory in state.tracks]
        self._next_id = state.next_id
        self._reset_count = state.reset_count
        self._last_frame = state.last_frame
        self._last_update_ns = state.last_update_ns
        self._frame_size_px = state.frame_size_px

    # @need-ids: SRS_TRACK_006
    def _is_next(self, frame_index: int, captured_at_ns: int) -> bool:
        """Return whether a frame comes after the last one, or begins the source anew."""
        last = self._last_frame
        if last is not None:
            frames_back = last.frame_index - frame_index
            ns_back = last.captured_at_ns - captured_at_ns
            if frames_back >= 0 or ns_back >= 0:
                if (
                    frames_back <= self._config.reorder_frame_count_max
                    and ns_back <= self._config.reorder_ms_max * NS_PER_MS
                ):
                    return False
                self._reset()
        self._last_frame = FrameMark(frame_index=frame_index, captured_at_ns=captured_at_ns)
        return True

    def _end_what_cannot_go_on(self, captured_at_ns: int, size_px: FrameSizePx) -> None:
        """Begin anew after a gap, and where frames have another size."""
        if self._last_update_ns is None:
            return
        unknown_ns = captured_at_ns - self._last_update_ns
        # @need-ids: SRS_TRACK_004, RCM_TRACK_001
        if unknown_ns > self._config.gap_ms_max * NS_PER_MS or size_px != self._frame_size_px:
            self._reset()

    def _reset(self) -> None:
        """End all tracks; their numbers stay given away."""
        self._tracks = []
        self._last_update_ns = None
        self._frame_size_px = None
        self._reset_count += 1

    # @need-ids: SRS_TRACK_002
    def _associate(self, detections: ToolDetections, at_ns: int) -> None:
        """Find the detection of each track, end and begin tracks."""
        shown_min, low_min = detections.score_shown_min, self._config.score_low_min
        shown = [item for item in detections.detections if item.score >= shown_min]
        low = [item for item in detections.detections if low_min <= item.score < shown_min]
        taken: list[BoxXyxyPx] = []
        old = [track for track in self._tracks if track.life is not LifeState.TENTATIVE]
        young = [track for track in self._tracks if track.life is LifeState.TENTATIVE]
        old, shown = _see(old, _boxes(old), shown, self._expected, taken)
        just_seen = [track for track in old if track.life is LifeState.CONFIRMED]
        missing = [track for track in old if track.life is LifeState.COASTING]
        just_seen, _ = _see(just_seen, _boxes(just_seen), low, self._doubtful, taken)
        young, shown = _see(young, _boxes(young), shown, self._expected, taken)
        missing += just_seen
        places = [track.last_box_xyxy_px for track in missing]
        missing, shown = _see(missing, places, shown, self._again, taken)
        for track in (*missing, *young):
            track.miss()
        self._tracks = [track for track in self._tracks if track.life is not LifeState.LOST]
        self._begin(shown, taken, at_ns)

    # @need-ids: SRS_TRACK_009, RCM_TRACK_002
    def _begin(self, free: Sequence[Detection], taken: list[BoxXyxyPx], at_ns: int) -> None:
        """Begin a track for each detection that is left, but for a twin of one that is taken."""
        for item in free:
            box = item.box_xyxy_px
            is_twin = any(overlap(box, at) >= self._config.overlap_twin_min for at in taken)
            if is_twin or len(self._tracks) >= self._config.track_count_max:
                continue
            self._tracks.append(LiveTrack.first_seen(self._config, self._next_id, item, at_ns))
            self._next_id += 1
            taken.append(box)


def _boxes(tracks: Sequence[LiveTrack]) -> list[BoxXyxyPx]:
    """Return where the tracks are expected."""
    return [track.box for track in tracks]


def _see(
    tracks: Sequence[LiveTrack],
    places: Sequence[BoxXyxyPx],
    detections: Sequence[Detection],
    stage: Stage,
    taken: list[BoxXyxyPx],
) -> tuple[list[LiveTrack], list[Detection]]:
    """Give tracks their detections and note their boxes as taken; return who is left of both."""
    if not tracks or not detections:
        return list(tracks), list(detections)
    pairs = dict(match(tracks, places, detections, stage))
    for row, column in pairs.items():
        tracks[row].see(detections[column])
        taken.append(detections[column].box_xyxy_px)
    used = set(pairs.values())
    return (
        [track for row, track in enumerate(tracks) if row not in pairs],
        [item for column, item in enumerate(detections) if column not in used],
    )
