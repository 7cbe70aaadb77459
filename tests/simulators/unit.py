"""A unit whose answers are written by hand, and the values that tests build records from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from trocar.contracts.findings import (
    Detection,
    Finding,
    Mask,
    PolypMask,
    ToolDetections,
    ToolTracks,
    Track,
    TrackState,
)
from trocar.contracts.frame import Frame
from trocar.contracts.outcome import DeadlineVerdict, Withheld
from trocar.contracts.record import BackendInfo, FrameRecord, FrameTimes, UnitInfo

__all__ = [
    "UNIT_INFO",
    "ScriptedUnit",
    "frame_record",
    "polyp_mask",
    "tool_detections",
    "tool_tracks",
]

UNIT_INFO: Final = UnitInfo(
    unit="scripted",
    unit_version="0.0.1",
    pack_id="scripted_pack 1.0.0",
    pack_digest="ab" * 32,
    backend=BackendInfo(
        engine="memory 1.0", provider="MemoryProvider", precision="fp32", thread_count=1
    ),
)


def polyp_mask(
    frame_index: int,
    *,
    height_px: int = 48,
    width_px: int = 64,
    is_empty: bool = False,
) -> PolypMask:
    """Return a finding whose mask is the left upper quarter of the frame, or empty."""
    prob = np.zeros((32, 32), dtype=np.float32)
    if not is_empty:
        prob[:16, :16] = 1.0
    return PolypMask(
        frame_index=frame_index,
        mask=Mask(
            pixels=prob >= 0.5,
            prob=prob,
            prob_threshold=0.5,
            frame_height_px=height_px,
            frame_width_px=width_px,
            label="polyp",
        ),
        area_fraction=float((prob >= 0.5).mean()),
        prob_max=float(prob.max()),
    )


def tool_detections(
    frame_index: int,
    *,
    height_px: int = 48,
    width_px: int = 64,
    score_shown_min: float = 0.5,
) -> ToolDetections:
    """Return a finding with one box that is shown, in the middle, and one that is too weak."""
    right, bottom = float(width_px), float(height_px)
    return ToolDetections(
        frame_index=frame_index,
        detections=(
            Detection(
                label="grasper",
                class_index=0,
                score=0.9,
                box_xyxy_px=(right / 4, bottom / 4, right / 2, bottom / 2),
            ),
            Detection(
                label="hook",
                class_index=2,
                score=0.1,
                box_xyxy_px=(right / 2, bottom / 2, right, bottom),
            ),
        ),
        score_shown_min=score_shown_min,
        frame_height_px=height_px,
        frame_width_px=width_px,
    )


def tool_tracks(frame_index: int, *, height_px: int = 48, width_px: int = 64) -> ToolTracks:
    """Return a finding with one track of each state: seen, assumed, not yet sure."""
    found = tool_detections(frame_index, height_px=height_px, width_px=width_px)
    shown, weak = found.detections

    def track(number: int, at: Detection, state: TrackState) -> Track:
        return Track(
            track_id=number,
            label=at.label,
            class_index=at.class_index,
            score=at.score,
            box_xyxy_px=at.box_xyxy_px,
            state=state,
            seen_frame_count=3,
            unseen_ms=120.0 if state is TrackState.COASTING else 0.0,
        )

    return ToolTracks(
        frame_index=frame_index,
        tracks=(
            track(1, shown, TrackState.CONFIRMED),
            track(2, weak, TrackState.COASTING),
            track(5, weak, TrackState.TENTATIVE),
        ),
        detections=found,
        reset_count=0,
        frame_height_px=height_px,
        frame_width_px=width_px,
    )


def frame_record(
    frame_index: int = 0,
    *,
    outcome: Finding | Withheld | None = None,
    verdict: DeadlineVerdict = DeadlineVerdict.MET,
    age_ns: int = 40_000_000,
    service_ns: int = 10_000_000,
    captured_at_ns: int = 1_000_000_000,
    dropped_before_count: int = 0,
    source_id: str = "list",
    media_time_ns: int | None = None,
    unit: UnitInfo = UNIT_INFO,
) -> FrameRecord:
    """Return a record; without ``outcome`` it is a finding."""
    return FrameRecord(
        frame_index=frame_index,
        source_id=source_id,
        media_time_ns=media_time_ns,
        outcome=polyp_mask(frame_index) if outcome is None else outcome,
        unit=unit,
        times=FrameTimes(
            captured_at_ns=captured_at_ns,
            started_at_ns=captured_at_ns + age_ns - service_ns,
            finished_at_ns=captured_at_ns + age_ns,
        ),
        verdict=verdict,
        dropped_before_count=dropped_before_count,
    )


class ScriptedUnit:
    """``ports.Unit`` that marks the left upper quarter of every frame, unless told otherwise.

    Args: script: What happens at the frame of an index: an exception is raised, an outcome is
        returned. on_run: Called with each frame before it is answered, for example to let time
        pass. name: Its name in the records.
    """

    def __init__(
        self,
        script: Mapping[int, Exception | Finding | Withheld] | None = None,
        *,
        on_run: Callable[[Frame], object] | None = None,
        name: str = "scripted",
    ) -> None:
        self._script = dict(script or {})
        self._on_run = on_run
        self._info = UNIT_INFO.model_copy(update={"unit": name})
        self.seen_frame_indices: list[int] = []

    @property
    def info(self) -> UnitInfo:
        """Provenance of the simulator."""
        return self._info

    def run(self, frame: Frame, *, now_ns: int) -> Finding | Withheld:
        """Answer as the script says."""
        self.seen_frame_indices.append(frame.frame_index)
        if self._on_run is not None:
            self._on_run(frame)
        step = self._script.get(frame.frame_index)
        if isinstance(step, Exception):
            raise step
        if step is not None:
            return step
        return polyp_mask(frame.frame_index, height_px=frame.height_px, width_px=frame.width_px)
