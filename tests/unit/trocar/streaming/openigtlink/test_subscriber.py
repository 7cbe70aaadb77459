"""One receiver: what it gets, what it misses, and what it cannot do to the others."""

from __future__ import annotations

from typing import Literal

import pytest

from simulators.igtl_peers import FarEnd, image_bytes, message_bytes, paired, picture
from trocar.contracts.limits import IGTL_UNIT_COUNT_MAX
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.openigtlink.account import LinkAccount, LinkEvent
from trocar.streaming.openigtlink.header import HEADER_BYTES
from trocar.streaming.openigtlink.image import ImageMessage, image_from_frame
from trocar.streaming.openigtlink.message_types import Verb
from trocar.streaming.openigtlink.messages import Packet
from trocar.streaming.openigtlink.outgoing import Outgoing, Sending
from trocar.streaming.openigtlink.query import QueryMessage
from trocar.streaming.openigtlink.status import StatusCode, StatusMessage
from trocar.streaming.openigtlink.subscriber import Subscriber
from trocar.streaming.openigtlink.text import StringMessage

PATIENCE_S = 10.0
LONG = "x" * 60_000


def _result(text: str) -> Outgoing:
    """Return a result of one text."""
    return Outgoing([Sending("Result", StringMessage(text))])


class _Desk:
    """A subscriber with its other end; ends both."""

    def __init__(
        self,
        *,
        header_version: Literal[1, 2] | None = None,
        send_ms_max: int = 2000,
        is_cut: bool = False,
    ) -> None:
        connection, self.far = paired(MonotonicClock(), send_ms_max=send_ms_max)
        self.account = LinkAccount("memory")
        self.subscriber = Subscriber(
            connection,
            account=self.account,
            greeting=_result("notice"),
            header_version=header_version,
            is_cut=lambda: is_cut,
            wait_ms=5,
        )

    def start(self) -> FarEnd:
        """Start, and return the other end."""
        self.subscriber.start()
        return self.far

    def end(self) -> None:
        """End, and check that nothing is left."""
        self.subscriber.end()
        assert self.subscriber.join(PATIENCE_S)
        self.far.close()


def _texts(packets: list[Packet]) -> list[str]:
    """Return the texts among some messages."""
    return [each.message.text for each in packets if isinstance(each.message, StringMessage)]


@pytest.mark.verifies("SRS_IGTL_028", extent="partial", technique="example")
def test_greeting_comes_first_and_what_waits_at_the_end_is_sent() -> None:
    """The last result of a run arrives, as far as the receiver takes it."""
    desk = _Desk()
    desk.subscriber.put("unit", _result("1"))
    far = desk.start()
    assert _texts([far.read(), far.read()]) == ["notice", "1"]
    desk.subscriber.put("unit", _result("2"))
    desk.subscriber.end()
    assert _texts(far.read_all()) == ["2"]
    totals = desk.subscriber.totals()
    assert (totals.peer, totals.sent_count, totals.dropped_count) == ("memory", 2, 0)
    desk.end()
    assert not desk.subscriber.totals().is_connected
    desk.subscriber.put("unit", _result("3"))


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="example")
@pytest.mark.controls("RCM_IGTL_010")
def test_newest_result_of_each_unit_waits_and_the_others_are_counted() -> None:
    """Two units do not push each other out; a stale result of one unit is not sent at all."""
    desk = _Desk()
    for index in range(5):
        desk.subscriber.put("masks", _result(f"mask {index}"))
        desk.subscriber.put("tools", _result(f"tools {index}"))
    far = desk.start()
    desk.subscriber.end()
    assert _texts(far.read_all()) == ["notice", "mask 4", "tools 4"]
    assert desk.subscriber.totals().dropped_count == 8
    assert desk.account.totals().count_of(LinkEvent.RESULT_DROPPED) == 8
    desk.end()


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="boundary")
def test_units_that_wait_are_bounded() -> None:
    """Memory for one receiver does not grow with the number of names."""
    desk = _Desk()
    for index in range(IGTL_UNIT_COUNT_MAX + 3):
        desk.subscriber.put(f"unit {index}", _result(str(index)))
    far = desk.start()
    desk.subscriber.end()
    assert len(far.read_all()) == IGTL_UNIT_COUNT_MAX + 1
    assert desk.subscriber.totals().dropped_count == 3
    desk.end()


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_IGTL_010")
def test_receiver_that_takes_nothing_is_dropped() -> None:
    """Handing in goes on at once, and the thread ends by itself."""
    desk = _Desk(send_ms_max=50)
    desk.start()
    index = 0
    while desk.subscriber.is_alive:
        desk.subscriber.put(str(index), _result(LONG))
        index = (index + 1) % IGTL_UNIT_COUNT_MAX
    assert desk.account.totals().count_of(LinkEvent.TOO_SLOW) == 1
    desk.end()


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
def test_receiver_that_takes_nothing_does_not_hold_the_end() -> None:
    """When the time for what waits is over, the connection is closed in the middle of it."""
    desk = _Desk(is_cut=True)
    for index in range(IGTL_UNIT_COUNT_MAX):
        desk.subscriber.put(str(index), _result(LONG))
    desk.start()
    desk.end()
    assert desk.account.totals().count_of(LinkEvent.TOO_SLOW) == 0


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
def test_receiver_that_holds_back_a_message_does_not_hold_the_end() -> None:
    """When the time is over, the rest of its message is not waited for; that is no fault of it."""
    desk = _Desk(is_cut=True)
    far = desk.start()
    far.read()
    far.send(image_bytes()[:100])
    assert desk.subscriber.join(PATIENCE_S)
    assert desk.account.totals().events == {}
    desk.end()


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
def test_receiver_that_has_left_is_noticed_while_sending() -> None:
    """The first result after it finds nobody."""
    desk = _Desk()
    desk.far.close()
    desk.start()
    assert desk.subscriber.join(PATIENCE_S)
    assert desk.account.totals().count_of(LinkEvent.PEER_LEFT) == 1
    desk.end()


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b"", LinkEvent.PEER_LEFT),
        (image_bytes()[:100], LinkEvent.BROKEN_OFF),
        (bytes(HEADER_BYTES), LinkEvent.PROTOCOL_ERROR),
        (b"\xff" * 200, LinkEvent.PROTOCOL_ERROR),
    ],
)
def test_receiver_that_leaves_or_lies_ends_its_own_thread(data: bytes, event: LinkEvent) -> None:
    """Whatever a receiver sends, it is its own connection that ends, and it is counted."""
    desk = _Desk()
    far = desk.start()
    far.read()
    far.send(data)
    far.close()
    assert desk.subscriber.join(PATIENCE_S)
    assert desk.account.totals().count_of(event) == 1
    desk.end()


