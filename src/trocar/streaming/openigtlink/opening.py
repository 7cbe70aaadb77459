"""OpenIGTLink sources and sinks by address, in both roles."""

from __future__ import annotations

from typing import Final, Literal

from trocar.contracts.errors import ContractError, SinkError, SourceError
from trocar.contracts.ports import Clock, FrameSource
from trocar.streaming.network_addresses import NetworkPlace, network_place
from trocar.streaming.openigtlink.client import Dialler
from trocar.streaming.openigtlink.connection import Peers
from trocar.streaming.openigtlink.server import LOOPBACK, Listener
from trocar.streaming.openigtlink.sink import OpenIGTLinkSink
from trocar.streaming.openigtlink.source import OpenIGTLinkSource

__all__ = ["CALL_SCHEME", "LISTEN_SCHEME", "open_link_sink", "open_link_source"]

CALL_SCHEME: Final = "igtl"
"""We are the client and call a server."""

LISTEN_SCHEME: Final = "igtl-listen"
"""We are the server and wait for clients."""

_LOOPBACK_HOST: Final = "127.0.0.1"
_VERSIONS: Final[dict[str, Literal[1, 2]]] = {"1": 1, "2": 2}


# @need-ids: SRS_CLI_008
def open_link_source(scheme: str, rest: str, *, clock: Clock) -> OpenIGTLinkSource:
    """Return the images of a device at an address.

    Args:
        scheme: ``CALL_SCHEME`` or ``LISTEN_SCHEME``.
        rest: ``HOST:PORT`` with ``device`` and, where we listen, any number of ``allow``.
        clock: Time of the device.

    Raises:
        ContractError: The address is none.
        SourceError: The port cannot be listened on.
    """
    place = _place(scheme, rest, known_options={"device"})
    return OpenIGTLinkSource(
        _peers(scheme, place, clock), clock=clock, device_name=place.option("device")
    )


# @need-ids: SRS_CLI_008
def open_link_sink(scheme: str, rest: str, *, clock: Clock, source: FrameSource) -> OpenIGTLinkSink:
    """Return a sink that sends results to an address.

    Args:
        scheme: ``CALL_SCHEME`` or ``LISTEN_SCHEME``.
        rest: ``HOST:PORT`` with ``version`` of the header (1 or 2) and, where we listen, any number
            of ``allow``.
        clock: Time of the device.
        source: Where the frames come from: places in space are known of its own images only.

    Raises:
        ContractError: The address is none.
        SinkError: The port cannot be listened on, or the name of the peer is not known.
    """
    place = _place(scheme, rest, known_options={"version"})
    version = place.option("version")
    if version not in {None, *_VERSIONS}:
        raise ContractError(
            f"expected version 1 or 2, got {version}",
            advice="leave it out: the version follows what a receiver sends",
        )
    try:
        peers = _peers(scheme, place, clock)
    except SourceError as exc:
        raise SinkError(exc.problem, advice=exc.advice) from exc
    return OpenIGTLinkSink(
        peers,
        clock=clock,
        header_version=None if version is None else _VERSIONS[version],
        geometry_of=source.geometry_of if isinstance(source, OpenIGTLinkSource) else None,
    )


def _place(scheme: str, rest: str, *, known_options: set[str]) -> NetworkPlace:
    """Return the place; only a listener has a host by default, and peers to let in."""
    if scheme == LISTEN_SCHEME:
        return network_place(
            rest, known_options=known_options | {"allow"}, host_default=_LOOPBACK_HOST
        )
    return network_place(rest, known_options=known_options)


def _peers(scheme: str, place: NetworkPlace, clock: Clock) -> Peers:
    """Return who is spoken with."""
    if scheme == CALL_SCHEME:
        return Dialler(place.host, place.port, clock=clock)
    allowed = place.values_of("allow") or LOOPBACK
    return Listener(place.port, host=place.host, allowed=allowed, clock=clock)
