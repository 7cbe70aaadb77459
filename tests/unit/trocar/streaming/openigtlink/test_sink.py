"""Records go out to whoever listens, and nobody who listens can hold the run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from conformance.samples import make_frame, make_polyp_mask, make_record
from conformance.sink_suite import SinkSuite
from simulators.igtl_peers import FarEnd, PairedPeers, message_bytes
from trocar.contracts.errors import SinkError
from trocar.contracts.findings import PolypMask
from trocar.contracts.limits import IGTL_DEVICE_COUNT_MAX
from trocar.contracts.ports import Sink
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.openigtlink.account import LinkEvent
from trocar.streaming.openigtlink.message_types import Verb
from trocar.streaming.openigtlink.query import QueryMessage
from trocar.streaming.openigtlink.sink import OpenIGTLinkSink
from trocar.streaming.openigtlink.text import StringMessage

PATIENCE_S = 10.0


def _wait(condition: Callable[[], bool]) -> None:
    """Wait until a thread of the sink has done its part."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.002)):
        if condition():
            return
        pause.wait(0.002)
    raise TimeoutError("the sink did not do its part")


class _Hall:
    """A sink with peers in memory."""

    def __init__(
        self, *, place_count: int = 8, header_version: Literal[1, 2] | None = None
    ) -> None:
        clock = MonotonicClock()
        self.peers = PairedPeers(clock, place_count=place_count)
        self.sink = OpenIGTLinkSink(self.peers, clock=clock, header_version=header_version)

    def admit(self) -> FarEnd:
        """Let one receiver in."""
        count = self.sink.client_count
        far = self.peers.plug_in()
        _wait(lambda: self.sink.client_count == count + 1)
        return far


@pytest.mark.verifies("SRS_IGTL_024", extent="partial", technique="conformance")
class TestOpenIGTLinkSink(SinkSuite):
    """The suite of every sink; what is accounted for is what was sent, replaced or had nobody."""

    def make_sink(self, folder: Path) -> Sink:
        """Return a sink with one receiver whose account is written at the end."""
        hall = _Hall()
        far = hall.admit()
        return _AccountedSink(hall, far, folder / "account.json")

    def read_record_count(self, folder: Path) -> int:
        """Return how many records were sent or counted as not sent."""
        account = json.loads((folder / "account.json").read_text(encoding="utf-8"))
        assert account["texts"] == account["sent"]
        return int(account["sent"] + account["dropped"])


class _AccountedSink:
    """A sink that writes at its end what its receiver got and what its account says."""

    def __init__(self, hall: _Hall, far: FarEnd, path: Path) -> None:
        self._hall = hall
        self._far = far
        self._path = path
        self.write = hall.sink.write

    def close(self) -> None:
        """Close, then write the account."""
        self._hall.sink.close()
        if self._path.exists():
            return
        packets = self._far.read_all()
        (client,) = self._hall.sink.clients()
        fields = {
            "texts": sum(packet.header.device_name == "TrocarResult" for packet in packets),
            "sent": client.sent_count,
            "dropped": client.dropped_count,
        }
        self._path.write_text(json.dumps(fields), encoding="utf-8")


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="example")
def test_each_receiver_gets_each_result() -> None:
    """Greeting first, then the results, for all that are there."""
    hall = _Hall()
    ends = [hall.admit(), hall.admit()]
    hall.sink.write(make_record(3, make_polyp_mask(3)), make_frame(3))
    hall.sink.close()
    for far in ends:
        names = [packet.header.device_name for packet in far.read_all()]
        assert names == ["TrocarNotice"] + ["TrocarStatus"] * 2 + ["TrocarMask", "TrocarResult"]
    assert hall.sink.account.totals().sent == {"STRING": 4, "STATUS": 4, "IMAGE": 2}
    assert hall.peers.close_count == 1


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
def test_run_goes_on_without_any_receiver() -> None:
    """Nobody listens: the record is counted as such, and nothing waits."""
    hall = _Hall()
    hall.sink.write(make_record(0), None)
    hall.sink.close()
    assert hall.sink.written_count == 1
    assert hall.sink.account.totals().events == {LinkEvent.RESULT_WITHOUT_CLIENT: 1}


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="example")
def test_receiver_that_is_gone_stays_in_the_account() -> None:
    """What it got and missed is known at the end of the run; the link may call it again."""
    hall = _Hall()
    far = hall.admit()
    hall.sink.write(make_record(0), None)
    _wait(lambda: hall.sink.clients()[0].sent_count == 1)
    far.close()
    _wait(lambda: len(hall.peers.lost_calls) == 1)
    assert hall.peers.lost_calls == [True]
    assert hall.sink.client_count == 0
    hall.admit()
    assert [client.sent_count for client in hall.sink.clients()] == [1, 0]
    hall.sink.close()
    assert [client.is_connected for client in hall.sink.clients()] == [False, False]


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="boundary")
def test_receivers_at_one_time_are_bounded() -> None:
    """A storm of connections must not become a storm of threads."""
    hall = _Hall(place_count=2)
    ends = [hall.admit(), hall.admit()]
    hall.peers.plug_in()
    _wait(lambda: hall.peers.refuse_count > 0)
    assert hall.sink.client_count == 2
    ends[0].close()
    _wait(lambda: hall.sink.client_count == 2 and len(hall.peers.lost_calls) == 1)
    hall.sink.close()


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="boundary")
def test_list_of_receivers_is_bounded() -> None:
    """A receiver that connects again and again must not fill the memory."""
    hall = _Hall()
    for _ in range(IGTL_DEVICE_COUNT_MAX + 5):
        hall.peers.plug_in_and_leave([])
    _wait(lambda: len(hall.peers.lost_calls) == IGTL_DEVICE_COUNT_MAX + 5)
    assert len(hall.sink.clients()) == IGTL_DEVICE_COUNT_MAX
    assert not any(hall.peers.lost_calls)
    hall.sink.close()


