"""Ends of OpenIGTLink links over sockets of the loopback interface, and programs beside them."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from conformance.samples import make_frame, make_polyp_mask, make_record
from simulators.igtl_peers import FarEnd
from trocar.contracts.frame import RawFrame
from trocar.contracts.record import FrameRecord
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.openigtlink.account import LinkEvent
from trocar.streaming.openigtlink.connection import Peers
from trocar.streaming.openigtlink.server import Listener
from trocar.streaming.openigtlink.sink import OpenIGTLinkSink
from trocar.streaming.openigtlink.source import OpenIGTLinkSource

__all__ = [
    "CLOCK",
    "PATIENCE_S",
    "RECORD_COUNT",
    "Listening",
    "admit",
    "call",
    "free_port",
    "listening_server",
    "running",
    "send_record",
    "serving_sink",
    "wait_until",
    "write_masks",
]

CLOCK: Final = MonotonicClock()
PATIENCE_S: Final = 30.0
RECORD_COUNT: Final = 4


_PORTS: Final = itertools.count(18_944 + os.getpid() % 4_000)


def free_port() -> int:
    """Return a port below those that the system gives to callers, not returned before.

    It is tried as the C++ library does: a connection of before that still lingers makes it taken.
    """
    while (port := next(_PORTS)) < 32_000:
        with contextlib.suppress(OSError), socket.socket() as plug:
            plug.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until another thread or program has done its part."""
    due_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > due_s:
            raise TimeoutError(what)
        threading.Event().wait(0.005)


def call(port: int) -> FarEnd:
    """Connect to a port."""
    return FarEnd(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))


class Listening:
    """A source that is read in a thread until it has enough frames, or is closed."""

    def __init__(self, peers: Peers, *, idle_ms_max: int = 3000) -> None:
        self.source = OpenIGTLinkSource(peers, clock=CLOCK, idle_ms_max=idle_ms_max)
        self.frames: list[RawFrame] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        """Keep every frame."""
        for raw in self.source.frames(lambda: False):
            self.frames.append(raw)

    def wait_for(self, count: int) -> list[RawFrame]:
        """Return the frames once there are so many."""
        wait_until(lambda: len(self.frames) >= count, f"{count} frames, got {len(self.frames)}")
        return self.frames

    def count_of(self, event: LinkEvent) -> int:
        """Return how often something happened."""
        return self.source.account.totals().count_of(event)

    def close(self) -> None:
        """Close, and check that the reader ends."""
        self.source.close()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def listening_server() -> Iterator[tuple[Listening, int]]:
    """Return a source in the server role, and its port."""
    listener = Listener(0, clock=CLOCK)
    listening = Listening(listener)
    yield listening, listener.port
    listening.close()


@contextlib.contextmanager
def serving_sink() -> Iterator[tuple[OpenIGTLinkSink, int]]:
    """Return a sink in the server role, and its port; no thread may be left of it."""
    before = threading.active_count()
    listener = Listener(0, clock=CLOCK)
    sink = OpenIGTLinkSink(listener, clock=CLOCK)
    yield sink, listener.port
    sink.close()
    assert threading.active_count() <= before


def admit(sink: OpenIGTLinkSink, count: int) -> None:
    """Wait until a sink has so many receivers."""
    wait_until(lambda: sink.client_count == count, f"{count} receivers")


def write_masks(sink: OpenIGTLinkSink, *, count: int = RECORD_COUNT, first: int = 0) -> None:
    """Write records with a finding, one after the other as a unit does."""
    for index in range(first, first + count):
        send_record(sink, make_record(index, make_polyp_mask(index)))


def send_record(sink: OpenIGTLinkSink, record: FrameRecord) -> None:
    """Write a record and wait until every receiver has it: none is replaced by the next one."""
    sink.write(record, make_frame(record.frame_index))
    counts = sink.written_count
    wait_until(lambda: all(each.sent_count == counts for each in sink.clients()), "the receivers")


@contextlib.contextmanager
def running(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program and end it."""
    process = subprocess.Popen(
        ["stdbuf", "-oL", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)
