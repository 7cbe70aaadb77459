"""A record has one way to be written; any other bytes are none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.failing_disk import DIGEST, INSTALLED
from trocar.audit.events import checked_fields
from trocar.audit.record import LINE_BEGIN, NO_RECORD, Record, line_of, parse_line, sealed
from trocar.contracts.errors import InvariantError

UTC: Final = "2026-11-21T12:00:00.250000+00:00"


def _record(
    *,
    seq: int = 3,
    utc: str = UTC,
    event: str = "installed",
    fields: Mapping[str, Any] | None = None,
    previous: str = NO_RECORD,
) -> Record:
    """Return a record."""
    held = checked_fields("installed", INSTALLED) if fields is None else fields
    return sealed(seq=seq, utc=utc, event=event, fields=held, previous=previous)


@pytest.mark.verifies("SRS_AUDIT_001", extent="full", technique="requirement")
def test_line_is_canonical_json_with_the_digest_of_the_rest() -> None:
    """Whoever checks a log with a tool of their own needs nothing but this."""
    line = line_of(_record())
    assert line.startswith(LINE_BEGIN)
    assert line.endswith(b"\n")
    parsed = json.loads(line)
    digest = parsed.pop("digest")
    rest = json.dumps(parsed, sort_keys=True, separators=(",", ":")).encode("ascii")
    assert hashlib.sha256(rest).hexdigest() == digest
    assert list(parsed) == ["event", "fields", "previous", "seq", "utc"]
    assert parsed["utc"].endswith("+00:00")


@pytest.mark.verifies("SRS_AUDIT_001", "SRS_AUDIT_003", extent="partial", technique="property")
@given(seq=st.integers(0, 10**9), sequence=st.integers(0, 2**31 - 1))
def test_reading_gives_what_was_written(seq: int, sequence: int) -> None:
    """Else a sound log would be refused."""
    record = _record(
        seq=seq, fields=checked_fields("installed", INSTALLED | {"sequence": sequence})
    )
    assert parse_line(line_of(record)[:-1]) == record


def test_lists_of_words_are_read_again() -> None:
    """Reasons of health are the one list of the table."""
    record = _record(event="health_changed", fields={"reasons": ("SINK", "sink_stalled")})
    assert parse_line(line_of(record)[:-1]) == record


@pytest.mark.verifies("SRS_AUDIT_003", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_001")
def test_every_flipped_bit_is_found() -> None:
    """One bit is the smallest change."""
    line = line_of(_record())[:-1]
    for position in range(len(line) * 8):
        changed = bytearray(line)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(ValueError, match=r"."):
            parse_line(bytes(changed))


@pytest.mark.verifies("SRS_AUDIT_003", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 4000,
        b" " * 4096,
        b'{"digest":1}',
        line_of(_record())[:-1] + b" ",
        line_of(_record())[:-1].replace(b'"seq":3', b'"seq":3,"seq":3'),
        line_of(_record())[:-1].replace(b'"seq":3', b'"seq":3.0'),
        line_of(_record())[:-1].replace(b'"seq":3', b'"seq":NaN'),
        line_of(_record())[:-1].replace(b'"seq":3', b'"seq":-3'),
        line_of(_record())[:-1].replace(b'"seq":3', b'"seq":true'),
        line_of(_record())[:-1].replace(b'"seq":3', b'"seq":4'),
        line_of(_record())[:-1].replace(b'"fields":{', b'"fields":[') ,
        line_of(_record(fields={})).replace(b'"fields":{}', b'"fields":[]')[:-1],
        line_of(_record(fields={"a": None})).rstrip(b"\n"),
        line_of(_record(fields={"a": {"b": 1}})).rstrip(b"\n"),
        line_of(_record(fields={"A": 1})).rstrip(b"\n"),
        line_of(_record(fields={"a": "x" * 129})).rstrip(b"\n"),
        line_of(_record(fields={"a": "\u00e9"})).rstrip(b"\n"),
        line_of(_record(event="Installed")).rstrip(b"\n"),
        line_of(_record(utc="2026-11-21 12:00")).rstrip(b"\n"),
        line_of(_record(previous="0")).rstrip(b"\n"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused(line: bytes) -> None:
    """Also with a digest that is right: the form is part of the record."""
    with pytest.raises(ValueError, match=r"."):
        parse_line(line)


@pytest.mark.verifies("SRS_AUDIT_001", extent="partial", technique="boundary")
def test_record_that_is_too_long_is_our_own_fault() -> None:
    """A longer one could not be told from two torn ones."""
    room = 4095 - len(line_of(_record(fields={"a": ""})))
    assert len(line_of(_record(fields={"a": "x" * room}))) == 4095
    line_of(_record(fields={"a": "x" * (room + 1)}))
    with pytest.raises(InvariantError):
        line_of(_record(fields={"a": "x" * (room + 2)}))
    assert DIGEST
