"""The record of a run: one line of JSON a frame, complete or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from trocar import RESEARCH_NOTICE
from trocar.contracts.errors import SinkError
from trocar.contracts.findings import (
    BoxXyxyPx,
    Detection,
    Finding,
    PolypMask,
    ToolDetections,
    ToolTracks,
    Track,
)
from trocar.contracts.frame import Frame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Withheld
from trocar.contracts.record import FrameRecord

__all__ = ["RECORD_SCHEMA", "JsonlSink", "bounding_box_xyxy_px", "line_of"]

RECORD_SCHEMA: Final = "trocar.frame_record/1"
"""Name and version of the fields of a line; a change of a field's meaning is a new version."""

_ADVICE: Final = (
    "free disk space or choose another output folder; the lines written so far are intact"
)


# @need-ids: SRS_SINK_002, SRS_SINK_004, RCM_NOTICE_001
class JsonlSink:
    """``ports.Sink`` that appends one line a record, handed to the operating system at once.

    A line that cannot be written completely is taken back, so that the file always ends with a
    whole line.

    Args:
        path: The file; its folder must exist.
        replace: Whether a file that is there already may be replaced.

    Raises:
        SinkError: The file cannot be created, or is there and may not be replaced.
    """

    def __init__(self, path: Path, *, replace: bool = False) -> None:
        self._path = path
        if not replace and path.is_file() and path.stat().st_size > 0:
            raise SinkError(
                f"expected no earlier record, got {path}",
                advice="choose another output folder, or move the earlier record away",
            )
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        try:
            self._descriptor: int | None = os.open(path, flags, 0o644)
        except OSError as exc:
            raise SinkError(f"{path} cannot be created: {exc.strerror}", advice=_ADVICE) from exc
        self._good_bytes = 0

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Append one line.

        Raises:
            SinkError: The line could not be written; it was taken back.
        """
        del frame
        if self._descriptor is None:
            raise SinkError(
                f"expected an open record, got a closed one: {self._path}", advice=_ADVICE
            )
        data = line_of(record).encode("ascii")
        written_bytes = 0
        try:
            while written_bytes < len(data):
                written_bytes += os.write(self._descriptor, data[written_bytes:])
        except OSError as exc:
            # A device such as a pipe cannot be cut; then there is nothing to take back.
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._good_bytes)
                os.lseek(self._descriptor, self._good_bytes, os.SEEK_SET)
            raise SinkError(
                f"frame {record.frame_index} could not be written to {self._path}: {exc.strerror}",
                advice=_ADVICE,
                good_bytes=self._good_bytes,
            ) from exc
        self._good_bytes += len(data)

    def close(self) -> None:
        """Close the file; may be called twice.

        Raises:
            SinkError: The operating system reports that data were lost.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            os.close(descriptor)
        except OSError as exc:
            raise SinkError(
                f"{self._path} could not be closed: {exc.strerror}", advice=_ADVICE
            ) from exc


# @need-ids: SRS_PROVENANCE_001
def line_of(record: FrameRecord) -> str:
    """Return a record as one line of ASCII JSON, fields in a fixed order, without pixels."""
    media_time_ns = record.media_time_ns
    fields = {
        "schema": RECORD_SCHEMA,
        "notice": RESEARCH_NOTICE,
        "frame_index": record.frame_index,
        "source_id": record.source_id,
        "media_time_ms": None if media_time_ns is None else _ms(media_time_ns),
        "outcome": _outcome(record.outcome),
        "verdict": record.verdict.value,
        "age_ms": _ms(record.times.age_ns),
        "service_ms": _ms(record.times.service_ns),
        "captured_at_ns": record.times.captured_at_ns,
        "dropped_before_count": record.dropped_before_count,
        "origin": None if record.origin is None else record.origin.model_dump(mode="json"),
        "provenance": record.unit.model_dump(mode="json"),
    }
    return json.dumps(fields, separators=(",", ":")) + "\n"


def bounding_box_xyxy_px(
    mask: NDArray[np.bool_], *, height_px: int, width_px: int
) -> tuple[int, int, int, int] | None:
    """Return the box around a mask, in pixels of its frame.

    Args:
        mask: (h, w) bool at the network's resolution, covering the whole frame.
        height_px: Height of the frame.
        width_px: Width of the frame.

    Returns:
        (left, top, right, bottom), right and bottom exclusive and rounded outwards; None for an
        empty mask.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    height, width = mask.shape
    left, right = (
        int(columns[0]) * width_px // width,
        -(-(int(columns[-1]) + 1) * width_px // width),
    )
    top, bottom = int(rows[0]) * height_px // height, -(-(int(rows[-1]) + 1) * height_px // height)
    return left, top, right, bottom


def _outcome(outcome: Finding | Withheld) -> Mapping[str, object]:
    """Return the fields of an outcome; a withheld result has no field that a finding has."""
    match outcome:
        case Withheld():
            return {"kind": "withheld", "reason": outcome.reason.value, "detail": outcome.detail}
        case PolypMask():
            return _mask_fields(outcome) | _size_fields(outcome)
        case ToolDetections():
            return _detection_fields(outcome) | _size_fields(outcome)
        case ToolTracks():
            return _track_fields(outcome) | _size_fields(outcome)
        case _:  # pragma: no cover - the type checker shows that there is no other kind
            assert_never(outcome)


def _size_fields(finding: Finding) -> dict[str, object]:
    """Return the size of the frame that a finding belongs to."""
    width_px, height_px = finding.frame_size_px
    return {"frame_width_px": width_px, "frame_height_px": height_px}


def _mask_fields(finding: PolypMask) -> dict[str, object]:
    """Return what a line says of a mask: everything but its pixels."""
    mask = finding.mask
    return {
        "kind": finding.kind,
        "label": mask.label,
        "is_found": bool(mask.pixels.any()),
        "area_fraction": round(finding.area_fraction, 6),
        "prob_max": round(finding.prob_max, 6),
        "prob_threshold": mask.prob_threshold,
        "box_xyxy_px": bounding_box_xyxy_px(
            mask.pixels, height_px=mask.frame_height_px, width_px=mask.frame_width_px
        ),
    }


# @need-ids: SRS_SINK_010
def _detection_fields(finding: ToolDetections) -> dict[str, object]:
    """Return what a line says of detections: all of them, also those too weak to be shown."""
    return {
        "kind": finding.kind,
        "detections": [
            _box_fields(item) | {"is_shown": item.score >= finding.score_shown_min}
            for item in finding.detections
        ],
        "score_shown_min": finding.score_shown_min,
    }


def _track_fields(finding: ToolTracks) -> dict[str, object]:
    """Return what a line says of tracks, and the detections that they rest on."""
    tracks = [
        {"track_id": item.track_id, "state": item.state.value}
        | _box_fields(item)
        | {
            "seen_frame_count": item.seen_frame_count,
            "unseen_ms": round(item.unseen_ms, 3),
        }
        for item in finding.tracks
    ]
    return _detection_fields(finding.detections) | {
        "kind": finding.kind,
        "tracks": tracks,
        "reset_count": finding.reset_count,
    }


def _box_fields(item: Detection | Track) -> dict[str, object]:
    """Return class, score and box, to a hundredth of a pixel."""
    box: BoxXyxyPx = item.box_xyxy_px
    return {
        "label": item.label,
        "class_index": item.class_index,
        "score": round(item.score, 6),
        "box_xyxy_px": [round(edge, 2) for edge in box],
    }


def _ms(time_ns: int) -> float:
    """Return milliseconds to the microsecond."""
    return round(time_ns / NS_PER_MS, 3)
