"""Sound OpenIGTLink messages of every kind, and ways to make them lie.

A damaged message keeps its checksum right: what is tried here is the reading of a body by somebody
who means harm, not the finding of noise.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from hypothesis import HealthCheck, settings

from trocar.streaming.openigtlink.crc64 import crc64
from trocar.streaming.openigtlink.geometry import CoordinateSystem, ImageGeometry
from trocar.streaming.openigtlink.header import (
    HEADER_BYTES,
    Header,
    HeaderVersion,
    pack_header,
    parse_header,
)
from trocar.streaming.openigtlink.image import ImageMessage, image_from_frame
from trocar.streaming.openigtlink.message_types import Verb
from trocar.streaming.openigtlink.messages import Message, NoDataMessage, encode
from trocar.streaming.openigtlink.point import Point, PointMessage
from trocar.streaming.openigtlink.query import CapabilityMessage, QueryMessage, Start
from trocar.streaming.openigtlink.status import StatusMessage
from trocar.streaming.openigtlink.text import StringMessage
from trocar.streaming.openigtlink.transform import TransformMessage

__all__ = [
    "GEOMETRY",
    "KINDS",
    "PARTS",
    "TIME_NS",
    "UNTIMED",
    "Liar",
    "as_bytes",
    "message_samples",
    "resealed",
    "with_field",
]

UNTIMED: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: how long an example takes says how busy the machine is, not what is wrong."""

TIME_NS: Final = 1_700_000_000_250_000_000
"""A time whose fraction of a second is exact in 32 bits [ns]."""

GEOMETRY: Final = ImageGeometry(
    axis_i=(0.0, 0.25, 0.0),
    axis_j=(0.5, 0.0, 0.0),
    axis_k=(0.0, 0.0, -2.0),
    centre=(10.0, -20.0, 30.5),
    coordinates=CoordinateSystem.RAS,
)
"""A place whose numbers are exact in 32 bits."""

PARTS: Final = {
    "IMAGE": "HBBBBHHHffffffffffffHHHHHH",
    "TRANSFORM": "ffffffffffff",
    "STRING": "HH",
    "STATUS": "Hq20s",
    "POINT": "64s32sBBBBffff20s",
    "STT_TDATA": "I32s",
}
"""Fields at the begin of a content, by type, in the letters of ``struct``."""

_EXTENDED: Final = "HHII"
_INTEGERS: Final = {"B": 8, "H": 16, "I": 32, "q": 64, "Q": 64}
_FLOATS: Final = (float("nan"), float("inf"), -float("inf"), 3.4e38, -0.0, 1e-45, 1e7, 1.1e7)
_TEXTS: Final = (b"\xff", b"\x00", b"\x1b[2J", "\N{SNOWMAN}".encode(), b"A" * 64, b"\n")


def message_samples() -> dict[str, Message]:
    """Return one small sound message of each kind."""
    generator = np.random.default_rng(5)
    rgb = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    volume = generator.standard_normal((2, 3, 4, 1)).astype(">f4")
    part = generator.integers(-9, 9, (1, 2, 2, 2)).astype("<i2")
    point = Point("tip", "grasper", (255, 0, 10, 255), (1.5, -2.0, 0.0), 3.0, "Camera")
    return {
        "rgb": image_from_frame(rgb, GEOMETRY),
        "grey": image_from_frame(rgb[:, :, 0].copy()),
        "volume": ImageMessage(volume, GEOMETRY, size_ijk=(4, 3, 2)),
        "part": ImageMessage(part, GEOMETRY, size_ijk=(5, 4, 3), offset_ijk=(3, 1, 2)),
        "transform": TransformMessage((
            (1.0, 0.0, 0.0, 7.5),
            (0.0, 0.0, -1.0, 8.0),
            (0.0, 1.0, 0.0, -9.25),
        )),
        "ascii": StringMessage("polyp, 12 mm"),
        "utf8": StringMessage("Größe"),
        "status": StatusMessage(code=1, subcode=-2, error_name="OK", text="all is well"),
        "status without text": StatusMessage(code=13),
        "capability": CapabilityMessage(("IMAGE", "GET_CAPABIL", "TRANSFORM")),
        "points": PointMessage((point, replace(point, name="tip 2", diameter_mm=0.0))),
        "get": QueryMessage(Verb.GET, "CAPABILITY"),
        "start": QueryMessage(Verb.START, "TDATA", start=Start(50, "Tracker")),
        "plain start": QueryMessage(Verb.START, "IMAGE"),
        "result": QueryMessage(Verb.RESULT, "TDATA", result=1),
        "none": NoDataMessage("IMAGE"),
    }


KINDS: Final = tuple(message_samples())
"""Names of the samples."""


def as_bytes(message: Message, *, version: HeaderVersion = 1, metadata: bool = True) -> bytes:
    """Return a message as one run of bytes; version 2 has metadata unless told otherwise."""
    if version == 1:
        return b"".join(encode(message, device_name="Camera", timestamp_ns=TIME_NS))
    pairs = {"FrameNumber": "17", "Ort": "Höhle"} if metadata else {}
    return b"".join(
        encode(
            message,
            device_name="Camera",
            timestamp_ns=TIME_NS,
            version=2,
            metadata=pairs,
            message_id=99,
        )
    )


def resealed(message: bytes, body: bytes) -> bytes:
    """Return a message with another body, whose size and checksum are right again."""
    header = parse_header(message[:HEADER_BYTES])
    return pack_header(replace(header, body_bytes=len(body), crc=crc64(body))) + body


