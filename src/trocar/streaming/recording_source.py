"""Replay of a recording: the same bytes, indices and gaps, at the same intervals or at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import ValidationError

from trocar.contracts.errors import DecodeError, require
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import RECORDING_LINE_BYTES_MAX, SOURCE_ID_LENGTH_MAX
from trocar.contracts.outcome import Reason
from trocar.contracts.ports import Clock, StopSignal
from trocar.streaming.pacing import Pacing, UndecodableFrame, wait_until
from trocar.streaming.recording import RECORDING_SCHEMA, RecordedFrame, RecordingHead

__all__ = ["RecordingSource", "ReplayedFrame", "ReplayedGap"]

_HEAD_NAME: Final = "recording.json"
_ADVICE: Final = "name the folder of a recording; if it was copied, copy it again"


@dataclass(frozen=True, slots=True)
class ReplayedFrame(RawFrame):
    """A frame of a recording.

    Attributes:
        recorded_at_ns: ``captured_at_ns`` of the recorded run, on its own clock [ns].
    """

    recorded_at_ns: int = 0


@dataclass(frozen=True, slots=True)
class ReplayedGap(UndecodableFrame):
    """A frame of a recording that had no pixels, or whose pixels are not those that were recorded.

    Attributes:
        recorded_at_ns: ``captured_at_ns`` of the recorded run, on its own clock [ns].
    """

    recorded_at_ns: int = 0


# @need-ids: SRS_LIVE_008, SRS_LIVE_009, RCM_LIVE_003
class RecordingSource:
    """``ports.FrameSource`` on a folder that ``FrameRecorder`` has written, complete or cut off.

    Its name is ``recording of`` and the recorded source, so that no record of a replay passes for a
    live one. A frame without presentation time gets the time since the first frame of the recording
    as media time, so that the detectors judge a replay by the recorded time, at any speed. A line
    that is not whole ends its chunk: it is the frame that was being written when the process died.

    Args:
        folder: The recording.
        pacing: ``REALTIME``: at the recorded intervals, ``captured_at_ns`` is the time at which the
            frame is due. ``AS_FAST_AS_POSSIBLE``: ``captured_at_ns`` is the time of delivery.
        clock: Time of the device.

    Raises:
        DecodeError: No recording, or one of another version.
    """

    def __init__(self, folder: Path, *, pacing: Pacing, clock: Clock) -> None:
        self._folder = folder
        self._pacing = pacing
        self._clock = clock
        self._is_started = False
        self._is_closed = False
        head = _head_of(folder)
        self._source_id = f"recording of {head.source_id}"[:SOURCE_ID_LENGTH_MAX]

    @property
    def source_id(self) -> str:
        """``recording of`` and the name of the recorded source."""
        return self._source_id

    @property
    def frame_count(self) -> int | None:
        """Not known before the end: the recording may be cut off."""
        return None

    def close(self) -> None:
        """End ``frames`` after the present one; may be called twice."""
        self._is_closed = True

    def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield every frame of the recording in order; may be called once.

        Raises:
            DecodeError: A line is whole and is none of a recording, or a file cannot be read.
        """
        require(not self._is_started, "frames of a recording asked for twice")
        self._is_started = True
        origin_ns = self._clock.now_ns()
        first_ns: int | None = None
        for recorded, data in self._recorded():
            first_ns = recorded.captured_at_ns if first_ns is None else first_ns
            since_ns = max(0, recorded.captured_at_ns - first_ns)
            captured_at_ns = self._wait(origin_ns + since_ns, stop)
            if captured_at_ns is None:
                return
            yield self._raw(recorded, data, captured_at_ns, since_ns)

    def _wait(self, due_ns: int, stop: StopSignal) -> int | None:
        """Return the capture time of the next frame, or None when the run is to end."""
        if self._is_closed or stop():
            return None
        if self._pacing is Pacing.REALTIME:
            return due_ns if wait_until(due_ns, clock=self._clock, stop=stop) else None
        return self._clock.now_ns()

    def _recorded(self) -> Iterator[tuple[RecordedFrame, bytes]]:
        """Yield each line with the bytes that it names.

        Raises:
            DecodeError: A line is whole and is none of a recording, or a file cannot be read.
        """
        for index_path in sorted(self._folder.glob("chunk-*.jsonl")):
            try:
                yield from _frames_of(index_path)
            except OSError as exc:
                raise DecodeError(
                    f"the recording in {self._folder} cannot be read: {exc.strerror}",
                    advice=_ADVICE,
                ) from exc

    def _raw(
        self, recorded: RecordedFrame, data: bytes, captured_at_ns: int, since_ns: int
    ) -> RawFrame:
        """Return the frame, or its stand-in with the reason why it has no pixels."""
        media_time_ns = recorded.media_time_ns
        place = recorded.pixels
        if place is None:
            reason, detail = recorded.refusal or (Reason.FRAME_UNDECODABLE, "no pixels recorded")
            return self._gap(recorded, captured_at_ns, reason, detail)
        if hashlib.sha256(data).hexdigest() != place.sha256:
            detail = f"expected SHA-256 {place.sha256} of {place.length_bytes} bytes, got another"
            return self._gap(recorded, captured_at_ns, Reason.FRAME_CORRUPT, detail)
        return ReplayedFrame(
            pixels=np.frombuffer(data, dtype=np.uint8).reshape(place.height_px, place.width_px, 3),
            frame_index=recorded.frame_index,
            captured_at_ns=captured_at_ns,
            media_time_ns=since_ns if media_time_ns is None else media_time_ns,
            source_id=self._source_id,
            origin=recorded.origin,
            recorded_at_ns=recorded.captured_at_ns,
        )

    def _gap(
        self, recorded: RecordedFrame, captured_at_ns: int, reason: Reason, detail: str
    ) -> ReplayedGap:
        """Return the stand-in of a frame without pixels."""
        return ReplayedGap(
            pixels=np.empty((0, 0, 3), dtype=np.uint8),
            frame_index=recorded.frame_index,
            captured_at_ns=captured_at_ns,
            media_time_ns=recorded.media_time_ns,
            source_id=self._source_id,
            origin=recorded.origin,
            problem=detail,
            reason=reason,
            recorded_at_ns=recorded.captured_at_ns,
        )


