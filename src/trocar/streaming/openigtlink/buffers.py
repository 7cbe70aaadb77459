"""Memory for the bodies of messages, used again once nobody looks at it any more."""

from __future__ import annotations

from typing import Final

from trocar.contracts.limits import IGTL_BUFFER_COUNT_MAX

__all__ = ["BufferPool"]

_SMALL_BYTES: Final = 64 * 1024
"""Smaller bodies get memory of their own: there is nothing to gain."""


class BufferPool:
    """A few buffers that are handed out again and again; for one thread.

    Pixels of an image stay a view on the body of its message. A buffer is therefore handed out
    again only when no view on it is left, which Python itself tells: a ``bytearray`` with a view
    on it refuses to change its size.

    Args:
        count_max: Buffers that are kept; beyond it memory is taken and given back each time.
    """

    def __init__(self, count_max: int = IGTL_BUFFER_COUNT_MAX) -> None:
        self._count_max = count_max
        self._buffers: list[bytearray] = []

    @property
    def held_bytes(self) -> int:
        """Memory that is kept, whether or not it is looked at."""
        return sum(len(buffer) for buffer in self._buffers)

    def take(self, size_bytes: int) -> memoryview:
        """Return writable memory of exactly a size; its content is anything."""
        if size_bytes < _SMALL_BYTES:
            return memoryview(bytearray(size_bytes))
        free = [buffer for buffer in self._buffers if _is_free(buffer)]
        for buffer in free:
            if len(buffer) >= size_bytes:
                return memoryview(buffer)[:size_bytes]
        buffer = bytearray(size_bytes)
        if free:
            # The sender has changed the size of its pictures: what is too small goes.
            self._buffers = [kept for kept in self._buffers if kept is not free[0]]
        if len(self._buffers) < self._count_max:
            self._buffers.append(buffer)
        return memoryview(buffer)


def _is_free(buffer: bytearray) -> bool:
    """Return whether no view on a buffer is left; one byte less and one more copies nothing."""
    try:
        buffer.pop()
    except BufferError:
        return False
    buffer.append(0)
    return True
