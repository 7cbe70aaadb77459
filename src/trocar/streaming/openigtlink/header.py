"""The 58 bytes before each message, and its time stamp."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final, Literal

from trocar.contracts.limits import NS_PER_S
from trocar.streaming.openigtlink.message_types import TYPE_NAME_BYTES, body_limit
from trocar.streaming.openigtlink.wire import Bytes, broken, read_text, unsendable, write_text

__all__ = [
    "DEVICE_NAME_BYTES",
    "HEADER_BYTES",
    "Header",
    "HeaderVersion",
    "ns_from_timestamp",
    "pack_header",
    "parse_header",
    "timestamp_from_ns",
]

HeaderVersion = Literal[1, 2]
"""Version of the header: 2 adds an extended header and metadata to the body."""

DEVICE_NAME_BYTES: Final = 20
"""Size of the name of a device."""

_FORMAT: Final = struct.Struct(f">H{TYPE_NAME_BYTES}s{DEVICE_NAME_BYTES}sQQQ")
_TYPE_NAME: Final = re.compile(r"[A-Z0-9_]+\Z")
_FRACTION_BITS: Final = 32
_HALF: Final = 1 << (_FRACTION_BITS - 1)
_NS_MAX: Final = NS_PER_S << _FRACTION_BITS

HEADER_BYTES: Final = _FORMAT.size
"""Size of the header."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before a message.

    Attributes:
        version: Version of the header.
        type_name: Name of the message's type, such as ``IMAGE``.
        device_name: Name that the sender gave, maybe empty.
        timestamp_ns: Time of the sender, UTC since 1970 [ns]; None where it wrote 0: not known.
        body_bytes: Size of all that follows the header.
        crc: Checksum of all that follows the header.
    """

    version: HeaderVersion
    type_name: str
    device_name: str
    timestamp_ns: int | None
    body_bytes: int
    crc: int


# @need-ids: SRS_IGTL_001, SRS_IGTL_004
def parse_header(data: Bytes) -> Header:
    """Read a header; no memory is spent on the body that it promises.

    Raises:
        ProtocolError: The size, version, a name, or the promised size of the body is not as the
            specification and the limits of the type ask.
    """
    if len(data) != HEADER_BYTES:
        raise broken("header", expected=f"{HEADER_BYTES} bytes", got=len(data))
    number, type_data, device_data, stamp, body_bytes, crc = _FORMAT.unpack(data)
    version = _version(number)
    type_name = read_text(type_data, "type name")
    if _TYPE_NAME.match(type_name) is None:
        raise broken("type name", expected="A to Z, 0 to 9 and _", got=repr(type_name))
    # @need-ids: RCM_IGTL_002
    if body_bytes > body_limit(type_name):
        raise broken(
            f"body of {type_name}",
            expected=f"at most {body_limit(type_name)} bytes",
            got=body_bytes,
        )
    return Header(
        version=version,
        type_name=type_name,
        device_name=read_text(device_data, "device name"),
        timestamp_ns=ns_from_timestamp(stamp),
        body_bytes=body_bytes,
        crc=crc,
    )


# @need-ids: SRS_IGTL_001
def pack_header(header: Header) -> bytes:
    """Return the 58 bytes of a header.

    Raises:
        ContractError: A name is too long or not ASCII, or the time lies outside of 1970 to 2106.
    """
    if _TYPE_NAME.match(header.type_name) is None:
        raise unsendable("type name", expected="A to Z, 0 to 9 and _", got=repr(header.type_name))
    return _FORMAT.pack(
        header.version,
        write_text(header.type_name, TYPE_NAME_BYTES, "type name"),
        write_text(header.device_name, DEVICE_NAME_BYTES, "device name"),
        timestamp_from_ns(header.timestamp_ns),
        header.body_bytes,
        header.crc,
    )


# @need-ids: SRS_IGTL_003
def timestamp_from_ns(time_ns: int | None) -> int:
    """Return a time as 32 bits of seconds and 32 bits of their fraction, rounded to nearest.

    Args:
        time_ns: UTC since 1970, larger than 0 [ns]; None where it is not known, which becomes 0.

    Raises:
        ContractError: The time lies outside of 1970 to 2106.

    Source:
        OpenIGTLink, time stamp: unsigned fixed point, 0 where it is not used.
    """
    if time_ns is None:
        return 0
    if not 0 < time_ns < _NS_MAX:
        raise unsendable("time", expected=f"1 to {_NS_MAX - 1} ns", got=time_ns)
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    fraction = ((rest_ns << _FRACTION_BITS) + NS_PER_S // 2) // NS_PER_S
    return (seconds << _FRACTION_BITS) | fraction


# @need-ids: SRS_IGTL_003
def ns_from_timestamp(stamp: int) -> int | None:
    """Return the time of a 64-bit stamp, UTC since 1970 [ns], or None for 0: not known.

    A stamp that came from nanoseconds gives these nanoseconds back; a fraction just below the next
    second stays in its second.
    """
    if stamp == 0:
        return None
    seconds, fraction = stamp >> _FRACTION_BITS, stamp & ((1 << _FRACTION_BITS) - 1)
    rest_ns = min((fraction * NS_PER_S + _HALF) >> _FRACTION_BITS, NS_PER_S - 1)
    return seconds * NS_PER_S + rest_ns


def _version(number: int) -> HeaderVersion:
    """Return a version that is known."""
    match number:
        case 1:
            return 1
        case 2:
            return 2
        case _:
            raise broken("header version", expected="1 or 2", got=number)
