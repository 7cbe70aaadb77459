"""OpenIGTLink over sockets of the loopback interface: what peers do wrong, and what it costs."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from conformance.samples import make_polyp_mask, make_record
from simulators.igtl_links import (
    CLOCK,
    PATIENCE_S,
    Listening,
    admit,
    call,
    free_port,
    listening_server,
    send_record,
    serving_sink,
    wait_until,
    write_masks,
)
from simulators.igtl_messages import TIME_NS
from simulators.igtl_peers import image_bytes, message_bytes, picture
from simulators.sink import RecordingSink
from simulators.unit import ScriptedUnit
from trocar.contracts.frame import CrcVerdict
from trocar.contracts.outcome import Reason
from trocar.streaming.openigtlink.account import LinkEvent
from trocar.streaming.openigtlink.client import Dialler
from trocar.streaming.openigtlink.header import HEADER_BYTES
from trocar.streaming.openigtlink.message_types import Verb
from trocar.streaming.openigtlink.query import QueryMessage
from trocar.streaming.openigtlink.server import Listener
from trocar.streaming.openigtlink.sink import OpenIGTLinkSink
from trocar.streaming.openigtlink.source import OpenIGTLinkSource
from trocar.streaming.openigtlink.text import StringMessage
from trocar.streaming.pacing import Pacing, UndecodableFrame
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig


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


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_IGTL_013",
    measure="frames of the next sender after one that stopped in the middle of a message",
    acceptance="all of them, with no index lost",
)
def test_sender_that_dies_in_a_message_is_followed_by_the_next(
    server: tuple[Listening, int],
) -> None:
    """Killed at any point: the port is free for the next sender at once."""
    listening, port = server
    data = image_bytes(1)
    for count, cut in enumerate((1, HEADER_BYTES - 1, HEADER_BYTES, 500, len(data) - 1)):
        dying, living = call(port), None
        dying.send(data[:cut])
        dying.close()
        wait_until(lambda c=count: listening.count_of(LinkEvent.BROKEN_OFF) == c + 1, "the break")  # type: ignore[misc] # a default binds the loop's value
        living = call(port)
        living.send(data)
        listening.wait_for(count + 1)
        living.close()
        wait_until(lambda c=count: listening.count_of(LinkEvent.PEER_LEFT) == c + 1, "the end")  # type: ignore[misc] # a default binds the loop's value
    assert [raw.frame_index for raw in listening.frames] == list(range(5))


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
def test_half_open_sender_is_left() -> None:
    """A sender whose cable is out closes nothing; the next one gets its place."""
    listener = Listener(0, clock=CLOCK)
    listening = Listening(listener, idle_ms_max=100)
    silent = call(listener.port)
    assert silent.is_hung_up()
    wait_until(lambda: listening.count_of(LinkEvent.TOO_SLOW) == 1, "the loss")
    living = call(listener.port)
    living.send(image_bytes(4))
    assert int(listening.wait_for(1)[0].pixels[0, 0, 0]) == 4
    living.close()
    listening.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="fault_injection")
def test_message_byte_by_byte_is_whole(server: tuple[Listening, int]) -> None:
    """How the network cuts a message changes nothing about it."""
    listening, port = server
    far = call(port)
    for value in image_bytes(6):
        far.send(bytes([value]))
    (raw,) = listening.wait_for(1)
    assert np.array_equal(raw.pixels, picture(6))
    assert raw.origin is not None
    assert raw.origin.crc is CrcVerdict.VERIFIED
    far.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="fault_injection")
def test_wrong_checksum_is_a_withheld_frame(server: tuple[Listening, int]) -> None:
    """Where pyigtl delivers such a picture, here it has no pixels, and the next one is sound."""
    listening, port = server
    far = call(port)
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
def test_header_that_lies_ends_its_connection(server: tuple[Listening, int], lie: bytes) -> None:
    """Nothing behind such a header can be read; the port is free for the next sender."""
    listening, port = server
    far = call(port)
    far.send(lie)
    assert far.is_hung_up()
    assert listening.count_of(LinkEvent.PROTOCOL_ERROR) == 1
    living = call(port)
    living.send(image_bytes(8))
    assert int(listening.wait_for(1)[0].pixels[0, 0, 0]) == 8
    living.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="full", technique="example")
def test_verdict_and_time_of_a_message_stand_in_the_record_of_its_frame() -> None:
    """Through the real loop: sound, damaged, sound, each with what its message said."""
    listener = Listener(0, clock=CLOCK)
    source = OpenIGTLinkSource(listener, clock=CLOCK)
    sink = RecordingSink()
    far = call(listener.port)
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
def test_flood_of_unknown_types_is_read_past(server: tuple[Listening, int]) -> None:
    """Two thousand messages of as many types: counted, not kept, and the picture arrives."""
    listening, port = server
    far = call(port)
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
def test_storm_of_strangers_does_not_reach_the_stream(server: tuple[Listening, int]) -> None:
    """Each stranger is turned away and counted; the sender that was first goes on."""
    listening, port = server
    far = call(port)
    far.send(image_bytes(0))
    listening.wait_for(1)
    for level in range(1, 30):
        stranger = call(port)
        with contextlib.suppress(OSError):
            stranger.send(image_bytes(200, device_name="Camera"))
        far.send(image_bytes(level))
        listening.wait_for(level + 1)
        stranger.close()
    wait_until(lambda: listening.count_of(LinkEvent.PEER_REFUSED) == 29, "the refusals")
    assert [int(raw.pixels[0, 0, 0]) for raw in listening.frames] == list(range(30))
    far.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
def test_server_that_starts_again_is_found() -> None:
    """Killed and started again on the same port: the stream continues with the next index."""
    port = free_port()
    listening = Listening(Dialler("127.0.0.1", port, clock=CLOCK))
    for level in range(3):
        server = socket.create_server(("127.0.0.1", port))
        server.settimeout(PATIENCE_S)
        plug, _ = server.accept()
        plug.sendall(image_bytes(level))
        listening.wait_for(level + 1)
        server.close()  # before the plug: else the dialler may find the old server once more
        plug.close()
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
    reading, stalled = call(port), call(port)
    admit(sink, 2)
    names: list[str] = []
    reader = threading.Thread(
        target=lambda: names.extend(p.header.device_name for p in reading.read_all())
    )
    reader.start()
    for index in range(200):
        sent = index + 1
        sink.write(make_record(index, make_polyp_mask(index)), None)
        wait_until(lambda s=sent: sink.clients()[0].sent_count == s, "the first receiver")  # type: ignore[misc] # a default binds the loop's value
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
    staying = call(port)
    admit(sink, 1)
    for index in range(40):
        passing = call(port)
        with contextlib.suppress(OSError):
            passing.send(os.urandom(100) if index % 2 else image_bytes()[:70])
        passing.close()
    admit(sink, 1)
    sink.write(make_record(0, make_polyp_mask(0)), None)
    names = [staying.read().header.device_name for _ in range(5)]
    assert names == ["TrocarNotice"] + ["TrocarStatus"] * 2 + ["TrocarMask", "TrocarResult"]
    staying.close()


@pytest.mark.verifies("SRS_IGTL_025", extent="partial", technique="example")
def test_receiver_that_asks_is_answered(results: tuple[OpenIGTLinkSink, int]) -> None:
    """The query that 3D Slicer's connector sends, over a real socket."""
    sink, port = results
    far = call(port)
    admit(sink, 1)
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
    far = call(port)
    admit(sink, 1)
    write_masks(sink, count=1)
    send_record(sink, make_record(1))
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
def test_unknown_time_goes_through_to_the_receiver(server: tuple[Listening, int]) -> None:
    """From the sender of the frame to the receiver of its result, nothing is made up."""
    listening, port = server
    far = call(port)
    far.send(image_bytes(1, timestamp_ns=None))
    (raw,) = listening.wait_for(1)
    record = make_record(0, make_polyp_mask(0)).model_copy(update={"origin": raw.origin})
    listener = Listener(0, clock=CLOCK)
    sink = OpenIGTLinkSink(listener, clock=CLOCK, header_version=2)
    receiver = call(listener.port)
    admit(sink, 1)
    sink.write(record, None)
    sink.close()
    packets = receiver.read_all()[2:]
    assert {packet.header.timestamp_ns for packet in packets} == {None}
    assert {packet.metadata["SenderTimeNs"] for packet in packets} == {"unknown"}
    far.close()
    receiver.close()
