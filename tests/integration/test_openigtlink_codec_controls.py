"""Effect of the controls of the codec: damage that gets through, memory that a promise costs."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from simulators.igtl_messages import KINDS, as_bytes, message_samples
from trocar.contracts.errors import ProtocolError
from trocar.streaming.openigtlink.crc64 import crc64
from trocar.streaming.openigtlink.header import HEADER_BYTES, Header, parse_header
from trocar.streaming.openigtlink.image import ImageMessage, image_from_frame
from trocar.streaming.openigtlink.messages import DamagedMessage, decode, encode


def _flip(body: bytearray, generator: np.random.Generator) -> None:
    """Change one bit."""
    body[int(generator.integers(len(body)))] ^= 1 << int(generator.integers(8))


def _burst(body: bytearray, generator: np.random.Generator) -> None:
    """Write noise over a run of bytes."""
    begin = int(generator.integers(len(body) - 100))
    body[begin : begin + 100] = generator.bytes(100)


def _swap(body: bytearray, generator: np.random.Generator) -> None:
    """Exchange two rows, as a lost and repeated packet would."""
    first, second = sorted(int(row) for row in generator.choice(60, 2, replace=False))
    begin, other = 72 + first * 240, 72 + second * 240
    body[begin : begin + 240], body[other : other + 240] = (
        body[other : other + 240],
        body[begin : begin + 240],
    )


def _shift(body: bytearray, generator: np.random.Generator) -> None:
    """Lose bytes in the middle; the end is filled by the begin of the next message."""
    place, count = int(generator.integers(72, len(body) - 50)), int(generator.integers(1, 40))
    del body[place : place + count]
    body += generator.bytes(count)


def _blank(body: bytearray, generator: np.random.Generator) -> None:
    """Leave the rest as it was when the memory was taken: zero."""
    place = int(generator.integers(72, len(body) - 50))
    body[place:] = bytes(len(body) - place)


@pytest.mark.proves_effect(
    "RCM_IGTL_001",
    measure="messages changed on their way out of which a picture is read",
    acceptance="0 of 1,000 (bits, bursts, swapped rows, lost bytes, blanked ends)",
    technique="fault_injection",
)
@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("damage", [_flip, _burst, _swap, _shift, _blank])
def test_no_picture_is_read_out_of_a_damaged_message(
    damage: Callable[[bytearray, np.random.Generator], None],
) -> None:
    """Without the checksum nearly each of them would be a picture of the right size."""
    generator = np.random.default_rng(31)
    pixels = generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    parts = encode(image_from_frame(pixels), device_name="Camera", timestamp_ns=None)
    data = b"".join(parts)
    header = parse_header(data[:HEADER_BYTES])
    picture_count, believed_count = 0, 0
    for _ in range(200):
        body = bytearray(data[HEADER_BYTES:])
        damage(body, generator)
        picture_count += not isinstance(decode(header, body).message, DamagedMessage)
        try:
            believed = decode(replace(header, crc=crc64(body)), body).message
        except ProtocolError:
            continue
        believed_count += isinstance(believed, ImageMessage)
    assert picture_count == 0
    assert believed_count > 150


def _promises() -> list[tuple[bytes, bytes]]:
    """Return headers and bodies that promise much more than they bring."""
    found = []
    for kind in KINDS:
        data = as_bytes(message_samples()[kind])
        for promised in (1 << 26, 1 << 40, (1 << 64) - 1):
            header = data[:42] + struct.pack(">Q", promised) + data[50:HEADER_BYTES]
            found.append((header, data[HEADER_BYTES:]))
    image = as_bytes(message_samples()["rgb"])
    for columns, rows, slices in ((4096, 4096, 1), (0xFFFF, 0xFFFF, 0xFFFF), (8192, 2048, 1)):
        body = bytearray(image[HEADER_BYTES:])
        struct.pack_into(">3H", body, 6, columns, rows, slices)
        struct.pack_into(">3H", body, 66, columns, rows, slices)
        sealed = replace(parse_header(image[:HEADER_BYTES]), crc=crc64(body))
        found.append((_packed(sealed), bytes(body)))
    return found


def _packed(header: Header) -> bytes:
    """Return a header as it stands on the wire."""
    return struct.pack(
        ">H12s20sQQQ",
        header.version,
        header.type_name.encode(),
        header.device_name.encode(),
        0,
        header.body_bytes,
        header.crc,
    )


@pytest.mark.proves_effect(
    "RCM_IGTL_002",
    measure="memory that is taken for a message that promises up to 2^64 bytes [KiB]",
    acceptance="at most 64, for each of 51 promises",
    technique="fault_injection",
)
@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="fault_injection")
def test_a_promise_costs_no_memory() -> None:
    """Neither that of a header nor that of the sizes inside of an image."""
    promises = _promises()
    largest_bytes = 0
    tracemalloc.start()
    try:
        for header, body in promises:
            tracemalloc.reset_peak()
            before_bytes, _ = tracemalloc.get_traced_memory()
            with pytest.raises(ProtocolError):
                decode(parse_header(header), body)
            _, peak_bytes = tracemalloc.get_traced_memory()
            largest_bytes = max(largest_bytes, peak_bytes - before_bytes)
    finally:
        tracemalloc.stop()
    assert len(promises) == 51
    assert largest_bytes <= 64 * 1024
