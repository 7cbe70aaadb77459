"""The raw table survives a round trip, and nothing that is not such a table is read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from trocar.contracts.errors import ContractError
from trocar_lab.latency.frame_table import COLUMNS, FrameRow, read_table, write_table

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
