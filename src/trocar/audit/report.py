"""What the files of one log hold together, and whether a head that was kept elsewhere is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar.audit.chain import Head, Part, follows, read_part
from trocar.audit.disk import content_of, opened
from trocar.audit.record import Record
from trocar.contracts.errors import AuditError, ContractError, SinkError, SourceError

__all__ = ["Anchored", "LogReport", "read_log"]

_DIGEST_LENGTH: Final = 64
_ADVICE: Final = "keep the files as they are and find out who changed them"


@dataclass(frozen=True, slots=True)
class Anchored:
    """Where a head that was kept elsewhere stands.

    Attributes:
        digest: The head.
        seq: Number of the record that has this digest.
        later_count: Records behind it, which this head does not vouch for.
    """

    digest: str
    seq: int
    later_count: int


@dataclass(frozen=True, slots=True)
class LogReport:
    """A log whose every record and link holds.

    Attributes:
        log_id: Random name of the log.
        first_part: Number of the first file that was given; 1 where the log is complete.
        records: All records.
        torn_bytes: Bytes of a last record that was not written to its end.
        anchored: Where each given head stands.
    """

    log_id: str
    first_part: int
    records: Sequence[Record]
    torn_bytes: int
    anchored: Sequence[Anchored]

    @property
    def head(self) -> Head:
        """The last record."""
        return Head(self.log_id, self.records[-1].seq, self.records[-1].digest)

    @property
    def event_counts(self) -> Mapping[str, int]:
        """Number of records of each event, by name."""
        return dict(sorted(Counter(one.event for one in self.records).items()))


# @need-ids: SRS_AUDIT_003, SRS_AUDIT_008, SRS_AUDIT_010, RCM_AUDIT_002
def read_log(files: Sequence[Path], *, heads: Sequence[str] = ()) -> LogReport:
    """Check every record of a log and the links between its files.

    Args:
        files: Files of one log, in any order.
        heads: Digests of records that were kept elsewhere.

    Raises:
        AuditError: A record or a link does not hold, or a head is not in the log.
        ContractError: A head is no digest, or the same file was given twice.
        SourceError: A file cannot be read.
    """
    for head in heads:
        if len(head) != _DIGEST_LENGTH or set(head) - set("0123456789abcdef"):
            raise ContractError(
                "expected a head of 64 hexadecimal digits, got another text",
                advice="copy it from run.json, or from what trocar printed at the end of the run",
            )
    parts = sorted(((_part_of(path), path) for path in files), key=lambda one: one[0].number)
    records: list[Record] = []
    for number, (part, path) in enumerate(parts):
        if number:
            _refuse_break(parts[number - 1][0], part, path)
        records += part.records
    first, last = parts[0][0], parts[-1][0]
    return LogReport(
        log_id=first.log_id,
        first_part=first.number,
        records=records,
        torn_bytes=last.torn_bytes,
        anchored=[_anchored(head, records, parts[-1][1], first.number) for head in heads],
    )


def _part_of(path: Path) -> Part:
    """Return the records of one file.

    Raises:
        AuditError: One of them does not hold, or there is none.
        SourceError: The file cannot be read.
    """
    try:
        with opened(path, for_writing=False) as descriptor:
            part = read_part(content_of(path, descriptor))
    except (OSError, SinkError) as exc:
        reason = exc.problem if isinstance(exc, SinkError) else exc.strerror
        raise SourceError(
            f"the audit log {path} cannot be read: {reason}", advice="check path and permissions"
        ) from exc
    if part.damage or not part.records:
        raise _broken(path, part.damage or "it holds no whole record")
    return part


def _refuse_break(before: Part, part: Part, path: Path) -> None:
    """Refuse a file that does not go on where the one before it ends.

    Raises:
        AuditError: It does not, or the one before it has no whole end.
        ContractError: The same part was given twice.
    """
    if before.number == part.number and before.records[0] == part.records[0]:
        raise ContractError(
            f"expected each file once, part {part.number} was given twice",
            advice="leave out the repeated one",
        )
    is_next = part.number == before.number + 1 and part.log_id == before.log_id
    if before.torn_bytes or not is_next or not follows(part.records[0], before.records[-1]):
        raise _broken(path, f"it does not go on where part {before.number} ends")


def _anchored(digest: str, records: Sequence[Record], path: Path, first_part: int) -> Anchored:
    """Return where a head stands in the files that were given.

    Raises:
        AuditError: No record has this digest.
    """
    for index, record in enumerate(records):
        if record.digest == digest:
            return Anchored(digest, record.seq, len(records) - 1 - index)
    earlier = "" if first_part == 1 else f", or is in a file before part {first_part}"
    raise _broken(
        path, f"no record has the digest {digest}: it was cut off or written anew{earlier}"
    )


def _broken(path: Path, what: str) -> AuditError:
    """Return the error of a log that does not hold."""
    return AuditError(f"the audit log {path} does not hold: {what}", advice=_ADVICE)
