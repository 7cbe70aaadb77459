"""TRANSFORM: one affine matrix."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from trocar.streaming.openigtlink.message_types import TRANSFORM_BYTES
from trocar.streaming.openigtlink.wire import broken, check_mm, is_mm, unsendable

__all__ = ["Row", "TransformMessage", "decode_transform", "encode_transform"]

Row = tuple[float, float, float, float]
"""One row of a matrix: three factors [1] and a shift [mm]."""

_NUMBERS: Final = struct.Struct(">12f")


@dataclass(frozen=True, slots=True)
class TransformMessage:
    """One affine matrix; the fourth row, (0, 0, 0, 1), is not sent.

    Attributes:
        rows: The first three rows.

    Raises:
        ContractError: A number is not finite or larger than ``IGTL_POSITION_MM_MAX``.
    """

    rows: tuple[Row, Row, Row]

    def __post_init__(self) -> None:
        """Refuse what could not be sent."""
        if not all(is_mm(row) for row in self.rows):
            raise unsendable("matrix", expected="finite numbers up to 1e7", got=self.rows)


# @need-ids: SRS_IGTL_005
def decode_transform(content: memoryview) -> TransformMessage:
    """Read the content of a TRANSFORM.

    Raises:
        ProtocolError: It has not 48 bytes, or a number is not finite or too large.
    """
    if len(content) != TRANSFORM_BYTES:
        raise broken("TRANSFORM", expected=f"{TRANSFORM_BYTES} bytes", got=len(content))
    numbers = check_mm(_NUMBERS.unpack(content), "matrix of TRANSFORM")
    first, second, third = (
        (numbers[row], numbers[row + 3], numbers[row + 6], numbers[row + 9]) for row in range(3)
    )
    return TransformMessage((first, second, third))


# @need-ids: SRS_IGTL_005
def encode_transform(message: TransformMessage) -> bytes:
    """Return the content of a TRANSFORM: the matrix column by column, 32 bits a number."""
    return _NUMBERS.pack(*(row[column] for column in range(4) for row in message.rows))
