"""Any message in, any message out: header, checksum, extension and content together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from trocar.contracts.errors import require
from trocar.contracts.frame import CrcVerdict
from trocar.streaming.openigtlink.crc64 import crc64, crc_verdict
from trocar.streaming.openigtlink.header import Header, HeaderVersion, pack_header
from trocar.streaming.openigtlink.image import ImageMessage, decode_image, encode_image
from trocar.streaming.openigtlink.message_types import is_known
from trocar.streaming.openigtlink.metadata import NO_METADATA, pack_extension, split_extension
from trocar.streaming.openigtlink.point import PointMessage, decode_points, encode_points
from trocar.streaming.openigtlink.query import (
    CapabilityMessage,
    QueryMessage,
    decode_capability,
    decode_query,
    encode_capability,
    encode_query,
    query_type_name,
)
from trocar.streaming.openigtlink.status import StatusMessage, decode_status, encode_status
from trocar.streaming.openigtlink.text import StringMessage, decode_string, encode_string
from trocar.streaming.openigtlink.transform import (
    TransformMessage,
    decode_transform,
    encode_transform,
)
from trocar.streaming.openigtlink.wire import Bytes, unsendable

__all__ = [
    "DamagedMessage",
    "Message",
    "NoDataMessage",
    "Packet",
    "UnknownMessage",
    "decode",
    "encode",
    "type_name_of",
]


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of a type that is not decoded; its body was not looked at.

    Attributes:
        type_name: Its type.
        body_bytes: Its size.
    """

    type_name: str
    body_bytes: int


@dataclass(frozen=True, slots=True)
class DamagedMessage:
    """A message whose checksum is wrong; its body was not looked at.

    Attributes:
        type_name: Type that its header names.
        body_bytes: Its size.
    """

    type_name: str
    body_bytes: int


@dataclass(frozen=True, slots=True)
class NoDataMessage:
    """The answer "there is none" to a query: a header without content.

    Attributes:
        type_name: Type that was asked for.
    """

    type_name: str


Message = (
    ImageMessage
    | TransformMessage
    | StringMessage
    | StatusMessage
    | CapabilityMessage
    | QueryMessage
    | PointMessage
    | NoDataMessage
)
"""What can be sent and received."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One message as it arrived.

    Attributes:
        header: Its header.
        message: Its content, or why there is none.
        crc: Whether it arrived as it was sent.
        metadata: Pairs of key and value; none with a header of version 1.
        message_id: Number that the sender gave; 0 with a header of version 1.
    """

    header: Header
    message: Message | UnknownMessage | DamagedMessage
    crc: CrcVerdict
    metadata: Mapping[str, str] = field(default_factory=lambda: NO_METADATA)
    message_id: int = 0


_DECODERS: Final[Mapping[str, Callable[[memoryview], Message]]] = {
    "IMAGE": decode_image,
    "TRANSFORM": decode_transform,
    "STRING": decode_string,
    "STATUS": decode_status,
    "CAPABILITY": decode_capability,
    "POINT": decode_points,
}
_EMPTY_IS_NO_DATA: Final = frozenset({"IMAGE", "TRANSFORM", "STRING", "STATUS"})


# @need-ids: SRS_IGTL_001, SRS_IGTL_002, SRS_IGTL_005
def decode(header: Header, body: Bytes) -> Packet:
    """Read one message: the checksum first, then the extension, then the content.

    Args:
        header: What ``parse_header`` gave.
        body: All ``header.body_bytes`` that follow; pixels of an image stay a view on it.

    Raises:
        ProtocolError: The body lies about itself. A body that was damaged on its way is no lie: it
            becomes a ``DamagedMessage``.
    """
    require(len(body) == header.body_bytes, "a body is not as long as its header says")
    view = memoryview(body).toreadonly()
    crc = crc_verdict(header.crc, view)
    # @need-ids: RCM_IGTL_001
    if crc is CrcVerdict.MISMATCH:
        return Packet(header, DamagedMessage(header.type_name, header.body_bytes), crc)
    if not is_known(header.type_name):
        return Packet(header, UnknownMessage(header.type_name, header.body_bytes), crc)
    if header.version == 1 or len(view) == 0:
        return Packet(header, _content(header.type_name, view), crc)
    extension = split_extension(view)
    return Packet(
        header=header,
        message=_content(header.type_name, extension.content),
        crc=crc,
        metadata=extension.metadata,
        message_id=extension.message_id,
    )


def type_name_of(message: Message) -> str:
    """Return the name of a message's type on the wire."""
    match message:
        case ImageMessage():
            return "IMAGE"
        case TransformMessage():
            return "TRANSFORM"
        case StringMessage():
            return "STRING"
        case StatusMessage():
            return "STATUS"
        case CapabilityMessage():
            return "CAPABILITY"
        case PointMessage():
            return "POINT"
        case QueryMessage():
            return query_type_name(message)
        case NoDataMessage():
            return message.type_name
        case _:
            assert_never(message)


# @need-ids: SRS_IGTL_001, SRS_IGTL_002, SRS_IGTL_003
def encode(
    message: Message,
    *,
    device_name: str,
    timestamp_ns: int | None,
    version: HeaderVersion = 1,
    metadata: Mapping[str, str] = NO_METADATA,
    message_id: int = 0,
) -> tuple[memoryview, ...]:
    """Return a message as buffers to be sent one after the other; none is empty.

    Contiguous pixels are not copied: the caller keeps them unchanged until the buffers are sent.

    Args:
        message: What to send.
        device_name: At most 20 characters of ASCII.
        timestamp_ns: UTC since 1970 [ns]; None where it is not known.
        version: Version of the header.
        metadata: Pairs of key and value; only with version 2.
        message_id: Number of the message; only with version 2.

    Raises:
        ContractError: Something does not fit the field that it goes into.
    """
    if version == 1 and (metadata or message_id):
        raise unsendable("metadata and message id", expected="header version 2", got=version)
    head, pixels = _parts(message)
    tail = b""
    if version != 1:
        extended, tail = pack_extension(metadata, message_id)
        head = extended + head
    body = [memoryview(part) for part in (head, pixels, tail) if len(part) > 0]
    header = Header(
        version=version,
        type_name=type_name_of(message),
        device_name=device_name,
        timestamp_ns=timestamp_ns,
        body_bytes=sum(part.nbytes for part in body),
        crc=crc64(*body),
    )
    return memoryview(pack_header(header)), *body


def _content(type_name: str, content: memoryview) -> Message:
    """Return the message of a known type."""
    if len(content) == 0 and type_name in _EMPTY_IS_NO_DATA:
        return NoDataMessage(type_name)
    decoder = _DECODERS.get(type_name)
    return decode_query(type_name, content) if decoder is None else decoder(content)


def _parts(message: Message) -> tuple[bytes, memoryview | bytes]:
    """Return the content of a message, pixels apart."""
    match message:
        case ImageMessage():
            return encode_image(message)
        case TransformMessage():
            return encode_transform(message), b""
        case StringMessage():
            return encode_string(message), b""
        case StatusMessage():
            return encode_status(message), b""
        case CapabilityMessage():
            return encode_capability(message), b""
        case PointMessage():
            return encode_points(message), b""
        case QueryMessage():
            return encode_query(message), b""
        case NoDataMessage():
            return b"", b""
        case _:
            assert_never(message)
