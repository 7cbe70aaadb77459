"""Whole messages or the reason for none, whatever the other end of a socket does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulators.clock import FakeClock
from simulators.igtl_messages import KINDS, as_bytes, message_samples
from simulators.igtl_peers import image_bytes, paired
from trocar.contracts.errors import ProtocolError
from trocar.contracts.limits import IGTL_IMAGE_BYTES_MAX, NS_PER_MS, NS_PER_S
from trocar.streaming.openigtlink.connection import Incoming, ReadEnd, SendEnd
from trocar.streaming.openigtlink.header import HEADER_BYTES, Header, pack_header, parse_header
from trocar.streaming.openigtlink.messages import decode

MEBIBYTE = 1024 * 1024


def _all(header: Header) -> bool:
    """Want every message."""
    return True


def _none(header: Header) -> bool:
    """Want no message."""
    return False


def never() -> bool:
    """Go on."""
    return False


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="equivalence")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [1, 2])
def test_messages_follow_each_other_whole(kind: str, version: int) -> None:
    """Each message of either version ends where the next one begins."""
    connection, far = paired(FakeClock())
    data = as_bytes(message_samples()[kind], version=2 if version == 2 else 1)
    far.send(data, data)
    for _ in range(2):
        got = connection.read(wants=_all, stop=never)
        assert isinstance(got, Incoming)
        assert got.body is not None
        assert got.header == parse_header(data[:HEADER_BYTES])
        assert bytes(got.body) == data[HEADER_BYTES:]
    assert connection.read(wants=_all, stop=never) is ReadEnd.NOTHING_YET
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_arrival_is_the_time_of_the_first_byte() -> None:
    """A long transfer counts as age: the clock is read before the rest of a message is."""
    clock = FakeClock(5_000, step_ns=7)
    connection, far = paired(clock)
    far.send(image_bytes())
    got = connection.read(wants=_all, stop=never)
    assert isinstance(got, Incoming)
    assert got.arrived_at_ns == 5_000
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="example")
def test_message_that_is_not_wanted_is_read_past() -> None:
    """What is not decoded costs no memory, and the next message is found."""
    connection, far = paired(FakeClock())
    first, second = as_bytes(message_samples()["volume"]), image_bytes()
    far.send(first, second)
    got = connection.read(wants=_none, stop=never)
    assert isinstance(got, Incoming)
    assert (got.body, got.header.type_name) == (None, "IMAGE")
    got = connection.read(wants=_all, stop=never)
    assert isinstance(got, Incoming)
    assert got.body is not None
    assert bytes(got.body) == second[HEADER_BYTES:]
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="fault_injection")
def test_header_that_promises_too_much_takes_no_memory() -> None:
    """The limit is looked at before memory is taken, not after."""
    connection, far = paired(FakeClock())
    header = parse_header(image_bytes()[:HEADER_BYTES])
    far.send(pack_header(replace(header, body_bytes=IGTL_IMAGE_BYTES_MAX * 2)))
    with pytest.raises(ProtocolError):
        connection.read(wants=_all, stop=never)
    assert connection._pool.held_bytes == 0
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("count", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, 500])
@pytest.mark.parametrize("wants", [_all, _none])
def test_end_inside_a_message_is_told_from_an_end_between_two(
    count: int, wants: type[bool]
) -> None:
    """Only an end between two messages is an orderly one."""
    connection, far = paired(FakeClock())
    far.send(image_bytes()[:count])
    far.close()
    expected = ReadEnd.BROKEN_OFF if count else ReadEnd.LEFT
    assert connection.read(wants=wants, stop=never) is expected
    connection.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_IGTL_013")
@pytest.mark.parametrize("count", [1, HEADER_BYTES - 1, HEADER_BYTES, 500])
def test_message_that_stops_in_the_middle_is_given_up(count: int) -> None:
    """A peer that holds back the rest must not hold the reader."""
    connection, far = paired(FakeClock(step_ns=NS_PER_S // 2), message_ms_max=2000)
    far.send(image_bytes()[:count])
    assert connection.read(wants=_all, stop=never) is ReadEnd.TOO_SLOW
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_IGTL_013")
def test_trickling_peer_has_no_more_time_than_a_silent_one() -> None:
    """One byte now and then is progress, but the message is as late as without it."""
    clock = FakeClock()
    connection, far = paired(clock, message_ms_max=100)
    data = image_bytes()
    sent_count = 0

    def trickle() -> bool:
        nonlocal sent_count
        far.send(data[sent_count : sent_count + 1])
        sent_count += 1
        clock.advance_ns(10 * NS_PER_MS)
        return False

    trickle()
    assert connection.read(wants=_all, stop=trickle) is ReadEnd.TOO_SLOW
    assert sent_count <= 12
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_IGTL_013")
def test_bytes_that_come_too_late_are_too_late() -> None:
    """Progress after the time limit is none: there is no wait in between that would tell."""
    connection, far = paired(FakeClock(step_ns=3 * NS_PER_S), message_ms_max=2000)
    far.send(image_bytes()[:500])
    assert connection.read(wants=_all, stop=never) is ReadEnd.TOO_SLOW
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="example")
def test_stop_is_seen_inside_a_message() -> None:
    """A run that ends does not wait for a peer that has stopped sending."""
    connection, far = paired(FakeClock())
    far.send(image_bytes()[:100])
    assert connection.read(wants=_all, stop=lambda: True) is ReadEnd.STOPPED
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("count", [0, 50, HEADER_BYTES, 500])
def test_reset_connection_reads_as_an_end(count: int) -> None:
    """A peer that is killed leaves unread data behind; no foreign error gets out."""
    connection, far = paired(FakeClock())
    assert connection.send([memoryview(b"never read")], stop=never) is SendEnd.SENT
    far.send(image_bytes()[:count])
    far.close()
    expected = ReadEnd.BROKEN_OFF if count else ReadEnd.LEFT
    assert connection.read(wants=_all, stop=never) is expected
    connection.close()
    connection.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="example")
def test_message_is_sent_in_order_and_whole() -> None:
    """Parts go out one after the other, also where the system takes them in pieces."""
    connection, far = paired(FakeClock())
    parts = [memoryview(bytes([value]) * 1000) for value in range(3)]
    assert connection.send(parts, stop=never) is SendEnd.SENT
    assert far.read_bytes(3000) == b"".join(parts)
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="example")
def test_large_message_goes_out_in_pieces_while_the_peer_reads() -> None:
    """More than the system holds is sent as the peer makes room, without gap or repetition."""
    connection, far = paired(FakeClock())
    data = bytes(range(256)) * (MEBIBYTE // 64)
    parts = [memoryview(data[:1000]), memoryview(data[1000:])]
    taken = bytearray()

    def take() -> bool:
        taken.extend(far.read_bytes(min(100_000, len(data) - len(taken))))
        return False

    assert connection.send(parts, stop=take) is SendEnd.SENT
    taken.extend(far.read_bytes(len(data) - len(taken)))
    assert bytes(taken) == data
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
def test_receiver_that_takes_nothing_is_given_up() -> None:
    """A receiver that has stopped reading gets its time and not more."""
    connection, far = paired(FakeClock(step_ns=NS_PER_S // 2), send_ms_max=2000)
    parts = [memoryview(bytes(4 * MEBIBYTE))]
    assert connection.send(parts, stop=never) is SendEnd.TOO_SLOW
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="example")
def test_stop_is_seen_while_sending() -> None:
    """A run that ends does not wait for a receiver that has stopped reading."""
    connection, far = paired(FakeClock())
    parts = [memoryview(bytes(4 * MEBIBYTE))]
    assert connection.send(parts, stop=lambda: True) is SendEnd.STOPPED
    connection.close()
    far.close()


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
def test_receiver_that_is_gone_is_no_error() -> None:
    """Clients come and go; the answer is a value."""
    connection, far = paired(FakeClock())
    far.close()
    assert connection.send([memoryview(b"x")], stop=never) is SendEnd.LEFT
    connection.close()


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_picture_in_hand_is_not_overwritten() -> None:
    """The memory of a message is used again only when no picture lies in it."""
    connection, far = paired(FakeClock())
    large = message_samples()["rgb"]
    far.send(as_bytes(large), image_bytes(200))
    first = connection.read(wants=_all, stop=never)
    assert isinstance(first, Incoming)
    assert first.body is not None
    packet, before = decode(first.header, first.body), bytes(first.body)
    connection.read(wants=_all, stop=never)
    assert bytes(first.body) == before
    assert packet.crc.value == "verified"
    connection.close()
    far.close()
