"""The runtime around a unit: age behind a source that is too fast, and cost of a frame."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Benchmark, Row, interleave_ms, median_row
from benchmarks.scenes import (
    MemorySource,
    ScriptedUnit,
    TimesSink,
    never,
    open_shipped,
    pictures,
)
from trocar.contracts.frame import Frame
from trocar.contracts.ports import Sink, Unit
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.ledger import DropLedger
from trocar.streaming.monitor import MonitorConfig
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig

__all__ = ["run"]

AGE_RATIO_MAX: Final = 1.2
RUNTIME_MS_MAX: Final = 0.3
_RATES: Final = (4, 2)
_LIMITED_RATE: Final = 4
_THREAD_COUNT: Final = 2


def run(*, is_quick: bool) -> Benchmark:
    """Measure age, account and cost of the loop."""
    opened = open_shipped(_THREAD_COUNT)
    rows = _age_rows(
        opened.unit, rounds=2 if is_quick else 4, answered_count=20 if is_quick else 80
    )
    large = pictures(height_px=1080, width_px=1920)
    scripted = ScriptedUnit(opened.unit.info)
    rounds = 5 if is_quick else 25
    rows += _cost_rows("unit that takes no time", scripted, large, rounds=rounds, count=200)
    rows += _real_cost_rows(opened.unit, large, rounds=3 if is_quick else 8)
    return Benchmark(
        name="bench_stream",
        title="The runtime around a unit",
        text=(
            "Age: an open-loop source in memory delivers 512x512 frames at a multiple of the"
            " unit's rate; the slot keeps the newest. A frame that is taken is on average half a"
            " source period old, which alone makes a median age of 1 + 1 / (2 x multiple) service"
            " times: 1.125 at four times the rate, 1.25 at twice the rate, so that the limit of 1.2"
            " is put to four times."
            " Cost: ``run_stream`` as fast as possible (admission, health, record, account) against"
            " a plain loop over ``unit.run`` on the same 1920x1080 frames, by turns."
        ),
        rows=rows,
    )


def _age_rows(unit: Unit, *, rounds: int, answered_count: int) -> list[Row]:
    """Return ages in real time behind a source that is too fast."""
    shown = pictures(height_px=512, width_px=512)
    service_ns = _service_ns(unit, shown)
    found: dict[int, list[tuple[float, float]]] = {rate: [] for rate in _RATES}
    services_ms: list[float] = []
    received = unaccounted = dropped = 0
    for _ in range(rounds):
        for rate in _RATES:
            sink, ledger = TimesSink(), DropLedger()
            summary = run_stream(
                MemorySource(shown, count=1_000_000, period_ns=service_ns // rate),
                [unit],
                [sink],
                clock=MonotonicClock(),
                config=StreamConfig(pacing=Pacing.REALTIME, frame_count_max=answered_count),
                stop=never,
                ledger=ledger,
            )
            listed = [*sink.frame_indices, *(row.frame_index for row in ledger.dropped_frames())]
            received += summary.received_count
            dropped += summary.displaced_count + summary.undelivered_count
            unaccounted += len(set(range(summary.received_count)).symmetric_difference(listed))
            unaccounted += len(listed) - len(set(listed))
            service = statistics.median(sink.services_ns)
            services_ms.append(service / 1e6)
            excess_ms = [
                (age - served) / 1e6
                for age, served in zip(sink.ages_ns, sink.services_ns, strict=True)
            ]
            ratio = statistics.median(sink.ages_ns) / service
            found[rate].append((ratio, statistics.median(excess_ms)))
    rows = [
        median_row("512x512: service time p50", services_ms, "ms"),
        Row(
            "frames neither answered nor in the ledger",
            unaccounted,
            unaccounted,
            unaccounted,
            "frames",
            "<= 0",
            unaccounted == 0,
            f"{received} received, {dropped} dropped",
        ),
    ]
    return rows + _rate_rows(found, service_ns)


def _rate_rows(found: Mapping[int, Sequence[tuple[float, float]]], service_ns: int) -> list[Row]:
    """Return age and wait behind a source of each rate."""
    rows = []
    for rate in _RATES:
        most = AGE_RATIO_MAX if rate == _LIMITED_RATE else None
        expected = 1 + 1 / (2 * rate)
        rows.append(
            median_row(
                f"source at {rate} x the unit's rate: age p50 / service p50",
                [ratio for ratio, _ in found[rate]],
                "ratio",
                most=most,
                note=f"half a source period alone makes {expected:g}",
            )
        )
        rows.append(
            median_row(
                f"source at {rate} x the unit's rate: wait before service p50",
                [excess for _, excess in found[rate]],
                "ms",
                note=f"half a source period is {service_ns / rate / 2e6:.2f} ms",
            )
        )
    return rows


def _service_ns(unit: Unit, shown: Sequence[NDArray[np.uint8]]) -> int:
    """Return the median time of the unit alone [ns]."""
    frame = _frames(shown)[0]
    times_ms = interleave_ms({"unit": lambda: unit.run(frame, now_ns=2)}, rounds=20)["unit"]
    return round(statistics.median(times_ms) * 1e6)


def _frames(shown: Sequence[NDArray[np.uint8]]) -> list[Frame]:
    """Return the pictures as admitted frames."""
    return [
        Frame(pixels=pixels, frame_index=index, captured_at_ns=1, source_id="memory")
        for index, pixels in enumerate(shown)
    ]


def _cost_rows(
    name: str, unit: Unit, shown: Sequence[NDArray[np.uint8]], *, rounds: int, count: int
) -> list[Row]:
    """Return the cost of the loop per frame, without a sink and with the record as JSON."""
    frames = _frames(shown)

    def alone() -> None:
        for index in range(count):
            unit.run(frames[index % len(frames)], now_ns=2)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.jsonl"
        watched = MonitorConfig(metrics_path=Path(folder) / "trocar.prom")
        times_ms = interleave_ms(
            {
                "alone": alone,
                "stream": lambda: _stream(unit, shown, count=count, sinks=[]),
                "jsonl": lambda: _stream(
                    unit, shown, count=count, sinks=[JsonlSink(path, replace=True)]
                ),
                "watched": lambda: _stream(unit, shown, count=count, sinks=[], monitor=watched),
            },
            rounds=rounds,
        )
    extra = {
        arm: [(t - a) / count for t, a in zip(times_ms[arm], times_ms["alone"], strict=True)]
        for arm in ("stream", "jsonl", "watched")
    }
    return [
        median_row(
            f"1920x1080, {name}: run_stream - unit.run, a frame",
            extra["stream"],
            "ms",
            most=RUNTIME_MS_MAX,
        ),
        median_row(
            f"1920x1080, {name}: the same with watchdog and file of metrics",
            extra["watched"],
            "ms",
            most=RUNTIME_MS_MAX,
        ),
        median_row(f"1920x1080, {name}: the same with JSON record", extra["jsonl"], "ms"),
    ]


def _real_cost_rows(unit: Unit, shown: Sequence[NDArray[np.uint8]], *, rounds: int) -> list[Row]:
    """Return the loop with the shipped network beside the unit alone."""
    frames = _frames(shown)
    count = len(frames)

    def alone() -> None:
        for frame in frames:
            unit.run(frame, now_ns=2)

    times_ms = interleave_ms(
        {"alone": alone, "stream": lambda: _stream(unit, shown, count=count, sinks=[])},
        rounds=rounds,
        warm_up=1,
    )
    pairs = list(zip(times_ms["stream"], times_ms["alone"], strict=True))
    return [
        median_row(
            "1920x1080, shipped pack: unit.run alone, a frame",
            [t / count for t in times_ms["alone"]],
            "ms",
        ),
        median_row(
            "1920x1080, shipped pack: run_stream / unit.run", [s / a for s, a in pairs], "ratio"
        ),
    ]


def _stream(
    unit: Unit,
    shown: Sequence[NDArray[np.uint8]],
    *,
    count: int,
    sinks: Sequence[Sink],
    monitor: MonitorConfig | None = None,
) -> None:
    """Run the loop once over ``count`` frames."""
    summary = run_stream(
        MemorySource(shown, count=count),
        [unit],
        sinks,
        clock=MonotonicClock(),
        config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
        stop=never,
        monitor=monitor,
    )
    if summary.finding_count != count:
        raise RuntimeError(f"expected {count} findings, got {summary}")
