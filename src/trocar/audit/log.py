"""The audit log: records are appended one by one, each on the disk before the next.

One file is the present one; when it is full it gets a number behind its name and the next one
begins with the digest of its last record. Several processes may append to one log.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from trocar import __version__
from trocar.audit.chain import Head, Part, read_part
from trocar.audit.disk import Disk, content_of, latest_part, next_place, opened, sync_folder
from trocar.audit.events import LOG_EVENTS, Value, checked_fields
from trocar.audit.record import NO_RECORD, Record, line_of, sealed
from trocar.contracts.errors import AuditError, SinkError, require
from trocar.contracts.limits import AUDIT_FILE_BYTES_MAX

__all__ = ["AuditLog", "is_disk_full"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FILE_COUNT: Final = 2
"""Files that one record may need: the one that turns out to be full, and the next one."""

_ADVICE_TAMPERED: Final = (
    "keep the file as it is and find out who changed it; start a log of another name"
)


@dataclass(slots=True)
class _Tip:
    """Where the log stands, as this process last saw it."""

    identity: tuple[int, int]
    bytes: int
    head: Head
    part: int
    changed_ns: int = 0


# @need-ids: SRS_AUDIT_001, SRS_AUDIT_002
class AuditLog:
    """An append-only log; thread-safe, and safe between processes of one account.

    Opening it reads the present file, cuts off a last record that was not written to its end, and
    begins a log where there is none.

    Args:
        path: The present file; its folder must exist.
        anchor: A head that was kept elsewhere: the log must still hold it.
        disk: What writes.
        wall_clock: Time with zone.

    Raises:
        AuditError: The file is not what was written to it; nothing was appended.
        SinkError: It cannot be opened or written.
    """

    def __init__(
        self,
        path: Path,
        *,
        anchor: Head | None = None,
        disk: Disk | None = None,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = path
        self._anchor = anchor
        self._disk = Disk() if disk is None else disk
        self._wall_clock = wall_clock
        self._mutex = threading.Lock()
        self._tip: _Tip | None = None
        with self._turn():
            pass

    @property
    def path(self) -> Path:
        """The present file."""
        return self._path

    @property
    def head(self) -> Head:
        """The last record that this process knows of."""
        tip = self._tip
        require(tip is not None, "an audit log without a head")
        return tip.head if tip is not None else Head("", 0, NO_RECORD)

    def now(self) -> datetime:
        """Return the time that a record of this moment gets."""
        return self._wall_clock()

    def append(
        self, event: str, fields: Mapping[str, object], *, at: datetime | None = None
    ) -> Head:
        """Append one record; when this returns, it is on the disk.

        Args:
            event: Name of the event, one of ``events.EVENTS``.
            fields: Its fields, each of the form that the table gives.
            at: When it happened; now where None.

        Returns:
            The head of the log: this record.

        Raises:
            InvariantError: The event is not in the table or a value does not have its form.
            AuditError: The file is no longer what was written to it.
            SinkError: The record could not be written; it was taken back.
        """
        require(event not in LOG_EVENTS, "the audit log writes these events of itself")
        checked = checked_fields(event, fields)
        when = self._wall_clock() if at is None else at
        for _ in range(_FILE_COUNT):
            with self._turn() as (descriptor, tip):
                head = self._write(descriptor, tip, event, checked, when)
            if head is not None:
                return head
            # The file was full and has its number now; the next one takes the record.
        raise SinkError(
            f"the audit log {self._path} is full again right after a new file was begun",
            advice="look for the program that fills it; the record was not written",
        )

    def close(self) -> None:
        """End; nothing is held open between two records, so that there is nothing to do."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[tuple[int, _Tip]]:
        """Hold the file for one record, read up to its end; what the system refuses is typed."""
        with self._mutex, opened(self._path, for_writing=True) as descriptor:
            try:
                tip = self._tip = self._caught_up(descriptor)
                yield descriptor, tip
                # A change that comes later is one of somebody else.
                tip.changed_ns = os.fstat(descriptor).st_ctime_ns
            except OSError as exc:
                raise SinkError(
                    f"the audit log {self._path} cannot be written: {exc.strerror}",
                    advice="free disk space, or name a file on a disk that can be written",
                    errno=exc.errno,
                ) from exc

    # @need-ids: RCM_AUDIT_001
    def _caught_up(self, descriptor: int) -> _Tip:
        """Return where the log stands; its end is mended, and a file that is empty begun.

        Raises:
            AuditError: It is not what was written to it.
        """
        state = os.fstat(descriptor)
        identity = (state.st_dev, state.st_ino)
        tip = self._tip
        if tip is not None and tip.identity == identity and tip.bytes <= state.st_size:
            if tip.bytes < state.st_size:
                return self._grown(descriptor, tip)
            if tip.changed_ns == state.st_ctime_ns:
                return tip
        part = read_part(content_of(self._path, descriptor))
        self._refuse_damage(part)
        before = self._before(part)
        self._cut_torn(descriptor, part, part.good_bytes)
        if part.head is None:
            found = self._begun(descriptor, identity, before)
        else:
            found = _Tip(identity, part.good_bytes, part.head, part.number)
        self._note_torn(descriptor, found, part)
        return found

    def _grown(self, descriptor: int, tip: _Tip) -> _Tip:
        """Return where the log stands behind what another process has appended.

        Raises:
            AuditError: That is no record that follows.
        """
        data = content_of(self._path, descriptor, begin_bytes=tip.bytes)
        part = read_part(data, after=tip.head)
        if part.damage:
            raise self._tampered(f"behind record {tip.head.seq}, {part.damage}")
        self._cut_torn(descriptor, part, tip.bytes + part.good_bytes)
        tip.bytes += part.good_bytes
        tip.head = tip.head if part.head is None else part.head
        self._note_torn(descriptor, tip, part)
        return tip

    # @need-ids: SRS_AUDIT_002
    def _cut_torn(self, descriptor: int, part: Part, good_bytes: int) -> None:
        """Cut off a record that was not written to its end."""
        if part.torn_bytes:
            self._disk.cut(descriptor, good_bytes)
            self._disk.sync(descriptor)

    def _note_torn(self, descriptor: int, tip: _Tip, part: Part) -> None:
        """Say in the log how much was cut off."""
        if part.torn_bytes:
            checked = checked_fields("log_recovered", {"cut_bytes": part.torn_bytes})
            self._write(descriptor, tip, "log_recovered", checked, self._wall_clock())

    def _refuse_damage(self, part: Part) -> None:
        """Refuse a file that is not what was written to it.

        Raises:
            AuditError: It is not.
        """
        if part.damage:
            raise self._tampered(part.damage)
        known = [
            one for one in (self._anchor, None if self._tip is None else self._tip.head) if one
        ]
        for head in known:
            self._require_held(part, head)

    # @need-ids: SRS_AUDIT_003, RCM_AUDIT_002
    def _require_held(self, part: Part, head: Head) -> None:
        """Refuse a file that does not hold a known head; one of an earlier file is not looked for.

        Raises:
            AuditError: It does not.
        """
        held = part.records
        if part.head is None:
            # The present file may be missing right after the one before it got its number.
            return
        if part.log_id != head.log_id:
            raise self._tampered("it is another log than the one whose head is known")
        if head.seq < held[0].seq:
            return
        if head.seq > held[-1].seq:
            raise self._tampered(f"it ends before record {head.seq}, whose digest is known")
        if held[head.seq - held[0].seq].digest != head.digest:
            raise self._tampered(f"record {head.seq} is not the one whose digest is known")

    def _before(self, part: Part) -> Part | None:
        """Return the file before one that has no whole record, or None where there is none.

        Raises:
            AuditError: The file before is not whole, or a known head is in neither.
        """
        if part.head is not None:
            return None
        place = latest_part(self._path)
        if place is None:
            if self._anchor is not None or self._tip is not None:
                raise self._tampered("it is gone, and a head of it is known")
            return None
        with opened(place, for_writing=False) as descriptor:
            before = read_part(content_of(place, descriptor))
        if before.head is None or before.torn_bytes or before.damage:
            raise self._tampered(f"{place.name} before it is not whole: {before.damage}")
        self._refuse_damage(before)
        return before

    # @need-ids: SRS_AUDIT_008
    def _begun(self, descriptor: int, identity: tuple[int, int], before: Part | None) -> _Tip:
        """Return where the log stands behind the first record of a file, which is written."""
        fields: dict[str, object] = {"version": __version__}
        if before is None or before.head is None:
            log_id, seq, previous, number = os.urandom(16).hex(), 0, NO_RECORD, 1
            event = "log_started"
        else:
            log_id, seq = before.log_id, before.head.seq + 1
            previous, number = before.head.digest, before.number + 1
            event, fields["part"] = "log_continued", number
        fields["log_id"] = log_id
        record = sealed(
            seq=seq,
            utc=_utc(self._wall_clock()),
            event=event,
            fields=checked_fields(event, fields),
            previous=previous,
        )
        self._put(descriptor, record, at_bytes=0)
        sync_folder(self._path.parent)
        return _Tip(identity, len(line_of(record)), Head(log_id, seq, record.digest), number)

    def _write(
        self,
        descriptor: int,
        tip: _Tip,
        event: str,
        fields: Mapping[str, Value],
        when: datetime,
    ) -> Head | None:
        """Write one record behind the tip; None where the file is full and got its number."""
        record = sealed(
            seq=tip.head.seq + 1,
            utc=_utc(when),
            event=event,
            fields=fields,
            previous=tip.head.digest,
        )
        size_bytes = len(line_of(record))
        is_note = event in LOG_EVENTS
        if tip.bytes + size_bytes > AUDIT_FILE_BYTES_MAX and not is_note:
            self._path.rename(next_place(self._path, tip.part))
            sync_folder(self._path.parent)
            return None
        self._put(descriptor, record, at_bytes=tip.bytes)
        tip.bytes += size_bytes
        tip.head = Head(tip.head.log_id, record.seq, record.digest)
        return tip.head

    def _put(self, descriptor: int, record: Record, *, at_bytes: int) -> None:
        """Write one line and wait for the disk; what does not fit is taken back.

        Raises:
            OSError: The line could not be written.
        """
        line = line_of(record)
        try:
            _require_whole(self._disk.write(descriptor, line), line)
            self._disk.sync(descriptor)
        except OSError:
            # Where even this fails, the next opening finds a record without an end.
            with contextlib.suppress(OSError):
                self._disk.cut(descriptor, at_bytes)
            raise

    def _tampered(self, what: str) -> AuditError:
        """Return the error of a log that was changed."""
        return AuditError(
            f"the audit log {self._path} is not what was written to it: {what}",
            advice=_ADVICE_TAMPERED,
        )


def is_disk_full(error: SinkError) -> bool:
    """Return whether a record was refused because there is no room for it."""
    return error.context.get("errno") in _FULL


def _require_whole(written_bytes: int, line: bytes) -> None:
    """Refuse a line that was written in part: the disk had no room for the rest.

    Raises:
        OSError: It was.
    """
    if written_bytes != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _utc(when: datetime) -> str:
    """Return a time as it stands in a record."""
    require(when.tzinfo is not None, "a time without a zone was given to the audit log")
    return when.astimezone(UTC).isoformat(timespec="microseconds")
