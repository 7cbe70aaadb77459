"""Queries, their answers, and the list of what a peer can do."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from trocar.contracts.limits import IGTL_CAPABILITY_COUNT_MAX
from trocar.streaming.openigtlink.message_types import QUERY_TYPES, TYPE_NAME_BYTES, Verb
from trocar.streaming.openigtlink.wire import (
    LARGEST_8_BITS,
    LARGEST_32_BITS,
    broken,
    read_text,
    unsendable,
    write_text,
)

__all__ = [
    "CapabilityMessage",
    "QueryMessage",
    "Start",
    "decode_capability",
    "decode_query",
    "encode_capability",
    "encode_query",
    "query_type_name",
]

_START: Final = struct.Struct(">I32s")
_COORDINATE_NAME_BYTES: Final = 32
_TYPE_NAMES: Final = {pair: name for name, pair in reversed(QUERY_TYPES.items())}


@dataclass(frozen=True, slots=True)
class CapabilityMessage:
    """What a peer can send or receive.

    Attributes:
        type_names: Names of message types, at most ``IGTL_CAPABILITY_COUNT_MAX``.
    """

    type_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """How a stream of tracking data is asked for.

    Attributes:
        resolution_ms: Shortest time between two messages [ms].
        coordinate_name: Name of the coordinate system, at most 32 characters.
    """

    resolution_ms: int
    coordinate_name: str


@dataclass(frozen=True, slots=True)
class QueryMessage:
    """A question (GET), an order (START, STOP), or the answer to an order (RESULT).

    Attributes:
        verb: What is asked.
        subject: Name of the type that it is about, such as ``IMAGE`` or ``CAPABILITY``.
        start: How, in a START that says so.
        result: 0 for success, 1 for an error, in a RESULT that says so.
    """

    verb: Verb
    subject: str
    start: Start | None = None
    result: int | None = None


# @need-ids: SRS_IGTL_005
def decode_capability(content: memoryview) -> CapabilityMessage:
    """Read the content of a CAPABILITY.

    Raises:
        ProtocolError: Its size is not a multiple of a name, there are too many, or a name is not
            printable ASCII.
    """
    count, rest = divmod(len(content), TYPE_NAME_BYTES)
    if rest or count > IGTL_CAPABILITY_COUNT_MAX:
        raise broken(
            "CAPABILITY",
            expected=f"at most {IGTL_CAPABILITY_COUNT_MAX} names of {TYPE_NAME_BYTES} bytes",
            got=f"{len(content)} bytes",
        )
    return CapabilityMessage(
        tuple(
            read_text(content[begin : begin + TYPE_NAME_BYTES], "name in CAPABILITY")
            for begin in range(0, len(content), TYPE_NAME_BYTES)
        )
    )


# @need-ids: SRS_IGTL_005
def encode_capability(message: CapabilityMessage) -> bytes:
    """Return the content of a CAPABILITY.

    Raises:
        ContractError: A name is too long or not ASCII, or there are too many.
    """
    if len(message.type_names) > IGTL_CAPABILITY_COUNT_MAX:
        raise unsendable(
            "CAPABILITY",
            expected=f"at most {IGTL_CAPABILITY_COUNT_MAX} names",
            got=len(message.type_names),
        )
    return b"".join(
        write_text(name, TYPE_NAME_BYTES, "name in CAPABILITY") for name in message.type_names
    )


def query_type_name(message: QueryMessage) -> str:
    """Return the name of a query's type on the wire.

    Raises:
        ContractError: There is no such query.
    """
    name = _TYPE_NAMES.get((message.verb, message.subject))
    if name is None:
        raise unsendable(
            "query", expected=f"one of {sorted(QUERY_TYPES)}", got=message.verb + message.subject
        )
    return name


# @need-ids: SRS_IGTL_005
def decode_query(type_name: str, content: memoryview) -> QueryMessage:
    """Read the content of a query whose type is known.

    Raises:
        ProtocolError: It has more than nothing, one byte of a result, or 36 bytes of a start.
    """
    verb, subject = QUERY_TYPES[type_name]
    if len(content) == 0:
        return QueryMessage(verb, subject)
    if verb is Verb.RESULT and len(content) == 1:
        return QueryMessage(verb, subject, result=content[0])
    if verb is Verb.START and len(content) == _START.size:
        resolution_ms, name = _START.unpack(content)
        start = Start(resolution_ms, read_text(name, f"coordinate name of {type_name}"))
        return QueryMessage(verb, subject, start=start)
    raise broken(type_name, expected="the content of such a query", got=f"{len(content)} bytes")


# @need-ids: SRS_IGTL_005
def encode_query(message: QueryMessage) -> bytes:
    """Return the content of a query, mostly none.

    Raises:
        ContractError: A number does not fit its field, a name is too long, or start or result stand
            in a query of another verb.
    """
    if message.start is not None and message.verb is Verb.START and message.result is None:
        if not 0 <= message.start.resolution_ms <= LARGEST_32_BITS:
            raise unsendable(
                "resolution", expected="32 bits of ms", got=message.start.resolution_ms
            )
        name = write_text(message.start.coordinate_name, _COORDINATE_NAME_BYTES, "coordinate name")
        return _START.pack(message.start.resolution_ms, name)
    if message.result is not None and message.verb is Verb.RESULT and message.start is None:
        if not 0 <= message.result <= LARGEST_8_BITS:
            raise unsendable("result", expected=f"0 to {LARGEST_8_BITS}", got=message.result)
        return bytes([message.result])
    if message.start is not None or message.result is not None:
        raise unsendable(
            "query", expected="start only in START, result only in RESULT", got=message
        )
    return b""