@pytest.mark.verifies("SRS_IGTL_025", extent="partial", technique="example")
def test_receiver_may_ask_stop_and_start() -> None:
    """After STP of a type nothing of it is sent; after STT it is again."""
    desk = _Desk()
    far = desk.start()
    assert _texts([far.read()]) == ["notice"]
    far.send(message_bytes(QueryMessage(Verb.GET, "STRING")))
    assert _texts([far.read()]) == ["notice"]
    far.send(message_bytes(QueryMessage(Verb.STOP, "IMAGE")))
    assert far.read().message == QueryMessage(Verb.RESULT, "IMAGE", result=0)
    image = Outgoing([Sending("Mask", _image())])
    desk.subscriber.put("unit", image)
    far.send(message_bytes(QueryMessage(Verb.GET, "STATUS")))
    assert far.read().message == StatusMessage(StatusCode.OK)
    far.send(message_bytes(QueryMessage(Verb.START, "IMAGE")))
    assert far.read().message == QueryMessage(Verb.RESULT, "IMAGE", result=0)
    desk.subscriber.put("unit", image)
    assert far.read().header.type_name == "IMAGE"
    far.send(message_bytes(QueryMessage(Verb.RESULT, "IMAGE", result=0)))
    far.send(message_bytes(QueryMessage(Verb.GET, "STATUS")))
    assert far.read().message == StatusMessage(StatusCode.OK)
    desk.end()


def _image() -> ImageMessage:
    """Return a small image."""
    return image_from_frame(picture())


@pytest.mark.verifies("SRS_IGTL_028", extent="partial", technique="state_table")
@pytest.mark.parametrize(("configured", "expected"), [(None, 2), (1, 1), (2, 2)])
def test_version_follows_the_receiver_unless_configured(
    configured: Literal[1, 2] | None, expected: int
) -> None:
    """A receiver of version 1 loses its step on version 2; who sends 2 can read it."""
    desk = _Desk(header_version=configured)
    far = desk.start()
    assert far.read().header.version == (configured or 1)
    far.send(message_bytes(QueryMessage(Verb.GET, "STATUS"), version=1))
    assert far.read().header.version == (configured or 1)
    far.send(message_bytes(QueryMessage(Verb.GET, "STATUS"), version=2))
    assert far.read().header.version == expected
    desk.subscriber.put("unit", _result("after"))
    assert far.read().header.version == expected
    assert desk.subscriber.version == expected
    desk.end()


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="fault_injection")
def test_what_a_receiver_sends_beside_queries_is_read_past() -> None:
    """Images, texts, unknown types, damaged queries: counted, and the next query is answered."""
    desk = _Desk()
    far = desk.start()
    far.read()
    query = message_bytes(QueryMessage(Verb.GET, "CAPABILITY"))
    damaged = query[: HEADER_BYTES - 8] + b"\1" * 8 + query[HEADER_BYTES:]
    far.send(image_bytes(), message_bytes(StringMessage("hello")), damaged, query)
    assert far.read().header.type_name == "CAPABILITY"
    totals = desk.account.totals()
    assert totals.received == {"IMAGE": 1, "STRING": 1, "GET_CAPABIL": 2}
    assert totals.count_of(LinkEvent.CRC_MISMATCH) == 1
    desk.end()
