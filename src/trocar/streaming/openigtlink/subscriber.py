"""One receiver of results: its own thread, and one place for the newest result of each unit."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal

from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.errors import ProtocolError
from trocar.contracts.limits import IGTL_UNIT_COUNT_MAX, SLEEP_SLICE_MS_MAX
from trocar.streaming.openigtlink.account import LinkAccount, LinkEvent
from trocar.streaming.openigtlink.answers import answer_to
from trocar.streaming.openigtlink.connection import Connection, Incoming, ReadEnd, SendEnd
from trocar.streaming.openigtlink.header import HEADER_BYTES, Header, HeaderVersion
from trocar.streaming.openigtlink.message_types import QUERY_TYPES, Verb
from trocar.streaming.openigtlink.messages import Message, decode, encode, type_name_of
from trocar.streaming.openigtlink.outgoing import Encoded, Outgoing
from trocar.streaming.openigtlink.query import QueryMessage

__all__ = ["OFFERED", "ClientTotals", "Subscriber"]

OFFERED: Final = frozenset({"IMAGE", "POINT", "STRING", "STATUS"})
"""Types that are sent without being asked for."""

_ANSWER_NAME: Final = "Trocar"
_GREETING: Final = ""
"""Takes the place of a unit."""

_READ_ENDS: Final = {
    ReadEnd.LEFT: LinkEvent.PEER_LEFT,
    ReadEnd.BROKEN_OFF: LinkEvent.BROKEN_OFF,
    ReadEnd.TOO_SLOW: LinkEvent.TOO_SLOW,
}


class ClientTotals(Contract):
    """What one receiver got.

    Attributes:
        peer: Its address.
        sent_count: Results that were handed to the system completely.
        dropped_count: Results that a newer one of the same unit replaced before they were sent.
        is_connected: Whether it is still there.
    """

    peer: str
    sent_count: int = Field(ge=0)
    dropped_count: int = Field(ge=0)
    is_connected: bool


# @need-ids: SRS_IGTL_027, SRS_IGTL_028
class Subscriber:
    """Sends to one receiver in a thread of its own; a slow one misses results, and only its own.

    Args:
        connection: The receiver; closed at the end of the thread.
        account: Where everything is counted.
        greeting: What is sent first.
        header_version: Version to send with; None for 1 until the receiver itself has sent 2.
        is_cut: Asked while sending: True once what waits may no longer be sent.
        wait_ms: Longest single wait [ms].
    """

    def __init__(
        self,
        connection: Connection,
        *,
        account: LinkAccount,
        greeting: Outgoing,
        header_version: Literal[1, 2] | None,
        is_cut: Callable[[], bool],
        wait_ms: int = SLEEP_SLICE_MS_MAX,
    ) -> None:
        self._connection = connection
        self._account = account
        self._version: HeaderVersion = header_version or 1
        self._is_negotiated = header_version is None
        self._is_cut = is_cut
        self._wait_ms = wait_ms
        self._lock = threading.Lock()
        self._waiting: dict[str, Outgoing] = {_GREETING: greeting}
        self._dropped_count = 0
        self._sent_count = 0
        self._is_ending = False
        self._stopped: set[str] = set()
        self._newest: dict[str, Message] = {}
        self._ear, self._bell = os.pipe()
        os.set_blocking(self._ear, False)
        os.set_blocking(self._bell, False)
        self._has_pipe = True
        self._thread = threading.Thread(target=self._work, name="trocar-igtl-client", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the receiver is still there."""
        return self._thread.is_alive()

    @property
    def version(self) -> HeaderVersion:
        """Version of the header that it gets now."""
        return self._version

    def totals(self) -> ClientTotals:
        """Return what it got and what it missed so far."""
        return ClientTotals(
            peer=self._connection.peer,
            sent_count=self._sent_count,
            dropped_count=self._dropped_count,
            is_connected=self.is_alive,
        )

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def put(self, unit: str, result: Outgoing) -> None:
        """Hand in a result; never waits, whatever the receiver does."""
        # @need-ids: RCM_IGTL_010
        with self._lock:
            # Taken out first, so that units are sent in the order in which they answered.
            was_waiting = self._waiting.pop(unit, None) is not None
            if not was_waiting and len(self._waiting) > IGTL_UNIT_COUNT_MAX:
                self._waiting.pop(next(iter(self._waiting)))
                was_waiting = True
            self._waiting[unit] = result
            self._dropped_count += was_waiting
            self._ring()
        if was_waiting:
            self._account.count(LinkEvent.RESULT_DROPPED)

    def end(self) -> None:
        """Let the thread end once nothing waits, or once it is cut."""
        self._is_ending = True
        with self._lock:
            self._ring()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; return whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _ring(self) -> None:
        """Wake the thread; only under the lock, since the pipe is closed when the thread ends."""
        if self._has_pipe:
            # A pipe that is full has woken it already.
            with suppress(BlockingIOError):
                os.write(self._bell, b"\0")

    def _work(self) -> None:
        """Send and answer until the receiver is gone or the run ends."""
        try:
            while self._send_waiting() and not self._is_ending:
                if not self._listen():
                    break
        finally:
            self._connection.close()
            with self._lock:
                self._has_pipe = False
                os.close(self._ear)
                os.close(self._bell)

    def _send_waiting(self) -> bool:
        """Send what waits; False once the receiver is gone."""
        while True:
            with self._lock:
                if not self._waiting:
                    return True
                unit = next(iter(self._waiting))
                result = self._waiting.pop(unit)
            for sending, encoded in zip(
                result.sendings, result.encoded(self._version), strict=True
            ):
                self._newest[encoded.type_name] = sending.message
                if encoded.type_name not in self._stopped and not self._send(encoded):
                    return False
            self._sent_count += unit != _GREETING

    def _send(self, encoded: Encoded) -> bool:
        """Send one message; False once the receiver is gone."""
        end = self._connection.send(encoded.parts, stop=self._is_cut)
        if end is SendEnd.SENT:
            self._account.send(encoded.type_name, encoded.size_bytes)
            return True
        if end is not SendEnd.STOPPED:
            event = LinkEvent.TOO_SLOW if end is SendEnd.TOO_SLOW else LinkEvent.PEER_LEFT
            self._account.count(event, peer=self._connection.peer, problem=end.value)
        return False

    def _listen(self) -> bool:
        """Wait for a result or a message; act on the message; False once the receiver is gone."""
        poll = select.poll()
        poll.register(self._ear, select.POLLIN)
        poll.register(self._connection, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(self._wait_ms)]
        if self._ear in ready:
            os.read(self._ear, select.PIPE_BUF)
        if self._connection.fileno() not in ready:
            return True
        try:
            got = self._connection.read(wants=_is_query, stop=self._is_cut, wait_ms=0)
            return self._heard(got)
        except ProtocolError as exc:
            self._account.count(
                LinkEvent.PROTOCOL_ERROR, peer=self._connection.peer, problem=exc.problem
            )
            return False

    def _heard(self, got: Incoming | ReadEnd) -> bool:
        """Act on what was read; False once the receiver is gone.

        Raises:
            ProtocolError: A query lies about itself.
        """
        if isinstance(got, ReadEnd):
            if got in _READ_ENDS:
                self._account.count(_READ_ENDS[got], peer=self._connection.peer)
            return got is ReadEnd.NOTHING_YET
        header = got.header
        self._account.receive(header.type_name, HEADER_BYTES + header.body_bytes)
        if self._is_negotiated and header.version != 1:
            self._version = header.version
        if got.body is None:
            return True
        packet = decode(header, got.body)
        if not isinstance(packet.message, QueryMessage):
            self._account.count(LinkEvent.CRC_MISMATCH, type=header.type_name)
            return True
        return self._answer(packet.message)

    def _answer(self, query: QueryMessage) -> bool:
        """Answer a query; False once the receiver is gone."""
        answer = answer_to(query, offered=OFFERED, newest=self._newest.get)
        if answer is None:
            return True
        if query.verb is Verb.STOP:
            self._stopped.add(query.subject)
        elif query.verb is Verb.START:
            self._stopped.discard(query.subject)
        parts = encode(answer, device_name=_ANSWER_NAME, timestamp_ns=None, version=self._version)
        return self._send(Encoded(type_name_of(answer), parts))


def _is_query(header: Header) -> bool:
    """Return whether a receiver asks something; whatever else it sends is read past."""
    return header.type_name in QUERY_TYPES
