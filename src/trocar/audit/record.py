"""One record of the audit log: its canonical line, its digest, and the strict way back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trocar.audit.events import Value
from trocar.contracts.errors import require
from trocar.contracts.limits import AUDIT_RECORD_BYTES_MAX

__all__ = ["LINE_BEGIN", "NO_RECORD", "Record", "line_of", "parse_line", "sealed"]

NO_RECORD: Final = "0" * 64
"""What the first record names as the digest of the one before it."""

LINE_BEGIN: Final = b'{"digest":"'
"""How every line begins: fields stand in the order of their names."""

_KEYS: Final = frozenset({"seq", "utc", "event", "fields", "previous", "digest"})
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UTC: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00",
    re.ASCII,
)
_EVENT: Final = re.compile(r"[a-z]+(_[a-z]+)*", re.ASCII)
_TEXT: Final = re.compile(r"[ -~]{0,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        seq: Its number, from 0, without a gap.
        utc: When it happened by the wall clock, ISO 8601 with zone; the clock can be wrong.
        event: What happened.
        fields: The event's fields.
        previous: Digest of the record before it.
        digest: SHA-256 of the canonical record without this field.
    """

    seq: int
    utc: str
    event: str
    fields: Mapping[str, Value]
    previous: str
    digest: str


# @need-ids: SRS_AUDIT_001, RCM_AUDIT_001
def sealed(*, seq: int, utc: str, event: str, fields: Mapping[str, Value], previous: str) -> Record:
    """Return a record with its digest."""
    body = {"seq": seq, "utc": utc, "event": event, "fields": dict(fields), "previous": previous}
    digest = hashlib.sha256(_canonical(body)).hexdigest()
    return Record(
        seq=seq, utc=utc, event=event, fields=dict(fields), previous=previous, digest=digest
    )


def line_of(record: Record) -> bytes:
    """Return the line of a record, its end included."""
    line = _canonical({
        "seq": record.seq,
        "utc": record.utc,
        "event": record.event,
        "fields": dict(record.fields),
        "previous": record.previous,
        "digest": record.digest,
    })
    require(len(line) < AUDIT_RECORD_BYTES_MAX, "a record of the audit log is too long")
    return line + b"\n"


# @need-ids: SRS_AUDIT_003, RCM_AUDIT_001
def parse_line(line: bytes) -> Record:
    """Return the record of a line that is exactly what ``line_of`` writes of it.

    Names of events and fields may be ones that this version does not know: a log that a newer
    version has written stays readable.

    Args:
        line: The line without its end.

    Raises:
        ValueError: The line is not canonical, or its digest is not that of its content.
    """
    if len(line) >= AUDIT_RECORD_BYTES_MAX:
        raise ValueError("the line is too long")
    try:
        parsed = json.loads(line.decode("ascii"), parse_float=_refused, parse_constant=_refused)
    except RecursionError as exc:
        raise ValueError("the line is nested too deeply") from exc
    if not isinstance(parsed, dict) or parsed.keys() != _KEYS:
        raise ValueError("the line is no record")
    record = Record(
        seq=_number(parsed["seq"]),
        utc=_text(parsed["utc"], _UTC),
        event=_text(parsed["event"], _EVENT),
        fields=_fields(parsed["fields"]),
        previous=_text(parsed["previous"], _DIGEST),
        digest=_text(parsed["digest"], _DIGEST),
    )
    # A key that stands twice, a space or another order gives other bytes.
    if line_of(record) != line + b"\n":
        raise ValueError("the line is not in its canonical form")
    whole = sealed(
        seq=record.seq,
        utc=record.utc,
        event=record.event,
        fields=record.fields,
        previous=record.previous,
    )
    if whole.digest != record.digest:
        raise ValueError("the digest is not that of the record")
    return record


def _canonical(value: Mapping[str, object]) -> bytes:
    """Return the one way to write a record: ASCII, keys in order, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _refused(text: str) -> object:
    """Refuse a number that is not whole."""
    raise ValueError(f"expected whole numbers, got {len(text)} characters of another kind")


def _number(value: object) -> int:
    """Return a whole number from 0."""
    if type(value) is not int or value < 0:
        raise ValueError("expected a whole number from 0")
    return value


def _text(value: object, form: re.Pattern[str]) -> str:
    """Return a text that has its form."""
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise ValueError("a field does not have its form")
    return value


def _fields(value: object) -> dict[str, Value]:
    """Return the fields of an event: whole numbers, short texts and lists of them."""
    if not isinstance(value, dict):
        raise ValueError("expected fields by name")  # noqa: TRY004 - one kind of error for a line
    found: dict[str, Value] = {}
    for name, one in value.items():
        _text(name, _EVENT)
        if isinstance(one, list):
            found[name] = tuple(_text(part, _TEXT) for part in one)
        else:
            found[name] = _text(one, _TEXT) if isinstance(one, str) else _number(one)
    return found
