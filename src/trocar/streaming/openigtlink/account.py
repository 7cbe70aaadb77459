"""What came over a link, what went out, and what went wrong: counted, bounded, and logged."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import structlog
from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.limits import IGTL_LOG_COUNT_MAX, IGTL_TYPE_NAME_COUNT_MAX

__all__ = ["OTHER_TYPES", "LinkAccount", "LinkEvent", "LinkTotals"]

OTHER_TYPES: Final = "(other)"
"""Stands for the types of message beyond those that are counted under their own names."""


class LinkEvent(StrEnum):
    """What is counted beside the messages themselves."""

    CONNECTED = "connected"
    ATTEMPT_FAILED = "attempt_failed"
    """A peer was called and did not answer."""

    PEER_REFUSED = "peer_refused"
    """Its address is not allowed, or there is no place for it."""

    PEER_LEFT = "peer_left"
    """It closed the connection between two messages."""

    BROKEN_OFF = "broken_off"
    """It closed the connection in the middle of a message."""

    TOO_SLOW = "too_slow"
    """A message took too long, or it was silent for too long: the peer was dropped."""

    PROTOCOL_ERROR = "protocol_error"
    CRC_MISMATCH = "crc_mismatch"
    CRC_NOT_SENT = "crc_not_sent"
    UNKNOWN_TYPE = "unknown_type"
    """Read past, not kept."""

    OTHER_DEVICE = "other_device"
    """An image of a device that is not the stream: read past, not kept."""

    NOT_KEPT = "not_kept"
    """No place is left in the table of devices."""

    RESULT_DROPPED = "result_dropped"
    """A newer result came before one client had taken this one."""

    RESULT_WITHOUT_CLIENT = "result_without_client"


_QUIET: Final = frozenset({
    LinkEvent.RESULT_DROPPED,
    LinkEvent.RESULT_WITHOUT_CLIENT,
    LinkEvent.CRC_NOT_SENT,
    LinkEvent.OTHER_DEVICE,
    LinkEvent.UNKNOWN_TYPE,
})
"""Happens with every message, and nothing is wrong with the link: the total says it."""


class LinkTotals(Contract):
    """The account of one link.

    Attributes:
        link: Name of the link.
        events: Events by kind; those that did not occur are left out.
        received: Messages by type.
        received_bytes: Bytes of all messages that were read, headers included.
        sent: Messages by type.
        sent_bytes: Bytes of all messages that were handed to the system completely.
    """

    link: str
    events: Mapping[LinkEvent, int]
    received: Mapping[str, int]
    received_bytes: int = Field(ge=0)
    sent: Mapping[str, int]
    sent_bytes: int = Field(ge=0)

    def count_of(self, event: LinkEvent) -> int:
        """Return how often something happened."""
        return self.events.get(event, 0)


# @need-ids: SRS_IGTL_026
class LinkAccount:
    """Counts for one link, from any thread; its size does not grow with what a peer sends.

    Args:
        link: Name of the link, for the log.
    """

    def __init__(self, link: str) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._events: Counter[LinkEvent] = Counter()
        self._received: Counter[str] = Counter()
        self._received_bytes = 0
        self._sent: Counter[str] = Counter()
        self._sent_bytes = 0

    def count(self, event: LinkEvent, **facts: str | int | None) -> None:
        """Count an event; the first ones of its kind are logged with their facts."""
        with self._lock:
            self._events[event] += 1
            number = self._events[event]
        if event not in _QUIET and number <= IGTL_LOG_COUNT_MAX:
            log = structlog.get_logger()
            write = log.info if event is LinkEvent.CONNECTED else log.warning
            write(f"igtl_{event.value}", link=self._link, number=number, **facts)

    def receive(self, type_name: str, size_bytes: int) -> None:
        """Count a message that was read."""
        with self._lock:
            self._received[self._name(type_name)] += 1
            self._received_bytes += size_bytes

    def send(self, type_name: str, size_bytes: int) -> None:
        """Count a message that was handed to the system."""
        with self._lock:
            self._sent[type_name] += 1
            self._sent_bytes += size_bytes

    def totals(self) -> LinkTotals:
        """Return what was counted so far."""
        with self._lock:
            return LinkTotals(
                link=self._link,
                events=dict(self._events),
                received=dict(self._received),
                received_bytes=self._received_bytes,
                sent=dict(self._sent),
                sent_bytes=self._sent_bytes,
            )

    def log_totals(self) -> None:
        """Write the account to the log, at the end of a run."""
        structlog.get_logger().info("igtl_account", **self.totals().model_dump(mode="json"))

    def _name(self, type_name: str) -> str:
        """Return the name to count under: a peer may invent as many names as it likes."""
        is_counted = type_name in self._received
        return (
            type_name
            if is_counted or len(self._received) < IGTL_TYPE_NAME_COUNT_MAX
            else OTHER_TYPES
        )
