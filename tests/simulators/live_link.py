"""Connections of a live source that are read from files, and break where the test says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from trocar.streaming.live_address import LiveAddress

__all__ = ["Connection", "ScriptedOpener", "refused"]


def refused(words: str = "Connection refused") -> FFmpegError:
    """Return the error of an address that nobody answers at; its text repeats the address."""
    return av.error.ConnectionRefusedError(111, words, "rtsp://user:s3cret@host/live")


@dataclass(frozen=True)
class Connection:
    """One connection.

    Attributes:
        path: What it shows.
        error: Raised when the file is at its end; the stream ends regularly when None.
    """

    path: Path
    error: FFmpegError | None = None


class _Container:
    """A container of a file whose end is the one of the script."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._container: InputContainer = av.open(str(connection.path))
        self.streams = self._container.streams
        self.is_closed = False

    def demux(self, stream: VideoStream) -> Iterator[Any]:
        """Yield the packets, then fail if the script says so."""
        yield from (packet for packet in self._container.demux(stream))
        if self._connection.error is not None:
            raise self._connection.error

    def close(self) -> None:
        """Close the file."""
        self.is_closed = True
        self._container.close()


class ScriptedOpener:
    """``live_video.Opener`` that gives one connection or error after the other, the last for ever.

    Args: steps: Connections to give and errors to raise.
    """

    def __init__(self, steps: Sequence[Connection | FFmpegError]) -> None:
        self._steps = list(steps)
        self.containers: list[_Container] = []
        self.calls: list[tuple[str, float, float]] = []

    def __call__(self, address: LiveAddress, connect_s: float, read_s: float) -> Any:  # noqa: ANN401 - stands for a container of PyAV, which cannot be built
        """Give the next step."""
        self.calls.append((address.shown, connect_s, read_s))
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if isinstance(step, FFmpegError):
            raise step
        self.containers.append(_Container(step))
        return self.containers[-1]
