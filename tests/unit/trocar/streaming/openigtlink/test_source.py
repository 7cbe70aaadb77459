"""The images of one device become frames; whatever else comes is counted and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from conformance.frame_source_suite import FrameSourceSuite
from simulators.clock import FakeClock
from simulators.igtl_messages import GEOMETRY, as_bytes, message_samples, resealed
from simulators.igtl_peers import FarEnd, PairedPeers, image_bytes, message_bytes, picture
from trocar.contracts.errors import InvariantError, SourceLostError
from trocar.contracts.frame import CrcVerdict, FrameOrigin, RawFrame
from trocar.contracts.limits import IGTL_DEVICE_COUNT_MAX, NS_PER_MS, NS_PER_S
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.ports import FrameSource
from trocar.streaming.admission import admit
from trocar.streaming.openigtlink.account import LinkEvent
from trocar.streaming.openigtlink.header import HEADER_BYTES
from trocar.streaming.openigtlink.image import image_from_frame
from trocar.streaming.openigtlink.message_types import Verb
from trocar.streaming.openigtlink.query import CapabilityMessage, QueryMessage
from trocar.streaming.openigtlink.source import OpenIGTLinkSource
from trocar.streaming.openigtlink.status import StatusMessage
from trocar.streaming.openigtlink.text import StringMessage
from trocar.streaming.pacing import UndecodableFrame
from trocar.streaming.watchdog import LinkStatus, ReportsLink

WALL_NS = 1_700_000_000_250_000_000


def _never() -> bool:
    """Go on."""
    return False


def _one_visit(messages: Sequence[bytes], *, device_name: str | None = None) -> OpenIGTLinkSource:
    """Return a source whose one peer sends some messages and leaves."""
    clock = FakeClock(step_ns=1)
    peers = PairedPeers(clock)
    peers.plug_in_and_leave(messages)
    return OpenIGTLinkSource(peers, clock=clock, device_name=device_name, is_reconnecting=False)


def _frames(messages: Sequence[bytes], *, device_name: str | None = None) -> list[RawFrame]:
    """Return the frames of one visit."""
    source = _one_visit(messages, device_name=device_name)
    found = list(source.frames(_never))
    source.close()
    return found


def _damaged(message: bytes) -> bytes:
    """Return a message with one bit of its last byte changed on its way."""
    return message[:-1] + bytes([message[-1] ^ 1])


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="conformance")
class TestOpenIGTLinkSource(FrameSourceSuite):
    """The suite of every source, on a peer that sends four images and leaves."""

    def make_source(self, folder: Path) -> FrameSource:
        """Return a source whose peer has sent everything."""
        return _one_visit([image_bytes(level) for level in range(4)])

    def frame_count(self) -> int:
        """Return how many images the peer sends."""
        return 4


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_image_is_a_frame_with_what_its_message_says() -> None:
    """Pixels as they were sent; the sender's time goes along and is used for nothing else."""
    (raw,) = _frames([image_bytes(7, timestamp_ns=WALL_NS)])
    assert np.array_equal(raw.pixels, picture(7))
    assert raw.origin == FrameOrigin(
        device_name="Camera", sender_wall_ns=WALL_NS, crc=CrcVerdict.VERIFIED
    )
    assert raw.media_time_ns is None
    assert 0 < raw.captured_at_ns < 2 * NS_PER_S


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_IGTL_011")
def test_time_of_zero_is_not_known() -> None:
    """A frame of unknown age must not get the age of 1970, nor that of its arrival."""
    (raw,) = _frames([image_bytes(timestamp_ns=None)])
    assert raw.origin is not None
    assert raw.origin.sender_wall_ns is None


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_grey_image_is_repeated_in_three_channels() -> None:
    """Ultrasound comes with one channel; the frame contract asks for three."""
    grey = np.arange(32 * 40, dtype=np.uint8).reshape(32, 40)
    (raw,) = _frames([message_bytes(image_from_frame(grey))])
    assert np.array_equal(raw.pixels, np.stack([grey] * 3, axis=2))


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_IGTL_001")
def test_damaged_image_is_a_frame_without_pixels() -> None:
    """One wrong bit: the record has a line for it, with the reason, and the stream goes on."""
    frames = _frames([image_bytes(1), _damaged(image_bytes(2)), image_bytes(3)])
    damaged = frames[1]
    assert isinstance(damaged, UndecodableFrame)
    assert damaged.origin is not None
    assert damaged.origin.crc is CrcVerdict.MISMATCH
    outcome = admit(damaged)
    assert isinstance(outcome, Withheld)
    assert (outcome.reason, outcome.frame_index) == (Reason.FRAME_CORRUPT, 1)
    assert [frame.pixels.size > 0 for frame in frames] == [True, False, True]


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="equivalence")
@pytest.mark.parametrize("kind", ["volume", "part"])
def test_image_that_cannot_be_a_frame_says_why(kind: str) -> None:
    """A volume, a part of an image, or other numbers than uint8: nothing is cropped in silence."""
    (raw,) = _frames([as_bytes(message_samples()[kind])])
    assert isinstance(raw, UndecodableFrame)
    assert raw.reason is Reason.FRAME_UNDECODABLE
    assert "expected" in raw.problem


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="fault_injection")
def test_image_that_lies_about_itself_says_why() -> None:
    """The checksum holds, the sizes do not: the sender means harm or is broken."""
    sound = image_bytes()
    lie = resealed(sound, sound[HEADER_BYTES:-7])
    (raw, after) = _frames([lie, sound])
    assert isinstance(raw, UndecodableFrame)
    assert raw.reason is Reason.FRAME_UNDECODABLE
    assert raw.origin is not None
    assert raw.origin.crc is CrcVerdict.VERIFIED
    assert np.array_equal(after.pixels, picture(0))


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="fault_injection")
def test_checksum_that_was_not_sent_is_said() -> None:
    """Nothing is known of such a picture, and the record says so."""
    sound = image_bytes(5)
    (raw,) = _frames([sound[: HEADER_BYTES - 8] + bytes(8) + sound[HEADER_BYTES:]])
    assert raw.origin is not None
    assert raw.origin.crc is CrcVerdict.NOT_SENT
    assert np.array_equal(raw.pixels, picture(5))


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
@pytest.mark.controls("RCM_IGTL_012")
@pytest.mark.parametrize("device_name", ["Camera", None])
def test_other_devices_are_read_past(device_name: str | None) -> None:
    """The named device, or the first one of which a frame came, is the stream."""
    source = _one_visit(
        [image_bytes(1), image_bytes(2, device_name="Other"), image_bytes(3)],
        device_name=device_name,
    )
    frames = list(source.frames(_never))
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [1, 3]
    assert source.account.totals().count_of(LinkEvent.OTHER_DEVICE) == 1
    source.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_address_and_device_name_the_source() -> None:
    """Two streams of one peer must not look alike in a record."""
    assert _one_visit([], device_name="Camera").source_id == "memory?device=Camera"
    assert _one_visit([]).source_id == "memory"
    assert _one_visit([]).frame_count is None


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_place_of_a_frame_is_kept_for_a_while() -> None:
    """A mask has to lie where its frame lies; the memory of places is bounded."""
    place = image_from_frame(picture(), GEOMETRY)
    source = _one_visit([message_bytes(place)] + [image_bytes()] * 64)
    assert len(list(source.frames(_never))) == 65
    assert source.geometry_of(0) is None
    assert source.geometry_of(1) is not None
    source.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_newest_message_of_each_device_is_kept() -> None:
    """Transforms and texts are there for whoever asks; the table of devices is bounded."""
    texts = [message_bytes(StringMessage(text), device_name="Note") for text in ("old", "new")]
    transform = message_bytes(message_samples()["transform"], device_name="Probe")
    source = _one_visit([*texts, transform, image_bytes()])
    assert len(list(source.frames(_never))) == 1
    kept = source.newest_messages()
    assert set(kept) == {("STRING", "Note"), ("TRANSFORM", "Probe")}
    assert kept["STRING", "Note"].message == StringMessage("new")
    source.close()


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="boundary")
def test_table_of_devices_is_bounded() -> None:
    """A peer may invent a new device with each message."""
    names = [f"D{index}" for index in range(IGTL_DEVICE_COUNT_MAX + 3)]
    source = _one_visit([message_bytes(StringMessage("x"), device_name=name) for name in names])
    assert list(source.frames(_never)) == []
    assert len(source.newest_messages()) == IGTL_DEVICE_COUNT_MAX
    assert source.account.totals().count_of(LinkEvent.NOT_KEPT) == 3
    source.close()


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="fault_injection")
def test_all_that_is_no_frame_is_counted() -> None:
    """Unknown type, damaged text, text that lies, text without checksum: the stream goes on."""
    text = message_bytes(StringMessage("hello"))
    unknown = text[:2] + b"NEWTYPE".ljust(12, b"\0") + text[14:]
    lie = resealed(text, text[HEADER_BYTES:] + b"more")
    unsealed = text[: HEADER_BYTES - 8] + bytes(8) + text[HEADER_BYTES:]
    source = _one_visit([unknown, _damaged(text), lie, unsealed, image_bytes()])
    assert [raw.frame_index for raw in source.frames(_never)] == [0]
    events = source.account.totals().events
    assert events[LinkEvent.UNKNOWN_TYPE] == 1
    assert events[LinkEvent.CRC_MISMATCH] == 1
    assert events[LinkEvent.PROTOCOL_ERROR] == 1
    assert events[LinkEvent.CRC_NOT_SENT] == 1
    assert source.account.totals().received == {"NEWTYPE": 1, "STRING": 3, "IMAGE": 1}
    source.close()


