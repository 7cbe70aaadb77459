"""What every sink promises; a subclass names the adapter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

import pytest

from conformance.samples import make_frame, make_polyp_mask, make_record
from trocar.contracts.errors import SinkError
from trocar.contracts.frame import Frame
from trocar.contracts.ports import Sink
from trocar.contracts.record import FrameRecord

__all__ = ["SinkSuite"]

RECORD_COUNT: Final = 5


def stream() -> list[tuple[FrameRecord, Frame | None]]:
    """Return records with and without finding, the last one of a frame that was not admitted."""
    found = [
        (make_record(index, make_polyp_mask(index) if index % 2 else None), make_frame(index))
        for index in range(RECORD_COUNT - 1)
    ]
    return [*found, (make_record(RECORD_COUNT - 1), None)]


class SinkSuite(ABC):
    """Subclass as ``TestMySink`` and return a sink; mark the subclass with what it verifies."""

    @abstractmethod
    def make_sink(self, folder: Path) -> Sink:
        """Return the sink under test, which writes into ``folder`` only."""

    @abstractmethod
    def read_record_count(self, folder: Path) -> int:
        """Return how many records the finished output accounts for."""

    def test_finished_output_accounts_for_every_record(self, tmp_path: Path) -> None:
        """Found, withheld, not admitted: each one counts, none is dropped in silence."""
        sink = self.make_sink(tmp_path)
        for record, frame in stream():
            sink.write(record, frame)
        sink.close()
        assert self.read_record_count(tmp_path) == RECORD_COUNT

    def test_output_without_records_can_be_finished(self, tmp_path: Path) -> None:
        """A run that ends before its first frame leaves an output that can be read."""
        self.make_sink(tmp_path).close()
        assert self.read_record_count(tmp_path) == 0

    def test_close_may_be_called_twice(self, tmp_path: Path) -> None:
        """The run closes on its way out, whatever happened before."""
        sink = self.make_sink(tmp_path)
        sink.write(*stream()[0])
        sink.close()
        sink.close()
        assert self.read_record_count(tmp_path) == 1

    def test_write_after_close_is_an_error(self, tmp_path: Path) -> None:
        """A record that went nowhere must not look as if it was kept."""
        sink = self.make_sink(tmp_path)
        sink.close()
        with pytest.raises(SinkError) as caught:
            sink.write(*stream()[0])
        assert caught.value.advice

    def test_frame_and_record_are_left_as_they_are(self, tmp_path: Path) -> None:
        """Other sinks receive the same objects."""
        record, frame = stream()[0]
        assert frame is not None
        before = (record.model_dump(mode="python"), frame.pixels.tobytes())
        sink = self.make_sink(tmp_path)
        sink.write(record, frame)
        sink.close()
        assert (record.model_dump(mode="python"), frame.pixels.tobytes()) == before
