"""OpenIGTLink over real sockets of the loopback interface: our own ends, and those of others.

3D Slicer and PLUS were not at hand. The others are pyigtl (Python) and the example programs of the
C++ library, both unchanged.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from conformance.samples import make_frame, make_polyp_mask, make_record
from simulators.igtl_messages import TIME_NS
from simulators.igtl_peers import FarEnd, image_bytes, message_bytes, picture
from simulators.igtl_programs import IMAGES, build_example, missing_for_examples
from simulators.sink import RecordingSink
from simulators.unit import ScriptedUnit
from trocar import RESEARCH_NOTICE
from trocar.contracts.frame import CrcVerdict, RawFrame
from trocar.contracts.outcome import Reason
from trocar.contracts.record import FrameRecord
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.openigtlink.account import LinkEvent
from trocar.streaming.openigtlink.client import Dialler
from trocar.streaming.openigtlink.connection import Peers
from trocar.streaming.openigtlink.header import HEADER_BYTES
from trocar.streaming.openigtlink.message_types import Verb
from trocar.streaming.openigtlink.query import CapabilityMessage, QueryMessage
from trocar.streaming.openigtlink.server import Listener
from trocar.streaming.openigtlink.sink import OpenIGTLinkSink
from trocar.streaming.openigtlink.source import OpenIGTLinkSource
from trocar.streaming.openigtlink.text import StringMessage
from trocar.streaming.pacing import Pacing, UndecodableFrame
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig

CLOCK: Final = MonotonicClock()
PATIENCE_S: Final = 30.0
RECORD_COUNT: Final = 4


def _free_port() -> int:
    """Return a port below those that the system gives to callers, on which nobody listens."""
    for port in range(18_944 + os.getpid() % 4_000, 32_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no free port")


def _wait(condition: Callable[[], bool], what: str) -> None:
    """Wait until another thread or program has done its part."""
    due_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > due_s:
            raise TimeoutError(what)
        threading.Event().wait(0.005)


def _call(port: int) -> FarEnd:
    """Connect to a port."""
    return FarEnd(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))


class _Listening:
    """A source that is read in a thread until it has enough frames, or is closed."""

    def __init__(self, peers: Peers, *, idle_ms_max: int = 3000) -> None:
        self.source = OpenIGTLinkSource(peers, clock=CLOCK, idle_ms_max=idle_ms_max)
        self.frames: list[RawFrame] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        """Keep every frame."""
        for raw in self.source.frames(lambda: False):
            self.frames.append(raw)

    def wait_for(self, count: int) -> list[RawFrame]:
        """Return the frames once there are so many."""
        _wait(lambda: len(self.frames) >= count, f"{count} frames, got {len(self.frames)}")
        return self.frames

    def count_of(self, event: LinkEvent) -> int:
        """Return how often something happened."""
        return self.source.account.totals().count_of(event)

    def close(self) -> None:
        """Close, and check that the reader ends."""
        self.source.close()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.fixture
def server() -> Iterator[tuple[_Listening, int]]:
    """Return a source in the server role, and its port."""
    listener = Listener(0, clock=CLOCK)
    listening = _Listening(listener)
    yield listening, listener.port
    listening.close()


@pytest.fixture
def results() -> Iterator[tuple[OpenIGTLinkSink, int]]:
    """Return a sink in the server role, and its port; no thread may be left of it."""
    before = threading.active_count()
    listener = Listener(0, clock=CLOCK)
    sink = OpenIGTLinkSink(listener, clock=CLOCK)
    yield sink, listener.port
    sink.close()
    assert threading.active_count() <= before


def _admit(sink: OpenIGTLinkSink, count: int) -> None:
    """Wait until a sink has so many receivers."""
    _wait(lambda: sink.client_count == count, f"{count} receivers")


def _write(sink: OpenIGTLinkSink, *, count: int = RECORD_COUNT, first: int = 0) -> None:
    """Write records with a finding, one after the other as a unit does."""
    for index in range(first, first + count):
        _send(sink, make_record(index, make_polyp_mask(index)))


def _send(sink: OpenIGTLinkSink, record: FrameRecord) -> None:
    """Write a record and wait until every receiver has it: none is replaced by the next one."""
    sink.write(record, make_frame(record.frame_index))
    counts = sink.written_count
    _wait(lambda: all(each.sent_count == counts for each in sink.clients()), "the receivers")


@contextlib.contextmanager
def _program(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program and end it."""
    process = subprocess.Popen(
        ["stdbuf", "-oL", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


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
    listening = _Listening(ends[0])
    _admit(sink, 1)
    _write(sink)
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
    port = _free_port()
    theirs = pyigtl.OpenIGTLinkServer(port=port, local_server=True)
    listening = _Listening(Dialler("127.0.0.1", port, clock=CLOCK))
    try:
        _wait(theirs.is_connected, "a connection to pyigtl")
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
def test_pyigtl_client_to_our_server(server: tuple[_Listening, int]) -> None:
    """The same with the roles of the connection exchanged."""
    pyigtl = pytest.importorskip("pyigtl", reason="not installed: pyigtl")
    listening, port = server
    theirs = pyigtl.OpenIGTLinkClient("127.0.0.1", port)
    try:
        _wait(theirs.is_connected, "a connection from pyigtl")
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
        _admit(sink, 2)
        _write(sink)
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
    port = _free_port()
    server = build_example("Imager", "ImagerServer", programs)
    with _program(server, str(port), "30", IMAGES):
        listening = _Listening(Dialler("127.0.0.1", port, clock=CLOCK))
        frames = listening.wait_for(5)[:5]
        listening.close()
    assert {raw.pixels.shape for raw in frames} == {(256, 256, 3)}
    assert all(raw.pixels.any() for raw in frames)
    assert {raw.origin.crc for raw in frames if raw.origin} == {CrcVerdict.VERIFIED}
    assert {raw.origin.sender_wall_ns for raw in frames if raw.origin} == {None}


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_cpp_image_client_to_our_server(programs: Path, server: tuple[_Listening, int]) -> None:
    """3D Slicer's side of the library, as the one that calls."""
    listening, port = server
    client = build_example("Imager", "ImagerClient", programs)
    with _program(client, "127.0.0.1", str(port), "30", IMAGES):
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
        port = _free_port()
        sink = OpenIGTLinkSink(Dialler("127.0.0.1", port, clock=CLOCK), clock=CLOCK)
        words = [str(port)]
    lines: list[str] = []
    with _program(receiver, *words) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
        reader.start()
        _admit(sink, 1)
        _write(sink, count=2)
        _send(sink, make_record(2))
        _write(sink, count=1, first=3)
        sink.close()
        last = '"frame_index":3'
        _wait(lambda: last in "".join(lines), "the last record at the C++ receiver")
        process.kill()
        reader.join(PATIENCE_S)
    text = "".join(lines)
    assert RESEARCH_NOTICE in text
    assert text.count("Receiving IMAGE data type.") == 4
    assert "Device Name           : TrocarMask" in text
    assert "Error Name: stale_frame" in text
    assert "polyp_segmentation: result for frame 3" in text


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="example")
def test_cpp_capability_client_to_our_server(
    programs: Path, server: tuple[_Listening, int]
) -> None:
    """A list of capabilities of the C++ library is read and kept."""
    listening, port = server
    client = build_example("Capability", "CapabilityClient", programs)
    with _program(client, "127.0.0.1", str(port)):
        _wait(lambda: bool(listening.source.newest_messages()), "the list")
    (packet,) = listening.source.newest_messages().values()
    assert packet.message == CapabilityMessage(("TRANSFORM", "GET_IMAGE", "GET_LBMETA"))


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_IGTL_013",
    measure="frames of the next sender after one that stopped in the middle of a message",
    acceptance="all of them, with no index lost",
)
def test_sender_that_dies_in_a_message_is_followed_by_the_next(
    server: tuple[_Listening, int],
) -> None:
    """Killed at any point: the port is free for the next sender at once."""
    listening, port = server
    data = image_bytes(1)
    for count, cut in enumerate((1, HEADER_BYTES - 1, HEADER_BYTES, 500, len(data) - 1)):
        dying, living = _call(port), None
        dying.send(data[:cut])
        dying.close()
        _wait(lambda c=count: listening.count_of(LinkEvent.BROKEN_OFF) == c + 1, "the break")  # type: ignore[misc] # a default binds the loop's value
        living = _call(port)
        living.send(data)
        listening.wait_for(count + 1)
        living.close()
        _wait(lambda c=count: listening.count_of(LinkEvent.PEER_LEFT) == c + 1, "the end")  # type: ignore[misc] # a default binds the loop's value
    assert [raw.frame_index for raw in listening.frames] == list(range(5))


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
def test_half_open_sender_is_left() -> None:
    """A sender whose cable is out closes nothing; the next one gets its place."""
    listener = Listener(0, clock=CLOCK)
    listening = _Listening(listener, idle_ms_max=100)
    silent = _call(listener.port)
    assert silent.is_hung_up()
    _wait(lambda: listening.count_of(LinkEvent.TOO_SLOW) == 1, "the loss")
    living = _call(listener.port)
    living.send(image_bytes(4))
    assert int(listening.wait_for(1)[0].pixels[0, 0, 0]) == 4
    living.close()
    listening.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="fault_injection")
