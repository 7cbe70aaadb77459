"""One track while it lives: where it is, what it is called, and how far its life has come."""

from __future__ import annotations

from typing import Final, Self

from trocar.contracts.findings import BoxXyxyPx, Detection, FrameSizePx, Track, TrackState
from trocar.contracts.limits import NS_PER_MS, NS_PER_S, TRACK_LABEL_COUNT_MAX
from trocar.tracking.kalman import Axis, begin, correct, predict
from trocar.tracking.lifecycle import LifeEvent, LifeState, after
from trocar.units.tool_tracking.contract import LabelVote, ToolTrackingConfig, TrackMemory

__all__ = ["LiveTrack"]

_LEAST_SIDE_PX: Final = 1.0
_LEAST_AREA_PX: Final = 1.0


class LiveTrack:
    """A tool that was detected, followed from frame to frame.

    Attributes:
        track_id: Its number.
        life: Where it is in its life.
        box: Where it is expected in the frame that was predicted last [px].
        last_box_xyxy_px: Where it was seen last [px].
        last_seen_ns: When it was seen last.
        class_index: The class with the most votes.
    """

    __slots__ = (
        "_at_ns",
        "_axes",
        "_config",
        "_label",
        "_score",
        "_seen_frame_count",
        "_votes",
        "box",
        "class_index",
        "last_box_xyxy_px",
        "last_seen_ns",
        "life",
        "track_id",
    )

    def __init__(self, config: ToolTrackingConfig, memory: TrackMemory) -> None:
        self._config = config
        self.track_id = memory.track_id
        self.life = memory.life
        self._axes = memory.axes
        self._at_ns = memory.predicted_at_ns
        self.last_box_xyxy_px = memory.last_box_xyxy_px
        self.last_seen_ns = memory.last_seen_ns
        self._score = memory.score
        self._seen_frame_count = memory.seen_frame_count
        self._votes = {vote.class_index: (vote.label, vote.weight) for vote in memory.votes}
        self.class_index, self._label = self._elect()
        self.box = _box_of(self._axes)

    @classmethod
    def first_seen(
        cls, config: ToolTrackingConfig, track_id: int, detection: Detection, at_ns: int
    ) -> Self:
        """Return the track that a detection begins."""
        left, top, right, bottom = detection.box_xyxy_px
        area = max((right - left) * (bottom - top), _LEAST_AREA_PX)
        var = config.box_noise_share**2 * area
        var_rate = config.rate_share**2 * area
        measured = (0.5 * (left + right), 0.5 * (top + bottom), right - left, bottom - top)
        x, y, width, height = (
            begin(value, var_measured=var, var_rate=var_rate) for value in measured
        )
        event = LifeEvent.SEEN_OFTEN if config.confirm_seen_count <= 1 else LifeEvent.SEEN
        return cls(
            config,
            TrackMemory(
                track_id=track_id,
                life=after(LifeState.TENTATIVE, event),
                axes=(x, y, width, height),
                predicted_at_ns=at_ns,
                last_box_xyxy_px=detection.box_xyxy_px,
                last_seen_ns=at_ns,
                score=detection.score,
                seen_frame_count=1,
                votes=(
                    LabelVote(
                        class_index=detection.class_index,
                        label=detection.label,
                        weight=detection.score,
                    ),
                ),
            ),
        )

    def predict(self, at_ns: int, frame_size_px: FrameSizePx) -> None:
        """Carry the track on to the time of the next frame, its centre inside the frame.

        Args:
            at_ns: Time of the frame, not before the last one [ns].
            frame_size_px: Width and height of the frame.
        """
        dt_s = (at_ns - self._at_ns) / NS_PER_S
        config, (x, y, width, height) = self._config, self._axes
        area = max(width.value * height.value, _LEAST_AREA_PX)
        psd = config.acceleration_share**2 * area
        size_psd = config.size_acceleration_share**2 * area
        self._axes = (
            _held(predict(x, dt_s, acceleration_psd=psd), frame_size_px[0]),
            _held(predict(y, dt_s, acceleration_psd=psd), frame_size_px[1]),
            predict(width, dt_s, acceleration_psd=size_psd),
            predict(height, dt_s, acceleration_psd=size_psd),
        )
        self._at_ns = at_ns
        self.box = _box_of(self._axes)

    def see(self, detection: Detection) -> None:
        """Take a detection of this frame as this tool."""
        left, top, right, bottom = box = detection.box_xyxy_px
        area = max((right - left) * (bottom - top), _LEAST_AREA_PX)
        var = self._config.box_noise_share**2 * area
        x, y, width, height = self._axes
        self._axes = (
            correct(x, 0.5 * (left + right), var_measured=var),
            correct(y, 0.5 * (top + bottom), var_measured=var),
            correct(width, right - left, var_measured=var),
            correct(height, bottom - top, var_measured=var),
        )
        self.box = _box_of(self._axes)
        self.last_box_xyxy_px = box
        self.last_seen_ns = self._at_ns
        self._score = detection.score
        self._seen_frame_count += 1
        self._vote(detection)
        is_often = self._seen_frame_count >= self._config.confirm_seen_count
        self.life = after(self.life, LifeEvent.SEEN_OFTEN if is_often else LifeEvent.SEEN)

    def miss(self) -> None:
        """Note that the tool was not seen in this frame."""
        unseen_ns = self._at_ns - self.last_seen_ns
        is_too_long = unseen_ns > self._config.coast_ms_max * NS_PER_MS
        self.life = after(self.life, LifeEvent.UNSEEN_TOO_LONG if is_too_long else LifeEvent.UNSEEN)

    def _vote(self, detection: Detection) -> None:
        """Count a detection's class; once all places are taken, only those that are known."""
        index = detection.class_index
        if index not in self._votes and len(self._votes) >= TRACK_LABEL_COUNT_MAX:
            return
        label, weight = self._votes.get(index, (detection.label, 0.0))
        self._votes[index] = label, weight + detection.score
        if index != self.class_index:
            self.class_index, self._label = self._elect()

    # @need-ids: SRS_TRACK_012
    def _elect(self) -> tuple[int, str]:
        """Return the class with the most votes; of equal ones the first that was seen."""
        best = max(self._votes, key=lambda index: self._votes[index][1])
        return best, self._votes[best][0]

    # @need-ids: SRS_TRACK_007, RCM_TRACK_003
    def report(self, frame_size_px: FrameSizePx) -> Track:
        """Return the track as it stands in this frame: what is unseen is coasting, and says so.

        Args:
            frame_size_px: Width and height of the frame.
        """
        return Track(
            track_id=self.track_id,
            label=self._label,
            class_index=self.class_index,
            score=self._score,
            box_xyxy_px=_inside(self.box, frame_size_px),
            state=TrackState(self.life.value),
            seen_frame_count=self._seen_frame_count,
            unseen_ms=(self._at_ns - self.last_seen_ns) / NS_PER_MS,
        )

    def memory(self) -> TrackMemory:
        """Return all that there is to know, for a snapshot."""
        return TrackMemory(
            track_id=self.track_id,
            life=self.life,
            axes=self._axes,
            predicted_at_ns=self._at_ns,
            last_box_xyxy_px=self.last_box_xyxy_px,
            last_seen_ns=self.last_seen_ns,
            score=self._score,
            seen_frame_count=self._seen_frame_count,
            votes=tuple(
                LabelVote(class_index=index, label=label, weight=weight)
                for index, (label, weight) in self._votes.items()
            ),
        )


def _box_of(axes: tuple[Axis, Axis, Axis, Axis]) -> BoxXyxyPx:
    """Return the box of a state, at least a pixel wide and high."""
    x, y, width, height = axes[0][0], axes[1][0], axes[2][0], axes[3][0]
    half_w = 0.5 * (max(_LEAST_SIDE_PX, width))
    half_h = 0.5 * (max(_LEAST_SIDE_PX, height))
    return x - half_w, y - half_h, x + half_w, y + half_h


def _held(axis: Axis, size_px: int) -> Axis:
    """Return a centre that stays inside the frame, and stops at its rim."""
    if axis.value < 0.0:
        return axis._replace(value=0.0, rate=0.0)
    if axis.value > size_px:
        return axis._replace(value=float(size_px), rate=0.0)
    return axis


def _inside(box: BoxXyxyPx, frame_size_px: FrameSizePx) -> BoxXyxyPx:
    """Return the part of a box inside the frame, where its centre lies."""
    width_px, height_px = frame_size_px
    left, top, right, bottom = box
    return (
        max(0.0, left),
        max(0.0, top),
        right if right < width_px else float(width_px),
        bottom if bottom < height_px else float(height_px),
    )
