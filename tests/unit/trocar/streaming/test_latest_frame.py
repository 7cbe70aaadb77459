"""The slot holds the newest item, hands the older one back, and lets nobody wait for ever."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from trocar.contracts.errors import InvariantError
from trocar.streaming.latest_frame import LatestFrameSlot, Taken

WAIT_S = 5.0
_T = TypeVar("_T")


@pytest.mark.verifies("SRS_STREAM_001", extent="full", technique="state_table")
@pytest.mark.controls("RCM_STALE_002")
def test_put_into_an_empty_slot_displaces_nothing() -> None:
    """EMPTY, put -> FULL."""
    slot: LatestFrameSlot[int] = LatestFrameSlot()
    assert slot.put(1) is None
    assert slot.take(WAIT_S) == Taken(item=1, displaced_count=0)


@pytest.mark.verifies("SRS_STREAM_001", extent="full", technique="state_table")
@pytest.mark.controls("RCM_STALE_002")
def test_put_into_a_full_slot_hands_the_older_item_back() -> None:
    """FULL, put -> FULL: the newest wins and the older one can be accounted for."""
    slot: LatestFrameSlot[int] = LatestFrameSlot()
    slot.put(1)
    assert slot.put(2) == 1
    assert slot.put(3) == 2
    assert slot.take(WAIT_S) == Taken(item=3, displaced_count=2)


@pytest.mark.verifies("SRS_STREAM_001", extent="partial", technique="state_table")
def test_displaced_items_are_counted_once() -> None:
    """The count belongs to the record after them, and to no later one."""
    slot: LatestFrameSlot[int] = LatestFrameSlot()
    slot.put(1)
    slot.put(2)
    slot.take(WAIT_S)
    slot.put(3)
    assert slot.take(WAIT_S) == Taken(item=3, displaced_count=0)


@pytest.mark.verifies("SRS_STREAM_001", extent="partial", technique="state_table")
def test_take_from_an_empty_slot_gives_up() -> None:
    """EMPTY, take -> EMPTY after the timeout."""
    assert LatestFrameSlot[int]().take(0.001) is None


@pytest.mark.verifies("SRS_STREAM_001", extent="partial", technique="state_table")
def test_last_item_survives_the_close() -> None:
    """CLOSED, take: the last frame of a recording is answered too."""
    slot: LatestFrameSlot[int] = LatestFrameSlot()
    slot.put(1)
    slot.close()
    assert slot.is_closed
    assert slot.take(WAIT_S) == Taken(item=1, displaced_count=0)
    assert slot.take(WAIT_S) is None


@pytest.mark.verifies("SRS_STREAM_001", extent="partial", technique="state_table")
def test_put_into_a_closed_slot_hands_the_item_itself_back() -> None:
    """CLOSED, put -> CLOSED: even then no item is lost silently."""
    slot: LatestFrameSlot[int] = LatestFrameSlot()
    slot.close()
    assert slot.put(7) == 7
    assert slot.take(WAIT_S) is None


@pytest.mark.verifies("SRS_STREAM_001", extent="partial", technique="state_table")
@pytest.mark.controls("RCM_STALE_002")
@pytest.mark.parametrize(
    ("event", "taken"),
    [
        (lambda slot: slot.put(5), Taken(item=5, displaced_count=0)),
        (lambda slot: slot.close(), None),
    ],
    ids=["put", "close"],
)
def test_take_waits_for_an_item_or_the_end(
    event: Callable[[LatestFrameSlot[int]], object], taken: Taken[int] | None
) -> None:
    """An empty slot does not let go at once: the loop would ask again and again for nothing."""
    slot: LatestFrameSlot[int] = LatestFrameSlot()
    assert slot.is_closed is False
    is_over: list[bool] = []

    class _OtherThread(threading.Condition):
        """Lets the event happen while ``take`` waits."""

        def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
            """Ask before and after the event."""
            assert timeout == WAIT_S
            is_over.append(bool(predicate()))
            event(slot)
            is_over.append(bool(predicate()))
            return predicate()

    slot._condition = _OtherThread()
    assert slot.take(WAIT_S) == taken
    assert is_over == [False, True]


@pytest.mark.verifies("SRS_STREAM_001", extent="partial", technique="fault_injection")
def test_close_wakes_a_waiter() -> None:
    """A run that ends must not wait for a frame that never comes."""
    slot: LatestFrameSlot[int] = LatestFrameSlot()
    results: list[Taken[int] | None] = []
    waiter = threading.Thread(target=lambda: results.append(slot.take(60.0)))
    waiter.start()
    slot.close()
    waiter.join(WAIT_S)
    assert not waiter.is_alive()
    assert results == [None]


@pytest.mark.verifies("SRS_STREAM_001", extent="partial", technique="boundary")
@pytest.mark.parametrize("timeout_s", [0.0, -1.0, threading.TIMEOUT_MAX, float("inf")])
def test_wait_without_an_end_is_refused(timeout_s: float) -> None:
    """A wait without a timeout hangs the run when the source hangs."""
    with pytest.raises(InvariantError, match=re.escape(f"wait of {timeout_s} s asked for")):
        LatestFrameSlot[int]().take(timeout_s)


@pytest.mark.verifies("SRS_STREAM_001", extent="full", technique="property")
@pytest.mark.proves_effect(
    "RCM_STALE_002",
    measure="items out of order or lost between two threads, of 20,000",
    acceptance="none",
)
def test_two_threads_lose_nothing_and_see_only_newer_items() -> None:
    """What is put comes out once, by take or by put, and what is taken only gets newer."""
    slot: LatestFrameSlot[int] = LatestFrameSlot()
    displaced: list[int] = []

    def feed() -> None:
        for item in range(20_000):
            lost = slot.put(item)
            if lost is not None:
                displaced.append(lost)
        slot.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    taken: list[Taken[int]] = []
    while not (slot.is_closed and taken and taken[-1].item == 19_999):
        got = slot.take(WAIT_S)
        if got is not None:
            taken.append(got)
    feeder.join(WAIT_S)
    items = [got.item for got in taken]
    assert items == sorted(set(items))
    assert sorted(items + displaced) == list(range(20_000))
    assert sum(got.displaced_count for got in taken) == len(displaced)
