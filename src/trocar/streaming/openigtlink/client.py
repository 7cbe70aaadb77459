"""Client role: a peer at a known address is called, and called again when it is lost."""

from __future__ import annotations

import select
import socket
from typing import Any, Final

from trocar.contracts.errors import SourceError, require
from trocar.contracts.limits import (
    IGTL_BACK_OFF_MS_MAX,
    IGTL_CONNECT_MS_MAX,
    NS_PER_MS,
    SLEEP_SLICE_MS_MAX,
)
from trocar.contracts.ports import Clock, StopSignal
from trocar.streaming.openigtlink.account import LinkAccount, LinkEvent
from trocar.streaming.openigtlink.connection import Connection

__all__ = ["Dialler"]

_Address = tuple[Any, ...]
_FIRST_PAUSE_MS: Final = 25
_LAST_PORT: Final = 65_535


# @need-ids: SRS_IGTL_022
class Dialler:
    """``connection.Peers`` of one server.

    The first attempt after a loss is made at once, later ones after 25 ms, 50 ms and so on, at
    most ``IGTL_BACK_OFF_MS_MAX`` apart. A connection over which no message came counts as a failed
    attempt, so that a server that hangs up at once is not called in a busy loop.

    Args:
        host: Name or address of the server; a name is looked up once, its addresses tried in turn.
        port: Its port.
        clock: Time of the device.
        account: Where attempts are counted.
        slice_ms: Longest single wait [ms].

    Raises:
        SourceError: The name of the server cannot be looked up.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        clock: Clock,
        account: LinkAccount | None = None,
        slice_ms: int = SLEEP_SLICE_MS_MAX,
    ) -> None:
        require(0 < port <= _LAST_PORT, f"port {port} asked for")
        self._host = host
        self._port = port
        self._clock = clock
        self._addresses = _look_up(host, port)
        self._account = LinkAccount(self.name) if account is None else account
        self._slice_ms = slice_ms
        self._attempt_count = 0
        self._failed_count = 0
        self._due_ns = 0
        self._is_closed = False

    @property
    def name(self) -> str:
        """Address of the server."""
        return f"igtl:{self._host}:{self._port}"

    @property
    def account(self) -> LinkAccount:
        """Where attempts, and all that comes over the link, are counted."""
        return self._account

    @property
    def place_count(self) -> int:
        """One: the server that is called."""
        return 1

    def next(self, stop: StopSignal) -> Connection | None:
        """Return a connection, or None: after a pause that is due, or after a failed attempt."""
        now_ns = self._clock.now_ns()
        if now_ns < self._due_ns:
            slice_ns = self._slice_ms * NS_PER_MS
            self._clock.sleep_until_ns(min(self._due_ns, now_ns + slice_ns))
            return None
        if self._is_closed or stop():
            return None
        plug = self._call(stop)
        if plug is None:
            self.lost(was_useful=False)
            return None
        self._account.count(LinkEvent.CONNECTED, peer=self.name)
        return Connection(plug, peer=self.name, clock=self._clock, slice_ms=self._slice_ms)

    def lost(self, *, was_useful: bool) -> None:
        """Set when the next attempt is due."""
        self._failed_count = 0 if was_useful else self._failed_count + 1
        pause_ms = 0
        if self._failed_count:
            # The exponent is bounded: the pause is at its limit long before.
            pause_ms = min(_FIRST_PAUSE_MS << min(self._failed_count - 1, 10), IGTL_BACK_OFF_MS_MAX)
        self._due_ns = self._clock.now_ns() + pause_ms * NS_PER_MS

    def refuse_waiting(self) -> None:
        """Nobody waits: we are the one who calls."""

    def close(self) -> None:
        """Call no more."""
        self._is_closed = True

    def _call(self, stop: StopSignal) -> socket.socket | None:
        """Try once; return the connected socket, or None with the attempt counted."""
        family, address = self._addresses[self._attempt_count % len(self._addresses)]
        self._attempt_count += 1
        plug = socket.socket(family, socket.SOCK_STREAM)
        plug.settimeout(0.0)
        problem = self._connect(plug, address, stop)
        if problem is None:
            return plug
        plug.close()
        self._account.count(LinkEvent.ATTEMPT_FAILED, peer=self.name, problem=problem)
        return None

    def _connect(self, plug: socket.socket, address: _Address, stop: StopSignal) -> str | None:
        """Wait until a socket is connected; return what went wrong, or None."""
        due_ns = self._clock.now_ns() + IGTL_CONNECT_MS_MAX * NS_PER_MS
        try:
            plug.connect(address)
        except BlockingIOError:
            problem = self._wait(plug, due_ns, stop)
            if problem is not None:
                return problem
        except OSError as exc:
            return str(exc.strerror)
        if plug.getsockname() == plug.getpeername():
            # A free port of the same machine can, by accident of numbering, be connected to itself.
            return "nobody listens there"
        return None

    def _wait(self, plug: socket.socket, due_ns: int, stop: StopSignal) -> str | None:
        """Wait for the answer of a server; return what went wrong, or None."""
        poll = select.poll()
        poll.register(plug, select.POLLOUT)
        while not stop():
            left_ms = (due_ns - self._clock.now_ns()) // NS_PER_MS
            if left_ms <= 0:
                return f"no answer within {IGTL_CONNECT_MS_MAX} ms"
            if poll.poll(min(self._slice_ms, left_ms)):
                number = plug.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                return f"error {number}" if number else None
        return "stopped"


def _look_up(host: str, port: int) -> tuple[tuple[socket.AddressFamily, _Address], ...]:
    """Return the addresses of a server, at least one.

    Raises:
        SourceError: There is none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise SourceError(
            f"expected the address of a server, got {host!r}: {exc.strerror}",
            advice="check the name, or give the number of the address, such as 127.0.0.1",
        ) from exc
    return tuple((family, address) for family, _, _, _, address in found)
