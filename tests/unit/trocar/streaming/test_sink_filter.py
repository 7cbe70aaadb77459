"""A sink of one unit sees the records of that unit, and no other one."""

from __future__ import annotations

import pytest

from simulators.sink import RecordingSink
from simulators.unit import UNIT_INFO, frame_record
from trocar.streaming.sink_filter import SinkOfUnit


@pytest.mark.verifies("SRS_LATENCY_003", extent="full", technique="requirement")
def test_records_of_other_units_are_left_out() -> None:
    """A latency of two units together would be that of neither."""
    inner = RecordingSink()
    sink = SinkOfUnit(inner, unit="second")
    second = UNIT_INFO.model_copy(update={"unit": "second"})
    for index in range(3):
        sink.write(frame_record(index), None)
        sink.write(frame_record(index, unit=second), None)
    sink.close()
    assert [record.unit.unit for record in inner.records] == ["second"] * 3
    assert inner.close_count == 1
