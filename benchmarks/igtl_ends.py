"""The other ends of the OpenIGTLink benchmark, each in a process of its own.

``python -m benchmarks.igtl_ends ours|theirs PORT HEIGHT WIDTH`` sends pictures: for each line
``COUNT PERIOD_MS`` of its input so many, this far apart, each with the monotonic time [ns] before
anything was done for it in its first 8 bytes. ``ours`` calls the port, ``theirs`` (pyigtl) listens
on it. ``python -m benchmarks.igtl_ends slow PORT`` reads 1 KiB every 10 ms, ``read PORT`` all.
"""

from __future__ import annotations

import importlib
import socket
import sys
import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trocar.streaming.clock import MonotonicClock
from trocar.streaming.openigtlink.client import Dialler
from trocar.streaming.openigtlink.image import image_from_frame
from trocar.streaming.openigtlink.messages import encode

__all__ = ["stamp_of"]

_CHUNK_BYTES: Final = 1 << 20
_SIP_BYTES: Final = 1024
_SIP_S: Final = 0.01


def stamp_of(pixels: NDArray[np.uint8]) -> int:
    """Return the time in the first 8 bytes of a picture [ns]."""
    return int.from_bytes(pixels.reshape(-1)[:8].tobytes(), "little")


def main() -> None:
    """Be the end that the words of the command ask for."""
    kind, port, *size = sys.argv[1:]
    if kind in {"slow", "read"}:
        _receive(int(port), is_slow=kind == "slow")
        return
    height, width = map(int, size)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "ours":
        _send_ours(int(port), pixels)
    else:
        _send_theirs(int(port), pixels)


def _send_ours(port: int, pixels: NDArray[np.uint8]) -> None:
    """Send with the codec and the connection of Trocar."""
    dialler = Dialler("127.0.0.1", port, clock=MonotonicClock())
    connection = None
    while connection is None:
        connection = dialler.next(_never)
    message = image_from_frame(pixels)
    for _ in _beats():
        _stamp(pixels)
        connection.send(encode(message, device_name="Bench", timestamp_ns=None), stop=_never)


def _send_theirs(port: int, pixels: NDArray[np.uint8]) -> None:
    """Send with pyigtl."""
    pyigtl: Any = importlib.import_module("pyigtl")
    server = pyigtl.OpenIGTLinkServer(port=port, local_server=True)
    while not server.is_connected():
        time.sleep(0.01)
    for _ in _beats():
        _stamp(pixels)
        server.send_message(pyigtl.ImageMessage(pixels[np.newaxis], device_name="Bench"), wait=True)
    server.stop()


def _receive(port: int, *, is_slow: bool) -> None:
    """Read until the other side closes."""
    with socket.create_connection(("127.0.0.1", port)) as plug:
        while plug.recv(_SIP_BYTES if is_slow else _CHUNK_BYTES):
            if is_slow:
                time.sleep(_SIP_S)


def _beats() -> Any:  # noqa: ANN401 - an iterator of nothing
    """Yield when the next picture is due, as the lines of the input say."""
    for line in sys.stdin:
        count, period_ms = line.split()
        due_s = time.monotonic()
        for _ in range(int(count)):
            time.sleep(max(0.0, due_s - time.monotonic()))
            due_s += float(period_ms) / 1000
            yield


def _stamp(pixels: NDArray[np.uint8]) -> None:
    """Write the time into a picture."""
    data = time.monotonic_ns().to_bytes(8, "little")
    pixels.reshape(-1)[:8] = np.frombuffer(data, dtype=np.uint8)


def _never() -> bool:
    """Go on."""
    return False


if __name__ == "__main__":
    main()
