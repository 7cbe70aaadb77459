"""Metrics of one run as Prometheus text, format 0.0.4."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar import __version__
from trocar.contracts.errors import SinkError
from trocar.contracts.limits import NS_PER_MS, NS_PER_S
from trocar.contracts.outcome import DeadlineVerdict, Withheld
from trocar.contracts.record import FrameRecord, UnitInfo
from trocar.streaming.health_state import HealthState
from trocar.streaming.ledger import LedgerTotals

__all__ = ["CONTENT_TYPE", "MetricsState", "RunMetrics", "write_metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""What the text is, for HTTP."""

_EDGES_MS: Final = (1, 2, 5, 10, 20, 33, 50, 67, 100, 150, 200, 500, 1000, 2000, 5000)
"""Upper ends of the buckets of age and service time [ms]; fixed, so that runs can be compared."""

_EDGES_NS: Final = tuple(edge * NS_PER_MS for edge in _EDGES_MS)
_Labels = tuple[tuple[str, str], ...]


class _Histogram:
    """Durations by bucket."""

    def __init__(self) -> None:
        self.counts = [0] * (len(_EDGES_NS) + 1)
        self.sum_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration."""
        self.counts[bisect_left(_EDGES_NS, duration_ns)] += 1
        self.sum_ns += duration_ns


class _OfUnit:
    """What is counted for one unit."""

    def __init__(self, info: UnitInfo) -> None:
        self.info = info
        self.finding_count = 0
        self.missed_count = 0
        self.withheld_counts: Counter[str] = Counter()
        self.age = _Histogram()
        self.service = _Histogram()


@dataclass(frozen=True, slots=True)
class MetricsState:
    """What the parts of a run say of themselves at the moment of a look.

    Attributes:
        totals: Sums of the ledger.
        health: State of health.
        reasons: Why it is not ready.
        reconnect_count: How often the source was connected again.
        left_out_count: Results that slow sinks left out.
        is_alive: Whether the watchdog finds every part within its limit.
    """

    totals: LedgerTotals
    health: HealthState
    reasons: Sequence[str]
    reconnect_count: int
    left_out_count: int
    is_alive: bool


# @need-ids: SRS_LIVE_012
class RunMetrics:
    """Counts of one run; ``add`` is called by the loop, ``text`` by anybody.

    Args:
        source_id: The source; a label of the information about the run.
        units: The units that answer.
    """

    def __init__(self, *, source_id: str, units: Sequence[UnitInfo]) -> None:
        self._lock = threading.Lock()
        self._source_id = source_id
        self._units: dict[str, _OfUnit] = {info.unit: _OfUnit(info) for info in units}

    def add(self, record: FrameRecord) -> None:
        """Count one record."""
        with self._lock:
            counted = self._units[record.unit.unit]
            if isinstance(record.outcome, Withheld):
                counted.withheld_counts[record.outcome.reason.value] += 1
            else:
                counted.finding_count += 1
            counted.missed_count += record.verdict is DeadlineVerdict.MISSED
            counted.age.add(record.times.age_ns)
            counted.service.add(record.times.service_ns)

    def text(self, state: MetricsState) -> str:
        """Return every metric with its help and type."""
        with self._lock:
            lines = [*self._run_lines(state), *self._unit_lines()]
        return "\n".join(lines) + "\n"

    def _run_lines(self, state: MetricsState) -> Iterator[str]:
        """Yield what belongs to the run as a whole."""
        totals = state.totals
        yield from _family(
            "trocar_build_info",
            "gauge",
            "Version and source of this run; always 1.",
            [((("source", self._source_id), ("version", __version__)), 1)],
        )
        yield from _family(
            "trocar_frames_received_total",
            "counter",
            "Frames that the source delivered.",
            [((), totals.received_count)],
        )
        yield from _family(
            "trocar_frames_answered_total",
            "counter",
            "Frames with a record of every unit.",
            [((), totals.processed_count)],
        )
        yield from _family(
            "trocar_frames_dropped_total",
            "counter",
            "Frames without a record, by reason.",
            [
                ((("reason", "displaced"),), totals.displaced_count),
                ((("reason", "stopped"),), totals.stopped_count),
            ],
        )
        yield from _family(
            "trocar_source_reconnects_total",
            "counter",
            "How often the source was connected again.",
            [((), state.reconnect_count)],
        )
        yield from _family(
            "trocar_results_left_out_total",
            "counter",
            "Results that sinks left out because they were too slow.",
            [((), state.left_out_count)],
        )
        yield from _family(
            "trocar_health_state",
            "gauge",
            "1 at the present state of health, 0 at the others.",
            [((("state", name.value),), int(name is state.health)) for name in HealthState],
        )
        yield from _family(
            "trocar_health_reason",
            "gauge",
            "1 for each reason why the state is not ready.",
            [((("reason", reason),), 1) for reason in state.reasons],
        )
        yield from _family(
            "trocar_watchdog_alive",
            "gauge",
            "1 while every part is within its limit, else 0.",
            [((), int(state.is_alive))],
        )

    def _unit_lines(self) -> Iterator[str]:
        """Yield what belongs to the units."""
        units = self._units
        yield from _family(
            "trocar_unit_info",
            "gauge",
            "Version, pack and engine of each unit; always 1.",
            [(_labels_of(counted.info), 1) for counted in units.values()],
        )
        yield from _family(
            "trocar_findings_total",
            "counter",
            "Records with a finding.",
            [((("unit", name),), counted.finding_count) for name, counted in units.items()],
        )
        yield from _family(
            "trocar_results_withheld_total",
            "counter",
            "Records without a finding, by reason.",
            [
                ((("unit", name), ("reason", reason)), count)
                for name, counted in units.items()
                for reason, count in sorted(counted.withheld_counts.items())
            ],
        )
        yield from _family(
            "trocar_deadlines_missed_total",
            "counter",
            "Records that were late; dropped frames are counted beside them.",
            [((("unit", name),), counted.missed_count) for name, counted in units.items()],
        )
        yield from _histograms(
            "trocar_result_age_seconds",
            "Age of the outcome, from acquisition or arrival.",
            {name: counted.age for name, counted in units.items()},
        )
        yield from _histograms(
            "trocar_unit_service_seconds",
            "Time from the unit's start to its outcome.",
            {name: counted.service for name, counted in units.items()},
        )


def write_metrics(path: Path, text: str) -> None:
    """Write beside the place and rename: a collector sees a whole text or the one before it.

    Raises:
        SinkError: The file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as exc:
        raise SinkError(
            f"the metrics could not be written to {path}: {exc.strerror}",
            advice="free disk space or name another file with --metrics",
        ) from exc


