"""OpenIGTLink over real sockets of the loopback interface: our own ends, and those of others.

3D Slicer and PLUS were not at hand. The others are pyigtl (Python) and the example programs of the
C++ library, both unchanged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conformance.samples import make_polyp_mask, make_record
from simulators.igtl_links import (
    CLOCK,
    PATIENCE_S,
    RECORD_COUNT,
    Listening,
    admit,
    free_port,
    listening_server,
    running,
    send_record,
    serving_sink,
    wait_until,
    write_masks,
)
from simulators.igtl_peers import picture
from simulators.igtl_programs import IMAGES, build_example, missing_for_examples
from trocar import RESEARCH_NOTICE
from trocar.contracts.frame import CrcVerdict
from trocar.streaming.openigtlink.client import Dialler
from trocar.streaming.openigtlink.connection import Peers
from trocar.streaming.openigtlink.query import CapabilityMessage
from trocar.streaming.openigtlink.server import Listener
from trocar.streaming.openigtlink.sink import OpenIGTLinkSink
from trocar.streaming.openigtlink.text import StringMessage
from trocar.streaming.pacing import UndecodableFrame


@pytest.fixture
def server() -> Iterator[tuple[Listening, int]]:
    """Return a source in the server role, and its port."""
    with listening_server() as pair:
        yield pair


@pytest.fixture
def results() -> Iterator[tuple[OpenIGTLinkSink, int]]:
    """Return a sink in the server role, and its port; no thread may be left of it."""
    with serving_sink() as pair:
        yield pair


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the example programs, or skip with the reason."""
    missing = missing_for_examples()
    if missing is not None:
        pytest.skip(missing)
    return tmp_path_factory.mktemp("programs")


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="example")
@pytest.mark.parametrize("is_sink_server", [True, False])
def test_our_sink_and_our_source_understand_each_other(is_sink_server: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The mask of one Trocar is a frame of another one, whoever calls whom."""
    listener = Listener(0, clock=CLOCK)
    dialler = Dialler("127.0.0.1", listener.port, clock=CLOCK)
    ends: list[Peers] = [listener, dialler]
    sink = OpenIGTLinkSink(ends.pop(0 if is_sink_server else 1), clock=CLOCK)
    listening = Listening(ends[0])
    admit(sink, 1)
    write_masks(sink)
    frames = listening.wait_for(RECORD_COUNT)
    # A mask of 8 x 6 is below what a frame may be: it arrives and says so.
    assert all(isinstance(raw, UndecodableFrame) for raw in frames) or frames[0].pixels.any()
    assert listening.source.newest_messages()["STRING", "TrocarNotice"].message == StringMessage(
        RESEARCH_NOTICE
    )
    sink.close()
    listening.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="example")
def test_pyigtl_server_to_our_client() -> None:
    """Another implementation's images, with its checksum and its time."""
    pyigtl = pytest.importorskip("pyigtl", reason="not installed: pyigtl")
    port = free_port()
    theirs = pyigtl.OpenIGTLinkServer(port=port, local_server=True)
    listening = Listening(Dialler("127.0.0.1", port, clock=CLOCK))
    try:
        wait_until(theirs.is_connected, "a connection to pyigtl")
        for level in range(3):
            theirs.send_message(_their_image(pyigtl, picture(level)), wait=True)
        frames = listening.wait_for(3)
    finally:
        listening.close()
        theirs.stop()
    assert [int(raw.pixels[0, 0, 0]) for raw in frames] == [0, 1, 2]
    assert np.array_equal(frames[2].pixels, picture(2))
    origin = frames[0].origin
    assert origin is not None
    assert (origin.device_name, origin.crc) == ("Camera", CrcVerdict.VERIFIED)
    assert origin.sender_wall_ns is not None
    assert abs(origin.sender_wall_ns - time.time_ns()) < PATIENCE_S * 1e9


def _their_image(pyigtl: Any, pixels: NDArray[np.uint8]) -> Any:  # noqa: ANN401 - an untyped package
    """Return an image message of pyigtl."""
    return pyigtl.ImageMessage(pixels[np.newaxis], device_name="Camera")


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_pyigtl_client_to_our_server(server: tuple[Listening, int]) -> None:
    """The same with the roles of the connection exchanged."""
    pyigtl = pytest.importorskip("pyigtl", reason="not installed: pyigtl")
    listening, port = server
    theirs = pyigtl.OpenIGTLinkClient("127.0.0.1", port)
    try:
        wait_until(theirs.is_connected, "a connection from pyigtl")
        theirs.send_message(_their_image(pyigtl, picture(9)), wait=True)
        (raw,) = listening.wait_for(1)
    finally:
        theirs.stop()
    assert np.array_equal(raw.pixels, picture(9))


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="example")
@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="example")
def test_our_sink_to_two_pyigtl_clients(results: tuple[OpenIGTLinkSink, int]) -> None:
    """Where pyigtl itself serves one client at a time, this sink serves both."""
    pyigtl = pytest.importorskip("pyigtl", reason="not installed: pyigtl")
    sink, port = results
    theirs = [pyigtl.OpenIGTLinkClient("127.0.0.1", port) for _ in range(2)]
    try:
        admit(sink, 2)
        write_masks(sink)
        for client in theirs:
            mask = client.wait_for_message("TrocarMask", timeout=PATIENCE_S)
            assert np.array_equal(mask.image[0] == 255, make_polyp_mask().mask.pixels)
            notice = client.wait_for_message("TrocarNotice", timeout=PATIENCE_S)
            assert notice.string == RESEARCH_NOTICE
    finally:
        for client in theirs:
            client.stop()


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
@pytest.mark.controls("RCM_IGTL_011")
def test_cpp_image_server_to_our_client(programs: Path) -> None:
    """The example of the C++ library sends no time: that is said, not guessed."""
    port = free_port()
    server = build_example("Imager", "ImagerServer", programs)
    with running(server, str(port), "30", IMAGES):
        listening = Listening(Dialler("127.0.0.1", port, clock=CLOCK))
        frames = listening.wait_for(5)[:5]
        listening.close()
    assert {raw.pixels.shape for raw in frames} == {(256, 256, 3)}
    assert all(raw.pixels.any() for raw in frames)
    assert {raw.origin.crc for raw in frames if raw.origin} == {CrcVerdict.VERIFIED}
    assert {raw.origin.sender_wall_ns for raw in frames if raw.origin} == {None}


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_cpp_image_client_to_our_server(programs: Path, server: tuple[Listening, int]) -> None:
    """3D Slicer's side of the library, as the one that calls."""
    listening, port = server
    client = build_example("Imager", "ImagerClient", programs)
    with running(client, "127.0.0.1", str(port), "30", IMAGES):
        frames = listening.wait_for(5)[:5]
    assert {raw.pixels.shape for raw in frames} == {(256, 256, 3)}


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="example")
@pytest.mark.verifies("SRS_IGTL_028", extent="partial", technique="example")
@pytest.mark.parametrize("role", ["ReceiveClient", "ReceiveServer"])
def test_our_sink_to_cpp_receiver(programs: Path, role: str) -> None:
    """The receiver of Debian's version 1.11 stays in step with all that is sent."""
    receiver = build_example("Receiver", role, programs)
    if role == "ReceiveClient":
        listener = Listener(0, clock=CLOCK)
        sink, words = OpenIGTLinkSink(listener, clock=CLOCK), ["127.0.0.1", str(listener.port)]
    else:
        port = free_port()
        sink = OpenIGTLinkSink(Dialler("127.0.0.1", port, clock=CLOCK), clock=CLOCK)
        words = [str(port)]
    lines: list[str] = []
    with running(receiver, *words) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
        reader.start()
        admit(sink, 1)
        write_masks(sink, count=2)
        send_record(sink, make_record(2))
        write_masks(sink, count=1, first=3)
        sink.close()
        last = '"frame_index":3'
        wait_until(lambda: last in "".join(lines), "the last record at the C++ receiver")
        process.kill()
        reader.join(PATIENCE_S)
    text = "".join(lines)
    assert RESEARCH_NOTICE in text
    assert text.count("Receiving IMAGE data type.") == 4
    assert "Device Name           : TrocarMask" in text
    assert "Error Name: stale_frame" in text
    assert "polyp_segmentation: result for frame 3" in text


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="example")
def test_cpp_capability_client_to_our_server(programs: Path, server: tuple[Listening, int]) -> None:
    """A list of capabilities of the C++ library is read and kept."""
    listening, port = server
    client = build_example("Capability", "CapabilityClient", programs)
    with running(client, "127.0.0.1", str(port)):
        wait_until(lambda: bool(listening.source.newest_messages()), "the list")
    (packet,) = listening.source.newest_messages().values()
    assert packet.message == CapabilityMessage(("TRANSFORM", "GET_IMAGE", "GET_LBMETA"))
