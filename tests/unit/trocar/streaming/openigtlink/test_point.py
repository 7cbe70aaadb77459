"""POINT: named positions."""

from __future__ import annotations

from dataclasses import replace

import pyigtl
import pytest

from trocar.contracts.errors import ContractError, ProtocolError
from trocar.contracts.limits import IGTL_POINT_COUNT_MAX
from trocar.streaming.openigtlink.point import (
    Point,
    PointMessage,
    Rgba,
    decode_points,
    encode_points,
)

TIP = Point("grasper 3", "tool", (255, 0, 10, 128), (960.5, 540.25, 0.0), 12.5, "Camera")


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
def test_bytes_are_those_of_pyigtl() -> None:
    """Both ways, two points."""
    other = replace(TIP, name="hook 4", position=(-1.0, 2.0, 3.5), diameter_mm=0.5)
    theirs = pyigtl.PointMessage(
        positions=[TIP.position, other.position],
        names=[TIP.name, other.name],
        groups=[TIP.group] * 2,
        rgba_colors=[TIP.rgba] * 2,
        diameters=[TIP.diameter_mm, other.diameter_mm],
        owners=[TIP.owner] * 2,
    )._pack_content()
    assert encode_points(PointMessage((TIP, other))) == theirs
    assert decode_points(memoryview(theirs)) == PointMessage((TIP, other))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
def test_no_point_is_a_message() -> None:
    """No tool in the picture."""
    assert encode_points(PointMessage(())) == b""
    assert decode_points(memoryview(b"")) == PointMessage(())


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
def test_points_at_their_most() -> None:
    """One point more is neither read nor sent."""
    points = (TIP,) * IGTL_POINT_COUNT_MAX
    content = encode_points(PointMessage(points))
    assert len(decode_points(memoryview(content)).points) == IGTL_POINT_COUNT_MAX
    with pytest.raises(ProtocolError, match="POINT: expected at most 1024 points"):
        decode_points(memoryview(content + content[:136]))
    with pytest.raises(ContractError, match="POINT"):
        encode_points(PointMessage((*points, TIP)))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("offset", "data", "words"),
    [
        (0, b"\xff", "name of POINT"),
        (64, b"\x1b", "group of POINT"),
        (100, b"\x7f\xc0\0\0", "position of POINT: expected finite"),
        (112, b"\x7f\x80\0\0", "position of POINT"),
        (116, b"\x80", "owner of POINT"),
    ],
)
def test_lie_is_refused(offset: int, data: bytes, words: str) -> None:
    """Each field that can lie."""
    content = bytearray(encode_points(PointMessage((TIP,))))
    content[offset : offset + len(data)] = data
    with pytest.raises(ProtocolError, match=words):
        decode_points(memoryview(content))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize("size", [1, 135, 137])
def test_other_size_is_refused(size: int) -> None:
    """Half a point is none."""
    with pytest.raises(ProtocolError, match=f"got {size} bytes"):
        decode_points(memoryview(bytes(size)))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize("rgba", [(256, 0, 0, 0), (0, 0, 0, -1)])
def test_colour_that_does_not_fit_is_not_made(rgba: Rgba) -> None:
    """Eight bits a channel."""
    with pytest.raises(ContractError, match="colour"):
        replace(TIP, rgba=rgba)


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
def test_point_that_could_not_be_sent_is_not_made() -> None:
    """A position that is none, a name that is too long."""
    with pytest.raises(ContractError, match="point"):
        replace(TIP, position=(0.0, float("nan"), 0.0))
    with pytest.raises(ContractError, match="point"):
        replace(TIP, diameter_mm=float("inf"))
    for long in (replace(TIP, name="x" * 65), replace(TIP, owner="x" * 21)):
        with pytest.raises(ContractError, match="at most"):
            encode_points(PointMessage((long,)))
