"""One connection to one peer: whole messages in, whole messages out, each within a bound of time.

A message is read in three steps: the 58 bytes of its header, what they say is checked against the
allow-list and the limits, and only then memory is taken and filled.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from trocar.contracts.limits import (
    IGTL_MESSAGE_MS_MAX,
    IGTL_RECEIVE_BUFFER_BYTES,
    IGTL_SEND_BUFFER_BYTES,
    IGTL_SEND_MS_MAX,
    NS_PER_MS,
    SLEEP_SLICE_MS_MAX,
)
from trocar.contracts.ports import Clock, StopSignal
from trocar.streaming.openigtlink.account import LinkAccount
from trocar.streaming.openigtlink.buffers import BufferPool
from trocar.streaming.openigtlink.header import HEADER_BYTES, Header, parse_header

__all__ = ["Connection", "Incoming", "Peers", "ReadEnd", "SendEnd"]

_SKIP_BYTES: Final = 64 * 1024
"""What is read past at a time."""

_KEEPALIVE: Final = (
    (socket.TCP_KEEPIDLE, 5),
    (socket.TCP_KEEPINTVL, 2),
    (socket.TCP_KEEPCNT, 3),
)
"""After 5 s of silence the system asks every 2 s, three times: a cable that is out is seen."""


class ReadEnd(StrEnum):
    """Why there is no message."""

    NOTHING_YET = "nothing_yet"
    LEFT = "left"
    """The peer closed the connection between two messages."""

    BROKEN_OFF = "broken_off"
    """The connection ended in the middle of a message."""

    TOO_SLOW = "too_slow"
    """The message was not there in time."""

    STOPPED = "stopped"
    """We are to end."""


class SendEnd(StrEnum):
    """How sending ended."""

    SENT = "sent"
    LEFT = "left"
    """The peer has closed the connection."""

    TOO_SLOW = "too_slow"
    """The peer did not take the message in time; a part of it may be sent."""

    STOPPED = "stopped"
    """We are to end; a part of the message may be sent."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message, or the header of one that was read past.

    Attributes:
        header: Its header.
        body: Its body; None where it was read past.
        arrived_at_ns: Monotonic time at which its first byte was seen [ns].
    """

    header: Header
    body: memoryview | None
    arrived_at_ns: int


class Peers(Protocol):
    """Where connections come from: a server that is called, or a port that is listened on."""

    @property
    def name(self) -> str:
        """Name of the link, as it stands in records."""
        ...

    @property
    def account(self) -> LinkAccount:
        """Where everything about the link is counted."""
        ...

    @property
    def place_count(self) -> int:
        """Connections that make sense at one time."""
        ...

    def next(self, stop: StopSignal) -> Connection | None:
        """Return a connection, or None after a short wait; to be called again and again."""
        ...

    def lost(self, *, was_useful: bool) -> None:
        """Hear that the connection is closed, and whether a message had come over it."""
        ...

    def refuse_waiting(self) -> None:
        """Turn away whoever waits, because there is no place for another peer."""
        ...

    def close(self) -> None:
        """Accept or try no more; may be called twice."""
        ...


# @need-ids: SRS_IGTL_020
class Connection:
    """A stream socket that carries OpenIGTLink; for one thread at a time.

    Args:
        plug: The connected socket; closed by ``close``.
        peer: Name of the peer, for logs.
        clock: Time of the device.
        message_ms_max: Time from the first byte of a message to its last [ms].
        send_ms_max: Time for sending one message [ms].
        slice_ms: Longest single wait [ms].
    """

    def __init__(
        self,
        plug: socket.socket,
        *,
        peer: str,
        clock: Clock,
        message_ms_max: int = IGTL_MESSAGE_MS_MAX,
        send_ms_max: int = IGTL_SEND_MS_MAX,
        slice_ms: int = SLEEP_SLICE_MS_MAX,
    ) -> None:
        self.peer = peer
        self._plug = plug
        self._clock = clock
        self._message_ns_max = message_ms_max * NS_PER_MS
        self._send_ns_max = send_ms_max * NS_PER_MS
        self._slice_ms = slice_ms
        self._pool = BufferPool()
        self._head = bytearray(HEADER_BYTES)
        self._past = bytearray(_SKIP_BYTES)
        _tune(plug)
        self._readable = select.poll()
        self._readable.register(plug, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(plug, select.POLLOUT)

    def fileno(self) -> int:
        """Return the descriptor, to wait for this connection among others."""
        return self._plug.fileno()

    def read(
        self, *, wants: Callable[[Header], bool], stop: StopSignal, wait_ms: int | None = None
    ) -> Incoming | ReadEnd:
        """Read one message.

        Args:
            wants: Whether the body of a message is to be kept; else it is read past in pieces.
            stop: Asked between two waits.
            wait_ms: Wait for its first byte [ms]; by default one slice.

        Raises:
            ProtocolError: The header is not sound; nothing that follows can be read.
        """
        head = memoryview(self._head)
        if not self._readable.poll(self._slice_ms if wait_ms is None else wait_ms):
            return ReadEnd.NOTHING_YET
        try:
            count = self._plug.recv_into(head)
        except OSError as exc:
            # A socket may be called readable and have nothing after all.
            return ReadEnd.NOTHING_YET if isinstance(exc, BlockingIOError) else ReadEnd.LEFT
        if count == 0:
            return ReadEnd.LEFT
        arrived_at_ns = self._clock.now_ns()
        due_ns = arrived_at_ns + self._message_ns_max
        end = self._fill(head[count:], due_ns, stop)
        if end is not None:
            return end
        header = parse_header(self._head)
        if not wants(header):
            end = self._read_past(header.body_bytes, due_ns, stop)
            return end or Incoming(header, None, arrived_at_ns)
        body = self._pool.take(header.body_bytes)
        end = self._fill(body, due_ns, stop)
        return end or Incoming(header, body, arrived_at_ns)

    def send(self, parts: Sequence[memoryview], *, stop: StopSignal) -> SendEnd:
        """Send one message, all its parts in order; nothing is copied here.

        Args:
            parts: Bytes one after the other, none empty.
            stop: Asked between two waits.
        """
        waiting = list(parts)
        due_ns = self._clock.now_ns() + self._send_ns_max
        while waiting:
            try:
                sent_bytes = self._plug.sendmsg(waiting)
            except BlockingIOError:
                end = self._wait(self._writable, due_ns, stop)
                if end is not None:
                    return SendEnd(end.value)
                continue
            except OSError:
                return SendEnd.LEFT
            waiting = _behind(waiting, sent_bytes)
        return SendEnd.SENT

    def close(self) -> None:
        """Close the connection; may be called twice."""
        with suppress(OSError):
            self._plug.shutdown(socket.SHUT_RDWR)
        self._plug.close()

    def _read_past(self, size_bytes: int, due_ns: int, stop: StopSignal) -> ReadEnd | None:
        """Read a body and forget it; return why not all of it came, or None."""
        past = memoryview(self._past)
        while size_bytes:
            piece = past[: min(size_bytes, _SKIP_BYTES)]
            end = self._fill(piece, due_ns, stop)
            if end is not None:
                return end
            size_bytes -= len(piece)
        return None

    # @need-ids: RCM_IGTL_013
    def _fill(self, view: memoryview, due_ns: int, stop: StopSignal) -> ReadEnd | None:
        """Fill memory with what comes; return why it is not full, or None.

        A peer that sends byte by byte is measured by the same time as one that sends nothing.
        """
        while view:
            try:
                count = self._plug.recv_into(view)
            except BlockingIOError:
                end = self._wait(self._readable, due_ns, stop)
                if end is not None:
                    return end
                continue
            except OSError:
                return ReadEnd.BROKEN_OFF
            if count == 0:
                return ReadEnd.BROKEN_OFF
            view = view[count:]
            if view and self._clock.now_ns() > due_ns:
                return ReadEnd.TOO_SLOW
        return None

    def _wait(self, poll: select.poll, due_ns: int, stop: StopSignal) -> ReadEnd | None:
        """Wait for one slice at most; return why there is no more to wait for, or None."""
        if stop():
            return ReadEnd.STOPPED
        left_ns = due_ns - self._clock.now_ns()
        if left_ns <= 0:
            return ReadEnd.TOO_SLOW
        poll.poll(min(self._slice_ms, left_ns // NS_PER_MS + 1))
        return None


def _behind(parts: Sequence[memoryview], sent_bytes: int) -> list[memoryview]:
    """Return what is left of parts when some bytes of them are sent."""
    for index, part in enumerate(parts):
        if sent_bytes < part.nbytes:
            return [part[sent_bytes:], *parts[index + 1 :]]
        sent_bytes -= part.nbytes
    return []


def _tune(plug: socket.socket) -> None:
    """Set what a link of whole messages needs; a socket that is not TCP has less to set."""
    plug.settimeout(0.0)
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, IGTL_SEND_BUFFER_BYTES)
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, IGTL_RECEIVE_BUFFER_BYTES)
    if plug.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        plug.setsockopt(socket.IPPROTO_TCP, option, value)
