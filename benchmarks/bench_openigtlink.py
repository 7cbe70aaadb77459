"""OpenIGTLink over the loopback interface: rate, delay beside pyigtl, slow receivers, reconnect."""

from __future__ import annotations

import contextlib
import importlib
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from benchmarks.igtl_ends import stamp_of
from benchmarks.measure import Benchmark, Row, median_row, ratios
from trocar.contracts.findings import Mask, PolypMask
from trocar.contracts.frame import CrcVerdict, RawFrame
from trocar.contracts.outcome import DeadlineVerdict
from trocar.contracts.record import BackendInfo, FrameRecord, FrameTimes, UnitInfo
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.openigtlink.client import Dialler
from trocar.streaming.openigtlink.image import image_from_frame
from trocar.streaming.openigtlink.messages import encode
from trocar.streaming.openigtlink.server import Listener
from trocar.streaming.openigtlink.sink import OpenIGTLinkSink
from trocar.streaming.openigtlink.source import OpenIGTLinkSource

__all__ = ["run"]

RATE_MIN: Final = 30.0
PYIGTL_RATIO_MIN: Final = 10.0
SLOW_RATIO_MAX: Final = 1.05
RECONNECT_MS_MAX: Final = 1000.0
_CLOCK: Final = MonotonicClock()
_PATIENCE_S: Final = 60.0
_PERIOD_MS: Final = 33
_MASK_SIDE: Final = 256
_AWAY_S: Final = 1.0


def run(*, is_quick: bool) -> Benchmark:
    """Measure all four."""
    rows = _rate_rows(rounds=2 if is_quick else 5, count=60 if is_quick else 150)
    rows += _delay_rows(rounds=2 if is_quick else 6, count=15 if is_quick else 50)
    rows += _receiver_rows(rounds=3 if is_quick else 15, count=100 if is_quick else 150)
    rows.append(_reconnect_row(rounds=2 if is_quick else 8))
    return Benchmark(
        name="bench_openigtlink",
        title="OpenIGTLink over loopback",
        text=(
            "Rate: another process sends pictures as fast as they are taken, each with its CRC;"
            " every frame that counts was verified. Delay: from before the message is built in the"
            " sending process to the pixels in the receiving one, pictures of 512x512x3 every"
            f" {_PERIOD_MS} ms, Trocar and pyigtl by turns; pyigtl's receiver is asked every 0.1 ms"
            " for its newest message, which is faster than its own wait. Receivers: from the write"
            " of a result until it is handed to the system for the first receiver, a process of its"
            " own, median of a round of results one after the other, by turns alone and beside a"
            " second receiver that reads 1 KiB every 10 ms."
            " Reconnect: from the moment at which a server that was away for 1 s listens again to"
            " the first frame."
        ),
        rows=rows,
    )


