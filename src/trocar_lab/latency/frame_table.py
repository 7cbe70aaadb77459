"""The raw table of a run: one line for each frame that the source sent, answered or not."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from trocar.contracts.errors import ContractError, require
from trocar.contracts.frame import Frame
from trocar.contracts.outcome import DeadlineVerdict, Withheld
from trocar.contracts.ports import Clock
from trocar.contracts.record import FrameRecord
from trocar.streaming.ledger import DropLedger

COLUMNS: Final = (
    "frame_index",
    "t0_ns",
    "t1_ns",
    "t2_ns",
    "t3_ns",
    "outcome",
    "drop_reason",
    "verdict",
)
DROPPED: Final = "dropped"
WITHHELD: Final = "withheld:"
BESIDE: Final = "+"
"""Stands between the outcomes of units that answer for the same frame."""

TABLE_BYTES_MAX: Final = 2**31


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One frame; monotonic times [ns], None after ``t0_ns`` where the frame was dropped.

    Attributes:
        frame_index: Position in the run, from 0.
        t0_ns: Scheduled arrival.
        t1_ns: The unit took it.
        t2_ns: The computation was complete.
        t3_ns: The result was in the hands of the receiver.
        outcome: Kind of the finding, ``withheld:<reason>``, or ``dropped``; those of units that
            answer for the same frame are joined by ``+``.
        drop_reason: Why it was dropped, else empty.
        verdict: What the device said: met, missed, or ``dropped``.
    """

    frame_index: int
    t0_ns: int
    t1_ns: int | None
    t2_ns: int | None
    t3_ns: int | None
    outcome: str
    drop_reason: str
    verdict: str

    @property
    def is_dropped(self) -> bool:
        """Whether the frame never had a result."""
        return self.t3_ns is None

    @property
    def age_ns(self) -> int | None:
        """Age of the result, or None [ns]."""
        return None if self.t3_ns is None else self.t3_ns - self.t0_ns

    @property
    def service_ns(self) -> int | None:
        """Time from the unit's start to the result, or None [ns]."""
        return None if self.t3_ns is None or self.t1_ns is None else self.t3_ns - self.t1_ns


