"""Where images lie, and masks on them."""

from __future__ import annotations

import itertools

import numpy as np
import pyigtl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.igtl_messages import GEOMETRY, UNTIMED
from trocar.contracts.errors import ContractError, InvariantError
from trocar.streaming.openigtlink.geometry import (
    CoordinateSystem,
    ImageGeometry,
    Vector,
    geometry_from_origin,
    mask_geometry,
    pixel_geometry,
)

SIDES = st.tuples(st.integers(1, 8192), st.integers(1, 8192))
NUMBERS = st.floats(-100.0, 100.0, allow_nan=False, allow_subnormal=False)
VECTORS = st.tuples(NUMBERS, NUMBERS, NUMBERS)
GEOMETRIES = st.builds(
    ImageGeometry,
    axis_i=VECTORS,
    axis_j=VECTORS,
    axis_k=VECTORS,
    centre=VECTORS,
    coordinates=st.sampled_from(CoordinateSystem),
)


def _corners(geometry: ImageGeometry, size_px: tuple[int, int]) -> list[Vector]:
    """Return where the four outer corners lie: half a pixel beyond the centres of the last ones."""
    width, height = size_px
    return [
        geometry.position_mm((column, row, 0.0), (width, height, 1))
        for column, row in itertools.product((-0.5, width - 0.5), (-0.5, height - 0.5))
    ]


@pytest.mark.verifies("SRS_IGTL_008", extent="full", technique="property")
@UNTIMED
@given(frame=GEOMETRIES, frame_px=SIDES, mask_px=SIDES)
def test_corners_of_a_mask_lie_on_the_corners_of_its_frame(
    frame: ImageGeometry, frame_px: tuple[int, int], mask_px: tuple[int, int]
) -> None:
    """However the picture stands in space, and whatever the two sizes are."""
    mask = mask_geometry(frame, frame_size_px=frame_px, mask_size_px=mask_px)
    pixel_mm = max(np.linalg.norm(frame.axis_i), np.linalg.norm(frame.axis_j))
    found = np.array(_corners(mask, mask_px)) - np.array(_corners(frame, frame_px))
    assert np.abs(found).max() <= 0.01 * pixel_mm + 1e-9
    assert (mask.centre, mask.axis_k) == (frame.centre, frame.axis_k)
    assert mask.coordinates is frame.coordinates


@pytest.mark.verifies("SRS_IGTL_008", extent="partial", technique="property")
@UNTIMED
@given(frame=GEOMETRIES, size_px=SIDES)
def test_mask_of_the_same_size_has_the_same_place(
    frame: ImageGeometry, size_px: tuple[int, int]
) -> None:
    """To the last bit."""
    assert mask_geometry(frame, frame_size_px=size_px, mask_size_px=size_px) == frame


@pytest.mark.verifies("SRS_IGTL_008", extent="partial", technique="example")
def test_mask_of_256_on_a_frame_of_1920_by_1080() -> None:
    """A pixel of the mask covers 7.5 by 4.21875 pixels of the frame."""
    mask = mask_geometry(
        pixel_geometry((1920, 1080)), frame_size_px=(1920, 1080), mask_size_px=(256, 256)
    )
    assert (mask.axis_i, mask.axis_j) == ((7.5, 0.0, 0.0), (0.0, 4.21875, 0.0))
    assert mask.centre == (959.5, 539.5, 0.0)
    assert mask.position_mm((0, 0, 0), (256, 256, 1)) == (3.25, 1.609375, 0.0)


@pytest.mark.verifies("SRS_IGTL_008", extent="partial", technique="boundary")
@pytest.mark.parametrize("sizes", [((0, 1), (1, 1)), ((1, 1), (1, 0)), ((1, -1), (1, 1))])
def test_picture_without_pixels_is_our_fault(
    sizes: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    """A frame was admitted and a mask was computed: neither can be empty."""
    with pytest.raises(InvariantError, match="not positive"):
        mask_geometry(GEOMETRY, frame_size_px=sizes[0], mask_size_px=sizes[1])


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
def test_origin_and_centre_are_those_of_pyigtl() -> None:
    """It keeps the first pixel, the message holds the centre."""
    ijk_to_world = np.array([[0, 0.5, 0, 7], [0.25, 0, 0, -3], [0, 0, -2, 1], [0, 0, 0, 1]])
    message = pyigtl.ImageMessage(np.zeros((2, 3, 4), np.uint8), ijk_to_world_matrix=ijk_to_world)
    numbers = np.frombuffer(message._pack_content()[12:60], dtype=">f4")
    columns = ijk_to_world.T[:3, :3].tolist()
    axes = (tuple(columns[0]), tuple(columns[1]), tuple(columns[2]))
    ours = geometry_from_origin(
        axes, origin=(7.0, -3.0, 1.0), size_ijk=(4, 3, 2), coordinates=CoordinateSystem.LPS
    )
    assert ours.numbers() == tuple(numbers.tolist())
    assert ours.position_mm((0, 0, 0), (4, 3, 2)) == (7.0, -3.0, 1.0)
    assert ours.position_mm((3, 2, 1), (4, 3, 2)) == (8.0, -2.25, -1.0)


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1.1e7])
def test_geometry_that_could_not_be_sent_is_not_made(number: float) -> None:
    """32 bits hold larger numbers, but none that is a place."""
    with pytest.raises(ContractError, match="geometry"):
        ImageGeometry(
            (1.0, 0.0, 0.0), (0.0, number, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0),
            CoordinateSystem.LPS,
        )  # fmt: skip