def _labels_of(info: UnitInfo) -> _Labels:
    """Return what is said of a unit."""
    return (
        ("unit", info.unit),
        ("version", info.unit_version),
        ("pack", info.pack_id),
        ("pack_digest", info.pack_digest),
        ("engine", info.backend.engine),
        ("provider", info.backend.provider),
        ("precision", info.backend.precision),
    )


def _family(
    name: str, kind: str, text: str, samples: Iterable[tuple[_Labels, int]]
) -> Iterator[str]:
    """Yield one metric: help, type and samples."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{_shown(labels)} {value}"


def _histograms(name: str, text: str, of_units: Mapping[str, _Histogram]) -> Iterator[str]:
    """Yield a histogram of each unit, in seconds, with cumulative buckets."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} histogram"
    for unit, histogram in of_units.items():
        seen = 0
        for edge_ms, count in zip((*_EDGES_MS, None), histogram.counts, strict=True):
            seen += count
            edge = "+Inf" if edge_ms is None else f"{edge_ms / 1000:g}"
            yield f"{name}_bucket{_shown((('unit', unit), ('le', edge)))} {seen}"
        yield f"{name}_sum{_shown((('unit', unit),))} {histogram.sum_ns / NS_PER_S}"
        yield f"{name}_count{_shown((('unit', unit),))} {seen}"


def _shown(labels: _Labels) -> str:
    """Return labels as the format has them: backslash, quote and line feed escaped."""
    if not labels:
        return ""
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels)
    return "{" + ",".join(pairs) + "}"


_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
