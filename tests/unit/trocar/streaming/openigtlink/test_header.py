"""The 58 bytes before each message, and the time in them."""

from __future__ import annotations

import struct
from dataclasses import replace

import pyigtl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyigtl.messages import _igtl_frac_to_nanosec

from simulators.igtl_messages import TIME_NS, UNTIMED
from trocar.contracts.errors import ContractError, ProtocolError
from trocar.contracts.limits import NS_PER_S
from trocar.streaming.openigtlink.header import (
    HEADER_BYTES,
    Header,
    ns_from_timestamp,
    pack_header,
    parse_header,
    timestamp_from_ns,
)
from trocar.streaming.openigtlink.message_types import DECODED_TYPES, body_limit

SOUND = Header(
    version=1,
    type_name="IMAGE",
    device_name="Camera",
    timestamp_ns=TIME_NS,
    body_bytes=72,
    crc=0x0123456789ABCDEF,
)
BYTES = bytes.fromhex(
    "0001" "494d414745000000" "00000000" "43616d6572610000000000000000000000000000"
    "6553f100" "40000000" "0000000000000048" "0123456789abcdef"
)  # fmt: skip


def _with(offset: int, data: bytes) -> bytes:
    """Return the sound header with other bytes at one place."""
    return BYTES[:offset] + data + BYTES[offset + len(data) :]


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="requirement")
def test_bytes_of_a_header() -> None:
    """Written out by hand from the specification: big endian, texts filled with NUL."""
    assert len(BYTES) == HEADER_BYTES == 58
    assert pack_header(SOUND) == BYTES
    assert parse_header(BYTES) == SOUND
    assert parse_header(memoryview(BYTES)) == parse_header(bytearray(BYTES)) == SOUND


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("version", [1, 2])
def test_header_of_pyigtl_is_read(version: int) -> None:
    """A sender that was not written by us."""
    message = pyigtl.TransformMessage(device_name="A" * 20, timestamp=TIME_NS / NS_PER_S)
    message.header_version = version
    header = parse_header(message.pack()[:HEADER_BYTES])
    assert (header.version, header.type_name) == (version, "TRANSFORM")
    assert (header.device_name, header.timestamp_ns) == ("A" * 20, TIME_NS)


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (BYTES[:-1], "header: expected 58 bytes, got 57"),
        (BYTES + b"\0", "header: expected 58 bytes, got 59"),
        (_with(0, b"\0\0"), "header version: expected 1 or 2, got 0"),
        (_with(0, b"\0\3"), "got 3"),
        (_with(2, b"\0"), "type name"),
        (_with(2, b"image"), "type name: expected A to Z"),
        (_with(2, b"\xffMAGE"), "type name: expected printable ASCII"),
        (_with(14, b"\xc3\xa4"), "device name"),
    ],
)
def test_header_that_is_none_is_refused(data: bytes, words: str) -> None:
    """A stream that has lost its step looks like this."""
    with pytest.raises(ProtocolError, match=words):
        parse_header(data)


@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_IGTL_002")
@pytest.mark.parametrize("type_name", [*sorted(DECODED_TYPES), "VIDEO"])
def test_promise_is_judged_at_the_border_of_each_type(type_name: str) -> None:
    """One byte more is refused, whatever the type."""
    sound = replace(SOUND, type_name=type_name, body_bytes=body_limit(type_name))
    assert parse_header(pack_header(sound)) == sound
    with pytest.raises(ProtocolError, match=f"body of {type_name}: expected at most"):
        parse_header(pack_header(replace(sound, body_bytes=sound.body_bytes + 1)))


@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_IGTL_002")
@pytest.mark.parametrize("body_bytes", [1 << 40, 1 << 63, (1 << 64) - 1])
def test_absurd_promise_is_refused(body_bytes: int) -> None:
    """64 bits can promise more than there is in the world."""
    with pytest.raises(ProtocolError, match=str(body_bytes)):
        parse_header(_with(42, struct.pack(">Q", body_bytes)))


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="boundary")
@pytest.mark.parametrize("type_name", ["", "image", "A" * 13, "IM GE"])
def test_type_name_that_has_no_place_is_not_sent(type_name: str) -> None:
    """A peer would lose its step."""
    with pytest.raises(ContractError, match="type name"):
        pack_header(replace(SOUND, type_name=type_name))


