"""The chain is read up to the first fault; a torn end is told from a change."""

from __future__ import annotations

from typing import Final

import pytest

from trocar.audit.chain import Head, follows, read_part
from trocar.audit.record import LINE_BEGIN, NO_RECORD, Record, line_of, sealed
from trocar.contracts.limits import AUDIT_RECORD_BYTES_MAX

UTC: Final = "2026-11-21T12:00:00.250000+00:00"
LOG_ID: Final = "c" * 32


def _chain(count: int) -> list[Record]:
    """Return a log of so many records."""
    begin = {"log_id": LOG_ID, "version": "0.1.0"}
    records = [sealed(seq=0, utc=UTC, event="log_started", fields=begin, previous=NO_RECORD)]
    for seq in range(1, count):
        records.append(
            sealed(
                seq=seq,
                utc=UTC,
                event="refused",
                fields={"code": "PACK", "exit_code": 66},
                previous=records[-1].digest,
            )
        )
    return records


def _lines(count: int) -> list[bytes]:
    """Return the lines of a log of so many records."""
    return [line_of(one) for one in _chain(count)]


@pytest.mark.verifies("SRS_AUDIT_003", extent="partial", technique="requirement")
def test_whole_log_is_read_to_its_end() -> None:
    """Records, number of the file, name of the log and head come out."""
    part = read_part(b"".join(_lines(4)))
    assert [one.seq for one in part.records] == [0, 1, 2, 3]
    assert (part.log_id, part.number, part.torn_bytes, part.damage) == (LOG_ID, 1, 0, "")
    assert part.head == Head(LOG_ID, 3, part.records[-1].digest)
    assert part.head is not None
    assert part.head.as_fields() == {"log_id": LOG_ID, "seq": 3, "head": part.records[-1].digest}
    assert part.good_bytes == sum(map(len, _lines(4)))


def test_nothing_is_no_fault() -> None:
    """A file was made, and the process was killed before its first record."""
    part = read_part(b"")
    assert (part.head, part.number, part.good_bytes, part.torn_bytes, part.damage) == (
        None, 0, 0, 0, "",
    )  # fmt: skip


@pytest.mark.verifies("SRS_AUDIT_002", extent="full", technique="fault_injection")
def test_every_prefix_is_whole_records_and_a_torn_one() -> None:
    """Whenever the process is killed, what was acknowledged is found and the rest is no change."""
    lines = _lines(5)
    data = b"".join(lines)
    ends = [sum(map(len, lines[:count])) for count in range(6)]
    for length in range(len(data) + 1):
        part = read_part(data[:length])
        whole_count = sum(end <= length for end in ends) - 1
        assert (len(part.records), part.damage) == (whole_count, "")
        assert (part.good_bytes, part.torn_bytes) == (
            ends[whole_count], length - ends[whole_count],
        )  # fmt: skip


@pytest.mark.verifies("SRS_AUDIT_002", extent="full", technique="fault_injection")
@pytest.mark.parametrize("block_bytes", [1, 64, 512])
def test_holes_in_the_last_record_are_a_torn_write(block_bytes: int) -> None:
    """After a power failure, blocks that were not written read as zeros, in any place."""
    lines = _lines(3)
    kept, last = b"".join(lines[:2]), lines[2]
    for begin in range(0, len(last), block_bytes):
        torn = bytearray(last)
        size = len(torn[begin : begin + block_bytes])
        torn[begin : begin + block_bytes] = b"\0" * size
        part = read_part(kept + bytes(torn))
        assert (part.good_bytes, part.torn_bytes, part.damage) == (len(kept), len(last), "")


@pytest.mark.verifies("SRS_AUDIT_002", extent="partial", technique="fault_injection")
def test_zeros_behind_the_last_record_are_a_torn_write() -> None:
    """The size of the file was on the disk before its content."""
    kept = b"".join(_lines(2))
    part = read_part(kept + b"\0" * 300)
    assert (part.good_bytes, part.torn_bytes, part.damage) == (len(kept), 300, "")


