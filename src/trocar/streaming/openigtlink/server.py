"""Server role: a port is listened on, and a peer comes in only when its address is allowed."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from trocar.contracts.errors import ContractError, SourceError, require
from trocar.contracts.limits import (
    IGTL_BACKLOG_COUNT_MAX,
    IGTL_CLIENT_COUNT_MAX,
    SLEEP_SLICE_MS_MAX,
)
from trocar.contracts.ports import Clock, StopSignal
from trocar.streaming.openigtlink.account import LinkAccount, LinkEvent
from trocar.streaming.openigtlink.connection import Connection

__all__ = ["LOOPBACK", "Listener"]

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
"""Networks of the same machine."""

_LAST_PORT: Final = 65_535


# @need-ids: SRS_IGTL_023
class Listener:
    """``connection.Peers`` that come to a port of this machine.

    Args:
        port: Port to listen on; 0 lets the system choose one, see ``port``.
        host: Address of this machine to listen on; by default it cannot be reached from outside.
        allowed: Networks or addresses whose peers come in; all others are refused and counted.
        clock: Time of the device.
        account: Where peers are counted.
        slice_ms: Longest single wait [ms].

    Raises:
        ContractError: ``allowed`` is not a list of networks.
        SourceError: The port cannot be listened on.
    """

    def __init__(
        self,
        port: int,
        *,
        clock: Clock,
        host: str = "127.0.0.1",
        allowed: Sequence[str] = LOOPBACK,
        account: LinkAccount | None = None,
        slice_ms: int = SLEEP_SLICE_MS_MAX,
    ) -> None:
        require(0 <= port <= _LAST_PORT, f"port {port} asked for")
        self._allowed = _networks(allowed)
        self._clock = clock
        self._slice_ms = slice_ms
        # @need-ids: RCM_IGTL_015
        self._plug = _listen(host, port)
        self._port: int = self._plug.getsockname()[1]
        self._account = LinkAccount(self.name) if account is None else account
        self._poll = select.poll()
        self._poll.register(self._plug, select.POLLIN)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def name(self) -> str:
        """The port, as it stands in records."""
        return f"igtl-listen:{self._port}"

    @property
    def account(self) -> LinkAccount:
        """Where peers, and all that comes over the link, are counted."""
        return self._account

    @property
    def place_count(self) -> int:
        """Peers that may be there at one time."""
        return IGTL_CLIENT_COUNT_MAX

    def next(self, stop: StopSignal) -> Connection | None:
        """Return the next peer that is allowed, or None after one slice without any."""
        if stop() or not self._poll.poll(self._slice_ms):
            return None
        accepted = self._accept()
        if accepted is None:
            return None
        plug, peer = accepted
        # @need-ids: RCM_IGTL_012
        if not self._is_allowed(peer):
            self._refuse(plug, peer, "its address is not allowed")
            return None
        self._account.count(LinkEvent.CONNECTED, peer=peer)
        return Connection(plug, peer=peer, clock=self._clock, slice_ms=self._slice_ms)

    def lost(self, *, was_useful: bool) -> None:
        """The next peer is welcome at once."""

    def refuse_waiting(self) -> None:
        """Turn away who waits now, at most as many as the system holds."""
        for _ in range(IGTL_BACKLOG_COUNT_MAX):
            accepted = self._accept()
            if accepted is None:
                return
            self._refuse(*accepted, "there is no place for another peer")

    def close(self) -> None:
        """Listen no more."""
        self._plug.close()

    def _accept(self) -> tuple[socket.socket, str] | None:
        """Return the next connection and the address of its peer, or None."""
        try:
            plug, address = self._plug.accept()
        except OSError:
            # Nobody waits, the peer has gone again, the port was closed, or the system has no
            # descriptor left: in each case there is no peer now.
            return None
        return plug, str(address[0])

    def _refuse(self, plug: socket.socket, peer: str, reason: str) -> None:
        """Close the connection of a peer that is not wanted."""
        with suppress(OSError):
            plug.shutdown(socket.SHUT_RDWR)
        plug.close()
        self._account.count(LinkEvent.PEER_REFUSED, peer=peer, reason=reason)

    def _is_allowed(self, peer: str) -> bool:
        """Return whether an address lies in one of the networks."""
        address = ip_address(peer.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._allowed)


def _networks(allowed: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return networks from their text.

    Raises:
        ContractError: A text is not a network.
    """
    try:
        return tuple(ip_network(text) for text in allowed)
    except ValueError as exc:
        raise ContractError(
            f"expected addresses or networks that may connect, got: {exc}",
            advice="write them as 192.168.0.7 or 192.168.0.0/24",
        ) from exc


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        SourceError: The address is not one of this machine, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        plug = socket.create_server(
            (str(address[0]), port), family=family, backlog=IGTL_BACKLOG_COUNT_MAX
        )
    except OSError as exc:
        raise SourceError(
            f"expected to listen on port {port} of {host}, got: {exc.strerror}",
            advice="choose another port, or end the program that uses this one",
            port=port,
        ) from exc
    plug.settimeout(0.0)
    return plug