class TimesSink:
    """``ports.Sink`` that stamps the arrival of each record and hands on one row a frame.

    Where more units than one answer for a frame, its row runs from the start of the first to the
    arrival of the last record, and is missed where any record is.

    Args:
        clock: Time of the device.
        unit_count: Records of each frame.
        keep: Takes each row; without it, rows are kept in memory.
    """

    def __init__(
        self, clock: Clock, *, unit_count: int = 1, keep: Callable[[FrameRow], None] | None = None
    ) -> None:
        require(unit_count > 0, "a table of a run without units")
        self._clock = clock
        self._unit_count = unit_count
        self.rows: list[FrameRow] = []
        self._keep = self.rows.append if keep is None else keep
        self._records: list[FrameRecord] = []

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Take one record; the stamp comes first."""
        available_ns = self._clock.now_ns()
        del frame
        self._records.append(record)
        if len(self._records) == self._unit_count:
            self._keep(_row_of(self._records, available_ns))
            self._records.clear()

    def close(self) -> None:
        """Keep what was taken."""


def _row_of(records: Sequence[FrameRecord], available_ns: int) -> FrameRow:
    """Return the row of one frame from the records of all its units."""
    indices = {record.frame_index for record in records}
    require(len(indices) == 1, f"records of frames {sorted(indices)} where one frame was due")
    is_missed = any(record.verdict is DeadlineVerdict.MISSED for record in records)
    return FrameRow(
        frame_index=records[0].frame_index,
        t0_ns=records[0].times.captured_at_ns,
        t1_ns=records[0].times.started_at_ns,
        t2_ns=records[-1].times.finished_at_ns,
        t3_ns=available_ns,
        outcome=BESIDE.join(_kind(record) for record in records),
        drop_reason="",
        verdict=(DeadlineVerdict.MISSED if is_missed else records[-1].verdict).value,
    )


def _kind(record: FrameRecord) -> str:
    """Return what a record holds: kind of the finding, or why there is none."""
    outcome = record.outcome
    if isinstance(outcome, Withheld):
        return f"{WITHHELD}{outcome.reason.value}"
    return outcome.kind


def all_rows(answered: Iterable[FrameRow], ledger: DropLedger) -> list[FrameRow]:
    """Return answered and dropped frames in the order of the source."""
    return sorted([*answered, *dropped_rows(ledger)], key=lambda row: row.frame_index)


def dropped_rows(ledger: DropLedger) -> list[FrameRow]:
    """Return a row for each frame that the ledger lists as dropped."""
    return [
        FrameRow(
            d.frame_index, d.captured_at_ns, None, None, None, DROPPED, d.reason.value, DROPPED
        )
        for d in ledger.dropped_frames()
    ]


def median_service_ns(rows: list[FrameRow]) -> float:
    """Return the median service time of the answered frames [ns], infinite where there is none."""
    times = [row.service_ns for row in rows if row.service_ns is not None]
    return float(median(times)) if times else float("inf")


def write_table(path: Path, rows: list[FrameRow]) -> None:
    """Write the table whole or not at all."""
    text = "".join([line_of(COLUMNS), *(line_of(cells_of(row)) for row in rows)])
    write_whole(path, gzip.compress(text.encode("ascii"), mtime=0))


def cells_of(row: FrameRow) -> tuple[object, ...]:
    """Return the cells of one row; a time that does not exist is empty."""
    times = ("" if t is None else t for t in (row.t0_ns, row.t1_ns, row.t2_ns, row.t3_ns))
    return (row.frame_index, *times, row.outcome, row.drop_reason, row.verdict)


def line_of(cells: Sequence[object]) -> str:
    """Return one line of a table; no cell of this format holds a comma or a quote."""
    return ",".join(str(cell) for cell in cells) + "\n"


def write_whole(path: Path, data: bytes) -> None:
    """Write beside the place, sync and rename: a half-written file never has the final name."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def read_table(path: Path) -> list[FrameRow]:
    """Read a table.

    Raises:
        ContractError: The file is not such a table.
    """
    try:
        with gzip.open(path, "rb") as stream:
            data = stream.read(TABLE_BYTES_MAX)
        lines = list(csv.reader(io.StringIO(data.decode("ascii"))))
        if not lines or tuple(lines[0]) != COLUMNS:
            raise _refusal(path, "its columns are not those of this format")
        return [_row(line) for line in lines[1:]]
    except (OSError, EOFError, ValueError) as exc:
        raise _refusal(path, str(exc)) from exc


def _row(cells: list[str]) -> FrameRow:
    """Return one row; integers are decimal digits only."""
    if len(cells) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} cells, got {cells}")
    index, *times = (_integer(cell) for cell in cells[:5])
    t0_ns, t1_ns, t2_ns, t3_ns = times
    if index is None or t0_ns is None:
        raise ValueError(f"frame without index or time: {cells}")
    missing = [t is None for t in (t1_ns, t2_ns, t3_ns)]
    is_dropped = cells[7] == DROPPED
    verdicts = {DeadlineVerdict.MET.value, DeadlineVerdict.MISSED.value, DROPPED}
    fits = all(missing) if is_dropped else not any(missing)
    if not fits or is_dropped != bool(cells[6]) or is_dropped != (cells[5] == DROPPED):
        raise ValueError(f"times, outcome and drop reason disagree: {cells}")
    if cells[7] not in verdicts:
        raise ValueError(f"unknown verdict: {cells}")
    return FrameRow(index, t0_ns, t1_ns, t2_ns, t3_ns, cells[5], cells[6], cells[7])


def _integer(cell: str) -> int | None:
    """Return a decimal integer, or None for an empty cell."""
    if not cell:
        return None
    if not (cell.isascii() and cell.isdigit()):
        raise ValueError(f"expected digits, got {cell!r}")
    return int(cell)


def _refusal(path: Path, problem: str) -> ContractError:
    """Return the error of a table that cannot be read."""
    return ContractError(
        f"{path.name} is not a table of frames: {problem}", advice="record the bundle again"
    )
