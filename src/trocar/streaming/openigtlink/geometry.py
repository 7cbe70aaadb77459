"""Where an image lies: axes scaled by the size of a pixel, and the centre of the image."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from trocar.contracts.errors import require
from trocar.streaming.openigtlink.wire import is_mm, unsendable

__all__ = [
    "CoordinateSystem",
    "ImageGeometry",
    "Vector",
    "geometry_from_origin",
    "mask_geometry",
    "pixel_geometry",
]

Vector = tuple[float, float, float]
"""(x, y, z) in the coordinate system of an image [mm]."""

_AXES: Final = 3


class CoordinateSystem(IntEnum):
    """Directions that count as positive, by their number on the wire."""

    RAS = 1
    """Right, anterior, superior."""
    LPS = 2
    """Left, posterior, superior."""


@dataclass(frozen=True, slots=True)
class ImageGeometry:
    """Place of an image in space.

    Attributes:
        axis_i: Step from one column to the next [mm].
        axis_j: Step from one row to the next [mm].
        axis_k: Step from one slice to the next [mm].
        centre: Middle of the image: of the index ((I - 1) / 2, (J - 1) / 2, (K - 1) / 2), which is
            also the middle of its area [mm].
        coordinates: What the three numbers of each vector mean.

    Raises:
        ContractError: A number is not finite or larger than ``IGTL_POSITION_MM_MAX``.
    """

    axis_i: Vector
    axis_j: Vector
    axis_k: Vector
    centre: Vector
    coordinates: CoordinateSystem

    def __post_init__(self) -> None:
        """Refuse what could not be sent."""
        if not is_mm(self.numbers()):
            raise unsendable("geometry", expected="finite numbers up to 1e7 mm", got=self.numbers())

    def numbers(self) -> tuple[float, ...]:
        """Return the twelve numbers in the order of the wire."""
        return (*self.axis_i, *self.axis_j, *self.axis_k, *self.centre)

    def position_mm(self, index: Vector, size_ijk: tuple[int, int, int]) -> Vector:
        """Return where an index lies [mm]; whole numbers are the centres of pixels."""
        offsets = [index[axis] - (size_ijk[axis] - 1) / 2 for axis in range(_AXES)]
        axes = (self.axis_i, self.axis_j, self.axis_k)
        x, y, z = (
            self.centre[row] + sum(offsets[axis] * axes[axis][row] for axis in range(_AXES))
            for row in range(_AXES)
        )
        return x, y, z


def pixel_geometry(size_px: tuple[int, int]) -> ImageGeometry:
    """Return the geometry of a camera's picture: 1 mm stands for a pixel, in an LPS system.

    The centre of the first pixel (top left) is the origin, so that positions are pixels. A camera
    has no millimetres; who shows the picture in space has to bring its own transform.

    Args:
        size_px: (width, height).
    """
    return geometry_from_origin(
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        origin=(0.0, 0.0, 0.0),
        size_ijk=(*size_px, 1),
        coordinates=CoordinateSystem.LPS,
    )


def geometry_from_origin(
    axes: tuple[Vector, Vector, Vector],
    *,
    origin: Vector,
    size_ijk: tuple[int, int, int],
    coordinates: CoordinateSystem,
) -> ImageGeometry:
    """Return a geometry from the centre of the first pixel, as most programs keep it."""
    x, y, z = (
        origin[row] + sum((size_ijk[axis] - 1) / 2 * axes[axis][row] for axis in range(_AXES))
        for row in range(_AXES)
    )
    return ImageGeometry(*axes, centre=(x, y, z), coordinates=coordinates)


# @need-ids: SRS_IGTL_008
def mask_geometry(
    frame: ImageGeometry, *, frame_size_px: tuple[int, int], mask_size_px: tuple[int, int]
) -> ImageGeometry:
    """Return the geometry of a mask that covers the whole of a frame with other pixels.

    The area stays, so its centre stays; each axis grows by the ratio of the sizes.

    Args:
        frame: Geometry of the frame.
        frame_size_px: (width, height) of the frame.
        mask_size_px: (width, height) of the mask, each from 1.

    Raises:
        ContractError: A pixel of the mask would be larger than ``IGTL_POSITION_MM_MAX``.
    """
    require(min(*frame_size_px, *mask_size_px) > 0, "a size of a picture is not positive")
    ratio_i = frame_size_px[0] / mask_size_px[0]
    ratio_j = frame_size_px[1] / mask_size_px[1]
    return ImageGeometry(
        axis_i=_scaled(frame.axis_i, ratio_i),
        axis_j=_scaled(frame.axis_j, ratio_j),
        axis_k=frame.axis_k,
        centre=frame.centre,
        coordinates=frame.coordinates,
    )


def _scaled(vector: Vector, factor: float) -> Vector:
    """Return a vector times a number."""
    x, y, z = vector
    return x * factor, y * factor, z * factor
