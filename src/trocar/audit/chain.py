"""The chain of records in the bytes of one file, and where it breaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trocar.audit.record import LINE_BEGIN, NO_RECORD, Record, parse_line
from trocar.contracts.limits import AUDIT_RECORD_BYTES_MAX

__all__ = ["Head", "Part", "follows", "read_part"]

_RECORD: Final = re.compile(rb'\{"digest":"[0-9a-f]{64}","event":"')
"""Begin of a record; fields of an event that begin with a digest go on otherwise."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a log at one moment: kept elsewhere, it anchors all records up to it.

    Attributes:
        log_id: Random name of the log.
        seq: Number of the record.
        digest: Its digest.
    """

    log_id: str
    seq: int
    digest: str

    def as_fields(self) -> dict[str, str | int]:
        """Return the head as it stands in the account of a run."""
        return {"log_id": self.log_id, "seq": self.seq, "head": self.digest}


@dataclass(frozen=True, slots=True)
class Part:
    """What stands in one file of a log.

    Attributes:
        log_id: Random name of the log; empty where no record is whole.
        number: Number of the file within the log, from 1; 0 where no record is whole.
        records: The whole records up to the first fault.
        good_bytes: Bytes of these records.
        torn_bytes: Bytes behind them that are one record that was not written to its end.
        damage: What is wrong behind them, where that is something else; else empty.
    """

    log_id: str
    number: int
    records: Sequence[Record]
    good_bytes: int
    torn_bytes: int
    damage: str

    @property
    def head(self) -> Head | None:
        """The last whole record, or None where there is none."""
        if not self.records:
            return None
        return Head(self.log_id, self.records[-1].seq, self.records[-1].digest)


# @need-ids: SRS_AUDIT_003, SRS_AUDIT_002, RCM_AUDIT_001
def read_part(data: bytes, *, after: Head | None = None) -> Part:
    """Return the chain in the bytes of one file, up to the first fault.

    Args:
        data: Content of the file, or what was appended to it.
        after: The record that was the last one before that; None for a whole file.
    """
    records: list[Record] = []
    position, damage = 0, ""
    while position < len(data) and not damage:
        end = data.find(b"\n", position)
        if end < 0:
            break
        try:
            record = parse_line(data[position:end])
            _refuse_break(record, records[-1] if records else after)
        except ValueError as exc:
            damage = f"line {len(records) + 1}: {exc}"
        else:
            records.append(record)
            position = end + 1
    torn_bytes = 0
    rest = data[position:]
    if rest and _is_torn(rest):
        torn_bytes, damage = len(rest), ""
    elif rest and not damage:
        damage = f"line {len(records) + 1}: it has no end, and is no begin of a record"
    log_id = "" if after is None else after.log_id
    if records and after is None:
        log_id = str(records[0].fields["log_id"])
    return Part(
        log_id=log_id,
        number=_number_of(records),
        records=records,
        good_bytes=position,
        torn_bytes=torn_bytes,
        damage=damage,
    )


def follows(record: Record, before: Record | Head) -> bool:
    """Return whether a record names the one before it by number and digest."""
    return record.seq == before.seq + 1 and record.previous == before.digest


def _refuse_break(record: Record, before: Record | Head | None) -> None:
    """Refuse a record that does not follow.

    Raises:
        ValueError: It does not.
    """
    begins = record.event in {"log_started", "log_continued"}
    if before is not None:
        if begins:
            raise ValueError("a log begins in the middle of a file")
        if not follows(record, before):
            raise ValueError("the record does not follow the one before it")
        return
    if not begins or not isinstance(record.fields.get("log_id"), str):
        raise ValueError("the file does not begin as a log does")
    if record.event == "log_started" and (record.seq, record.previous) != (0, NO_RECORD):
        raise ValueError("the log does not begin with its first record")
    if record.event == "log_continued" and type(record.fields.get("part")) is not int:
        raise ValueError("the file does not say which part of the log it is")


def _number_of(records: Sequence[Record]) -> int:
    """Return the number of a file within its log."""
    if not records:
        return 0
    part = records[0].fields.get("part", 1)
    return part if isinstance(part, int) else 0


def _is_torn(rest: bytes) -> bool:
    r"""Return whether bytes can be one record whose writing was broken off.

    They begin as a record does, are no more than one record, and have no end of line, or have
    holes: blocks that were never written read as ``\0``, which no record holds. A line without a
    hole that has its end was written to its end: what is wrong with it came later.
    """
    if len(rest) > AUDIT_RECORD_BYTES_MAX or b"\n" in rest[:-1]:
        return False
    if rest.endswith(b"\n") and b"\0" not in rest:
        return False
    if len(_RECORD.findall(rest)) > 1:
        return False
    return all(got in (0, want) for got, want in zip(rest, LINE_BEGIN, strict=False))