def _head_of(folder: Path) -> RecordingHead:
    """Read what a recording is.

    Raises:
        DecodeError: There is none, or it is of another version.
    """
    try:
        with (folder / _HEAD_NAME).open("rb") as stream:
            text = stream.read(RECORDING_LINE_BYTES_MAX)
        head = RecordingHead.model_validate_json(text)
    except OSError as exc:
        raise DecodeError(
            f"expected a recording in {folder}, got none: {exc.strerror}", advice=_ADVICE
        ) from exc
    except ValidationError as exc:
        raise DecodeError(
            f"expected {_HEAD_NAME} of a recording in {folder}, got another file", advice=_ADVICE
        ) from exc
    if head.recording_schema != RECORDING_SCHEMA:
        raise DecodeError(
            f"expected a recording of the form {RECORDING_SCHEMA}, got {head.recording_schema}",
            advice="replay it with the version that wrote it",
        )
    return head


def _frames_of(index_path: Path) -> Iterator[tuple[RecordedFrame, bytes]]:
    """Yield each whole line of one index with the bytes that it names.

    Raises:
        DecodeError: A line is none of a recording.
        OSError: A file cannot be read.
    """
    pixels_path = index_path.with_suffix(".rgb")
    with index_path.open("rb") as index, pixels_path.open("rb") as pixels:
        while line := index.readline(RECORDING_LINE_BYTES_MAX):
            if not line.endswith(b"\n") and len(line) < RECORDING_LINE_BYTES_MAX:
                # What the process was writing when it died.
                return
            recorded = _frame_of(line, index_path)
            place = recorded.pixels
            if place is not None:
                pixels.seek(place.offset_bytes)
            yield recorded, b"" if place is None else pixels.read(place.length_bytes)


def _frame_of(line: bytes, path: Path) -> RecordedFrame:
    """Read one line of an index.

    Raises:
        DecodeError: It is none.
    """
    try:
        return RecordedFrame.model_validate_json(line)
    except ValidationError as exc:
        raise DecodeError(
            f"expected a line of a recording in {path}, got {line[:60]!r}", advice=_ADVICE
        ) from exc
