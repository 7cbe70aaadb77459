"""The OpenIGTLink codec: libraries for its checksum, and messages beside those of pyigtl."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyigtl
from numpy.typing import NDArray

from benchmarks.measure import Benchmark, Row, interleave_ms, median_row, ratios
from trocar.streaming.openigtlink.crc64 import crc64
from trocar.streaming.openigtlink.header import HEADER_BYTES, parse_header
from trocar.streaming.openigtlink.image import image_from_frame
from trocar.streaming.openigtlink.messages import decode, encode

__all__ = ["run"]

Checksum = Callable[[NDArray[np.uint8]], int]

_GENERATOR: Final = 0x42F0E1EBA9EA3693
_CHECK: Final = 0x6C40DF5F0B497347
_SIZES: Final = {"512x512x3": 512 * 512 * 3, "1920x1080x3": 1920 * 1080 * 3}
_SHAPES: Final = {"512x512x3": (512, 512, 3), "1920x1080x3": (1080, 1920, 3)}
_USED: Final = "fastcrc"
_GB_PER_S_MIN: Final = 1.0
_NOTES: Final = {
    "fastcrc": "MIT; wheels for x86-64 and ARM; the one that is used",
    "anycrc": "Zlib; wheels for x86-64 and ARM",
    "libscrc": "GPL-3.0-or-later; wheel for x86-64 only",
    "crcmod": "MIT; no wheel; what pyigtl uses",
}


def run(*, is_quick: bool) -> Benchmark:
    """Measure checksums and messages."""
    rounds = 7 if is_quick else 31
    rows: list[Row] = []
    for name, size in _SIZES.items():
        rows += _checksum_rows(name, size, rounds)
    rows += _thread_rows(rounds)
    for name, shape in _SHAPES.items():
        rows += _message_rows(name, shape, rounds)
    return Benchmark(
        name="bench_igtl_codec",
        title="OpenIGTLink: checksum and messages",
        text=(
            "CRC-64 (ECMA-182) of the pixels of one picture by each library that is installed, by"
            " turns; then the same picture packed and unpacked by pyigtl and by Trocar. pyigtl does"
            " not verify the checksum when it unpacks, Trocar does. No socket is involved."
        ),
        rows=rows,
    )


def _libraries() -> dict[str, Checksum]:
    """Return each library that is installed and gives the published check value."""
    makers: dict[str, Callable[[], Checksum]] = {
        "fastcrc": lambda: lambda data: crc64(data.data),
        "anycrc": _anycrc,
        "libscrc": lambda: _call("libscrc", "ecma182"),
        "crcmod": _crcmod,
    }
    found: dict[str, Checksum] = {}
    for name, make in makers.items():
        try:
            checksum = make()
        except ImportError:
            continue
        if checksum(np.frombuffer(b"123456789", np.uint8)) == _CHECK:
            found[name] = checksum
    return found


def _anycrc() -> Checksum:
    """Return the checksum of anycrc."""
    module: Any = importlib.import_module("anycrc")
    model = module.CRC(64, poly=_GENERATOR, init=0, refin=False, refout=False, xorout=0)

    def checksum(data: NDArray[np.uint8]) -> int:
        return int(model.calc(data.data))

    return checksum


def _crcmod() -> Checksum:
    """Return the checksum of crcmod."""
    module: Any = importlib.import_module("crcmod")
    function = module.mkCrcFun(1 << 64 | _GENERATOR, rev=False, initCrc=0, xorOut=0)

    def checksum(data: NDArray[np.uint8]) -> int:
        return int(function(data.data))

    return checksum


def _call(module_name: str, name: str) -> Checksum:
    """Return a checksum that takes bytes only."""
    function = getattr(importlib.import_module(module_name), name)

    def checksum(data: NDArray[np.uint8]) -> int:
        return int(function(data.tobytes()))

    return checksum


def _noise(*shape: int) -> NDArray[np.uint8]:
    """Return pixels of noise."""
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def _checksum_rows(name: str, size: int, rounds: int) -> list[Row]:
    """Return the speed of each library at one size."""
    data = _noise(size)
    libraries = _libraries()
    arms = {library: _bound(checksum, data) for library, checksum in libraries.items()}
    rows = []
    for library, times_ms in interleave_ms(arms, rounds=rounds).items():
        speeds = [size / took_ms / 1e6 for took_ms in times_ms]
        version = importlib.metadata.version(library)
        rows.append(
            median_row(
                f"{name}: {library} {version}",
                speeds,
                "GB/s",
                least=_GB_PER_S_MIN if library == _USED else None,
                note=_NOTES[library],
            )
        )
    return rows


def _bound(checksum: Checksum, data: NDArray[np.uint8]) -> Callable[[], object]:
    """Return a call without arguments."""
    return lambda: checksum(data)


def _thread_rows(rounds: int) -> list[Row]:
    """Return in how many calls another thread ran between their begin and their end."""
    data = _noise(_SIZES["1920x1080x3"])
    data = np.tile(data, 8)
    interval_s = sys.getswitchinterval()
    # Nobody is asked to let go of the lock: who runs during a call runs because it was released.
    sys.setswitchinterval(10.0)
    try:
        return [
            median_row(
                f"{library}: calls during which another thread ran",
                [_released_share(checksum, data, max(5, rounds // 3))],
                "ratio",
                note="0 where the interpreter lock is held, 1 where it is released",
            )
            for library, checksum in _libraries().items()
        ]
    finally:
        sys.setswitchinterval(interval_s)


def _released_share(checksum: Checksum, data: NDArray[np.uint8], count: int) -> float:
    """Return the share of calls during which another thread ran."""
    released_count = 0
    for _ in range(count):
        call = _TimedCall(checksum, data)
        call.start()
        seen_ns = []
        while call.is_alive():
            seen_ns.append(time.perf_counter_ns())
            time.sleep(0)
        released_count += any(call.begin_ns < at_ns < call.end_ns for at_ns in seen_ns)
    return released_count / count


class _TimedCall(threading.Thread):
    """One call, with its begin and its end."""

    def __init__(self, checksum: Checksum, data: NDArray[np.uint8]) -> None:
        super().__init__()
        self._checksum = checksum
        self._data = data
        self.begin_ns = 0
        self.end_ns = 0

    def run(self) -> None:
        """Call; nothing that could let go of the lock stands between the two times."""
        checksum, data, clock = self._checksum, self._data, time.perf_counter_ns
        begin_ns = clock()
        checksum(data)
        end_ns = clock()
        self.begin_ns, self.end_ns = begin_ns, end_ns


def _message_rows(name: str, shape: tuple[int, int, int], rounds: int) -> list[Row]:
    """Return packing and unpacking of one picture."""
    pixels = _noise(*shape)
    sent = b"".join(encode(image_from_frame(pixels), device_name="Camera", timestamp_ns=None))
    body = memoryview(sent)[HEADER_BYTES:]
    fields = pyigtl.MessageBase.parse_header(sent[:HEADER_BYTES])

    def unpack() -> None:
        pyigtl.ImageMessage().unpack(fields, body)

    arms: dict[str, Callable[[], object]] = {
        "pyigtl packs": lambda: pyigtl.ImageMessage(pixels[np.newaxis], device_name="x").pack(),
        "Trocar packs": lambda: encode(
            image_from_frame(pixels), device_name="Camera", timestamp_ns=None
        ),
        "pyigtl unpacks": unpack,
        "Trocar unpacks": lambda: decode(parse_header(sent[:HEADER_BYTES]), body),
    }
    times_ms = interleave_ms(arms, rounds=rounds)
    rows = [median_row(f"{name}: {arm}", times, "ms") for arm, times in times_ms.items()]
    both = {
        who: [
            packed + unpacked
            for packed, unpacked in zip(
                times_ms[f"{who} packs"], times_ms[f"{who} unpacks"], strict=True
            )
        ]
        for who in ("pyigtl", "Trocar")
    }
    rows.append(
        median_row(
            f"{name}: pyigtl / Trocar, both ways",
            ratios(both["pyigtl"], both["Trocar"]),
            "ratio",
            note="pyigtl without, Trocar with the check of the checksum",
        )
    )
    return rows
