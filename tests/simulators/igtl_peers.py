"""Peers in memory: connections of a link whose other ends a test holds in its hands."""

from __future__ import annotations

import socket
import threading
import weakref
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.ports import Clock, StopSignal
from trocar.streaming.openigtlink.account import LinkAccount
from trocar.streaming.openigtlink.connection import Connection
from trocar.streaming.openigtlink.header import HEADER_BYTES, HeaderVersion, parse_header
from trocar.streaming.openigtlink.image import image_from_frame
from trocar.streaming.openigtlink.messages import Message, Packet, decode, encode

__all__ = ["FarEnd", "PairedPeers", "image_bytes", "message_bytes", "paired", "picture"]

_SLICE_MS = 1
_PATIENCE_S = 10.0
_ROOM_BYTES = 1024 * 1024


def picture(level: int = 0, *, height_px: int = 32, width_px: int = 40) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 of one level, with a ramp that tells its sides apart."""
    pixels = np.full((height_px, width_px, 3), level, dtype=np.uint8)
    pixels[..., 1] = np.arange(width_px, dtype=np.uint8)
    return pixels


def message_bytes(
    message: Message,
    *,
    device_name: str = "Camera",
    timestamp_ns: int | None = None,
    version: HeaderVersion = 1,
) -> bytes:
    """Return a message as one run of bytes."""
    return b"".join(
        encode(message, device_name=device_name, timestamp_ns=timestamp_ns, version=version)
    )


def image_bytes(
    level: int = 0, *, device_name: str = "Camera", timestamp_ns: int | None = None
) -> bytes:
    """Return an IMAGE of one level as one run of bytes."""
    return message_bytes(
        image_from_frame(picture(level)), device_name=device_name, timestamp_ns=timestamp_ns
    )


class FarEnd:
    """The other end of a connection.

    Args:
        plug: Its socket.
    """

    def __init__(self, plug: socket.socket) -> None:
        self._plug = plug
        weakref.finalize(self, plug.close)
        plug.settimeout(_PATIENCE_S)
        # All that a test sends has room, so that it needs no thread of its own.
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM_BYTES)

    def send(self, *messages: bytes) -> None:
        """Send bytes as they are."""
        self._plug.sendall(b"".join(messages))

    def read(self) -> Packet:
        """Return the next message."""
        header = parse_header(self.read_bytes(HEADER_BYTES))
        return decode(header, self.read_bytes(header.body_bytes))

    def read_all(self) -> list[Packet]:
        """Return every message until the connection is closed."""
        found = []
        while head := self._plug.recv(1):
            header = parse_header(head + self.read_bytes(HEADER_BYTES - 1))
            found.append(decode(header, self.read_bytes(header.body_bytes)))
        return found

    def read_bytes(self, count: int) -> bytes:
        """Return exactly so many bytes."""
        data = bytearray()
        while len(data) < count:
            piece = self._plug.recv(count - len(data))
            if not piece:
                raise EOFError(f"{len(data)} of {count} bytes came")
            data += piece
        return bytes(data)

    def is_hung_up(self) -> bool:
        """Wait until the connection is closed by the other side, and say so."""
        try:
            return self._plug.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Hang up."""
        self._plug.close()


def paired(
    clock: Clock, *, message_ms_max: int = 5000, send_ms_max: int = 2000
) -> tuple[Connection, FarEnd]:
    """Return both ends of a connection."""
    near, far = socket.socketpair()
    connection = Connection(
        near,
        peer="memory",
        clock=clock,
        message_ms_max=message_ms_max,
        send_ms_max=send_ms_max,
        slice_ms=_SLICE_MS,
    )
    # A test that fails, or does not care, leaves no socket behind.
    weakref.finalize(connection, near.close)
    return connection, FarEnd(far)


class PairedPeers:
    """``connection.Peers`` in memory: a test plugs peers in, in the order in which they come.

    Args:
        clock: Time of the device.
        place_count: Connections at one time.
    """

    def __init__(self, clock: Clock, *, place_count: int = 8) -> None:
        self.name = "memory"
        self.account = LinkAccount(self.name)
        self.place_count = place_count
        self.lost_calls: list[bool] = []
        self.refuse_count = 0
        self.close_count = 0
        self._clock = clock
        self._moment = threading.Event()
        self._waiting: deque[Connection] = deque()
        self._far_ends: list[FarEnd] = []

    def plug_in(self, *messages: bytes, send_ms_max: int = 2000) -> FarEnd:
        """Let a peer come that has already sent some messages."""
        connection, far = paired(self._clock, send_ms_max=send_ms_max)
        far.send(*messages)
        self._waiting.append(connection)
        self._far_ends.append(far)
        return far

    def plug_in_and_leave(self, messages: Sequence[bytes]) -> None:
        """Let a peer come that sends some messages and hangs up."""
        self.plug_in(*messages).close()

    def next(self, stop: StopSignal) -> Connection | None:
        """Return the next peer, or None after a moment."""
        if self._waiting and not stop():
            return self._waiting.popleft()
        self._moment.wait(_SLICE_MS / 1000)
        return None

    def lost(self, *, was_useful: bool) -> None:
        """Note the call."""
        self.lost_calls.append(was_useful)

    def refuse_waiting(self) -> None:
        """Note the call."""
        self.refuse_count += 1

    def close(self) -> None:
        """Note the call."""
        self.close_count += 1