def test_message_byte_by_byte_is_whole(server: tuple[_Listening, int]) -> None:
    """How the network cuts a message changes nothing about it."""
    listening, port = server
    far = _call(port)
    for value in image_bytes(6):
        far.send(bytes([value]))
    (raw,) = listening.wait_for(1)
    assert np.array_equal(raw.pixels, picture(6))
    assert raw.origin is not None
    assert raw.origin.crc is CrcVerdict.VERIFIED
    far.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="fault_injection")
def test_wrong_checksum_is_a_withheld_frame(server: tuple[_Listening, int]) -> None:
    """Where pyigtl delivers such a picture, here it has no pixels, and the next one is sound."""
    listening, port = server
    far = _call(port)
    sound = image_bytes(3)
    far.send(sound[:-1] + bytes([sound[-1] ^ 1]), sound)
    damaged, after = listening.wait_for(2)
    assert isinstance(damaged, UndecodableFrame)
    assert damaged.reason is Reason.FRAME_CORRUPT
    assert np.array_equal(after.pixels, picture(3))
    far.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "lie",
    [
        bytes(HEADER_BYTES),
        b"\xff" * HEADER_BYTES,
        b"GET / HTTP/1.1\r\nHost: trocar\r\n\r\n".ljust(HEADER_BYTES, b"x"),
        image_bytes()[:42] + b"\x7f" + bytes(7) + image_bytes()[50:HEADER_BYTES],
    ],
    ids=["zeros", "ones", "http", "8 exabytes"],
)
def test_header_that_lies_ends_its_connection(server: tuple[_Listening, int], lie: bytes) -> None:
    """Nothing behind such a header can be read; the port is free for the next sender."""
    listening, port = server
    far = _call(port)
    far.send(lie)
    assert far.is_hung_up()
    assert listening.count_of(LinkEvent.PROTOCOL_ERROR) == 1
    living = _call(port)
    living.send(image_bytes(8))
    assert int(listening.wait_for(1)[0].pixels[0, 0, 0]) == 8
    living.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="full", technique="example")