def _live(
    *, idle_ms_max: int = 3000, give_up_ms: int = 60_000
) -> tuple[FakeClock, PairedPeers, OpenIGTLinkSource]:
    """Return a source that waits for peers, without any."""
    clock = FakeClock(step_ns=1)
    peers = PairedPeers(clock)
    source = OpenIGTLinkSource(peers, clock=clock, idle_ms_max=idle_ms_max, give_up_ms=give_up_ms)
    return clock, peers, source


def _take(source: OpenIGTLinkSource, count: int) -> list[RawFrame]:
    """Return the first frames of a source."""
    found: list[RawFrame] = []
    for raw in source.frames(lambda: len(found) >= count):
        found.append(raw)  # noqa: PERF402 - the signal looks at the list while it grows
    source.close()
    return found


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
def test_stream_goes_on_over_peers_that_break_off() -> None:
    """Killed in a message, out of step, gone: the next peer continues, and no index is lost."""
    _, peers, source = _live()
    peers.plug_in_and_leave([image_bytes(0), image_bytes(1)[:100]])
    peers.plug_in(image_bytes(2), bytes(HEADER_BYTES))
    peers.plug_in_and_leave([])
    peers.plug_in(image_bytes(3))
    frames = _take(source, 3)
    assert [int(raw.pixels[0, 0, 0]) for raw in frames] == [0, 2, 3]
    assert [raw.frame_index for raw in frames] == [0, 1, 2]
    assert peers.lost_calls == [True, True, False]
    events = source.account.totals().events
    assert events[LinkEvent.BROKEN_OFF] == 1
    assert events[LinkEvent.PROTOCOL_ERROR] == 1
    assert events[LinkEvent.PEER_LEFT] == 1


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="state_table")
def test_state_of_the_link_is_told() -> None:
    """The run shows a lost link, and does not count its silence as that of a camera."""
    _, peers, source = _live()
    assert isinstance(source, ReportsLink)
    assert source.link_status() == LinkStatus(is_connected=False, reconnect_count=0)
    peers.plug_in_and_leave([image_bytes(1), image_bytes(2)[:100]])
    frames = source.frames(_never)
    next(frames)
    assert source.link_status() == LinkStatus(is_connected=True, reconnect_count=0)
    with source._lock:
        source._turn(_never)
    assert source.link_status() == LinkStatus(
        is_connected=False, reconnect_count=0, problem="broken_off"
    )
    peers.plug_in(image_bytes(3))
    next(frames)
    assert source.link_status() == LinkStatus(is_connected=True, reconnect_count=1)
    source.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_IGTL_013")
