"""STRING: one text."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from trocar.streaming.openigtlink.wire import broken, decode_text, encode_text

__all__ = ["StringMessage", "decode_string", "encode_string"]

_HEAD: Final = struct.Struct(">HH")


@dataclass(frozen=True, slots=True)
class StringMessage:
    """One text; it is sent as ASCII where it is, else as UTF-8.

    Attributes:
        text: At most ``IGTL_TEXT_BYTES_MAX`` bytes.
    """

    text: str


# @need-ids: SRS_IGTL_005
def decode_string(content: memoryview) -> StringMessage:
    """Read the content of a STRING.

    Raises:
        ProtocolError: The length and the number of bytes contradict each other, or the text is not
            in its encoding.
    """
    if len(content) < _HEAD.size:
        raise broken("STRING", expected=f"at least {_HEAD.size} bytes", got=len(content))
    encoding, length = _HEAD.unpack_from(content)
    data = content[_HEAD.size :]
    if len(data) != length:
        raise broken("text of STRING", expected=f"{length} bytes", got=len(data))
    return StringMessage(decode_text(data, encoding, "text of STRING"))


# @need-ids: SRS_IGTL_005
def encode_string(message: StringMessage) -> bytes:
    """Return the content of a STRING.

    Raises:
        ContractError: The text is too long.
    """
    encoding, data = encode_text(message.text, "text of STRING")
    return _HEAD.pack(encoding, len(data)) + data
