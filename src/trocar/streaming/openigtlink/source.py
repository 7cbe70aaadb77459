"""The images of one device on the network as a source of frames."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Final

from trocar.contracts.errors import ProtocolError, SourceLostError, require
from trocar.contracts.frame import CrcVerdict, FrameOrigin, RawFrame
from trocar.contracts.limits import (
    IGTL_DEVICE_COUNT_MAX,
    IGTL_IDLE_MS_MAX,
    IGTL_PLACE_COUNT_MAX,
    LINK_GIVE_UP_MS_DEFAULT,
    NS_PER_MS,
    NS_PER_S,
    THREAD_JOIN_MS_MAX,
)
from trocar.contracts.outcome import Reason
from trocar.contracts.ports import Clock, StopSignal
from trocar.streaming.openigtlink.account import LinkAccount, LinkEvent
from trocar.streaming.openigtlink.answers import answer_to
from trocar.streaming.openigtlink.connection import Connection, Incoming, Peers, ReadEnd, SendEnd
from trocar.streaming.openigtlink.crc64 import crc_verdict
from trocar.streaming.openigtlink.geometry import ImageGeometry
from trocar.streaming.openigtlink.header import HEADER_BYTES, Header
from trocar.streaming.openigtlink.image import ImageMessage, rgb_frame
from trocar.streaming.openigtlink.message_types import is_known
from trocar.streaming.openigtlink.messages import (
    DamagedMessage,
    Message,
    Packet,
    decode,
    encode,
    type_name_of,
)
from trocar.streaming.openigtlink.query import QueryMessage
from trocar.streaming.pacing import undecodable
from trocar.streaming.watchdog import LinkStatus

__all__ = ["OpenIGTLinkSource"]

_ANSWER_NAME: Final = "Trocar"
_ENDS: Final = {
    ReadEnd.LEFT: LinkEvent.PEER_LEFT,
    ReadEnd.BROKEN_OFF: LinkEvent.BROKEN_OFF,
    ReadEnd.TOO_SLOW: LinkEvent.TOO_SLOW,
}


# @need-ids: SRS_IGTL_021
class OpenIGTLinkSource:
    """``ports.FrameSource`` on the IMAGE messages of one device of one peer.

    One peer at a time is the stream: a second one that comes to our port is refused and counted.
    One device is the stream: the one that was named, or the first one of which a frame came;
    images of others are read past and counted.

    ``captured_at_ns`` is the monotonic time at which the first byte of the message was seen, hence
    arrival and not acquisition. What the sender says of its own time stands in ``origin`` and is
    used for nothing else, since nobody has set both clocks.

    Args:
        peers: A ``Dialler`` (client role) or a ``Listener`` (server role); closed by ``close``.
        clock: Time of the device.
        device_name: Name of the device whose images are the stream; None for the first one.
        is_reconnecting: Whether a lost peer is waited for. Without it, a peer that leaves between
            two messages is the end of the stream.
        idle_ms_max: Silence after which a connected peer counts as gone [ms].
        give_up_ms: Silence over all peers after which the source is lost [ms].
    """

    def __init__(
        self,
        peers: Peers,
        *,
        clock: Clock,
        device_name: str | None = None,
        is_reconnecting: bool = True,
        idle_ms_max: int = IGTL_IDLE_MS_MAX,
        give_up_ms: int = LINK_GIVE_UP_MS_DEFAULT,
    ) -> None:
        self._peers = peers
        self._clock = clock
        self._device_name = device_name
        self._account = peers.account
        self._is_reconnecting = is_reconnecting
        self._idle_ns_max = idle_ms_max * NS_PER_MS
        self._give_up_ns = give_up_ms * NS_PER_MS
        self._source_id = (
            peers.name if device_name is None else f"{peers.name}?device={device_name}"
        )
        self._lock = threading.Lock()
        self._table_lock = threading.Lock()
        self._newest: dict[tuple[str, str], Packet] = {}
        self._geometries: OrderedDict[int, ImageGeometry] = OrderedDict()
        self._connection: Connection | None = None
        self._connection_count = 0
        self._link = LinkStatus(is_connected=False, reconnect_count=0)
        self._was_useful = False
        self._heard_at_ns = 0
        self._begin_ns = 0
        self._frame_index = 0
        self._is_started = False
        self._is_at_end = False
        self._is_closed = False

    @property
    def source_id(self) -> str:
        """Address of the link, and the device where one was named."""
        return self._source_id

    @property
    def frame_count(self) -> int | None:
        """Not known: the stream is live."""
        return None

    def link_status(self) -> LinkStatus:
        """Return whether a peer is connected, how often one was again, and why it was lost."""
        return self._link

    @property
    def account(self) -> LinkAccount:
        """What came over the link."""
        return self._account

    def newest_messages(self) -> Mapping[tuple[str, str], Packet]:
        """Return the newest transform, text, status, list or points of each device.

        Keys are type and device name; at most ``IGTL_DEVICE_COUNT_MAX`` are kept.
        """
        with self._table_lock:
            return dict(self._newest)

    def geometry_of(self, frame_index: int) -> ImageGeometry | None:
        """Return the place in space of one of the newest frames, or None."""
        with self._table_lock:
            return self._geometries.get(frame_index)

    def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield frames until the end or until ``stop`` says so; may be called once.

        Raises:
            SourceLostError: Nothing came for longer than the limit, or the one connection that was
                allowed has broken off.
            SourceError: There is no such server.
        """
        require(not self._is_started, f"frames of {self._source_id} asked for twice")
        self._is_started = True
        self._heard_at_ns = self._clock.now_ns()

        def is_over() -> bool:
            return self._is_closed or self._is_at_end or stop()

        try:
            while not is_over():
                with self._lock:
                    raw = self._turn(is_over)
                if raw is not None:
                    yield raw
        finally:
            self._release()

    def close(self) -> None:
        """Close link and port and log the account; may be called twice and from another thread."""
        was_closed, self._is_closed = self._is_closed, True
        # A turn looks at the flag at least once a slice; it cannot keep the lock for longer.
        if self._lock.acquire(timeout=THREAD_JOIN_MS_MAX * NS_PER_MS / NS_PER_S):
            try:
                self._release()
                self._peers.close()
            finally:
                self._lock.release()
        if not was_closed:
            self._account.log_totals()

    def _release(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _turn(self, stop: StopSignal) -> RawFrame | None:
        """Wait for a peer or for one message, a short time each; return a frame, if one came."""
        if self._connection is None:
            self._connection = self._peers.next(stop)
            self._was_useful = False
            if self._connection is None:
                self._check_silence()
                return None
            self._begin_ns = self._clock.now_ns()
            self._connection_count += 1
            self._link = LinkStatus(is_connected=True, reconnect_count=self._connection_count - 1)
        # @need-ids: RCM_IGTL_012
        self._peers.refuse_waiting()
        try:
            got = self._connection.read(wants=self._wants, stop=stop)
        except ProtocolError as exc:
            self._drop(LinkEvent.PROTOCOL_ERROR, exc.problem)
            return None
        if isinstance(got, ReadEnd):
            self._end_of(got)
            return None
        self._heard_at_ns = self._clock.now_ns()
        self._was_useful = True
        return self._message(got, self._connection, stop)

    # @need-ids: SRS_IGTL_022
    def _check_silence(self) -> None:
        """Raise once nothing has come for too long."""
        silent_ms = (self._clock.now_ns() - self._heard_at_ns) // NS_PER_MS
        if silent_ms * NS_PER_MS > self._give_up_ns:
            raise SourceLostError(
                f"expected a message of {self._source_id} at least every"
                f" {self._give_up_ns // NS_PER_MS} ms, got none for {silent_ms} ms",
                advice="check that the sender runs, and address, port and firewall between both",
            )

    # @need-ids: RCM_IGTL_013
    def _end_of(self, end: ReadEnd) -> None:
        """Act on a read without a message."""
        if end is ReadEnd.NOTHING_YET:
            now_ns = self._clock.now_ns()
            if now_ns - max(self._heard_at_ns, self._begin_ns) > self._idle_ns_max:
                self._drop(LinkEvent.TOO_SLOW, "silent for too long")
            else:
                self._check_silence()
        elif end is not ReadEnd.STOPPED:
            self._drop(_ENDS[end], end.value)

    def _drop(self, event: LinkEvent, problem: str) -> None:
        """Close the connection and say why.

        Raises:
            SourceLostError: It was the only one that was allowed, and it did not end well.
        """
        connection = self._connection
        require(connection is not None, "a link that is not there was to be dropped")
        self._account.count(event, problem=problem)
        self._link = LinkStatus(
            is_connected=False, reconnect_count=self._link.reconnect_count, problem=problem
        )
        self._release()
        self._peers.lost(was_useful=self._was_useful)
        if self._is_reconnecting:
            return
        if event is not LinkEvent.PEER_LEFT:
            raise SourceLostError(
                f"expected {self._source_id} to leave between two messages, got: {problem}",
                advice="check the sender and the network, or let the source reconnect",
            )
        self._is_at_end = True

    def _wants(self, header: Header) -> bool:
        """Return whether a body is to be kept: of a known type, and no image of another device."""
        if header.type_name != "IMAGE":
            return is_known(header.type_name)
        return self._device_name in {None, header.device_name}

    def _message(
        self, incoming: Incoming, connection: Connection, stop: StopSignal
    ) -> RawFrame | None:
        """Act on one message; return a frame, if it is one."""
        header, body = incoming.header, incoming.body
        self._account.receive(header.type_name, HEADER_BYTES + header.body_bytes)
        if body is None:
            known = is_known(header.type_name)
            event = LinkEvent.OTHER_DEVICE if known else LinkEvent.UNKNOWN_TYPE
            self._account.count(event, type=header.type_name, device=header.device_name)
            return None
        try:
            packet = decode(header, body)
        except ProtocolError as exc:
            self._account.count(LinkEvent.PROTOCOL_ERROR, problem=exc.problem)
            if header.type_name != "IMAGE":
                return None
            return self._refused(incoming, exc.problem, crc_verdict(header.crc, body))
        self._count_crc(packet)
        match packet.message:
            case ImageMessage():
                return self._frame(incoming, packet, packet.message)
            case DamagedMessage():
                # @need-ids: RCM_IGTL_001
                if header.type_name != "IMAGE":
                    return None
                problem = f"expected CRC {header.crc:#018x} over {header.body_bytes} bytes"
                return self._refused(
                    incoming, f"{problem}, got another", packet.crc, Reason.FRAME_CORRUPT
                )
            case QueryMessage():
                self._answer(packet.message, header, connection, stop)
            case _:
                self._keep(packet)
        return None

    def _count_crc(self, packet: Packet) -> None:
        """Count a checksum that does not hold, or that was not sent."""
        header = packet.header
        if packet.crc is CrcVerdict.MISMATCH:
            self._account.count(
                LinkEvent.CRC_MISMATCH, type=header.type_name, device=header.device_name
            )
        elif packet.crc is CrcVerdict.NOT_SENT:
            self._account.count(LinkEvent.CRC_NOT_SENT)

    def _frame(self, incoming: Incoming, packet: Packet, message: ImageMessage) -> RawFrame:
        """Return the frame of an image, or its stand-in with the problem."""
        header = incoming.header
        try:
            pixels = rgb_frame(message)
        except ProtocolError as exc:
            return self._refused(incoming, exc.problem, packet.crc)
        # @need-ids: RCM_IGTL_012
        if self._device_name is None:
            self._device_name = header.device_name
        frame_index = self._next_index()
        with self._table_lock:
            self._geometries[frame_index] = message.geometry
            if len(self._geometries) > IGTL_PLACE_COUNT_MAX:
                self._geometries.popitem(last=False)
        return RawFrame(
            pixels=pixels,
            frame_index=frame_index,
            captured_at_ns=incoming.arrived_at_ns,
            media_time_ns=None,
            source_id=self._source_id,
            origin=_origin(header, packet.crc),
        )

    def _refused(
        self,
        incoming: Incoming,
        problem: str,
        crc: CrcVerdict,
        reason: Reason = Reason.FRAME_UNDECODABLE,
    ) -> RawFrame:
        """Return the stand-in for an image that cannot be a frame."""
        return undecodable(
            problem,
            frame_index=self._next_index(),
            captured_at_ns=incoming.arrived_at_ns,
            source_id=self._source_id,
            reason=reason,
            origin=_origin(incoming.header, crc),
        )

    def _next_index(self) -> int:
        """Return the index of the frame that has arrived."""
        frame_index = self._frame_index
        self._frame_index += 1
        return frame_index

    def _keep(self, packet: Packet) -> None:
        """Keep the newest message of a device; beyond the limit, new devices are only counted."""
        key = (packet.header.type_name, packet.header.device_name)
        with self._table_lock:
            if key in self._newest or len(self._newest) < IGTL_DEVICE_COUNT_MAX:
                self._newest[key] = packet
                return
        self._account.count(LinkEvent.NOT_KEPT, type=key[0], device=key[1])

    def _answer(
        self, query: QueryMessage, header: Header, connection: Connection, stop: StopSignal
    ) -> None:
        """Answer a query in the version in which it was asked; who does not listen is dropped."""
        answer = answer_to(query, offered=(), newest=_nothing)
        if answer is None:
            return
        parts = encode(answer, device_name=_ANSWER_NAME, timestamp_ns=None, version=header.version)
        end = connection.send(parts, stop=stop)
        if end is SendEnd.SENT:
            self._account.send(type_name_of(answer), sum(part.nbytes for part in parts))
        elif end is SendEnd.TOO_SLOW:
            self._drop(LinkEvent.TOO_SLOW, "it does not take its answers")
        else:
            self._drop(LinkEvent.PEER_LEFT, end.value)


# @need-ids: RCM_IGTL_011
def _origin(header: Header, crc: CrcVerdict) -> FrameOrigin:
    """Return what a message says of its image; a time of 0 is a time that is not known."""
    return FrameOrigin(device_name=header.device_name, sender_wall_ns=header.timestamp_ns, crc=crc)


def _nothing(type_name: str) -> Message | None:
    """Return the newest message of a type that a source has sent: it sends none by itself."""
    del type_name
    return None
