"""IMAGE: pixels of any size, number of channels and kind of number, with their place in space."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.limits import IGTL_IMAGE_BYTES_MAX
from trocar.streaming.openigtlink.geometry import (
    CoordinateSystem,
    ImageGeometry,
    Vector,
    pixel_geometry,
)
from trocar.streaming.openigtlink.message_types import IMAGE_HEAD_BYTES
from trocar.streaming.openigtlink.wire import (
    LARGEST_8_BITS,
    LARGEST_16_BITS,
    broken,
    check_mm,
    unsendable,
)
from trocar.streaming.pixels import rgb_from_grey, size_problem

__all__ = ["ImageMessage", "Size", "decode_image", "encode_image", "image_from_frame", "rgb_frame"]

Size = tuple[int, int, int]
"""Columns, rows, slices."""

_HEAD: Final = struct.Struct(">HBBBB3H12f3H3H")
_VERSION: Final = 1
_BIG, _LITTLE = 1, 2
_RGB_CHANNELS: Final = 3

_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    2: np.dtype(np.int8),
    3: np.dtype(np.uint8),
    4: np.dtype(np.int16),
    5: np.dtype(np.uint16),
    6: np.dtype(np.int32),
    7: np.dtype(np.uint32),
    10: np.dtype(np.float32),
    11: np.dtype(np.float64),
}
_COORDINATES: Final[dict[int, CoordinateSystem]] = {each.value: each for each in CoordinateSystem}
_SCALAR_TYPES: Final = {dtype: number for number, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True, eq=False)
class ImageMessage:
    """One image, or a part of one.

    Attributes:
        pixels: (K, J, I, C): slices, rows, columns, channels, in a byte order of its dtype; a view
            on the message where it was received.
        geometry: Place of the whole image.
        size_ijk: Columns, rows and slices of the whole image.
        offset_ijk: Where the pixels begin in the whole image.

    Raises:
        ContractError: The pixels are not such an array, or reach out of the whole image.
    """

    pixels: NDArray[Any]
    geometry: ImageGeometry
    size_ijk: Size
    offset_ijk: Size = (0, 0, 0)

    def __post_init__(self) -> None:
        """Refuse what could not be sent."""
        pixels = self.pixels
        if pixels.ndim != 4 or 0 in pixels.shape or pixels.shape[3] > LARGEST_8_BITS:
            raise unsendable("pixels", expected="(K, J, I, C), none empty", got=pixels.shape)
        if pixels.dtype.newbyteorder("=") not in _SCALAR_TYPES:
            raise unsendable("pixels", expected="a number that IMAGE knows", got=pixels.dtype)
        if pixels.nbytes > IGTL_IMAGE_BYTES_MAX:
            raise unsendable(
                "pixels", expected=f"at most {IGTL_IMAGE_BYTES_MAX} bytes", got=pixels.nbytes
            )
        if _reaches_out(self.offset_ijk, self.part_size_ijk, self.size_ijk):
            raise unsendable(
                "part of an image",
                expected=f"inside of {self.size_ijk}",
                got=f"{self.part_size_ijk} from {self.offset_ijk}",
            )

    @property
    def part_size_ijk(self) -> Size:
        """Columns, rows and slices of the pixels that are here."""
        slices, rows, columns = self.pixels.shape[:3]
        return columns, rows, slices

    @property
    def is_whole(self) -> bool:
        """Whether all pixels of the image are here."""
        return self.part_size_ijk == self.size_ijk


def image_from_frame(pixels: NDArray[Any], geometry: ImageGeometry | None = None) -> ImageMessage:
    """Return the message of a picture; its pixels are not copied.

    Args:
        pixels: (H, W) or (H, W, C), of a kind of number that IMAGE knows.
        geometry: Its place; by default 1 mm a pixel, see ``pixel_geometry``.

    Raises:
        ContractError: The pixels are not such an array.
    """
    if pixels.ndim not in {2, 3} or 0 in pixels.shape:
        raise unsendable("pixels", expected="(H, W) or (H, W, C), none empty", got=pixels.shape)
    height, width = pixels.shape[:2]
    volume = pixels[np.newaxis, :, :, np.newaxis] if pixels.ndim == 2 else pixels[np.newaxis]
    return ImageMessage(
        pixels=volume,
        geometry=geometry if geometry is not None else pixel_geometry((width, height)),
        size_ijk=(width, height, 1),
    )


# @need-ids: SRS_IGTL_007
def rgb_frame(message: ImageMessage) -> NDArray[np.uint8]:
    """Return the picture of a message that can be a frame.

    Returns:
        (H, W, 3) uint8 RGB: a view where three channels came, newly allocated where one came.

    Raises:
        ProtocolError: It is a part of an image, has slices, other channels than 1 or 3 or other
            numbers than uint8, or is larger than a frame may be.
    """
    pixels = message.pixels
    slices, rows, columns, channels = pixels.shape
    if not message.is_whole or slices != 1:
        raise broken(
            "frame",
            expected="a whole image of one slice",
            got=f"{message.part_size_ijk} of {message.size_ijk}",
        )
    if pixels.dtype != np.uint8 or channels not in {1, _RGB_CHANNELS}:
        raise broken(
            "frame", expected="uint8 of 1 or 3 channels", got=f"{pixels.dtype} of {channels}"
        )
    problem = size_problem(width_px=columns, height_px=rows)
    if problem is not None:
        raise broken("frame", expected="the size of a frame", got=problem)
    if channels == 1:
        return rgb_from_grey(pixels[0, :, :, 0])
    rgb: NDArray[np.uint8] = pixels[0]
    return rgb


# @need-ids: SRS_IGTL_005
def decode_image(content: memoryview) -> ImageMessage:
    """Read the content of an IMAGE; the pixels are a view on it, read-only where it is.

    Raises:
        ProtocolError: A field is not as the specification asks, or the fields and the number of
            bytes contradict each other.
    """
    if len(content) < IMAGE_HEAD_BYTES:
        raise broken("IMAGE", expected=f"at least {IMAGE_HEAD_BYTES} bytes", got=len(content))
    version, channels, scalar, endian, system, *rest = _HEAD.unpack_from(content)
    size, numbers, offset, part = _size(rest[:3]), tuple(rest[3:15]), rest[15:18], rest[18:]
    if version != _VERSION:
        raise broken("version of IMAGE", expected=_VERSION, got=version)
    dtype = _dtype(scalar, endian)
    offset_ijk, part_ijk = _size(offset), _size(part)
    if channels == 0 or 0 in size or 0 in part_ijk:
        raise broken("size of IMAGE", expected="from 1", got=f"{part_ijk} of {size} x {channels}")
    if _reaches_out(offset_ijk, part_ijk, size):
        raise broken(
            "part of IMAGE", expected=f"inside of {size}", got=f"{part_ijk} from {offset_ijk}"
        )
    pixel_bytes = len(content) - IMAGE_HEAD_BYTES
    promised_bytes = math.prod(part_ijk) * channels * dtype.itemsize
    # @need-ids: RCM_IGTL_002
    if promised_bytes != pixel_bytes or promised_bytes > IGTL_IMAGE_BYTES_MAX:
        raise broken(
            f"pixels of IMAGE ({part_ijk} x {channels} {dtype})",
            expected=f"{promised_bytes} bytes, at most {IGTL_IMAGE_BYTES_MAX}",
            got=pixel_bytes,
        )
    columns, rows, slices = part_ijk
    pixels = np.frombuffer(content, dtype=dtype, offset=IMAGE_HEAD_BYTES)
    return ImageMessage(
        pixels=pixels.reshape(slices, rows, columns, channels),
        geometry=_geometry(numbers, system, size),
        size_ijk=size,
        offset_ijk=offset_ijk,
    )


# @need-ids: SRS_IGTL_005
def encode_image(message: ImageMessage) -> tuple[bytes, memoryview]:
    """Return the head of the content and its pixels, which are copied only if not contiguous."""
    pixels = np.ascontiguousarray(message.pixels)
    is_big = pixels.dtype.str.startswith(">")
    head = _HEAD.pack(
        _VERSION,
        pixels.shape[3],
        _SCALAR_TYPES[pixels.dtype.newbyteorder("=")],
        _BIG if is_big else _LITTLE,
        message.geometry.coordinates,
        *message.size_ijk,
        *message.geometry.numbers(),
        *message.offset_ijk,
        *message.part_size_ijk,
    )
    return head, pixels.reshape(-1).view(np.uint8).data


def _size(numbers: list[int]) -> Size:
    """Return three numbers as a size."""
    columns, rows, slices = numbers
    return columns, rows, slices


def _reaches_out(offset: Size, part: Size, whole: Size) -> bool:
    """Return whether a part is not inside of a whole that IMAGE can name."""
    return any(
        begin < 0 or begin + count > size or size > LARGEST_16_BITS
        for begin, count, size in zip(offset, part, whole, strict=True)
    )


def _dtype(scalar: int, endian: int) -> np.dtype[Any]:
    """Return the kind of number of the pixels."""
    dtype = _DTYPES.get(scalar)
    if dtype is None:
        raise broken("scalar type of IMAGE", expected=f"one of {sorted(_DTYPES)}", got=scalar)
    if endian not in {_BIG, _LITTLE}:
        raise broken("byte order of IMAGE", expected="1 (big) or 2 (little)", got=endian)
    return dtype.newbyteorder(">" if endian == _BIG else "<")


def _geometry(numbers: tuple[float, ...], system: int, size: Size) -> ImageGeometry:
    """Return the geometry of twelve numbers from the wire.

    Not only a pixel but the whole image has to be within the limit: a mask of the same area then
    is, too, whatever its size in pixels.
    """
    coordinates = _COORDINATES.get(system)
    if coordinates is None:
        raise broken("coordinates of IMAGE", expected="1 (RAS) or 2 (LPS)", got=system)
    check_mm(numbers, "matrix of IMAGE")
    sides = tuple(numbers[index] * size[index // 3] for index in range(9))
    check_mm(sides, "sides of IMAGE")
    columns: list[Vector] = [
        (numbers[begin], numbers[begin + 1], numbers[begin + 2]) for begin in range(0, 12, 3)
    ]
    axis_i, axis_j, axis_k, centre = columns
    return ImageGeometry(axis_i, axis_j, axis_k, centre, coordinates)