def test_silent_peer_is_left_for_the_next_one() -> None:
    """A cable that is out closes nothing: only time tells."""
    clock, peers, source = _live(idle_ms_max=50)
    clock.step_ns = 10 * NS_PER_MS
    silent = peers.plug_in(image_bytes(1))
    peers.plug_in(image_bytes(2))
    assert [int(raw.pixels[0, 0, 0]) for raw in _take(source, 2)] == [1, 2]
    assert silent.is_hung_up()
    assert source.account.totals().count_of(LinkEvent.TOO_SLOW) == 1


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="boundary")
def test_source_gives_up_after_its_time() -> None:
    """Without any peer, and with one that never says anything: lost, with advice."""
    clock, _, source = _live(give_up_ms=100)
    clock.step_ns = NS_PER_MS
    with pytest.raises(SourceLostError) as caught:
        list(source.frames(_never))
    assert "firewall" in caught.value.advice
    source.close()
    clock, peers, source = _live(idle_ms_max=1000, give_up_ms=100)
    clock.step_ns = NS_PER_MS
    far = peers.plug_in()
    with pytest.raises(SourceLostError):
        list(source.frames(_never))
    source.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("rest", [image_bytes()[:100], bytes(HEADER_BYTES)])
def test_source_that_may_not_reconnect_is_lost_where_its_peer_breaks_off(rest: bytes) -> None:
    """An end inside of a message is not the end of the stream."""
    source = _one_visit([image_bytes(), rest])
    frames = source.frames(_never)
    assert next(frames).frame_index == 0
    with pytest.raises(SourceLostError, match="between two messages"):
        next(frames)
    source.close()


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="example")
@pytest.mark.controls("RCM_IGTL_012")
def test_other_peers_are_turned_away_while_one_is_the_stream() -> None:
    """Frames of two senders must not mix."""
    _, peers, source = _live()
    peers.plug_in(image_bytes(), image_bytes())
    assert len(_take(source, 2)) == 2
    assert peers.refuse_count >= 2
    assert peers.close_count == 1


