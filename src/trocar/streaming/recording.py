"""A recording of frames as they came: pixels without loss, times, origin and gaps, in open files.

A folder holds ``recording.json`` (what it is) and pairs of chunks, ``chunk-000000.rgb`` with the
bytes of the pixels one after the other and ``chunk-000000.jsonl`` with one line a frame. The line
is written after the pixels that it names, so that whatever line is whole names bytes that are
there: a process that is killed loses at most the frame it was writing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import structlog
from pydantic import Field

from trocar import RESEARCH_NOTICE
from trocar.contracts.base import Contract
from trocar.contracts.errors import SinkError, require
from trocar.contracts.frame import Frame, FrameIndex, FrameOrigin, MonotonicNs
from trocar.contracts.limits import (
    FRAME_SIDE_PX_MAX,
    RECORDING_BYTES_DEFAULT,
    RECORDING_CHUNK_BYTES_MAX,
)
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.record import FrameRecord, Sha256Hex

__all__ = [
    "RECORDING_SCHEMA",
    "FrameRecorder",
    "FullPolicy",
    "RecordedFrame",
    "RecordedPixels",
    "RecordingHead",
]

RECORDING_SCHEMA: Final = "trocar.recording/1"
"""Name and version of the form of a recording; a change of a field's meaning is a new version."""

_ADVICE: Final = "free disk space or choose another folder; what was recorded can be replayed"
_Side = Annotated[int, Field(ge=1, le=FRAME_SIDE_PX_MAX)]


class FullPolicy(StrEnum):
    """What happens when a recording has taken the space that it was given."""

    END_RUN = "end_run"
    """The run ends with an error: nothing is missing from what was recorded."""

    DROP_OLDEST = "drop_oldest"
    """The oldest chunk is deleted: what is there is what came last before an event."""


class RecordingHead(Contract):
    """What a recording is.

    Attributes:
        recording_schema: Name and version of its form.
        notice: Research notice.
        source_id: Where the frames came from.
    """

    recording_schema: str
    notice: str
    source_id: str


class RecordedPixels(Contract):
    """Where the pixels of one frame are.

    Attributes:
        height_px: Height of the frame.
        width_px: Width of the frame.
        offset_bytes: Where they begin in the chunk.
        sha256: Digest of the (height, width, 3) bytes, red first.
    """

    height_px: _Side
    width_px: _Side
    offset_bytes: int = Field(ge=0, le=1 << 62)
    sha256: Sha256Hex

    @property
    def length_bytes(self) -> int:
        """Number of bytes."""
        return 3 * self.height_px * self.width_px


class RecordedFrame(Contract):
    """One line of an index.

    Attributes:
        frame_index: Position in the source; gaps are frames that were dropped.
        captured_at_ns: Monotonic time of acquisition or arrival [ns].
        media_time_ns: Presentation time of the source [ns], or None.
        dropped_before_count: Frames dropped since the frame before this one.
        origin: What the frame's message said of it, where it came as one.
        pixels: Where the pixels are; None for a frame that was refused at the border.
        refusal: Why there are none: the reason and its detail.
    """

    frame_index: FrameIndex
    captured_at_ns: MonotonicNs
    media_time_ns: MonotonicNs | None
    dropped_before_count: int = Field(ge=0)
    origin: FrameOrigin | None
    pixels: RecordedPixels | None
    refusal: tuple[Reason, str] | None


_OWNER_ONLY: Final = 0o600
"""Rights of the files: pictures of patients are for the user of the run alone."""


@dataclass(slots=True)
class _Chunk:
    """One pair of files that is being written."""

    number: int
    pixels: int
    index: int
    pixels_bytes: int = 0
    index_bytes: int = 0


