"""A place for exactly one item: the newest one wins, and the older one is handed back."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

from trocar.contracts.errors import require

__all__ = ["LatestFrameSlot", "Taken"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Taken(Generic[_T]):
    """What came out of the slot.

    Attributes:
        item: The newest item.
        displaced_count: Items that were displaced since the last one was taken.
    """

    item: _T
    displaced_count: int


# @need-ids: SRS_STREAM_001, RCM_STALE_002
class LatestFrameSlot(Generic[_T]):
    """Thread-safe slot of capacity one with drop-oldest semantics.

    States and events (any thread may cause any event)::

        EMPTY   put   -> FULL,   returns None
        FULL    put   -> FULL,   returns the displaced item
        EMPTY   take  -> EMPTY,  waits at most timeout_s, then returns None
        FULL    take  -> EMPTY,  returns the item
        any     close -> CLOSED, wakes every waiter; an item in the slot can still be taken
        CLOSED  put   -> CLOSED, returns the item that was to be put
        CLOSED  take  -> CLOSED, returns the last item once, then None at once

    So every item that is put comes out exactly once: through ``take`` or as the return value of a
    ``put``.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: _T | None = None
        self._displaced_count = 0
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        with self._condition:
            return self._is_closed

    def put(self, item: _T) -> _T | None:
        """Put an item in, and return the one that has lost its place, if any."""
        with self._condition:
            if self._is_closed:
                return item
            displaced, self._item = self._item, item
            if displaced is not None:
                self._displaced_count += 1
            self._condition.notify()
            return displaced

    def take(self, timeout_s: float) -> Taken[_T] | None:
        """Take the item out; None after ``timeout_s``, or when the slot is closed and empty.

        Raises:
            InvariantError: ``timeout_s`` is not above zero; no caller may wait for ever.
        """
        require(0 < timeout_s < threading.TIMEOUT_MAX, f"wait of {timeout_s} s asked for")
        with self._condition:
            self._condition.wait_for(
                lambda: self._item is not None or self._is_closed, timeout=timeout_s
            )
            item, self._item = self._item, None
            if item is None:
                return None
            displaced_count, self._displaced_count = self._displaced_count, 0
            return Taken(item=item, displaced_count=displaced_count)

    def close(self) -> None:
        """Accept nothing more and wake all waiters; may be called twice."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
