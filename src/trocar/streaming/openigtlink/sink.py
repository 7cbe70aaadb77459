"""Results as OpenIGTLink messages, to any number of receivers that come, go, stall or lie."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final, Literal

import structlog

from trocar.contracts.errors import SinkError
from trocar.contracts.frame import Frame
from trocar.contracts.limits import (
    IGTL_CLIENT_COUNT_MAX,
    IGTL_CLOSE_MS_MAX,
    IGTL_DEVICE_COUNT_MAX,
    NS_PER_MS,
    NS_PER_S,
    SLEEP_SLICE_MS_MAX,
    THREAD_JOIN_MS_MAX,
)
from trocar.contracts.ports import Clock
from trocar.contracts.record import FrameRecord
from trocar.streaming.openigtlink.account import LinkAccount, LinkEvent
from trocar.streaming.openigtlink.connection import Peers
from trocar.streaming.openigtlink.outgoing import Composer, GeometryOf
from trocar.streaming.openigtlink.subscriber import ClientTotals, Subscriber

__all__ = ["DEVICE_PREFIX", "OpenIGTLinkSink"]

DEVICE_PREFIX: Final = "Trocar"
"""Begin of the names of the devices under which results go out."""

_ADVICE: Final = "look at the log for the receivers of results, and start again"


# @need-ids: SRS_IGTL_024, SRS_IGTL_027
class OpenIGTLinkSink:
    """``ports.Sink`` that sends each record to whoever listens.

    ``write`` never waits: each receiver has a thread and one place for the newest result of each
    unit. A receiver that is too slow misses results, which is counted; one that takes nothing is
    dropped; without any receiver the run goes on.

    Args:
        peers: A ``Listener`` (receivers come) or a ``Dialler`` (one receiver is called); closed by
            ``close``.
        clock: Time of the device.
        device_prefix: Begin of the names of the devices: ``<prefix>Mask`` and so on.
        header_version: Version of the header; None for 1 until a receiver itself has sent 2.
        geometry_of: Place of a frame by its index; by default a pixel of the frame is 1 mm.
        client_count_max: Receivers at one time.
    """

    def __init__(
        self,
        peers: Peers,
        *,
        clock: Clock,
        device_prefix: str = DEVICE_PREFIX,
        header_version: Literal[1, 2] | None = None,
        geometry_of: GeometryOf | None = None,
        client_count_max: int = IGTL_CLIENT_COUNT_MAX,
    ) -> None:
        self._peers = peers
        self._clock = clock
        self._composer = Composer(device_prefix=device_prefix, geometry_of=geometry_of)
        self._greeting = self._composer.greeting()
        self._header_version = header_version
        self._place_count = min(client_count_max, peers.place_count)
        self._account = peers.account
        self._lock = threading.Lock()
        self._subscribers: list[Subscriber] = []
        self._cut_ns: int | None = None
        self._is_closing = threading.Event()
        self._gone: deque[ClientTotals] = deque(maxlen=IGTL_DEVICE_COUNT_MAX)
        self._written_count = 0
        self._door = threading.Thread(target=self._admit, name="trocar-igtl-door", daemon=True)
        self._door.start()

    @property
    def account(self) -> LinkAccount:
        """What was sent and received, and what went wrong."""
        return self._account

    @property
    def client_count(self) -> int:
        """Receivers that are there now."""
        with self._lock:
            return sum(each.is_alive for each in self._subscribers)

    def clients(self) -> tuple[ClientTotals, ...]:
        """Return the account of each receiver: the last ones that are gone, then those there."""
        with self._lock:
            return (*self._gone, *(each.totals() for each in self._subscribers))

    @property
    def written_count(self) -> int:
        """Records taken so far, with or without a receiver."""
        return self._written_count

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Hand one record to every receiver; never waits for one.

        Raises:
            SinkError: The sink is closed.
        """
        del frame
        if self._is_closing.is_set():
            raise SinkError(
                f"expected an open link, got a closed one: {self._peers.name}", advice=_ADVICE
            )
        result = self._composer.compose(record)
        self._written_count += 1
        with self._lock:
            alive = [each for each in self._subscribers if each.is_alive]
        if not alive:
            self._account.count(LinkEvent.RESULT_WITHOUT_CLIENT)
        # Turned into bytes here, so that a fault in it ends the run and not a receiver's thread.
        for version in {each.version for each in alive}:
            result.encoded(version)
        for subscriber in alive:
            subscriber.put(record.unit.unit, result)

    def close(self) -> None:
        """Send what waits, for a bounded time, and end all threads; may be called twice.

        Raises:
            SinkError: A thread does not end.
        """
        if self._is_closing.is_set():
            return
        self._cut_ns = self._clock.now_ns() + IGTL_CLOSE_MS_MAX * NS_PER_MS
        self._is_closing.set()
        timeout_s = THREAD_JOIN_MS_MAX * NS_PER_MS / NS_PER_S
        self._door.join(timeout_s)
        with self._lock:
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            subscriber.end()
        left = [each for each in subscribers if not each.join(timeout_s)]
        self._peers.close()
        self._account.log_totals()
        if left or self._door.is_alive():
            raise SinkError(
                f"expected all receivers of {self._peers.name} to be left within {timeout_s:g} s,"
                f" but {len(left)} are still there",
                advice=_ADVICE,
            )

    def _is_cut(self) -> bool:
        """Return whether the time for what still waits is over."""
        return self._cut_ns is not None and self._clock.now_ns() > self._cut_ns

    def _admit(self) -> None:
        """Let receivers in until the end; runs in a thread of its own."""
        while not self._is_closing.is_set():
            if self._remove_gone() < self._place_count:
                self._admit_next()
            else:
                self._peers.refuse_waiting()
                self._is_closing.wait(SLEEP_SLICE_MS_MAX * NS_PER_MS / NS_PER_S)

    def _remove_gone(self) -> int:
        """Forget the receivers that are gone, but not their account; return how many are left."""
        with self._lock:
            gone = [each.totals() for each in self._subscribers if not each.is_alive]
            self._subscribers = [each for each in self._subscribers if each.is_alive]
            self._gone += gone
            count = len(self._subscribers)
        for each in gone:
            self._peers.lost(was_useful=each.sent_count > 0)
            structlog.get_logger().info("igtl_client_gone", **each.model_dump())
        return count

    def _admit_next(self) -> None:
        """Wait for the next receiver, a short time."""
        connection = self._peers.next(self._is_closing.is_set)
        if connection is None:
            return
        subscriber = Subscriber(
            connection,
            account=self._account,
            greeting=self._greeting,
            header_version=self._header_version,
            is_cut=self._is_cut,
        )
        with self._lock:
            self._subscribers.append(subscriber)
            subscriber.start()