# @need-ids: SRS_LIVE_007, RCM_LIVE_003
class FrameRecorder:
    """``ports.Sink`` that records each frame once, however many units answer for it.

    A frame that cannot be written completely is taken back. Writing takes as long as the disk does:
    put it behind a queue (``QueuedSink``) where the run must not wait.

    Args:
        folder: Where the recording goes; made if it is not there, and must hold no recording.
        source_id: Where the frames come from.
        bytes_max: Disk space that it may take.
        full: What happens then.
        chunk_bytes_max: Size from which the next chunk begins.

    Raises:
        SinkError: The folder cannot be made, or holds a recording.
    """

    def __init__(
        self,
        folder: Path,
        *,
        source_id: str,
        bytes_max: int = RECORDING_BYTES_DEFAULT,
        full: FullPolicy = FullPolicy.END_RUN,
        chunk_bytes_max: int = RECORDING_CHUNK_BYTES_MAX,
    ) -> None:
        require(bytes_max > 0 and chunk_bytes_max > 0, "a recording without any space asked for")
        self._folder = folder
        self._bytes_max = bytes_max
        self._full = full
        self._chunk_bytes_max = min(chunk_bytes_max, max(1, bytes_max // 2))
        self._last_index: int | None = None
        self._chunk: _Chunk | None = None
        self._next_number = 0
        self._closed_bytes: deque[tuple[int, int]] = deque()
        self._is_closed = False
        self._frame_count = 0
        self._deleted_chunk_count = 0
        head = RecordingHead(
            recording_schema=RECORDING_SCHEMA, notice=RESEARCH_NOTICE, source_id=source_id
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "recording.json").open("x", encoding="utf-8") as stream:
                stream.write(head.model_dump_json(indent=2) + "\n")
        except FileExistsError as exc:
            raise SinkError(
                f"expected no earlier recording, got {folder / 'recording.json'}",
                advice="choose another folder, or move the earlier recording away",
            ) from exc
        except OSError as exc:
            raise SinkError(
                f"a recording cannot be made in {folder}: {exc.strerror}", advice=_ADVICE
            ) from exc

    @property
    def frame_count(self) -> int:
        """Frames recorded so far, those in deleted chunks included."""
        return self._frame_count

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Record the frame of a record, once.

        Raises:
            SinkError: It could not be written and was taken back, or the space is used up.
        """
        if self._is_closed:
            raise SinkError(
                f"expected an open recording, got a closed one: {self._folder}", advice=_ADVICE
            )
        if record.frame_index == self._last_index:
            return
        self._last_index = record.frame_index
        data = memoryview(b"") if frame is None else frame.pixels.reshape(-1).data
        try:
            chunk = self._chunk_for(len(data))
            self._append(chunk, record, frame, data)
        except OSError as exc:
            raise SinkError(
                f"frame {record.frame_index} could not be recorded in {self._folder}:"
                f" {exc.strerror}",
                advice=_ADVICE,
                frame_count=self._frame_count,
            ) from exc
        self._frame_count += 1

    def close(self) -> None:
        """Finish the recording; may be called twice.

        Raises:
            SinkError: The operating system reports that data were lost.
        """
        self._is_closed = True
        try:
            self._end_chunk()
        except OSError as exc:
            raise SinkError(
                f"the recording in {self._folder} could not be closed: {exc.strerror}",
                advice=_ADVICE,
            ) from exc
        if self._deleted_chunk_count:
            structlog.get_logger().warning(
                "recording_chunks_deleted", count=self._deleted_chunk_count
            )

    def _append(
        self, chunk: _Chunk, record: FrameRecord, frame: Frame | None, data: memoryview
    ) -> None:
        """Write pixels, then their line; take both back where one fails."""
        line = _line_of(record, frame, data, offset_bytes=chunk.pixels_bytes)
        try:
            _write_all(chunk.pixels, data)
            _write_all(chunk.index, memoryview(line))
        except OSError:
            with suppress(OSError):
                _cut(chunk.pixels, chunk.pixels_bytes)
                _cut(chunk.index, chunk.index_bytes)
            raise
        chunk.pixels_bytes += len(data)
        chunk.index_bytes += len(line)

    def _chunk_for(self, length_bytes: int) -> _Chunk:
        """Return the chunk for the next frame; begin a new one where the present one is full.

        Raises:
            SinkError: The space is used up and nothing may be deleted.
            OSError: The disk fails.
        """
        chunk = self._chunk
        if chunk is not None and chunk.pixels_bytes + length_bytes > self._chunk_bytes_max:
            self._end_chunk()
            chunk = None
        while self._used_bytes() + length_bytes > self._bytes_max:
            if self._full is FullPolicy.END_RUN or not self._closed_bytes:
                raise SinkError(
                    f"expected a recording of at most {self._bytes_max} bytes, got"
                    f" {self._used_bytes()} and {length_bytes} more",
                    advice="give it more space, or let it delete its oldest frames",
                    frame_count=self._frame_count,
                )
            self._delete_oldest()
        return self._begin_chunk() if chunk is None else chunk

    def _used_bytes(self) -> int:
        """Return the space that is taken."""
        held = self._chunk
        now = 0 if held is None else held.pixels_bytes + held.index_bytes
        return now + sum(size for _, size in self._closed_bytes)

    def _begin_chunk(self) -> _Chunk:
        """Make the next pair of files."""
        number = self._next_number
        self._next_number += 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        pixels = os.open(self._folder / f"chunk-{number:06}.rgb", flags, _OWNER_ONLY)
        try:
            index = os.open(self._folder / f"chunk-{number:06}.jsonl", flags, _OWNER_ONLY)
        except OSError:
            os.close(pixels)
            raise
        self._chunk = _Chunk(number=number, pixels=pixels, index=index)
        return self._chunk

    def _end_chunk(self) -> None:
        """Close the present pair of files, if there is one."""
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            return
        self._closed_bytes.append((chunk.number, chunk.pixels_bytes + chunk.index_bytes))
        try:
            os.close(chunk.pixels)
        finally:
            os.close(chunk.index)

    def _delete_oldest(self) -> None:
        """Delete the oldest pair: the index first, so that no line names bytes that are gone."""
        number, _ = self._closed_bytes.popleft()
        for suffix in ("jsonl", "rgb"):
            (self._folder / f"chunk-{number:06}.{suffix}").unlink()
        self._deleted_chunk_count += 1


def _line_of(
    record: FrameRecord, frame: Frame | None, data: memoryview, *, offset_bytes: int
) -> bytes:
    """Return the line of one frame, in ASCII."""
    pixels = None
    refusal = None
    if frame is not None:
        pixels = RecordedPixels(
            height_px=frame.height_px,
            width_px=frame.width_px,
            offset_bytes=offset_bytes,
            sha256=hashlib.sha256(data).hexdigest(),
        )
    elif isinstance(record.outcome, Withheld):
        refusal = (record.outcome.reason, record.outcome.detail)
    recorded = RecordedFrame(
        frame_index=record.frame_index,
        captured_at_ns=record.times.captured_at_ns,
        media_time_ns=record.media_time_ns,
        dropped_before_count=record.dropped_before_count,
        origin=record.origin,
        pixels=pixels,
        refusal=refusal,
    )
    fields = recorded.model_dump(mode="json")
    return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


def _write_all(descriptor: int, data: memoryview) -> None:
    """Write every byte; a short write goes on where it stopped."""
    while data:
        data = data[os.write(descriptor, data) :]


def _cut(descriptor: int, length_bytes: int) -> None:
    """Take back what is beyond a length."""
    os.ftruncate(descriptor, length_bytes)
    os.lseek(descriptor, length_bytes, os.SEEK_SET)
