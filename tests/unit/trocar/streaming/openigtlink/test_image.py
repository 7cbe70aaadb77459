"""IMAGE: pixels in, pixels out, and what cannot be one."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pyigtl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulators.igtl_messages import GEOMETRY, UNTIMED, as_bytes, message_samples, with_field
from trocar.contracts.errors import ContractError, ProtocolError
from trocar.contracts.limits import FRAME_SIDE_PX_MAX, IGTL_IMAGE_BYTES_MAX
from trocar.streaming.openigtlink.geometry import pixel_geometry
from trocar.streaming.openigtlink.image import (
    ImageMessage,
    decode_image,
    encode_image,
    image_from_frame,
    rgb_frame,
)

DTYPES = [
    "i1",
    "u1",
    "<i2",
    ">i2",
    "<u2",
    ">u2",
    "<i4",
    ">i4",
    "<u4",
    ">u4",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
]


def _content(message: ImageMessage) -> bytes:
    """Return the content of a message as one run of bytes."""
    return b"".join(encode_image(message))


def _volume(dtype: str, channels: int) -> NDArray[Any]:
    """Return (2, 3, 4, C) numbers of a kind."""
    smallest = 0 if "u" in dtype else -99
    numbers = np.random.default_rng(3).integers(smallest, 99, (2, 3, 4, channels))
    return numbers.astype(dtype)


def _changed(kind: str, offset: int, layout: str, value: float) -> memoryview:
    """Return the content of a sample with one field changed."""
    message = with_field(as_bytes(message_samples()[kind]), offset, layout, value)
    return memoryview(message)[58:]


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="requirement")
def test_bytes_of_an_image() -> None:
    """Written out by hand from the specification."""
    pixels = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.uint8)
    head, body = encode_image(ImageMessage(pixels, GEOMETRY, size_ijk=(2, 1, 1)))
    numbers = np.array([0, 0.25, 0, 0.5, 0, 0, 0, 0, -2, 10, -20, 30.5], ">f4").tobytes()
    assert head[:12] == bytes.fromhex("0001 03 03 02 01 0002 0001 0001")
    assert head[12:60] == numbers
    assert head[60:] == bytes.fromhex("0000 0000 0000 0002 0001 0001")
    assert bytes(body) == bytes(range(1, 7))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if ">" not in dtype])
@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_are_those_of_pyigtl(dtype: str, channels: int) -> None:
    """Every kind of number, both ways; it cannot write big endian."""
    volume = _volume(dtype, channels)
    matrix = np.diag([0.5, 0.25, 2.0, 1.0])
    theirs = pyigtl.ImageMessage(volume, ijk_to_world_matrix=matrix)._pack_content()
    found = decode_image(memoryview(theirs))
    assert found.pixels.dtype == volume.dtype
    assert np.array_equal(found.pixels, volume)
    assert found.geometry.position_mm((0, 0, 0), found.size_ijk) == (0.0, 0.0, 0.0)
    assert _content(replace(found, pixels=volume)) == theirs


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pyigtl_reads_every_kind_of_number(dtype: str, channels: int) -> None:
    """The byte order is the one that the message says, not the one of the machine."""
    volume = _volume(dtype, channels)
    theirs = pyigtl.ImageMessage()
    theirs._unpack_content(_content(ImageMessage(volume, GEOMETRY, size_ijk=(4, 3, 2))))
    assert np.array_equal(theirs.image.reshape(volume.shape), volume)


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
def test_pyigtl_reads_what_is_sent() -> None:
    """Pixels, axes and origin."""
    pixels = np.random.default_rng(4).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    theirs = pyigtl.ImageMessage()
    theirs._unpack_content(_content(image_from_frame(pixels)))
    assert np.array_equal(theirs.image[0], pixels)
    assert np.array_equal(theirs.ijk_to_world_matrix, np.eye(4))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="property")
@UNTIMED
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    dtype=st.sampled_from(DTYPES),
    before=st.tuples(*[st.integers(0, 3)] * 3),
    behind=st.tuples(*[st.integers(0, 3)] * 3),
)
def test_image_comes_back(
    shape: tuple[int, int, int, int],
    dtype: str,
    before: tuple[int, int, int],
    behind: tuple[int, int, int],
) -> None:
    """Whole ones and parts, with every number in its place."""
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    slices, rows, columns, _ = shape
    size = (
        before[0] + columns + behind[0],
        before[1] + rows + behind[1],
        before[2] + slices + behind[2],
    )
    found = decode_image(memoryview(_content(ImageMessage(pixels, GEOMETRY, size, before))))
    assert np.array_equal(found.pixels, pixels)
    assert found.pixels.dtype == pixels.dtype
    assert (found.geometry, found.size_ijk, found.offset_ijk) == (GEOMETRY, size, before)
    assert found.is_whole is (before == behind == (0, 0, 0))


@pytest.mark.verifies("SRS_IGTL_007", extent="partial", technique="requirement")
def test_pixels_are_not_copied_on_either_way() -> None:
    """A frame of 1080p has 6 MB; a copy costs more than the checksum."""
    pixels = np.zeros((20, 30, 3), np.uint8)
    head, body = encode_image(image_from_frame(pixels))
    assert np.shares_memory(np.frombuffer(body, np.uint8), pixels)
    received = bytearray(head + body)
    frame = rgb_frame(decode_image(memoryview(received).toreadonly()))
    assert np.shares_memory(frame, np.frombuffer(received, np.uint8))
    assert not frame.flags.writeable


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
def test_scattered_pixels_are_sent_in_order() -> None:
    """A crop or a mirrored picture is not contiguous."""
    pixels = np.random.default_rng(6).integers(0, 256, (9, 11, 3), dtype=np.uint8)[::-1, 2:9]
    found = decode_image(memoryview(_content(image_from_frame(pixels))))
    assert np.array_equal(found.pixels[0], pixels)


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_IGTL_002")
@pytest.mark.parametrize(
    ("offset", "layout", "value", "words"),
    [
        (0, "H", 2, "version of IMAGE: expected 1, got 2"),
        (2, "B", 0, "size of IMAGE: expected from 1"),
        (2, "B", 4, r"pixels of IMAGE .*expected 192 bytes.*got 144"),
        (3, "B", 0, "scalar type of IMAGE: expected one of"),
        (3, "B", 8, "got 8"),
        (3, "B", 11, "expected 1152 bytes"),
        (4, "B", 0, "byte order of IMAGE: expected 1 .big. or 2 .little., got 0"),
        (4, "B", 3, "byte order"),
        (5, "B", 0, "coordinates of IMAGE: expected 1 .RAS. or 2 .LPS., got 0"),
        (5, "B", 3, "coordinates"),
        (6, "H", 0, "size of IMAGE"),
        (10, "H", 0, "size of IMAGE"),
        (6, "H", 7, "part of IMAGE: expected inside of"),
        (12, "f", float("nan"), "matrix of IMAGE: expected finite"),
        (56, "f", float("inf"), "matrix of IMAGE: expected finite"),
        (12, "f", 2e7, "matrix of IMAGE"),
        (12, "f", 9e6, "sides of IMAGE"),
        (60, "H", 1, "part of IMAGE"),
        (64, "H", 0xFFFF, "part of IMAGE"),
        (66, "H", 0, "size of IMAGE"),
        (66, "H", 7, "expected 126 bytes"),
        (66, "H", 9, "part of IMAGE"),
    ],
)
def test_lie_is_refused(offset: int, layout: str, value: float, words: str) -> None:
    """Each field of the head, alone."""
    with pytest.raises(ProtocolError, match=words):
        decode_image(_changed("rgb", offset, layout, value))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("offset", "value", "is_read"),
    [
        (12, 1.2e6, True),
        (20, 1.3e6, False),
        (24, 1.6e6, True),
        (32, 1.7e6, False),
        (36, 9.9e6, True),
        (44, 1.1e7, False),
        (48, 9.9e6, True),
        (56, 1.1e7, False),
    ],
)
def test_side_of_an_image_is_judged_and_not_its_pixel(
    offset: int, value: float, *, is_read: bool
) -> None:
    """8 columns, 6 rows, 1 slice: so each axis has a limit of its own."""
    content = _changed("rgb", offset, "f", value)
    if is_read:
        assert value in decode_image(content).geometry.numbers()
    else:
        with pytest.raises(ProtocolError, match="of IMAGE: expected finite"):
            decode_image(content)


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (-1, "expected 144 bytes, at most .*, got 143"),
        (71, "IMAGE: expected at least 72 bytes, got 71"),
        (72, "got 0"),
        (0, "got 0"),
    ],
)
def test_cut_image_is_refused(cut: int, words: str) -> None:
    """Nothing is filled up."""
    content = _content(image_from_frame(np.zeros((6, 8, 3), np.uint8)))
    with pytest.raises(ProtocolError, match=words):
        decode_image(memoryview(content[:cut]))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
def test_bytes_left_over_are_refused() -> None:
    """They could be the begin of another message: the stream has lost its step."""
    content = _content(image_from_frame(np.zeros((6, 8, 3), np.uint8)))
    with pytest.raises(ProtocolError, match="got 145"):
        decode_image(memoryview(content + b"\0"))


@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="boundary")
def test_pixels_have_a_limit_of_their_own() -> None:
    """The room for metadata is not for pixels."""
    fits = np.broadcast_to(np.uint8(0), (1, 4096, 4096, 3))
    assert fits.nbytes == IGTL_IMAGE_BYTES_MAX
    assert ImageMessage(fits, GEOMETRY, size_ijk=(4096, 4096, 1)).is_whole
    beyond = np.broadcast_to(np.uint8(0), (1, 4097, 4096, 3))
    with pytest.raises(ContractError, match="at most 50331648 bytes"):
        ImageMessage(beyond, GEOMETRY, size_ijk=(4096, 4097, 1))


@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_IGTL_002")
@pytest.mark.parametrize(("columns", "is_read"), [(4096, True), (4097, False)])
def test_received_pixels_have_the_same_limit(columns: int, *, is_read: bool) -> None:
    """Also where all bytes that were promised are there."""
    content = np.zeros(72 + columns * 4096 * 3, np.uint8)
    head, _ = encode_image(image_from_frame(np.zeros((1, 1, 3), np.uint8)))
    content[:72] = np.frombuffer(head, np.uint8)
    for place in (6, 66):
        content[place : place + 4] = np.frombuffer(struct.pack(">2H", columns, 4096), np.uint8)
    if is_read:
        assert decode_image(content.data).pixels.nbytes == IGTL_IMAGE_BYTES_MAX
    else:
        with pytest.raises(ProtocolError, match="at most 50331648"):
            decode_image(content.data)


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize("shape", [(1, 1, 65_535, 1), (1, 65_535, 1, 1), (1, 1, 1, 255)])
def test_image_at_the_border_of_its_fields_comes_back(shape: tuple[int, int, int, int]) -> None:
    """16 bits a side, 8 bits of channels."""
    slices, rows, columns, _ = shape
    message = ImageMessage(np.ones(shape, np.uint8), GEOMETRY, (columns, rows, slices))
    found = decode_image(memoryview(_content(message)))
    assert found.pixels.shape == shape
    assert found.size_ijk == message.size_ijk


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("shape", "dtype", "size", "offset"),
    [
        ((6, 8, 3), "u1", (8, 6, 1), (0, 0, 0)),
        ((1, 0, 8, 3), "u1", (8, 6, 1), (0, 0, 0)),
        ((1, 1, 1, 256), "u1", (1, 1, 1), (0, 0, 0)),
        ((1, 6, 8, 3), "f2", (8, 6, 1), (0, 0, 0)),
        ((1, 6, 8, 1), "?", (8, 6, 1), (0, 0, 0)),
        ((1, 6, 8, 3), "u1", (7, 6, 1), (0, 0, 0)),
        ((1, 6, 8, 3), "u1", (8, 6, 1), (0, 1, 0)),
        ((1, 6, 8, 3), "u1", (9, 7, 1), (-1, 0, 0)),
        ((1, 1, 65_536, 1), "u1", (65_536, 1, 1), (0, 0, 0)),
    ],
)
def test_array_that_is_no_image_is_not_made(
    shape: tuple[int, ...],
    dtype: str,
    size: tuple[int, int, int],
    offset: tuple[int, int, int],
) -> None:
    """It would be refused by every peer."""
    with pytest.raises(ContractError):
        ImageMessage(np.zeros(shape, dtype), GEOMETRY, size, offset)


@pytest.mark.verifies("SRS_IGTL_007", extent="partial", technique="boundary")
@pytest.mark.parametrize("shape", [(4,), (0, 4), (4, 0, 3), (1, 2, 3, 4)])
def test_array_that_is_no_picture_is_not_made(shape: tuple[int, ...]) -> None:
    """A picture has rows and columns."""
    with pytest.raises(ContractError, match=r"\(H, W\) or \(H, W, C\)"):
        image_from_frame(np.zeros(shape, np.uint8))


@pytest.mark.verifies("SRS_IGTL_007", extent="partial", technique="equivalence")
def test_grey_becomes_three_equal_channels() -> None:
    """As from every other source."""
    grey = np.array([[0, 7], [8, 255]], np.uint8)
    frame = rgb_frame(image_from_frame(grey))
    assert frame.shape == (2, 2, 3)
    assert all(np.array_equal(frame[..., channel], grey) for channel in range(3))


@pytest.mark.verifies("SRS_IGTL_007", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((2, 4, 4, 3), "u1", "a whole image of one slice"),
        ((1, 4, 4, 4), "u1", "uint8 of 1 or 3 channels, got uint8 of 4"),
        ((1, 4, 4, 2), "u1", "got uint8 of 2"),
        ((1, 4, 4, 3), "u2", "got uint16 of 3"),
        ((1, 4, 4, 1), "i1", "got int8 of 1"),
        ((1, 4, 4, 1), "f4", "got float32 of 1"),
        ((1, 1, FRAME_SIDE_PX_MAX + 1, 3), "u1", "8193x1"),
        ((1, 6000, 6000, 1), "u1", "6000x6000"),
    ],
)
def test_image_that_is_no_frame_is_refused(
    shape: tuple[int, int, int, int], dtype: str, words: str
) -> None:
    """A unit sees what it was made for, or nothing; no range is guessed."""
    pixels = np.broadcast_to(np.zeros((), dtype), shape)
    size = (shape[2], shape[1], shape[0])
    with pytest.raises(ProtocolError, match=words):
        rgb_frame(ImageMessage(pixels, GEOMETRY, size))


@pytest.mark.verifies("SRS_IGTL_007", extent="partial", technique="boundary")
def test_part_of_an_image_is_no_frame() -> None:
    """The rest of the picture would be black or old."""
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    with pytest.raises(ProtocolError, match=r"\(4, 4, 1\) of \(5, 4, 1\)"):
        rgb_frame(ImageMessage(pixels, GEOMETRY, size_ijk=(5, 4, 1)))


@pytest.mark.verifies("SRS_IGTL_007", extent="partial", technique="equivalence")
def test_picture_without_geometry_has_that_of_its_pixels() -> None:
    """A camera has no millimetres."""
    message = image_from_frame(np.zeros((4, 6, 3), np.uint8))
    assert message.geometry == pixel_geometry((6, 4))
