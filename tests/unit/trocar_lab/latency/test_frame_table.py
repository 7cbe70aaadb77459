"""The raw table survives a round trip, and nothing that is not such a table is read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from simulators.clock import FakeClock
from simulators.unit import frame_record
from trocar.contracts.errors import ContractError, InvariantError
from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld
from trocar_lab.latency.frame_table import COLUMNS, FrameRow, TimesSink, read_table, write_table

pytestmark = pytest.mark.verifies("SRS_LATENCY_001", extent="partial", technique="fault_injection")

ANSWERED = FrameRow(0, 10, 20, 30, 40, "polyp_mask", "", "met")
LOST = FrameRow(1, 50, None, None, None, "dropped", "displaced", "dropped")


def test_round_trip_keeps_every_value(tmp_path: Path) -> None:
    """Answered and dropped frames come back as they were, and equal rows give equal bytes."""
    path = tmp_path / "t.csv.gz"
    write_table(path, [ANSWERED, LOST])
    data = path.read_bytes()
    assert read_table(path) == [ANSWERED, LOST]
    write_table(path, [ANSWERED, LOST])
    assert path.read_bytes() == data
    assert (ANSWERED.age_ns, ANSWERED.service_ns) == (30, 20)
    assert (LOST.age_ns, LOST.service_ns) == (None, None)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "line",
    [
        "0,10,20,30,40,polyp_mask,,met,extra",
        "0,10,20,30,,polyp_mask,,met",
        "0,10,20,30,40,dropped,displaced,dropped",
        "0,10,,,,dropped,,dropped",
        "0,10,,,,polyp_mask,displaced,dropped",
        "0,10,20,30,40,polyp_mask,displaced,met",
        "0,10,20,30,40,polyp_mask,,fine",
        "0,10,-20,30,40,polyp_mask,,met",
        "0,10,2e1,30,40,polyp_mask,,met",
        ",10,20,30,40,polyp_mask,,met",
    ],
)
def test_malformed_row_is_refused(tmp_path: Path, line: str) -> None:
    """A row that contradicts itself stops the reading."""
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(f"{','.join(COLUMNS)}\n{line}\n".encode()))
    with pytest.raises(ContractError, match="not a table of frames"):
        read_table(path)


@pytest.mark.parametrize(
    "data", [b"", b"no gzip", gzip.compress(b"a,b\n1,2\n"), gzip.compress(b"\xff")]
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    """Foreign exceptions do not get through."""
    path = tmp_path / "t.csv.gz"
    path.write_bytes(data)
    with pytest.raises(ContractError):
        read_table(path)
    path.write_bytes(gzip.compress(b"x" * 1000)[:-10])
    with pytest.raises(ContractError):
        read_table(path)


@pytest.mark.verifies("SRS_LATE_002", extent="full", technique="requirement")
def test_frame_of_two_units_is_answered_with_the_last_record(tmp_path: Path) -> None:
    """Start of the first, finish of the last, both outcomes; missed where one is."""
    sink = TimesSink(FakeClock(2_000), unit_count=2)
    first = frame_record(5, age_ns=300, service_ns=100, captured_at_ns=1_000)
    late = Withheld(frame_index=5, reason=Reason.STALE_FRAME)
    second = frame_record(
        5,
        outcome=late,
        verdict=DeadlineVerdict.MISSED,
        age_ns=700,
        service_ns=400,
        captured_at_ns=1_000,
    )
    sink.write(first, None)
    assert sink.rows == []
    sink.write(second, None)
    sink.close()
    expected = FrameRow(
        5, 1_000, 1_200, 1_700, 2_000, "polyp_mask+withheld:stale_frame", "", "missed"
    )
    assert sink.rows == [expected]
    write_table(tmp_path / "t.csv.gz", sink.rows)
    assert read_table(tmp_path / "t.csv.gz") == [expected]


@pytest.mark.verifies("SRS_LATE_002", extent="partial", technique="fault_injection")
def test_records_of_two_frames_are_never_joined() -> None:
    """A loop that mixes frames is a fault and no row."""
    sink = TimesSink(FakeClock(10**12), unit_count=2)
    sink.write(frame_record(5), None)
    with pytest.raises(InvariantError, match="one frame was due"):
        sink.write(frame_record(6), None)