def test_verdict_and_time_of_a_message_stand_in_the_record_of_its_frame() -> None:
    """Through the real loop: sound, damaged, sound, each with what its message said."""
    listener = Listener(0, clock=CLOCK)
    source = OpenIGTLinkSource(listener, clock=CLOCK)
    sink = RecordingSink()
    far = _call(listener.port)
    sound = [image_bytes(level, timestamp_ns=TIME_NS + level) for level in (90, 120)]
    far.send(sound[0], sound[0][:-1] + b"\xee", sound[1])
    summary = run_stream(
        source,
        [ScriptedUnit()],
        [sink],
        clock=CLOCK,
        config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE, frame_count_max=3),
        stop=lambda: False,
    )
    assert summary.withheld_counts == {Reason.FRAME_CORRUPT: 1}
    origins = [record.origin for record in sink.records]
    assert [origin.crc.value for origin in origins if origin] == [
        "verified",
        "mismatch",
        "verified",
    ]
    assert [origin.sender_wall_ns for origin in origins if origin] == [
        TIME_NS + 90,
        TIME_NS + 90,
        TIME_NS + 120,
    ]
    far.close()


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="fault_injection")
def test_flood_of_unknown_types_is_read_past(server: tuple[_Listening, int]) -> None:
    """Two thousand messages of as many types: counted, not kept, and the picture arrives."""
    listening, port = server
    far = _call(port)
    text = message_bytes(StringMessage("x" * 100))
    for index in range(2000):
        far.send(text[:2] + f"NEW{index}".encode().ljust(12, b"\0") + text[14:])
    far.send(image_bytes(5))
    assert int(listening.wait_for(1)[0].pixels[0, 0, 0]) == 5
    assert listening.count_of(LinkEvent.UNKNOWN_TYPE) == 2000
    assert len(listening.source.account.totals().received) <= 66
    far.close()


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_IGTL_012",
    measure="frames of the second sender in the stream; frames of the first one that are lost",
    acceptance="none of either",
)
def test_storm_of_strangers_does_not_reach_the_stream(server: tuple[_Listening, int]) -> None:
    """Each stranger is turned away and counted; the sender that was first goes on."""
    listening, port = server
    far = _call(port)
    far.send(image_bytes(0))
    listening.wait_for(1)
    for level in range(1, 30):
        stranger = _call(port)
        with contextlib.suppress(OSError):
            stranger.send(image_bytes(200, device_name="Camera"))
        far.send(image_bytes(level))
        listening.wait_for(level + 1)
        stranger.close()
    _wait(lambda: listening.count_of(LinkEvent.PEER_REFUSED) == 29, "the refusals")
    assert [int(raw.pixels[0, 0, 0]) for raw in listening.frames] == list(range(30))
    far.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