def with_field(message: bytes, offset: int, layout: str, value: object) -> bytes:
    """Return a message with one field of its body changed, checksum right again."""
    body = bytearray(message[HEADER_BYTES:])
    struct.pack_into(f">{layout}", body, offset, value)
    return resealed(message, bytes(body))


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a body."""

    layout: str
    offset: int


class Liar:
    """Turns sound messages into others that contradict themselves, from one seed.

    Args:
        seed: Same seed, same lies.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._draws: Iterator[int] = iter(())
        self._samples: list[tuple[bytes, list[_Field]]] = []
        for message in message_samples().values():
            versions: tuple[HeaderVersion, ...] = (1, 2)
            for version in versions:
                data = as_bytes(message, version=version)
                self._samples.append((data, _fields(data)))

    def header(self) -> bytes:
        """Return 58 bytes: a header of which one to three fields are anything."""
        data, _ = self._samples[self._draw(len(self._samples))]
        header = bytearray(data[:HEADER_BYTES])
        for _ in range(1 + self._draw(3)):
            match self._draw(5):
                case 0:
                    struct.pack_into(">H", header, 0, self._number(16))
                case 1:
                    self._write(header, 2, 12)
                case 2:
                    self._write(header, 14, 20)
                case 3:
                    struct.pack_into(">Q", header, 34 + 8 * self._draw(3), self._number(64))
                case _:
                    header[self._draw(HEADER_BYTES)] = self._draw(256)
        return bytes(header)

    def message(self) -> tuple[Header, bytes]:
        """Return a header that fits its body, and a body that lies in one to three places."""
        data, fields = self._samples[self._draw(len(self._samples))]
        header = parse_header(data[:HEADER_BYTES])
        body = bytearray(data[HEADER_BYTES:])
        for _ in range(1 + self._draw(3)):
            self._damage(body, fields)
        if self._draw(16) == 0:
            other, _ = self._samples[self._draw(len(self._samples))]
            header = replace(header, type_name=parse_header(other[:HEADER_BYTES]).type_name)
        if self._draw(16) == 0:
            header = replace(header, version=1 if header.version == 2 else 2)
        return replace(header, body_bytes=len(body), crc=crc64(body)), bytes(body)

    def _damage(self, body: bytearray, fields: list[_Field]) -> None:
        """Change one thing in a body."""
        kind = self._draw(8)
        if kind < 5 and fields:
            field = fields[self._draw(len(fields))]
            if field.offset + struct.calcsize(field.layout) <= len(body):
                self._lie(body, field)
        elif kind == 5:
            del body[self._draw(len(body) + 1) :]
        elif kind == 6:
            body += bytes(1 + self._draw(20))
        elif body:
            body[self._draw(len(body))] = self._draw(256)

    def _lie(self, body: bytearray, field: _Field) -> None:
        """Change one field to a value that is legal, at a border, or absurd."""
        if field.layout == "f":
            struct.pack_into(">f", body, field.offset, _FLOATS[self._draw(len(_FLOATS))])
        elif field.layout.endswith("s"):
            self._write(body, field.offset, int(field.layout[:-1]))
        else:
            bits = _INTEGERS[field.layout]
            (old,) = struct.unpack_from(f">{field.layout}", body, field.offset)
            new = (old + self._draw(5) - 2) if self._draw(2) else self._number(bits)
            data = (new % (1 << bits)).to_bytes(bits // 8, "big")
            body[field.offset : field.offset + bits // 8] = data

    def _write(self, data: bytearray, offset: int, size: int) -> None:
        """Write a text that has no place there."""
        text = _TEXTS[self._draw(len(_TEXTS))][:size]
        data[offset : offset + len(text)] = text

    def _number(self, bits: int) -> int:
        """Return a number at a border, a power of two, or any."""
        largest = (1 << bits) - 1
        match self._draw(4):
            case 0:
                return (0, 1, largest, largest - 1, largest >> 1)[self._draw(5)]
            case 1:
                return 1 << self._draw(bits)
            case 2:
                return self._draw(256)
            case _:
                return (self._draw(1 << 31) << 31 | self._draw(1 << 31)) & largest

    def _draw(self, count: int) -> int:
        """Return a number from 0 to below ``count``; drawn in bulk, which is much faster."""
        value = next(self._draws, None)
        if value is None:
            self._draws = iter(self._generator.integers(0, 1 << 62, 65_536).tolist())
            value = next(self._draws)
        return int(value) % count


def _fields(message: bytes) -> list[_Field]:
    """Return the fields of a sound message's body."""
    header = parse_header(message[:HEADER_BYTES])
    layout, begin = PARTS.get(header.type_name, ""), 0
    found: list[_Field] = []
    if header.version == 2:
        begin = struct.calcsize(f">{_EXTENDED}")
        found += _laid_out(_EXTENDED, 0)
        extended, index, texts, _ = struct.unpack_from(f">{_EXTENDED}", message, HEADER_BYTES)
        index_begin = header.body_bytes - index - texts
        found += _laid_out("H" + "HHI" * ((index - 2) // 8), index_begin)
        if index_begin <= extended:
            layout = ""
    if header.body_bytes <= begin:
        layout = ""
    return found + _laid_out(layout, begin)


def _laid_out(layout: str, begin: int) -> list[_Field]:
    """Return the fields of a layout of ``struct``."""
    found, digits = [], ""
    for letter in layout:
        if letter.isdigit():
            digits += letter
            continue
        field = _Field(digits + letter, begin)
        found.append(field)
        begin += struct.calcsize(f">{field.layout}")
        digits = ""
    return found