@pytest.mark.verifies("SRS_IGTL_025", extent="partial", technique="example")
@pytest.mark.parametrize("version", [1, 2])
def test_queries_are_answered_in_their_version(version: int) -> None:
    """3D Slicer asks after connecting, and a receiver of version 1 cannot read version 2."""
    _, peers, source = _live()
    queries = [
        message_bytes(QueryMessage(verb, subject), version=2 if version == 2 else 1)
        for verb, subject in (
            (Verb.GET, "CAPABILITY"),
            (Verb.GET, "STATUS"),
            (Verb.RESULT, "IMAGE"),
            (Verb.START, "IMAGE"),
        )
    ]
    far = peers.plug_in(*queries, image_bytes())
    _take(source, 1)
    packets = far.read_all()
    assert [type(packet.message) for packet in packets] == [
        CapabilityMessage,
        StatusMessage,
        QueryMessage,
    ]
    assert {packet.header.version for packet in packets} == {version}
    assert source.account.totals().sent == {"CAPABILITY": 1, "STATUS": 1, "RTS_IMAGE": 1}
    far.close()


@pytest.mark.verifies("SRS_IGTL_025", extent="partial", technique="fault_injection")
def test_peer_that_does_not_take_its_answers_is_left() -> None:
    """A flood of queries from somebody who never reads must not hold the reader."""
    clock, peers, source = _live()
    clock.step_ns = NS_PER_MS
    query = message_bytes(QueryMessage(Verb.GET, "CAPABILITY"))
    far: FarEnd = peers.plug_in(*[query] * 2500, send_ms_max=20)
    peers.plug_in(image_bytes(9))
    assert int(_take(source, 1)[0].pixels[0, 0, 0]) == 9
    assert source.account.totals().count_of(LinkEvent.TOO_SLOW) == 1
    far.close()


@pytest.mark.verifies("SRS_IGTL_025", extent="partial", technique="fault_injection")
def test_peer_that_asks_and_leaves_is_no_error() -> None:
    """The answer finds nobody; the next peer is served."""
    _, peers, source = _live()
    peers.plug_in_and_leave([message_bytes(QueryMessage(Verb.GET, "CAPABILITY"))])
    peers.plug_in(image_bytes(9))
    assert len(_take(source, 1)) == 1
    assert source.account.totals().count_of(LinkEvent.PEER_LEFT) == 1


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="example")
def test_close_inside_a_message_ends_the_source() -> None:
    """A run that ends does not wait for the rest of a message."""
    _, peers, source = _live()
    peers.plug_in(image_bytes(), image_bytes()[:100])
    frames = source.frames(_never)
    next(frames)
    source._is_closed = True
    assert list(frames) == []
    source.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
def test_stop_inside_a_message_is_no_loss() -> None:
    """The user's stop must not be reported as a fault of the peer."""
    _, peers, source = _live()
    peers.plug_in(image_bytes()[:100])
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    assert list(source.frames(stop)) == []
    assert source.account.totals().events == {}
    source.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="fault_injection")
def test_close_does_not_wait_for_ever_for_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that hangs in the system keeps its lock; the run ends all the same."""
    monkeypatch.setattr("trocar.streaming.openigtlink.source.THREAD_JOIN_MS_MAX", 1)
    _, peers, source = _live()
    with source._lock:
        source.close()
    assert peers.close_count == 0
    source.close()
    assert peers.close_count == 1


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_link_that_is_not_there_cannot_be_dropped() -> None:
    """Our own mistake would be told as such."""
    _, _, source = _live()
    with pytest.raises(InvariantError):
        source._drop(LinkEvent.PEER_LEFT, "none")