@contextlib.contextmanager
def _process(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run one of the other ends, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.igtl_ends", *words],
        stdin=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _order(process: subprocess.Popen[str], count: int, period_ms: int) -> None:
    """Tell a sender to send."""
    if process.stdin is None:
        raise RuntimeError("a sender without input")
    process.stdin.write(f"{count} {period_ms}\n")
    process.stdin.flush()


def _wait(condition: Callable[[], bool], *, slice_s: float = 0.001) -> None:
    """Wait until something holds."""
    due_s = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > due_s:
            raise RuntimeError("the other end did not do its part")
        time.sleep(slice_s)


class _Receiver:
    """Our source in the server role; keeps delay and time of each verified frame."""

    def __init__(self) -> None:
        self.listener = Listener(0, clock=_CLOCK)
        self.source = OpenIGTLinkSource(self.listener, clock=_CLOCK, idle_ms_max=60_000)
        self.delays_ms: list[float] = []
        self.times_ns: list[int] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        """Take every frame."""
        for raw in self.source.frames(lambda: False):
            self._take(raw)

    def _take(self, raw: RawFrame) -> None:
        """Note when a verified frame was there."""
        now_ns = time.monotonic_ns()
        if raw.origin is not None and raw.origin.crc is CrcVerdict.VERIFIED and raw.pixels.size:
            self.delays_ms.append((now_ns - stamp_of(raw.pixels)) / 1e6)
            self.times_ns.append(now_ns)

    def close(self) -> None:
        """End."""
        self.source.close()
        self._thread.join(_PATIENCE_S)


def _rate_rows(*, rounds: int, count: int) -> list[Row]:
    """Return frames per second of large pictures."""
    receiver = _Receiver()
    rates: list[float] = []
    with _process("ours", str(receiver.listener.port), "1080", "1920") as sender:
        for _ in range(rounds):
            before = len(receiver.times_ns)
            _order(sender, count, 0)
            _wait(lambda b=before: len(receiver.times_ns) == b + count)  # type: ignore[misc] # a default binds the loop's value
            took_ns = receiver.times_ns[-1] - receiver.times_ns[before]
            rates.append((count - 1) / (took_ns / 1e9))
    totals = receiver.source.account.totals()
    receiver.close()
    note = f"{totals.received.get('IMAGE', 0)} pictures, {totals.received_bytes / 1e9:.1f} GB"
    return [
        median_row(
            "1920x1080 RGB, sustained, CRC verified", rates, "frames/s", least=RATE_MIN, note=note
        )
    ]


def _delay_rows(*, rounds: int, count: int) -> list[Row]:
    """Return the delay of a picture, ours and pyigtl's by turns."""
    pyigtl: Any = importlib.import_module("pyigtl")
    receiver = _Receiver()
    port = _port()
    ours_ms: list[float] = []
    theirs_ms: list[float] = []
    with (
        _process("ours", str(receiver.listener.port), "512", "512") as our_sender,
        _process("theirs", str(port), "512", "512") as their_sender,
    ):
        client = pyigtl.OpenIGTLinkClient("127.0.0.1", port)
        _wait(client.is_connected)
        for _ in range(rounds):
            before = len(receiver.delays_ms)
            _order(our_sender, count, _PERIOD_MS)
            _wait(lambda b=before: len(receiver.delays_ms) == b + count)  # type: ignore[misc] # a default binds the loop's value
            ours_ms.append(statistics.median(receiver.delays_ms[before:]))
            _order(their_sender, count, _PERIOD_MS)
            theirs_ms.append(statistics.median(_their_delays_ms(client, count)))
        client.stop()
    receiver.close()
    return [
        median_row("512x512x3, one way p50: Trocar", ours_ms, "ms"),
        median_row("512x512x3, one way p50: pyigtl", theirs_ms, "ms"),
        median_row(
            "512x512x3, one way p50: pyigtl / Trocar",
            ratios(theirs_ms, ours_ms),
            "ratio",
            least=PYIGTL_RATIO_MIN,
        ),
    ]


def _their_delays_ms(client: Any, count: int) -> list[float]:  # noqa: ANN401 - an untyped package
    """Return the delays of the pictures that pyigtl's client delivers in a round."""
    found: list[float] = []
    due_s = time.monotonic() + count * _PERIOD_MS / 1000 + 0.5
    while time.monotonic() < due_s and len(found) < count:
        messages = client.get_latest_messages()
        now_ns = time.monotonic_ns()
        found += [(now_ns - stamp_of(message.image)) / 1e6 for message in messages]
        time.sleep(0.0001)
    return found


def _port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _receiver_rows(*, rounds: int, count: int) -> list[Row]:
    """Return what a second receiver costs the first one."""
    record = _record()
    listener = Listener(0, clock=_CLOCK)
    sink = OpenIGTLinkSink(listener, clock=_CLOCK)
    alone_ms: list[float] = []
    beside_ms: list[float] = []
    with _process("read", str(listener.port)):
        _wait(lambda: sink.client_count == 1)
        _play(sink, record, count)
        for _ in range(rounds):
            alone_ms.append(_play(sink, record, count))
            with _process("slow", str(listener.port)):
                _wait(lambda: sink.client_count == 2)
                beside_ms.append(_play(sink, record, count))
            _wait(lambda: sink.client_count == 1)
        first = next(each for each in sink.clients() if each.is_connected)
        slow_dropped = sum(each.dropped_count for each in sink.clients() if not each.is_connected)
        sink.close()
    note = f"first: {first.dropped_count} dropped; slow ones: {slow_dropped} dropped"
    shape = f"{_MASK_SIDE}x{_MASK_SIDE} mask"
    return [
        median_row(f"{shape}, first receiver alone: p50 a result", alone_ms, "ms"),
        median_row(f"{shape}, beside a slow one: p50 a result", beside_ms, "ms"),
        median_row(
            f"{shape}: beside a slow one / alone",
            ratios(beside_ms, alone_ms),
            "ratio",
            most=SLOW_RATIO_MAX,
            note=note,
        ),
    ]


def _play(sink: OpenIGTLinkSink, record: FrameRecord, count: int) -> float:
    """Write results, each when the first receiver has been sent the one before.

    Returns:
        Median of the times from the write to the first receiver's system [ms].
    """
    begin = _first(sink).sent_count
    times_ms: list[float] = []
    for number in range(count):
        begin_ns = time.perf_counter_ns()
        sink.write(record, None)
        _wait(lambda n=begin + number + 1: _first(sink).sent_count >= n, slice_s=0.0001)  # type: ignore[misc] # a default binds the loop's value
        times_ms.append((time.perf_counter_ns() - begin_ns) / 1e6)
    return statistics.median(times_ms)


def _first(sink: OpenIGTLinkSink) -> Any:  # noqa: ANN401 - the totals of one receiver
    """Return the account of the receiver that was there first of those that are there."""
    return next(each for each in sink.clients() if each.is_connected)


def _record() -> FrameRecord:
    """Return a result with a mask."""
    prob = np.random.default_rng(0).random((_MASK_SIDE, _MASK_SIDE), dtype=np.float32)
    mask = Mask(
        pixels=prob >= 0.5,
        prob=prob,
        prob_threshold=0.5,
        frame_height_px=1080,
        frame_width_px=1920,
        label="polyp",
    )
    backend = BackendInfo(engine="none", provider="none", precision="fp32", thread_count=1)
    return FrameRecord(
        frame_index=0,
        source_id="bench",
        media_time_ns=None,
        outcome=PolypMask(frame_index=0, mask=mask, area_fraction=0.5, prob_max=1.0),
        unit=UnitInfo(
            unit="bench", unit_version="0", pack_id="0", pack_digest="0" * 64, backend=backend
        ),
        times=FrameTimes(captured_at_ns=0, started_at_ns=0, finished_at_ns=0),
        verdict=DeadlineVerdict.NOT_TIMED,
        dropped_before_count=0,
    )


def _reconnect_row(*, rounds: int) -> Row:
    """Return the time from a server's return to the first frame."""
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    data = b"".join(encode(image_from_frame(pixels), device_name="Bench", timestamp_ns=None))
    port = _port()
    source = OpenIGTLinkSource(Dialler("127.0.0.1", port, clock=_CLOCK), clock=_CLOCK)
    arrived = threading.Event()

    def read() -> None:
        for _ in source.frames(lambda: False):
            arrived.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    times_ms: list[float] = []
    for _ in range(rounds + 1):
        time.sleep(_AWAY_S)
        arrived.clear()
        with socket.create_server(("127.0.0.1", port)) as server:
            begin_ns = time.perf_counter_ns()
            plug, _ = server.accept()
            plug.sendall(data)
            if not arrived.wait(_PATIENCE_S):
                raise RuntimeError("no frame after the server's return")
            times_ms.append((time.perf_counter_ns() - begin_ns) / 1e6)
            plug.close()
    source.close()
    thread.join(_PATIENCE_S)
    return Row(
        "server back after 1 s: time to the first frame",
        statistics.median(times_ms[1:]),
        min(times_ms[1:]),
        max(times_ms[1:]),
        "ms",
        f"<= {RECONNECT_MS_MAX:g}",
        max(times_ms[1:]) <= RECONNECT_MS_MAX,
        "the largest value is compared with the limit",
    )
