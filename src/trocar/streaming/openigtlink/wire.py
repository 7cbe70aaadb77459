"""Fields as they stand on the wire: fixed texts, bounded numbers, and the one form of a refusal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from trocar.contracts.errors import ContractError, ProtocolError
from trocar.contracts.limits import IGTL_POSITION_MM_MAX, IGTL_TEXT_BYTES_MAX

__all__ = [
    "LARGEST_8_BITS",
    "LARGEST_16_BITS",
    "LARGEST_32_BITS",
    "Bytes",
    "TextEncoding",
    "broken",
    "check_mm",
    "decode_text",
    "encode_text",
    "is_mm",
    "read_text",
    "unsendable",
    "write_ascii",
    "write_text",
]

Bytes = bytes | bytearray | memoryview
"""What the codec reads from."""

LARGEST_8_BITS: Final = 0xFF
"""Largest number of a field of 8 bits."""

LARGEST_16_BITS: Final = 0xFFFF
"""Largest number of a field of 16 bits."""

LARGEST_32_BITS: Final = 0xFFFF_FFFF
"""Largest number of a field of 32 bits."""

_PRINTABLE: Final = frozenset(range(0x20, 0x7F))


class TextEncoding(IntEnum):
    """Encodings of text that are read, by their numbers at IANA (MIBenum)."""

    ASCII = 3
    UTF8 = 106


_CODECS: Final[dict[int, str]] = {TextEncoding.ASCII: "ascii", TextEncoding.UTF8: "utf-8"}


def broken(what: str, *, expected: object, got: object) -> ProtocolError:
    """Return the refusal of a message that a peer sent.

    Args:
        what: The field or part.
        expected: What the specification or a limit asks for.
        got: What came, short: it stands in logs.
    """
    return ProtocolError(
        f"{what}: expected {expected}, got {got}",
        advice="check the sender and its version of OpenIGTLink; nothing of the message was used",
        field=what,
    )


def unsendable(what: str, *, expected: object, got: object) -> ContractError:
    """Return the refusal to send what the specification has no place for."""
    return ContractError(
        f"{what}: expected {expected}, got {got}",
        advice="send a value that OpenIGTLink can carry",
        field=what,
    )


def read_text(data: Bytes, what: str) -> str:
    """Return a text of fixed size, up to its first NUL; what lies behind that is ignored.

    Raises:
        ProtocolError: A character is not printable ASCII.
    """
    text, _, _ = bytes(data).partition(b"\0")
    if not _is_printable(text):
        raise broken(what, expected="printable ASCII", got=ascii(text[:40]))
    return text.decode("ascii")


def write_text(text: str, size_bytes: int, what: str) -> bytes:
    """Return a text filled up with NUL to a fixed size.

    Raises:
        ContractError: The text is too long, or a character is not printable ASCII.
    """
    return write_ascii(text, size_bytes, what).ljust(size_bytes, b"\0")


def write_ascii(text: str, bytes_max: int, what: str) -> bytes:
    """Return a text of at most some bytes.

    Raises:
        ContractError: The text is too long, or a character is not printable ASCII.
    """
    data = text.encode("ascii", errors="backslashreplace")
    if not text.isascii() or not _is_printable(data):
        raise unsendable(what, expected="printable ASCII", got=ascii(text[:40]))
    if len(data) > bytes_max:
        raise unsendable(what, expected=f"at most {bytes_max} characters", got=len(data))
    return data


def decode_text(data: Bytes, encoding: int, what: str) -> str:
    """Return a text in a named encoding.

    Raises:
        ProtocolError: The encoding is not ASCII (3) or UTF-8 (106), or the text is not in it.
    """
    codec = _CODECS.get(encoding)
    if codec is None:
        raise broken(f"encoding of {what}", expected="3 (ASCII) or 106 (UTF-8)", got=encoding)
    try:
        return str(data, codec)
    except UnicodeDecodeError as exc:
        raise broken(what, expected=f"text in {codec}", got=ascii(bytes(data[:40]))) from exc


def encode_text(text: str, what: str) -> tuple[TextEncoding, bytes]:
    """Return a text as ASCII where it is, else as UTF-8, with the number of its encoding.

    Raises:
        ContractError: The text has more than ``IGTL_TEXT_BYTES_MAX`` bytes, or a lone surrogate.
    """
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise unsendable(what, expected="text", got=ascii(text[:40])) from exc
    if len(data) > IGTL_TEXT_BYTES_MAX:
        raise unsendable(what, expected=f"at most {IGTL_TEXT_BYTES_MAX} bytes", got=len(data))
    return (TextEncoding.ASCII if text.isascii() else TextEncoding.UTF8), data


def is_mm(values: Iterable[float]) -> bool:
    """Return whether all numbers are finite and within ``IGTL_POSITION_MM_MAX``."""
    return all(math.isfinite(value) and abs(value) <= IGTL_POSITION_MM_MAX for value in values)


def check_mm(values: tuple[float, ...], what: str) -> tuple[float, ...]:
    """Return numbers of a peer that may be used as they are.

    Raises:
        ProtocolError: One is not finite, or larger than ``IGTL_POSITION_MM_MAX``.
    """
    if not is_mm(values):
        raise broken(what, expected=f"finite numbers up to {IGTL_POSITION_MM_MAX:g}", got=values)
    return values


def _is_printable(text: bytes) -> bool:
    """Return whether each byte is a printable character of ASCII."""
    return _PRINTABLE.issuperset(text)
