"""What a unit may find in a frame."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from trocar.contracts.base import ArrayOf, Contract
from trocar.contracts.frame import FrameIndex
from trocar.contracts.limits import DETECTION_COUNT_MAX

__all__ = [
    "BoxXyxyPx",
    "Detection",
    "Finding",
    "FrameSizePx",
    "Mask",
    "PolypMask",
    "ToolDetections",
    "ToolTracks",
    "Track",
    "TrackState",
    "UnitInterval",
]

UnitInterval = Annotated[float, Field(ge=0.0, le=1.0)]
"""A share or a probability."""

FrameSizePx = tuple[int, int]
"""Width and height of a frame [px]."""

_Coordinate = Annotated[float, Field(ge=0.0)]

BoxXyxyPx = tuple[_Coordinate, _Coordinate, _Coordinate, _Coordinate]
"""Left, top, right, bottom [px of the frame]: edges, not centres of pixels; (0, 0) is the upper
left corner of the frame, and (width, height) its lower right one."""

_Label = Annotated[str, Field(min_length=1, max_length=64)]
_SidePx = Annotated[int, Field(ge=1)]


class Mask(Contract):
    """A binary mask at the network's resolution, covering the whole frame.

    Attributes:
        pixels: (h, w) bool; row 0 is the top of the frame.
        prob: (h, w) float32 in [0, 1], from which ``pixels`` was cut.
        prob_threshold: ``pixels`` is ``prob >= prob_threshold``.
        frame_height_px: Height of the frame that the mask covers.
        frame_width_px: Width of that frame.
        label: What the mask shows.
    """

    pixels: Annotated[NDArray[np.bool_], ArrayOf(axes=("height", "width"), dtype=np.bool_)]
    prob: Annotated[NDArray[np.float32], ArrayOf(axes=("height", "width"), dtype=np.float32)]
    prob_threshold: UnitInterval
    frame_height_px: _SidePx
    frame_width_px: _SidePx
    label: _Label

    @model_validator(mode="after")
    def _same_shape(self) -> Self:
        """Refuse a mask that does not belong to its probabilities."""
        if self.pixels.shape != self.prob.shape:
            shapes = f"{self.pixels.shape} and {self.prob.shape}"
            msg = f"expected mask and probabilities of one shape, got {shapes}"
            raise ValueError(msg)
        return self


class PolypMask(Contract):
    """Result of polyp segmentation for one frame.

    Attributes:
        frame_index: The frame.
        mask: Polyp against background; may be empty, which means that no polyp was found.
        area_fraction: Share of the frame covered by the mask.
        prob_max: Largest probability in the frame: not calibrated, not a diagnosis.
    """

    kind: Literal["polyp_mask"] = "polyp_mask"
    frame_index: FrameIndex
    mask: Mask
    area_fraction: UnitInterval
    prob_max: UnitInterval

    @property
    def frame_size_px(self) -> FrameSizePx:
        """Width and height of the frame that the mask covers."""
        return self.mask.frame_width_px, self.mask.frame_height_px


class Detection(Contract):
    """One instrument as the model marks it.

    Attributes:
        label: Name of the class.
        class_index: Its position in the pack's list of labels.
        score: The model's score: not calibrated, not a probability of being right.
        box_xyxy_px: The box, inside its frame; see ``BoxXyxyPx``.
    """

    label: _Label
    class_index: int = Field(ge=0)
    score: UnitInterval
    box_xyxy_px: BoxXyxyPx

    @model_validator(mode="after")
    def _has_area(self) -> Self:
        """Refuse a box that is empty or inside out."""
        _require_area(self.box_xyxy_px)
        return self


class _BoxesOfFrame(Contract):
    """What boxes lie in.

    Attributes:
        frame_index: The frame.
        frame_height_px: Height of the frame.
        frame_width_px: Width of the frame.
    """

    frame_index: FrameIndex
    frame_height_px: _SidePx
    frame_width_px: _SidePx

    @property
    def frame_size_px(self) -> FrameSizePx:
        """Width and height of the frame that the boxes lie in."""
        return self.frame_width_px, self.frame_height_px


class ToolDetections(_BoxesOfFrame):
    """Result of tool detection for one frame; a box belongs to its frame and lies in it.

    Attributes:
        detections: What was found, by falling score; may be empty.
        score_shown_min: Operating point: detections from here up are drawn and tracked; those below
            stand in the record, so that others can evaluate the model.
    """

    kind: Literal["tool_detections"] = "tool_detections"
    detections: Annotated[tuple[Detection, ...], Field(max_length=DETECTION_COUNT_MAX)]
    score_shown_min: UnitInterval

    # @need-ids: SRS_CONTRACT_004, RCM_TOOL_001
    @model_validator(mode="after")
    def _inside_and_ordered(self) -> Self:
        """Refuse a box that leaves the frame, and detections that are not in order."""
        _require_inside((item.box_xyxy_px for item in self.detections), self.frame_size_px)
        scores = [item.score for item in self.detections]
        if scores != sorted(scores, reverse=True):
            msg = f"expected detections by falling score, got {scores}"
            raise ValueError(msg)
        return self


class TrackState(StrEnum):
    """What is known of a tracked instrument in one frame."""

    TENTATIVE = "tentative"
    """Seen, but not for long enough to be sure of."""

    CONFIRMED = "confirmed"
    """Seen in this frame, and before."""

    COASTING = "coasting"
    """Not seen in this frame: the box is a guess from its motion."""


class Track(Contract):
    """One instrument over time, as it stands in one frame.

    Attributes:
        track_id: Its number in this run, from 1; never given to another one.
        label: Name of the class that most of its detections had.
        class_index: Position of that class in the pack's list of labels.
        score: Score of its last detection.
        box_xyxy_px: Where it is, or where it would be if it went on as before.
        state: What is known of it.
        seen_frame_count: Frames in which it was seen.
        unseen_ms: Time since it was seen [ms]; 0 where it is seen in this frame.
    """

    track_id: int = Field(ge=1)
    label: _Label
    class_index: int = Field(ge=0)
    score: UnitInterval
    box_xyxy_px: BoxXyxyPx
    state: TrackState
    seen_frame_count: int = Field(ge=1)
    unseen_ms: float = Field(ge=0.0)

    # @need-ids: RCM_TRACK_003
    @model_validator(mode="after")
    def _says_when_unseen(self) -> Self:
        """Refuse an empty box, and a track that is said to be seen while it is not."""
        _require_area(self.box_xyxy_px)
        if (self.state is TrackState.COASTING) != (self.unseen_ms > 0.0):
            msg = f"expected a coasting track exactly where it is unseen, got {self!r}"
            raise ValueError(msg)
        return self


class ToolTracks(_BoxesOfFrame):
    """Result of tool tracking for one frame.

    Attributes:
        tracks: Every track that is not lost, by its number.
        detections: The detections of the same frame that the tracks were updated with.
        reset_count: How often the tracker has begun anew in this run; tracks before and after a
            reset have nothing to do with each other.
    """

    kind: Literal["tool_tracks"] = "tool_tracks"
    tracks: Annotated[tuple[Track, ...], Field(max_length=DETECTION_COUNT_MAX)]
    detections: ToolDetections
    reset_count: int = Field(ge=0)

    # @need-ids: RCM_TOOL_001
    @model_validator(mode="after")
    def _of_one_frame(self) -> Self:
        """Refuse boxes that leave the frame, a number given twice, detections of another frame."""
        _require_inside((item.box_xyxy_px for item in self.tracks), self.frame_size_px)
        numbers = [item.track_id for item in self.tracks]
        if numbers != sorted(set(numbers)):
            msg = f"expected each track once, by its number, got {numbers}"
            raise ValueError(msg)
        of_detections = (self.detections.frame_index, self.detections.frame_size_px)
        if of_detections != (self.frame_index, self.frame_size_px):
            msg = f"expected detections of frame {self.frame_index}, got those of {of_detections}"
            raise ValueError(msg)
        return self


Finding = PolypMask | ToolDetections | ToolTracks
"""Every finding there is."""


def _require_area(box: BoxXyxyPx) -> None:
    """Refuse a box that is empty or inside out."""
    left, top, right, bottom = box
    if left >= right or top >= bottom:
        msg = f"expected left < right and top < bottom, got {box}"
        raise ValueError(msg)


def _require_inside(boxes: Iterable[BoxXyxyPx], size_px: FrameSizePx) -> None:
    """Refuse a box that leaves the frame."""
    for box in boxes:
        if box[2] > size_px[0] or box[3] > size_px[1]:
            msg = f"expected boxes inside a frame of {size_px[0]}x{size_px[1]} px, got {box}"
            raise ValueError(msg)