@pytest.mark.verifies("SRS_IGTL_028", extent="partial", technique="example")
def test_configured_version_is_used_from_the_begin() -> None:
    """With metadata, where the receiver is known to read them."""
    hall = _Hall(header_version=2)
    far = hall.admit()
    hall.sink.write(make_record(0), None)
    hall.sink.close()
    packets = far.read_all()
    assert {packet.header.version for packet in packets} == {2}
    assert packets[-1].metadata["FrameIndex"] == "0"


@pytest.mark.verifies("SRS_IGTL_028", extent="partial", technique="example")
def test_each_receiver_has_its_own_version() -> None:
    """One that speaks version 2 must not take the step from one that does not."""
    hall = _Hall()
    old, new = hall.admit(), hall.admit()
    new.send(message_bytes(QueryMessage(Verb.GET, "STATUS"), version=2))
    _wait(lambda: hall.sink.account.totals().sent.get("STATUS", 0) == 3)
    hall.sink.write(make_record(0), None)
    hall.sink.close()
    assert {packet.header.version for packet in old.read_all()} == {1}
    last = new.read_all()[-1]
    assert last.header.version == 2
    assert isinstance(last.message, StringMessage)


def _large_mask() -> PolypMask:
    """Return a mask of more bytes than the system holds for a receiver."""
    prob = np.ones((2048, 2048), dtype=np.float32)
    small = make_polyp_mask()
    mask = small.mask.model_copy(update={"pixels": prob >= 0.5, "prob": prob})
    return small.model_copy(update={"mask": mask})


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_IGTL_010")
def test_receiver_that_takes_nothing_holds_neither_run_nor_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it does not take within the time of the close is not sent; the other one got all."""
    monkeypatch.setattr("trocar.streaming.openigtlink.sink.IGTL_CLOSE_MS_MAX", 50)
    hall = _Hall()
    stalled, far = hall.admit(), hall.admit()
    got: list[str] = []
    reader = threading.Thread(
        target=lambda: got.extend(packet.header.device_name for packet in far.read_all())
    )
    reader.start()
    hall.sink.write(make_record(0, _large_mask()), None)
    _wait(lambda: hall.sink.clients()[1].sent_count == 1)
    hall.sink.close()
    reader.join(PATIENCE_S)
    assert got[-2:] == ["TrocarMask", "TrocarResult"]
    assert [client.sent_count for client in hall.sink.clients()] == [0, 1]
    stalled.close()


@pytest.mark.verifies("SRS_IGTL_027", extent="partial", technique="fault_injection")
def test_thread_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported, and the end of the run does not wait for it."""
    hall = _Hall()
    hall.admit()
    monkeypatch.setattr("trocar.streaming.openigtlink.subscriber.Subscriber.join", lambda *_: False)
    with pytest.raises(SinkError, match="1 are still there") as caught:
        hall.sink.close()
    assert caught.value.advice
