"""STATUS: how a device is."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from trocar.contracts.limits import IGTL_TEXT_BYTES_MAX
from trocar.streaming.openigtlink.message_types import STATUS_HEAD_BYTES
from trocar.streaming.openigtlink.wire import (
    LARGEST_16_BITS,
    Bytes,
    broken,
    read_text,
    unsendable,
    write_ascii,
    write_text,
)

__all__ = ["StatusCode", "StatusMessage", "decode_status", "encode_status"]

_HEAD: Final = struct.Struct(">Hq20s")
_ERROR_NAME_BYTES: Final = 20
_SUBCODE_LIMIT: Final = 1 << 63


class StatusCode(IntEnum):
    """Groups of states, by their number in the specification."""

    OK = 1
    UNKNOWN_ERROR = 2
    PANIC = 3
    NOT_FOUND = 4
    ACCESS_DENIED = 5
    BUSY = 6
    TIME_OUT = 7
    OVERFLOW = 8
    CHECKSUM_ERROR = 9
    CONFIGURATION_ERROR = 10
    RESOURCE_ERROR = 11
    UNKNOWN_INSTRUCTION = 12
    NOT_READY = 13
    MANUAL_MODE = 14
    DISABLED = 15
    NOT_PRESENT = 16
    UNKNOWN_VERSION = 17
    HARDWARE_FAILURE = 18
    SHUT_DOWN = 19


@dataclass(frozen=True, slots=True)
class StatusMessage:
    """How a device is.

    Attributes:
        code: Group of states, see ``StatusCode``; senders use other numbers too.
        subcode: Number that the device defines.
        error_name: At most 20 characters.
        text: Words for a person.

    Raises:
        ContractError: A number does not fit its field.
    """

    code: int
    subcode: int = 0
    error_name: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        """Refuse what could not be sent."""
        if not 0 <= self.code <= LARGEST_16_BITS:
            raise unsendable("code of STATUS", expected=f"0 to {LARGEST_16_BITS}", got=self.code)
        if not -_SUBCODE_LIMIT <= self.subcode < _SUBCODE_LIMIT:
            raise unsendable("sub-code of STATUS", expected="64 bits", got=self.subcode)


# @need-ids: SRS_IGTL_005
def decode_status(content: memoryview) -> StatusMessage:
    """Read the content of a STATUS.

    Raises:
        ProtocolError: It is too short, a text is not printable ASCII, or bytes follow the end of
            the text.
    """
    if len(content) < STATUS_HEAD_BYTES:
        raise broken("STATUS", expected=f"at least {STATUS_HEAD_BYTES} bytes", got=len(content))
    code, subcode, name = _HEAD.unpack_from(content)
    text = content[STATUS_HEAD_BYTES:]
    return StatusMessage(
        code=code,
        subcode=subcode,
        error_name=read_text(name, "error name of STATUS"),
        text=_closed_text(text),
    )


# @need-ids: SRS_IGTL_005
def encode_status(message: StatusMessage) -> bytes:
    """Return the content of a STATUS; its text ends in NUL, as the library writes it.

    Raises:
        ContractError: A text is too long or not printable ASCII.
    """
    return (
        _HEAD.pack(
            message.code,
            message.subcode,
            write_text(message.error_name, _ERROR_NAME_BYTES, "error name of STATUS"),
        )
        + write_ascii(message.text, IGTL_TEXT_BYTES_MAX - 1, "text of STATUS")
        + b"\0"
    )


def _closed_text(data: Bytes) -> str:
    """Return a text that ends in NUL, or has none."""
    text, _, rest = bytes(data).partition(b"\0")
    if rest.strip(b"\0"):
        raise broken("text of STATUS", expected="nothing behind its end", got=f"{len(rest)} bytes")
    return read_text(text, "text of STATUS")
