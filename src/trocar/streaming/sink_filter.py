"""A sink that is told of one unit only, where several answer for one stream."""

from __future__ import annotations

from trocar.contracts.frame import Frame
from trocar.contracts.ports import Sink
from trocar.contracts.record import FrameRecord

__all__ = ["SinkOfUnit"]


class SinkOfUnit:
    """``ports.Sink`` that passes on the records of one unit.

    Args:
        sink: What takes them; closed with this one.
        unit: Name of the unit.
    """

    def __init__(self, sink: Sink, *, unit: str) -> None:
        self._sink = sink
        self._unit = unit

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Pass on a record of the unit, and no other one."""
        if record.unit.unit == self._unit:
            self._sink.write(record, frame)

    def close(self) -> None:
        """Close the sink behind it."""
        self._sink.close()
