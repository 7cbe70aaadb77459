"""The suites themselves: a sound adapter passes them, and each broken one is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from conformance.clock_suite import ClockSuite
from conformance.frame_source_suite import FrameSourceSuite
from conformance.samples import make_pixels
from conformance.sink_suite import SinkSuite
from trocar.contracts.errors import SinkError, require
from trocar.contracts.frame import Frame, RawFrame
from trocar.contracts.ports import Clock, FrameSource, Sink, StopSignal
from trocar.contracts.record import FrameRecord

LENGTH: Final = 4


class ListClock:
    """A clock that goes on by one nanosecond a look."""

    def __init__(self, *, step_ns: int = 1, is_lazy: bool = False) -> None:
        self._now_ns = 100
        self._step_ns = step_ns
        self._is_lazy = is_lazy

    def now_ns(self) -> int:
        """Return the time, then let it pass."""
        self._now_ns += self._step_ns
        return self._now_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Jump there, unless lazy."""
        if not self._is_lazy:
            self._now_ns = max(self._now_ns, deadline_ns)


class ListSink:
    """A sink that writes the indices when it is closed; each fault can be switched on."""

    def __init__(self, folder: Path, fault: str = "") -> None:
        self._path = folder / "indices.json"
        self._indices: list[int] = []
        self._fault = fault
        self._is_closed = False

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Keep the index."""
        if self._is_closed and self._fault != "deaf":
            raise SinkError("closed", advice="open another one")
        if self._fault == "only_admitted" and frame is None:
            return
        if self._fault == "scribbles" and frame is not None:
            frame.pixels.flags.writeable = True
            frame.pixels[0, 0, 0] ^= 255
        self._indices.append(record.frame_index)

    def close(self) -> None:
        """Write what was kept."""
        if self._is_closed and self._fault == "closes_once":
            raise SinkError("closed twice", advice="none")
        self._is_closed = True
        if self._indices or self._fault != "needs_records":
            self._path.write_text(json.dumps(self._indices), encoding="utf-8")


class ListSource:
    """A source of a few frames; each fault can be switched on."""

    def __init__(self, fault: str = "") -> None:
        self._fault = fault
        self._is_started = False
        self._buffer = make_pixels()

    @property
    def source_id(self) -> str:
        """Name of the source."""
        return "" if self._fault == "nameless" else "list"

    @property
    def frame_count(self) -> int | None:
        """Number of frames."""
        return LENGTH + (self._fault == "guesses")

    def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield the frames."""
        require(not self._is_started or self._fault == "again", "asked for twice")
        self._is_started = True
        for index in range(LENGTH):
            if stop() and self._fault != "unstoppable":
                return
            self._buffer[...] = index
            yield RawFrame(
                pixels=self._buffer if self._fault == "one_buffer" else self._buffer.copy(),
                frame_index=index + (self._fault == "from_one"),
                captured_at_ns=100 - index if self._fault == "backwards" else index,
                media_time_ns=None,
                source_id=self.source_id,
            )

    def close(self) -> None:
        """Hold nothing."""
        require(self._is_started or self._fault != "closes_late", "not started")


class TestListClock(ClockSuite):
    """A sound clock passes."""

    def make_clock(self) -> Clock:
        """Return it."""
        return ListClock()


class TestListSink(SinkSuite):
    """A sound sink passes."""

    fault = ""

    def make_sink(self, folder: Path) -> Sink:
        """Return it."""
        return ListSink(folder, self.fault)

    def read_record_count(self, folder: Path) -> int:
        """Return the number of indices in its file."""
        return len(json.loads((folder / "indices.json").read_text(encoding="utf-8")))


class TestListSource(FrameSourceSuite):
    """A sound source passes."""

    fault = ""

    def make_source(self, folder: Path) -> FrameSource:
        """Return it."""
        del folder
        return ListSource(self.fault)

    def frame_count(self) -> int:
        """Return its length."""
        return LENGTH


def is_red(call: Callable[[], object]) -> bool:
    """Return whether a test of a suite fails."""
    try:
        call()
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any failure is a red test
        return True
    return False


@pytest.mark.parametrize(
    ("make_clock", "test"),
    [
        (lambda: ListClock(step_ns=-1), "test_time_never_runs_backwards"),
        (lambda: ListClock(is_lazy=True), "test_sleep_never_ends_early"),
    ],
)
def test_broken_clock_is_found(make_clock: Callable[[], Clock], test: str) -> None:
    """A suite that no clock fails proves nothing."""
    suite = TestListClock()
    setattr(suite, "make_clock", make_clock)  # noqa: B010 - mypy refuses a method assigned plainly
    assert is_red(getattr(suite, test))


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("only_admitted", "test_finished_output_accounts_for_every_record"),
        ("needs_records", "test_output_without_records_can_be_finished"),
        ("closes_once", "test_close_may_be_called_twice"),
        ("deaf", "test_write_after_close_is_an_error"),
        ("scribbles", "test_frame_and_record_are_left_as_they_are"),
    ],
)
def test_broken_sink_is_found(fault: str, test: str, tmp_path: Path) -> None:
    """A suite that no sink fails proves nothing."""
    suite = TestListSink()
    suite.fault = fault
    assert is_red(lambda: getattr(suite, test)(tmp_path))


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("from_one", "test_every_frame_is_delivered_once_in_order"),
        ("backwards", "test_times_never_run_backwards"),
        ("nameless", "test_source_has_one_name"),
        ("guesses", "test_count_is_right_or_not_given"),
        ("one_buffer", "test_frame_in_hand_is_not_overwritten_by_the_next"),
        ("unstoppable", "test_stop_before_the_first_frame"),
        ("unstoppable", "test_stop_between_frames"),
        ("again", "test_second_pass_is_refused"),
        ("closes_late", "test_close_before_the_first_frame"),
    ],
)
def test_broken_source_is_found(fault: str, test: str, tmp_path: Path) -> None:
    """A suite that no source fails proves nothing."""
    suite = TestListSource()
    suite.fault = fault
    assert is_red(lambda: getattr(suite, test)(tmp_path))
