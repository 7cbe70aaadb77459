"""Who may come in; the loopback interface stands for the network."""

from __future__ import annotations

import socket

import pytest

from simulators.clock import FakeClock
from trocar.contracts.errors import ContractError, InvariantError, SourceError
from trocar.contracts.limits import IGTL_BACKLOG_COUNT_MAX
from trocar.streaming.openigtlink.account import LinkEvent
from trocar.streaming.openigtlink.connection import Connection
from trocar.streaming.openigtlink.server import LOOPBACK, Listener


def _never() -> bool:
    """Go on."""
    return False


def _call(listener: Listener) -> socket.socket:
    """Connect to a listener."""
    return socket.create_connection(("127.0.0.1", listener.port), timeout=10.0)


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="example")
@pytest.mark.controls("RCM_IGTL_015")
def test_port_cannot_be_reached_from_outside_unless_asked_for() -> None:
    """Results of a patient must not be open to a whole network by default."""
    listener = Listener(0, clock=FakeClock())
    assert listener._plug.getsockname()[0] == "127.0.0.1"
    assert (listener.name, listener.place_count) == (f"igtl-listen:{listener.port}", 8)
    listener.close()
    listener.close()


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="example")
def test_allowed_peer_comes_in() -> None:
    """The default lets programs of the same machine in."""
    listener = Listener(0, clock=FakeClock(), slice_ms=1)
    assert listener.next(_never) is None
    caller = _call(listener)
    assert listener.next(lambda: True) is None
    connection = listener.next(_never)
    assert isinstance(connection, Connection)
    assert connection.peer == "127.0.0.1"
    assert listener.account.totals().events == {LinkEvent.CONNECTED: 1}
    listener.lost(was_useful=True)
    for plug in (connection, caller, listener):
        plug.close()


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_IGTL_012")
def test_peer_off_the_list_gets_nothing() -> None:
    """It is closed before a byte of it is read, and counted."""
    listener = Listener(0, clock=FakeClock(), allowed=("192.0.2.0/24",))
    caller = _call(listener)
    assert listener.next(_never) is None
    assert caller.recv(1) == b""
    assert listener.account.totals().events == {LinkEvent.PEER_REFUSED: 1}
    caller.close()
    listener.close()


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("allowed", "peer", "answer"),
    [
        (LOOPBACK, "127.0.0.1", "in"),
        (LOOPBACK, "127.9.9.9", "in"),
        (LOOPBACK, "::1", "in"),
        (LOOPBACK, "::ffff:127.0.0.1", "in"),
        (LOOPBACK, "192.168.0.7", "out"),
        (LOOPBACK, "fe80::1%eth0", "out"),
        (("192.168.0.7",), "192.168.0.7", "in"),
        (("192.168.0.7",), "192.168.0.8", "out"),
        (("192.168.0.0/24",), "::ffff:192.168.0.8", "in"),
        ((), "127.0.0.1", "out"),
    ],
)
def test_list_of_networks(allowed: tuple[str, ...], peer: str, answer: str) -> None:
    """An address of version 4 stays the same when the system writes it as one of version 6."""
    listener = Listener(0, clock=FakeClock(), allowed=allowed)
    assert listener._is_allowed(peer) is (answer == "in")
    listener.close()


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_IGTL_012")
def test_whoever_waits_is_turned_away() -> None:
    """While one sender is the stream, each other one hears at once that it is not."""
    listener = Listener(0, clock=FakeClock())
    callers = [_call(listener) for _ in range(3)]
    listener.refuse_waiting()
    assert [caller.recv(1) for caller in callers] == [b""] * 3
    assert listener.account.totals().count_of(LinkEvent.PEER_REFUSED) == 3
    for caller in callers:
        caller.close()
    listener.close()


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="boundary")
def test_storm_is_turned_away_in_bounded_steps() -> None:
    """One turn refuses at most as many as the system holds, so that the stream goes on."""
    listener = Listener(0, clock=FakeClock())
    callers = [_call(listener) for _ in range(IGTL_BACKLOG_COUNT_MAX + 1)]
    listener.refuse_waiting()
    assert listener.account.totals().count_of(LinkEvent.PEER_REFUSED) == IGTL_BACKLOG_COUNT_MAX
    for caller in callers:
        caller.close()
    listener.close()


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="fault_injection")
def test_peer_that_is_gone_again_is_no_peer() -> None:
    """Between the knock and the door, a caller may leave; or the port is closed meanwhile."""
    listener = Listener(0, clock=FakeClock())
    caller = _call(listener)
    accepted, _ = listener._plug.accept()
    listener._poll = _AlwaysReady()  # type: ignore[assignment] # stands for a readiness that is over
    assert listener.next(_never) is None
    for plug in (accepted, caller, listener):
        plug.close()


class _AlwaysReady:
    """A poll that says there is somebody."""

    def poll(self, wait_ms: int) -> list[tuple[int, int]]:
        """Return one descriptor."""
        return [(0, 1)]


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="fault_injection")
def test_port_in_use_is_a_typed_error() -> None:
    """Two runs on one port: the second one ends before its first frame, with advice."""
    first = Listener(0, clock=FakeClock())
    with pytest.raises(SourceError, match=str(first.port)) as caught:
        Listener(first.port, clock=FakeClock())
    assert "another port" in caught.value.advice
    first.close()


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="fault_injection")
def test_list_that_is_none_is_refused() -> None:
    """A typing error must not open the port to everybody, nor to nobody."""
    with pytest.raises(ContractError):
        Listener(0, clock=FakeClock(), allowed=("10.0.0.1/24",))


@pytest.mark.verifies("SRS_IGTL_023", extent="partial", technique="boundary")
def test_port_that_does_not_exist_is_refused() -> None:
    """Ports are 0 (any) to 65,535."""
    with pytest.raises(InvariantError):
        Listener(65_536, clock=FakeClock())
