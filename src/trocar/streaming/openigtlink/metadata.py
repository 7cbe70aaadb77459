"""Extended header and metadata: what version 2 of the header puts around the content."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from trocar.contracts.limits import IGTL_EXTENSION_BYTES_MAX, IGTL_METADATA_COUNT_MAX
from trocar.streaming.openigtlink.wire import (
    LARGEST_16_BITS,
    LARGEST_32_BITS,
    TextEncoding,
    broken,
    decode_text,
    encode_text,
    unsendable,
)

__all__ = [
    "NO_METADATA",
    "Extension",
    "pack_extension",
    "split_extension",
]

NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})
"""What a message without metadata has."""

_EXTENDED: Final = struct.Struct(">HHII")
_COUNT: Final = struct.Struct(">H")
_INDEX: Final = struct.Struct(">HHI")


@dataclass(frozen=True, slots=True)
class Extension:
    """What version 2 of the header adds.

    Attributes:
        content: The bytes between extended header and metadata; a view.
        metadata: Pairs of key and value.
        message_id: Number that the sender gave, 0 where it gave none.
    """

    content: memoryview
    metadata: Mapping[str, str]
    message_id: int


# @need-ids: SRS_IGTL_006
def split_extension(body: memoryview) -> Extension:
    """Take extended header and metadata off a body of version 2; nothing is copied.

    Raises:
        ProtocolError: Sizes reach past the body or its limits, a count and its index differ, a key
            comes twice, or a text is not in its encoding.

    Source:
        OpenIGTLink protocol 3: extended header, content, metadata header, metadata body.
    """
    if len(body) < _EXTENDED.size:
        raise broken("extended header", expected=f"{_EXTENDED.size} bytes", got=len(body))
    extended_bytes, index_bytes, text_bytes, message_id = _EXTENDED.unpack_from(body)
    if extended_bytes < _EXTENDED.size:
        raise broken("extended header", expected=f"{_EXTENDED.size} bytes", got=extended_bytes)
    content_end = len(body) - index_bytes - text_bytes
    if content_end < extended_bytes:
        raise broken(
            "extended header and metadata",
            expected=f"at most the body of {len(body)} bytes",
            got=extended_bytes + index_bytes + text_bytes,
        )
    if extended_bytes + index_bytes + text_bytes > IGTL_EXTENSION_BYTES_MAX:
        raise broken(
            "extended header and metadata",
            expected=f"at most {IGTL_EXTENSION_BYTES_MAX} bytes",
            got=extended_bytes + index_bytes + text_bytes,
        )
    texts_begin = content_end + index_bytes
    return Extension(
        content=body[extended_bytes:content_end],
        metadata=_parse_metadata(body[content_end:texts_begin], body[texts_begin:]),
        message_id=message_id,
    )


# @need-ids: SRS_IGTL_006
def pack_extension(metadata: Mapping[str, str], message_id: int) -> tuple[bytes, bytes]:
    """Return the extended header and the metadata block that follows the content.

    Raises:
        ContractError: A key is empty or not ASCII, a text is too long, there are too many pairs, or
            the number of the message does not fit 32 bits.
    """
    if not 0 <= message_id <= LARGEST_32_BITS:
        raise unsendable("message id", expected=f"0 to {LARGEST_32_BITS}", got=message_id)
    if len(metadata) > IGTL_METADATA_COUNT_MAX:
        raise unsendable(
            "metadata", expected=f"at most {IGTL_METADATA_COUNT_MAX} pairs", got=len(metadata)
        )
    index, texts = [_COUNT.pack(len(metadata))], []
    for key, value in metadata.items():
        if not key.isascii() or not 0 < len(key) <= LARGEST_16_BITS:
            raise unsendable(
                "key of metadata", expected=f"1 to {LARGEST_16_BITS} ASCII", got=ascii(key[:40])
            )
        encoding, data = encode_text(value, f"metadata {key}")
        index.append(_INDEX.pack(len(key), encoding, len(data)))
        texts += [key.encode("ascii"), data]
    head, tail = b"".join(index), b"".join(texts)
    total_bytes = _EXTENDED.size + len(head) + len(tail)
    if total_bytes > IGTL_EXTENSION_BYTES_MAX:
        raise unsendable(
            "metadata", expected=f"at most {IGTL_EXTENSION_BYTES_MAX} bytes", got=total_bytes
        )
    return _EXTENDED.pack(_EXTENDED.size, len(head), len(tail), message_id), head + tail


def _parse_metadata(index: memoryview, texts: memoryview) -> Mapping[str, str]:
    """Return the pairs of a metadata block; a block of no bytes has none.

    Raises:
        ProtocolError: As ``split_extension`` says.
    """
    if len(index) == 0 and len(texts) == 0:
        return NO_METADATA
    if len(index) < _COUNT.size:
        raise broken("index of metadata", expected="a count of 2 bytes", got=len(index))
    (count,) = _COUNT.unpack_from(index)
    if count > IGTL_METADATA_COUNT_MAX:
        raise broken("metadata", expected=f"at most {IGTL_METADATA_COUNT_MAX} pairs", got=count)
    if len(index) != _COUNT.size + count * _INDEX.size:
        raise broken(
            "index of metadata", expected=f"{_COUNT.size + count * _INDEX.size}", got=len(index)
        )
    found: dict[str, str] = {}
    begin = 0
    for key_bytes, encoding, value_bytes in _INDEX.iter_unpack(index[_COUNT.size :]):
        value_begin = begin + key_bytes
        end = value_begin + value_bytes
        if end > len(texts):
            raise broken("metadata", expected=f"at most {len(texts)} bytes", got=end)
        key = decode_text(texts[begin:value_begin], TextEncoding.ASCII, "key of metadata")
        if not key or key in found:
            raise broken("key of metadata", expected="not empty, only once", got=ascii(key[:40]))
        found[key] = decode_text(texts[value_begin:end], encoding, "value of metadata")
        begin = end
    if begin != len(texts):
        raise broken("metadata", expected=f"{begin} bytes", got=len(texts))
    return MappingProxyType(found)
