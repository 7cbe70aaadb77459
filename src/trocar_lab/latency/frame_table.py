"""The raw table of a run: one line for each frame that the source sent, answered or not."""

from __future__ import annotations

import csv
import gzip
import io
import os
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from trocar.contracts.errors import ContractError
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
        outcome: Kind of the finding, ``withheld:<reason>``, or ``dropped``.
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
    """``ports.Sink`` that stamps the arrival of each record and keeps its times in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.rows: list[FrameRow] = []

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Take one record; the stamp comes first."""
        available_ns = self._clock.now_ns()
        del frame
        outcome, times = record.outcome, record.times
        if isinstance(outcome, Withheld):
            kind = f"{WITHHELD}{outcome.reason.value}"
        else:
            kind = outcome.kind
        self.rows.append(
            FrameRow(
                frame_index=record.frame_index,
                t0_ns=times.captured_at_ns,
                t1_ns=times.started_at_ns,
                t2_ns=times.finished_at_ns,
                t3_ns=available_ns,
                outcome=kind,
                drop_reason="",
                verdict=record.verdict.value,
            )
        )

    def close(self) -> None:
        """Keep what was taken."""


def all_rows(sink: TimesSink, ledger: DropLedger) -> list[FrameRow]:
    """Return answered and dropped frames in the order of the source."""
    dropped = [
        FrameRow(
            d.frame_index, d.captured_at_ns, None, None, None, DROPPED, d.reason.value, DROPPED
        )
        for d in ledger.dropped_frames()
    ]
    return sorted([*sink.rows, *dropped], key=lambda row: row.frame_index)


def median_service_ns(rows: list[FrameRow]) -> float:
    """Return the median service time of the answered frames [ns], infinite where there is none."""
    times = [row.service_ns for row in rows if row.service_ns is not None]
    return float(median(times)) if times else float("inf")


def write_table(path: Path, rows: list[FrameRow]) -> None:
    """Write the table whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        times = ("" if t is None else t for t in (row.t0_ns, row.t1_ns, row.t2_ns, row.t3_ns))
        writer.writerow((row.frame_index, *times, row.outcome, row.drop_reason, row.verdict))
    write_whole(path, gzip.compress(text.getvalue().encode("ascii"), mtime=0))


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
