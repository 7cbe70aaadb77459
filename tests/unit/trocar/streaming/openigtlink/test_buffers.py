"""Memory of messages is used again, and never while somebody looks at it."""

from __future__ import annotations

import numpy as np
import pytest

from trocar.streaming.openigtlink.buffers import BufferPool

LARGE = 128 * 1024


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="example")
def test_memory_that_nobody_looks_at_is_handed_out_again() -> None:
    """1080p frames would else cost a page fault every 4 KiB, 30 times a second."""
    pool = BufferPool()
    view = pool.take(LARGE)
    view[0] = 77
    view.release()
    again = pool.take(LARGE)
    assert (again[0], len(again), pool.held_bytes) == (77, LARGE, LARGE)


@pytest.mark.verifies("SRS_IGTL_021", extent="partial", technique="example")
def test_memory_under_a_picture_is_not_handed_out() -> None:
    """A unit still works on the frame while the next one is received."""
    pool = BufferPool()
    pixels = np.frombuffer(pool.take(LARGE).toreadonly(), dtype=np.uint8)[100:200]
    other = pool.take(LARGE)
    other[:] = b"\xff" * LARGE
    assert not pixels.any()


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="boundary")
def test_kept_memory_is_bounded() -> None:
    """A consumer that keeps every frame must not make the link keep them too."""
    pool = BufferPool(count_max=2)
    views = [pool.take(LARGE) for _ in range(5)]
    assert len(views) == 5
    assert pool.held_bytes == 2 * LARGE


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="example")
def test_too_small_memory_gives_way() -> None:
    """A sender that changes to larger pictures must not fill the pool with small ones."""
    pool = BufferPool(count_max=1)
    pool.take(LARGE).release()
    assert len(pool.take(2 * LARGE)) == 2 * LARGE
    assert pool.held_bytes == 2 * LARGE


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="example")
def test_larger_memory_serves_a_smaller_message() -> None:
    """The view has the size that was asked for, whatever lies under it."""
    pool = BufferPool()
    pool.take(2 * LARGE).release()
    assert len(pool.take(LARGE)) == LARGE
    assert pool.held_bytes == 2 * LARGE


@pytest.mark.verifies("SRS_IGTL_020", extent="partial", technique="boundary")
def test_small_bodies_are_not_kept() -> None:
    """There is nothing to gain, and a text would hold the place of a picture."""
    pool = BufferPool()
    assert (len(pool.take(0)), len(pool.take(100)), pool.held_bytes) == (0, 100, 0)