@pytest.mark.verifies("SRS_IGTL_003", extent="full", technique="requirement")
def test_unknown_time_is_zero_and_zero_is_unknown() -> None:
    """It is said, never guessed."""
    assert timestamp_from_ns(None) == 0
    assert ns_from_timestamp(0) is None
    assert parse_header(_with(34, bytes(8))).timestamp_ns is None
    assert pack_header(replace(SOUND, timestamp_ns=None))[34:42] == bytes(8)


@pytest.mark.verifies("SRS_IGTL_003", extent="partial", technique="property")
@UNTIMED
@given(time_ns=st.integers(1, (NS_PER_S << 32) - 1))
def test_nanoseconds_come_back(time_ns: int) -> None:
    """A fraction of 2^-32 s is finer than a nanosecond: nothing may be lost."""
    stamp = timestamp_from_ns(time_ns)
    assert 0 < stamp < 1 << 64
    assert ns_from_timestamp(stamp) == time_ns


@pytest.mark.verifies("SRS_IGTL_003", extent="partial", technique="property")
@UNTIMED
@given(stamp=st.integers(1, (1 << 64) - 1))
def test_any_stamp_becomes_the_nearest_nanosecond_of_its_second(stamp: int) -> None:
    """And one that can be sent again."""
    time_ns = ns_from_timestamp(stamp)
    assert time_ns is not None
    assert abs(time_ns - stamp * NS_PER_S / 2**32) < 1024  # as near as a float can tell
    assert time_ns // NS_PER_S == stamp >> 32
    if time_ns > 0:
        assert abs(timestamp_from_ns(time_ns) - stamp) <= 5


@pytest.mark.verifies("SRS_IGTL_003", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("time_ns", "stamp"),
    [
        (1, 4),  # 4.29
        (2, 9),  # 8.59
        (500_000_000, 1 << 31),
        (999_999_999, 0xFFFF_FFFC),  # .7
        (NS_PER_S, 1 << 32),
    ],
)
def test_fraction_is_the_nearest_one(time_ns: int, stamp: int) -> None:
    """Worked out by hand: nanoseconds times 2^32 by 10^9."""
    assert timestamp_from_ns(time_ns) == stamp
    assert ns_from_timestamp(stamp) == time_ns


@pytest.mark.verifies("SRS_IGTL_003", extent="partial", technique="boundary")
def test_end_of_a_second_is_not_the_next_one() -> None:
    """The last fraction is nearer to the next second, which may lie beyond 2106."""
    assert ns_from_timestamp(0xFFFF_FFFF) == NS_PER_S - 1
    assert ns_from_timestamp((1 << 64) - 1) == (NS_PER_S << 32) - 1


@pytest.mark.verifies("SRS_IGTL_003", extent="partial", technique="equivalence")
@pytest.mark.parametrize("fraction", [1, 5, 1 << 31, 0x4000_0000, 0x1234_5678, 0xFFFF_FFFF])
def test_fraction_agrees_with_the_library(fraction: int) -> None:
    """Which adds up rounded halves: it is off by at most 32 ns, one for each bit."""
    ours = ns_from_timestamp((7 << 32) | fraction)
    assert ours is not None
    assert abs(ours - 7 * NS_PER_S - _igtl_frac_to_nanosec(fraction)) <= 32


@pytest.mark.verifies("SRS_IGTL_003", extent="partial", technique="boundary")
@pytest.mark.parametrize("time_ns", [0, -1, NS_PER_S << 32])
def test_time_outside_of_1970_to_2106_is_not_sent(time_ns: int) -> None:
    """Nanosecond 0 would read as "not known"."""
    with pytest.raises(ContractError, match="time"):
        timestamp_from_ns(time_ns)