def test_server_that_starts_again_is_found() -> None:
    """Killed and started again on the same port: the stream continues with the next index."""
    port = _free_port()
    listening = _Listening(Dialler("127.0.0.1", port, clock=CLOCK))
    for level in range(3):
        server = socket.create_server(("127.0.0.1", port))
        server.settimeout(PATIENCE_S)
        plug, _ = server.accept()
        plug.sendall(image_bytes(level))
        listening.wait_for(level + 1)
        plug.close()
        server.close()
    listening.close()
    assert [(raw.frame_index, int(raw.pixels[0, 0, 0])) for raw in listening.frames] == [
        (0, 0),
        (1, 1),
        (2, 2),
    ]
    assert listening.count_of(LinkEvent.CONNECTED) == 3


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_IGTL_010",
    measure="results that a reading receiver gets beside one that never reads",
    acceptance="every one, none dropped",
)
def test_receiver_that_never_reads_costs_the_other_nothing(
    results: tuple[OpenIGTLinkSink, int],
) -> None:
    """The loop does not wait, the first receiver misses nothing, the second one's loss counts."""
    sink, port = results
    reading, stalled = _call(port), _call(port)
    _admit(sink, 2)
    names: list[str] = []
    reader = threading.Thread(
        target=lambda: names.extend(p.header.device_name for p in reading.read_all())
    )
    reader.start()
    for index in range(200):
        sent = index + 1
        sink.write(make_record(index, make_polyp_mask(index)), None)
        _wait(lambda s=sent: sink.clients()[0].sent_count == s, "the first receiver")  # type: ignore[misc] # a default binds the loop's value
    sink.close()
    reader.join(PATIENCE_S)
    assert names.count("TrocarResult") == 200
    assert sink.clients()[0].dropped_count == 0
    reading.close()
    stalled.close()


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
def test_storm_of_receivers_leaves_nothing_behind(results: tuple[OpenIGTLinkSink, int]) -> None:
    """Receivers that come and go, or send anything: the one that stays gets its result."""
    sink, port = results
    staying = _call(port)
    _admit(sink, 1)
    for index in range(40):
        passing = _call(port)
        with contextlib.suppress(OSError):
            passing.send(os.urandom(100) if index % 2 else image_bytes()[:70])
        passing.close()
    _admit(sink, 1)
    sink.write(make_record(0, make_polyp_mask(0)), None)
    names = [staying.read().header.device_name for _ in range(5)]
    assert names == ["TrocarNotice"] + ["TrocarStatus"] * 2 + ["TrocarMask", "TrocarResult"]
    staying.close()


