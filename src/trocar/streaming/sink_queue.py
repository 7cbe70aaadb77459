"""A slow sink in a thread of its own, behind a bounded queue."""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum

import structlog

from trocar.contracts.errors import SinkError, TrocarError, require
from trocar.contracts.frame import Frame
from trocar.contracts.limits import (
    NS_PER_MS,
    NS_PER_S,
    SINK_QUEUE_LENGTH_MAX,
    SINK_WAIT_MS_MAX,
)
from trocar.contracts.ports import Clock, Sink
from trocar.contracts.record import FrameRecord
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.watchdog import Activity

__all__ = ["QueuePolicy", "QueuedSink"]

_ADVICE = "check the disk and its speed, or write fewer outputs"


class QueuePolicy(StrEnum):
    """What happens when the queue is full."""

    DROP_OLDEST = "drop_oldest"
    """The oldest waiting result is left out and counted: a picture must not fall behind."""

    BLOCK = "block"
    """The run waits: for outputs that must be complete, where nothing is timed."""


class QueuedSink:
    """``ports.Sink`` that hands records to another sink in a worker thread.

    An error of the inner sink surfaces at the next ``write`` or ``close``, whichever comes first,
    and once.

    Args:
        sink: The slow sink; used by the worker thread only.
        policy: What happens when the queue is full.
        length_max: Results that may wait.
        wait_ms_max: Longest wait for a place (``BLOCK``) and for the end of the worker.
        clock: Time since when the worker is busy; the machine's where None.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        policy: QueuePolicy,
        length_max: int = SINK_QUEUE_LENGTH_MAX,
        wait_ms_max: int = SINK_WAIT_MS_MAX,
        clock: Clock | None = None,
    ) -> None:
        require(length_max > 0, f"queue of {length_max} results asked for")
        self._sink = sink
        self._policy = policy
        self._length_max = length_max
        self._wait_s = wait_ms_max * NS_PER_MS / NS_PER_S
        self._clock = MonotonicClock() if clock is None else clock
        self._activity = Activity()
        self._condition = threading.Condition()
        self._waiting: deque[tuple[FrameRecord, Frame | None]] = deque()
        self._is_closing = False
        self._has_ended = False
        self._error: TrocarError | None = None
        self._dropped_count = 0
        self._worker = threading.Thread(target=self._work, name="trocar-sink", daemon=True)
        self._worker.start()

    @property
    def activity(self) -> Activity:
        """What the worker is doing: busy from the moment when it takes a result until it is out."""
        return self._activity

    @property
    def dropped_count(self) -> int:
        """Results that were left out of this output because it was too slow."""
        with self._condition:
            return self._dropped_count

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Queue one record.

        Raises:
            SinkError: The inner sink has failed, is too slow, or was closed.
        """
        with self._condition:
            if self._policy is QueuePolicy.BLOCK:
                self._condition.wait_for(self._has_place, timeout=self._wait_s)
            self._raise_error()
            if self._has_ended or self._is_closing:
                raise SinkError("expected an open output, got a closed one", advice=_ADVICE)
            if len(self._waiting) >= self._length_max:
                if self._policy is QueuePolicy.BLOCK:
                    raise SinkError(
                        f"expected a place in the queue within {self._wait_s:g} s, got none",
                        advice=_ADVICE,
                    )
                self._waiting.popleft()
                self._dropped_count += 1
            self._waiting.append((record, frame))
            self._condition.notify_all()

    def close(self) -> None:
        """Write what waits, close the inner sink and end the worker; may be called twice.

        Raises:
            SinkError: The inner sink has failed, or the worker does not end in time.
        """
        with self._condition:
            self._is_closing = True
            self._condition.notify_all()
        self._worker.join(self._wait_s)
        with self._condition:
            if self._dropped_count:
                structlog.get_logger().warning("results_left_out", count=self._dropped_count)
            self._raise_error()
            if not self._has_ended:
                raise SinkError(
                    f"expected an output to finish within {self._wait_s:g} s, but"
                    f" {len(self._waiting)} results still wait",
                    advice=_ADVICE,
                )

    def _has_place(self) -> bool:
        """Return whether a writer need not wait any longer."""
        return len(self._waiting) < self._length_max or self._has_ended or self._is_closing

    def _raise_error(self) -> None:
        """Raise the inner sink's error, once."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _work(self) -> None:
        """Write waiting records until the end; runs in the worker thread."""
        error: TrocarError | None = SinkError(
            "the worker of an output ended before its time", advice=_ADVICE
        )
        try:
            while (item := self._next()) is not None:
                self._activity.begin(self._clock.now_ns())
                self._sink.write(*item)
                self._activity.end()
            self._sink.close()
            error = None
        except TrocarError as exc:
            error = exc
            self._close_after(exc)
        finally:
            with self._condition:
                self._error = error
                self._has_ended = True
                self._waiting.clear()
                self._condition.notify_all()

    def _next(self) -> tuple[FrameRecord, Frame | None] | None:
        """Wait for the next record; None once nothing waits and the queue is closing."""
        with self._condition:
            while not self._waiting and not self._is_closing:
                self._condition.wait(timeout=self._wait_s)
            if not self._waiting:
                return None
            item = self._waiting.popleft()
            self._condition.notify_all()
            return item

    def _close_after(self, error: TrocarError) -> None:
        """Close the inner sink after its error, so that what was written so far can be read."""
        try:
            self._sink.close()
        except TrocarError as later:
            structlog.get_logger().error(
                "error_after_the_first", code=later.code, first=error.code, problem=later.problem
            )