@pytest.mark.verifies("SRS_AUDIT_003", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_001")
@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("first deleted", [1, 2, 3, 4]),
        ("one deleted", [0, 1, 3, 4]),
        ("two swapped", [0, 2, 1, 3, 4]),
        ("one doubled", [0, 1, 1, 2, 3, 4]),
        ("last doubled", [0, 1, 2, 3, 4, 4]),
        ("begin put in", [0, 1, 0, 2, 3, 4]),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_records_in_another_order_are_a_change(name: str, order: list[int]) -> None:
    """Each record is sound by itself; only the chain shows it."""
    del name
    lines = _lines(5)
    part = read_part(b"".join(lines[index] for index in order))
    assert part.damage.startswith("line ")
    assert part.torn_bytes == 0


@pytest.mark.verifies("SRS_AUDIT_003", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_001")
def test_record_of_another_log_put_in_is_a_change() -> None:
    """With its own digest right."""
    lines = _lines(4)
    other = sealed(seq=2, utc=UTC, event="refused", fields={"exit_code": 1}, previous=NO_RECORD)
    part = read_part(b"".join([*lines[:2], line_of(other), *lines[3:]]))
    assert part.damage == "line 3: the record does not follow the one before it"


@pytest.mark.verifies("SRS_AUDIT_001", "SRS_AUDIT_003", extent="full", technique="boundary")
@pytest.mark.controls("RCM_AUDIT_001")
@pytest.mark.parametrize("seq", [1, 3])
def test_number_that_leaves_a_gap_is_a_change(seq: int) -> None:
    """Digest and link are right, so that only the number tells that one is missing."""
    records = _chain(2)
    last = sealed(
        seq=seq, utc=UTC, event="refused", fields={"exit_code": 1}, previous=records[-1].digest
    )
    part = read_part(b"".join(map(line_of, [*records, last])))
    assert part.damage == "line 3: the record does not follow the one before it"


@pytest.mark.verifies("SRS_AUDIT_003", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_001")
def test_every_flipped_bit_before_the_last_record_is_a_change() -> None:
    """Also one in an end of line, which joins two records."""
    lines = _lines(3)
    data = b"".join(lines)
    for position in range(len(data) - len(lines[-1])):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        part = read_part(bytes(changed))
        assert part.damage, position
        assert part.torn_bytes == 0


@pytest.mark.verifies("SRS_AUDIT_003", extent="partial", technique="fault_injection")
def test_flipped_bit_in_the_last_record_is_a_change_unless_it_has_no_end() -> None:
    """A line with its end and without a hole was written to its end."""
    lines = _lines(3)
    data = b"".join(lines)
    for position in range(len(data) - len(lines[-1]), len(data) - 1):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        part = read_part(bytes(changed))
        assert part.damage, position
    part = read_part(data[:-1] + b"\x0b")
    assert (part.damage, part.torn_bytes) == ("", len(lines[-1]))


@pytest.mark.verifies("SRS_AUDIT_003", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    "tail",
    [
        b"x",
        b"a note of somebody",
        LINE_BEGIN + b"0" * AUDIT_RECORD_BYTES_MAX,
        b"\0" * (AUDIT_RECORD_BYTES_MAX + 1),
        LINE_BEGIN + b"\n\n",
        LINE_BEGIN + b"\na note",
        LINE_BEGIN + b"\n\0\n",
        b"\n",
        line_of(_chain(3)[2])[:-1] + line_of(_chain(3)[2])[:-1],
    ],
    ids=[
        "one byte",
        "text",
        "too long",
        "too many zeros",
        "empty line",
        "two lines",
        "hole and two lines",
        "newline",
        "two records",
    ],
)
def test_what_cannot_be_one_torn_record_is_a_change(tail: bytes) -> None:
    """A rule that cut off anything would be a way to delete."""
    kept = b"".join(_lines(2))
    part = read_part(kept + tail)
    assert part.damage
    assert (part.torn_bytes, part.good_bytes) == (0, len(kept))


@pytest.mark.verifies("SRS_AUDIT_003", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("event", "seq", "previous", "fields"),
    [
        ("refused", 0, NO_RECORD, {"exit_code": 1}),
        ("log_started", 0, NO_RECORD, {"version": "0.1.0"}),
        ("log_started", 0, NO_RECORD, {"log_id": 1}),
        ("log_started", 1, NO_RECORD, {"log_id": LOG_ID}),
        ("log_started", 0, "1" * 64, {"log_id": LOG_ID}),
        ("log_continued", 5, "1" * 64, {"log_id": LOG_ID}),
        ("log_continued", 5, "1" * 64, {"log_id": LOG_ID, "part": "2"}),
    ],
)
def test_first_record_must_begin_a_log(
    event: str, seq: int, previous: str, fields: dict[str, int | str]
) -> None:
    """A log whose begin was taken away does not begin as a log does."""
    record = sealed(seq=seq, utc=UTC, event=event, fields=fields, previous=previous)
    part = read_part(line_of(record))
    assert part.damage
    assert (part.records, part.number) == ([], 0)


@pytest.mark.verifies("SRS_AUDIT_008", extent="partial", technique="requirement")
def test_later_file_says_its_number() -> None:
    """It begins in the middle of the log."""
    fields: dict[str, int | str] = {"log_id": LOG_ID, "version": "0.1.0", "part": 3}
    record = sealed(seq=5, utc=UTC, event="log_continued", fields=fields, previous="1" * 64)
    part = read_part(line_of(record))
    assert (part.number, part.log_id, part.damage) == (3, LOG_ID, "")


def test_log_that_begins_twice_has_no_part_number_of_words() -> None:
    """A first record is not believed where its number is a word."""
    fields: dict[str, int | str] = {"log_id": LOG_ID, "version": "0.1.0", "part": "1"}
    record = sealed(seq=0, utc=UTC, event="log_started", fields=fields, previous=NO_RECORD)
    assert read_part(line_of(record)).number == 0


@pytest.mark.verifies("SRS_AUDIT_002", extent="partial", technique="requirement")
def test_appended_bytes_are_read_behind_a_known_record() -> None:
    """Another process appended: what was read before is not read again."""
    records, lines = _chain(4), _lines(4)
    head = Head(LOG_ID, 1, records[1].digest)
    part = read_part(b"".join(lines[2:]), after=head)
    assert part.head == Head(LOG_ID, 3, records[3].digest)
    assert read_part(lines[3], after=head).damage == (
        "line 1: the record does not follow the one before it"
    )
    assert follows(records[2], head)
    assert not follows(records[3], head)
