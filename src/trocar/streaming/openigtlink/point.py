"""POINT: named positions, such as the tips of tools."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from trocar.contracts.limits import IGTL_POINT_COUNT_MAX
from trocar.streaming.openigtlink.geometry import Vector
from trocar.streaming.openigtlink.message_types import POINT_BYTES
from trocar.streaming.openigtlink.wire import (
    LARGEST_8_BITS,
    broken,
    check_mm,
    is_mm,
    read_text,
    unsendable,
    write_text,
)

__all__ = ["Point", "PointMessage", "Rgba", "decode_points", "encode_points"]

Rgba = tuple[int, int, int, int]
"""Red, green, blue and opacity, each 0 to 255."""

_POINT: Final = struct.Struct(">64s32s4B3ff20s")
_NAME_BYTES, _GROUP_BYTES, _OWNER_BYTES = 64, 32, 20


@dataclass(frozen=True, slots=True)
class Point:
    """One named position.

    Attributes:
        name: At most 64 characters.
        group: At most 32 characters.
        rgba: Colour.
        position: (x, y, z) [mm].
        diameter_mm: Size to draw it with [mm]; 0 where it has none.
        owner: Device name of the image that it belongs to, at most 20 characters.

    Raises:
        ContractError: A number is not finite or does not fit its field.
    """

    name: str
    group: str
    rgba: Rgba
    position: Vector
    diameter_mm: float = 0.0
    owner: str = ""

    def __post_init__(self) -> None:
        """Refuse what could not be sent."""
        if not is_mm((*self.position, self.diameter_mm)):
            raise unsendable("point", expected="finite numbers up to 1e7 mm", got=self.position)
        if not all(0 <= level <= LARGEST_8_BITS for level in self.rgba):
            raise unsendable("colour of a point", expected="0 to 255", got=self.rgba)


@dataclass(frozen=True, slots=True)
class PointMessage:
    """Named positions.

    Attributes:
        points: At most ``IGTL_POINT_COUNT_MAX``.
    """

    points: tuple[Point, ...]


# @need-ids: SRS_IGTL_005
def decode_points(content: memoryview) -> PointMessage:
    """Read the content of a POINT.

    Raises:
        ProtocolError: Its size is not a multiple of a point, there are too many, a text is not
            printable ASCII, or a number is not finite or too large.
    """
    count, rest = divmod(len(content), POINT_BYTES)
    if rest or count > IGTL_POINT_COUNT_MAX:
        raise broken(
            "POINT",
            expected=f"at most {IGTL_POINT_COUNT_MAX} points of {POINT_BYTES} bytes",
            got=f"{len(content)} bytes",
        )
    return PointMessage(
        tuple(
            _point(content[begin : begin + POINT_BYTES])
            for begin in range(0, len(content), POINT_BYTES)
        )
    )


# @need-ids: SRS_IGTL_005
def encode_points(message: PointMessage) -> bytes:
    """Return the content of a POINT.

    Raises:
        ContractError: A text is too long or not printable ASCII, or there are too many points.
    """
    if len(message.points) > IGTL_POINT_COUNT_MAX:
        raise unsendable(
            "POINT", expected=f"at most {IGTL_POINT_COUNT_MAX} points", got=len(message.points)
        )
    return b"".join(
        _POINT.pack(
            write_text(point.name, _NAME_BYTES, "name of a point"),
            write_text(point.group, _GROUP_BYTES, "group of a point"),
            *point.rgba,
            *point.position,
            point.diameter_mm,
            write_text(point.owner, _OWNER_BYTES, "owner of a point"),
        )
        for point in message.points
    )


def _point(data: memoryview) -> Point:
    """Return one point."""
    name, group, red, green, blue, alpha, x, y, z, diameter, owner = _POINT.unpack(data)
    check_mm((x, y, z, diameter), "position of POINT")
    return Point(
        name=read_text(name, "name of POINT"),
        group=read_text(group, "group of POINT"),
        rgba=(red, green, blue, alpha),
        position=(x, y, z),
        diameter_mm=diameter,
        owner=read_text(owner, "owner of POINT"),
    )
