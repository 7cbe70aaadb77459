"""The codec against the C++ library of OpenIGTLink, which 3D Slicer and PLUS are built on.

Debian has version 1.11 of it (``libopenigtlink-dev``), which knows headers of version 1 only. Where
the library or a compiler is missing, the tests are skipped with that reason.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from simulators.igtl_messages import GEOMETRY, TIME_NS
from trocar.streaming.openigtlink.geometry import mask_geometry
from trocar.streaming.openigtlink.header import HEADER_BYTES, parse_header
from trocar.streaming.openigtlink.image import ImageMessage, image_from_frame
from trocar.streaming.openigtlink.message_types import Verb
from trocar.streaming.openigtlink.messages import Message, decode, encode
from trocar.streaming.openigtlink.point import Point, PointMessage
from trocar.streaming.openigtlink.query import CapabilityMessage, QueryMessage, Start
from trocar.streaming.openigtlink.status import StatusMessage
from trocar.streaming.openigtlink.text import StringMessage
from trocar.streaming.openigtlink.transform import TransformMessage

HEADERS: Final = Path("/usr/include/openigtlink")
SOURCE: Final = Path(__file__).parent / "openigtlink_library" / "oracle.cpp"


def _pixels(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the pixels that the C++ program writes."""
    places = np.arange(np.prod(shape), dtype=np.int64)
    return (places * 7 + 3).astype(np.uint8).reshape(shape)


def _messages() -> dict[str, Message]:
    """Return what the C++ program writes, made by Trocar."""
    first = Point("grasper 3", "tool", (255, 0, 10, 128), (960.5, 540.25, 0.0), 12.5, "Camera")
    second = Point("hook 4", "tool", (255, 0, 10, 128), (960.5, 539.25, 0.0), 12.5, "Camera")
    return {
        "rgb": image_from_frame(_pixels(6, 8, 3), GEOMETRY),
        "volume": ImageMessage(_pixels(4, 6, 8, 1), GEOMETRY, (8, 6, 4)),
        "part": ImageMessage(_pixels(2, 2, 3, 1), GEOMETRY, (8, 6, 4), (5, 1, 2)),
        "transform": TransformMessage((
            (1.0, 0.0, 0.0, 7.5),
            (0.0, 0.0, -1.0, 8.0),
            (0.0, 1.0, 0.0, -9.25),
        )),
        "string": StringMessage("polyp, 12 mm"),
        "status": StatusMessage(13, -2, "Warming up", "engine is built"),
        "capability": CapabilityMessage(("IMAGE", "GET_CAPABIL", "TRANSFORM")),
        "points": PointMessage((first, second)),
        "get_image": QueryMessage(Verb.GET, "IMAGE"),
        "get_status": QueryMessage(Verb.GET, "STATUS"),
        "get_transform": QueryMessage(Verb.GET, "TRANSFORM"),
        "get_capability": QueryMessage(Verb.GET, "CAPABILITY"),
        "get_point": QueryMessage(Verb.GET, "POINT"),
        "start": QueryMessage(Verb.START, "TDATA", start=Start(50, "Tracker")),
        "stop": QueryMessage(Verb.STOP, "TDATA"),
        "result": QueryMessage(Verb.RESULT, "TDATA", result=1),
    }


KINDS: Final = tuple(_messages())


def _bytes(message: Message) -> bytes:
    """Return a message as the C++ program names and times it."""
    return b"".join(encode(message, device_name="Camera", timestamp_ns=TIME_NS))


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the C++ program, compiled."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler (g++) on this machine")
    if not (HEADERS / "igtlImageMessage.h").is_file():
        pytest.skip("the C++ library of OpenIGTLink (libopenigtlink-dev) is not installed")
    program = tmp_path_factory.mktemp("oracle") / "oracle"
    subprocess.run(
        [compiler, f"-I{HEADERS}", str(SOURCE), "-lOpenIGTLink", "-o", str(program)],
        check=True,
        timeout=200,
    )
    return program


@pytest.fixture(scope="module")
def written(oracle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one message of each kind, packed by the library."""
    folder = tmp_path_factory.mktemp("written")
    subprocess.run([str(oracle), "write", str(folder)], check=True, timeout=60)
    return folder


def _said(oracle: Path, folder: Path, messages: list[bytes]) -> list[str]:
    """Return what the library says is in messages, after it verified their checksums."""
    paths = []
    for index, message in enumerate(messages):
        path = folder / f"{index}.igtl"
        path.write_bytes(message)
        paths.append(str(path))
    run = subprocess.run(
        [str(oracle), "read", *paths], check=True, timeout=60, capture_output=True, text=True
    )
    return run.stdout.splitlines()


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="equivalence")
@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="equivalence")
@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_those_of_the_library(written: Path, kind: str) -> None:
    """Header, time, checksum and content, byte for byte."""
    assert _bytes(_messages()[kind]) == (written / f"{kind}.igtl").read_bytes()


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize("kind", KINDS)
def test_messages_of_the_library_are_read(written: Path, kind: str) -> None:
    """And give the same bytes again."""
    data = (written / f"{kind}.igtl").read_bytes()
    message = decode(parse_header(data[:HEADER_BYTES]), data[HEADER_BYTES:]).message
    expected = _messages()[kind]
    assert isinstance(message, type(expected))
    assert _bytes(message) == data


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
def test_library_reads_what_is_sent(oracle: Path, written: Path, tmp_path: Path) -> None:
    """It verifies the checksum of each, and finds the same values as in its own messages."""
    kinds = ["rgb", "volume", "part", "transform", "string", "status", "capability", "points"]
    own = [(written / f"{kind}.igtl").read_bytes() for kind in kinds]
    said = _said(oracle, tmp_path, [_bytes(_messages()[kind]) for kind in kinds])
    assert said == _said(oracle, tmp_path, own)
    assert [line.split()[2] for line in said[3:]] == [
        "TRANSFORM", "STRING", "STATUS", "CAPABILITY", "POINT",
    ]  # fmt: skip
    assert not any("REFUSED" in line for line in said)


@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="fault_injection")
def test_library_refuses_a_damaged_message(oracle: Path, tmp_path: Path) -> None:
    """So the oracle does verify: what it accepts has the right checksum."""
    damaged = bytearray(_bytes(_messages()["transform"]))
    damaged[-1] ^= 1
    assert _said(oracle, tmp_path, [bytes(damaged)])[0].endswith("REFUSED")


@pytest.mark.verifies("SRS_IGTL_008", extent="partial", technique="equivalence")
def test_library_sees_a_mask_at_the_place_of_its_frame(oracle: Path, tmp_path: Path) -> None:
    """Its origin is the centre of the image, and its spacing the size of a pixel."""
    geometry = mask_geometry(GEOMETRY, frame_size_px=(1920, 1080), mask_size_px=(256, 256))
    mask = image_from_frame(np.zeros((256, 256), np.uint8), geometry)
    (line,) = _said(oracle, tmp_path, [_bytes(mask)])
    assert "spacing 1.875,2.10938,2 centre 10,-20,30.5 i 0,1,0" in line
