"""A server is called, and called again; the loopback interface stands for the network."""

from __future__ import annotations

import itertools
import socket

import pytest

from simulators.clock import FakeClock
from trocar.contracts.errors import InvariantError, SourceError
from trocar.contracts.limits import IGTL_BACK_OFF_MS_MAX, NS_PER_MS, NS_PER_S
from trocar.streaming.openigtlink.account import LinkAccount, LinkEvent
from trocar.streaming.openigtlink.client import Dialler
from trocar.streaming.openigtlink.connection import Connection, SendEnd


def _never() -> bool:
    """Go on."""
    return False


def _server() -> tuple[socket.socket, int]:
    """Return a socket that listens, and its port."""
    server = socket.create_server(("127.0.0.1", 0))
    return server, server.getsockname()[1]


def _closed_port() -> int:
    """Return a port on which nobody listens."""
    server, port = _server()
    server.close()
    return port


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="example")
def test_server_that_listens_is_connected_to() -> None:
    """The first call is made at once."""
    server, port = _server()
    clock = FakeClock()
    dialler = Dialler("127.0.0.1", port, clock=clock)
    connection = dialler.next(_never)
    assert isinstance(connection, Connection)
    accepted, _ = server.accept()
    assert connection.send([memoryview(b"hello")], stop=_never) is SendEnd.SENT
    assert accepted.recv(10) == b"hello"
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) in {0, 1}
    assert dialler.account.totals().events == {LinkEvent.CONNECTED: 1}
    assert (dialler.name, dialler.place_count) == (f"igtl:127.0.0.1:{port}", 1)
    assert clock.slept_until_ns == []
    for plug in (accepted, server, connection):
        plug.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_IGTL_013")
def test_pauses_double_up_to_their_limit() -> None:
    """A server that is away is neither hammered nor found late when it is back."""
    clock = FakeClock()
    account = LinkAccount("mine")
    dialler = Dialler("127.0.0.1", _closed_port(), clock=clock, account=account)
    tries_ns: list[int] = []
    while len(tries_ns) < 8:
        before = account.totals().count_of(LinkEvent.ATTEMPT_FAILED)
        assert dialler.next(_never) is None
        if account.totals().count_of(LinkEvent.ATTEMPT_FAILED) > before:
            tries_ns.append(clock.now_ns())
    pauses_ms = [(later - earlier) // NS_PER_MS for earlier, later in itertools.pairwise(tries_ns)]
    assert pauses_ms == [25, 50, 100, 200, 400, IGTL_BACK_OFF_MS_MAX, IGTL_BACK_OFF_MS_MAX]
    # The longest pause is waited for in slices, so that a stop is seen.
    assert len(clock.slept_until_ns) > IGTL_BACK_OFF_MS_MAX // 50


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="example")
def test_call_after_a_loss_is_made_at_once_only_when_the_link_was_of_use() -> None:
    """A server that hangs up at once must not be called in a busy loop."""
    server, port = _server()
    clock = FakeClock()
    dialler = Dialler("127.0.0.1", port, clock=clock)
    dialler.lost(was_useful=True)
    first = dialler.next(_never)
    assert first is not None
    dialler.lost(was_useful=False)
    assert dialler.next(_never) is None
    assert clock.slept_until_ns != []
    first.close()
    server.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="example")
def test_closed_or_stopped_client_calls_no_more() -> None:
    """A run that has ended opens no connection."""
    server, port = _server()
    dialler = Dialler("127.0.0.1", port, clock=FakeClock())
    assert dialler.next(lambda: True) is None
    dialler.refuse_waiting()
    dialler.close()
    assert dialler.next(_never) is None
    assert dialler.account.totals().events == {}
    server.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("stop_after", [2, 1_000_000], ids=["stopped", "no answer"])
def test_server_that_does_not_answer_is_left(stop_after: int) -> None:
    """A host that is switched off answers nothing at all; a full queue of a server looks alike."""
    server = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = server.getsockname()[1]
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.settimeout(0.0)
        filler.connect_ex(("127.0.0.1", port))
        fillers.append(filler)
    clock = FakeClock(step_ns=NS_PER_S // 10)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > stop_after

    dialler = Dialler("127.0.0.1", port, clock=clock, slice_ms=1)
    assert dialler._call(stop) is None
    assert dialler.account.totals().events == {LinkEvent.ATTEMPT_FAILED: 1}
    for plug in (*fillers, server):
        plug.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
def test_connection_to_itself_is_no_connection() -> None:
    """Where nobody listens, the system may give a caller the very port that it calls."""
    plug = socket.socket()
    plug.bind(("127.0.0.1", 0))
    host, port = plug.getsockname()
    dialler = Dialler(host, port, clock=FakeClock())
    assert dialler._connect(plug, (host, port), _never) == "nobody listens there"
    plug.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
def test_address_that_cannot_be_called_is_a_failed_attempt() -> None:
    """The system refuses some addresses by itself, before anything is sent."""
    dialler = Dialler("127.0.0.1", 1, clock=FakeClock())
    plug = socket.socket()
    plug.settimeout(0.0)
    assert dialler._connect(plug, ("255.255.255.255", 1), _never)
    plug.close()


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="fault_injection")
def test_name_that_cannot_be_looked_up_is_refused_at_once() -> None:
    """A typing error is told before the run, not by 60 s of silence."""
    with pytest.raises(SourceError) as caught:
        Dialler("no such host!", 18944, clock=FakeClock())
    assert caught.value.advice


@pytest.mark.verifies("SRS_IGTL_022", extent="partial", technique="boundary")
@pytest.mark.parametrize("port", [0, 65_536])
def test_port_that_does_not_exist_is_refused(port: int) -> None:
    """Ports are 1 to 65,535."""
    with pytest.raises(InvariantError):
        Dialler("127.0.0.1", port, clock=FakeClock())
