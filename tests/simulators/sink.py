"""A sink that keeps what it gets, with faults on demand."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from trocar.contracts.frame import Frame
from trocar.contracts.record import FrameRecord

__all__ = ["RecordingSink"]


class RecordingSink:
    """``ports.Sink`` in memory.

    Args:
        write_errors: Error to raise instead of taking the n-th record, by n from 0.
        close_error: Error to raise by the first ``close``.
        gate: When given, every write waits for it (at most ten seconds), as a slow disk does.
    """

    def __init__(
        self,
        *,
        write_errors: Mapping[int, Exception] | None = None,
        close_error: Exception | None = None,
        gate: threading.Event | None = None,
    ) -> None:
        self._write_errors = dict(write_errors or {})
        self._close_error = close_error
        self._gate = gate
        self._call_count = 0
        self.began = threading.Event()
        self.records: list[FrameRecord] = []
        self.frames: list[Frame | None] = []
        self.close_count = 0

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Keep one record, or fail as told."""
        self.began.set()
        if self._gate is not None:
            self._gate.wait(10.0)
        number = self._call_count
        self._call_count += 1
        if number in self._write_errors:
            raise self._write_errors[number]
        self.records.append(record)
        self.frames.append(frame)

    def close(self) -> None:
        """Count the call, or fail as told."""
        self.close_count += 1
        error, self._close_error = self._close_error, None
        if error is not None:
            raise error