@pytest.mark.verifies("SRS_IGTL_025", extent="partial", technique="example")
def test_receiver_that_asks_is_answered(results: tuple[OpenIGTLinkSink, int]) -> None:
    """The query that 3D Slicer's connector sends, over a real socket."""
    sink, port = results
    far = _call(port)
    _admit(sink, 1)
    far.send(message_bytes(QueryMessage(Verb.GET, "CAPABILITY")))
    names = [far.read().header.type_name for _ in range(3)]
    assert names == ["STRING", "STATUS", "CAPABILITY"]
    far.close()


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="example")
@pytest.mark.proves_effect(
    "RCM_IGTL_014",
    measure="picture that a receiver of pictures alone shows after a result was withheld",
    acceptance="neither the last mask nor an empty one",
)
def test_receiver_of_pictures_alone_does_not_keep_an_old_mask(
    results: tuple[OpenIGTLinkSink, int],
) -> None:
    """Such a receiver shows the last picture of each device, and reads no status."""
    sink, port = results
    far = _call(port)
    _admit(sink, 1)
    _write(sink, count=1)
    _send(sink, make_record(1))
    sink.close()
    masks = [p for p in far.read_all() if p.header.device_name == "TrocarMask"]
    levels = np.unique(getattr(masks[-1].message, "pixels", 0)).tolist()
    assert len(masks) == 2
    assert levels == [128]
    far.close()


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="example")
@pytest.mark.proves_effect(
    "RCM_IGTL_015",
    measure="connections to the port of results from an address that is not of this machine",
    acceptance="none",
)
def test_port_of_results_is_not_open_on_other_addresses(
    results: tuple[OpenIGTLinkSink, int],
) -> None:
    """127.0.0.2 stands for another address of the machine: nobody listens there."""
    _, port = results
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=PATIENCE_S)


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
@pytest.mark.proves_effect(
    "RCM_IGTL_011",
    measure="time in the messages of a result whose frame came without a time",
    acceptance="0 in each header, unknown in each metadata",
)
def test_unknown_time_goes_through_to_the_receiver(server: tuple[_Listening, int]) -> None:
    """From the sender of the frame to the receiver of its result, nothing is made up."""
    listening, port = server
    far = _call(port)
    far.send(image_bytes(1, timestamp_ns=None))
    (raw,) = listening.wait_for(1)
    record = make_record(0, make_polyp_mask(0)).model_copy(update={"origin": raw.origin})
    listener = Listener(0, clock=CLOCK)
    sink = OpenIGTLinkSink(listener, clock=CLOCK, header_version=2)
    receiver = _call(listener.port)
    _admit(sink, 1)
    sink.write(record, None)
    sink.close()
    packets = receiver.read_all()[2:]
    assert {packet.header.timestamp_ns for packet in packets} == {None}
    assert {packet.metadata["SenderTimeNs"] for packet in packets} == {"unknown"}
    far.close()
    receiver.close()
