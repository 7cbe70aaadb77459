"""Measuring side by side, and the record of what was measured, where and beside what other load."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

__all__ = [
    "RESULT_SCHEMA",
    "Benchmark",
    "LoadMeter",
    "Row",
    "as_json",
    "interleave_ms",
    "machine",
    "median_row",
    "ratios",
    "show",
]

RESULT_SCHEMA: Final = "trocar.benchmark/1"
_PACKAGES: Final = (
    "trocar",
    "numpy",
    "pydantic",
    "av",
    "onnxruntime",
    "openvino",
    "opencv-python-headless",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Attributes:
        what: What was measured.
        value: Median over the rounds, or the one value there is.
        smallest: Smallest value over the rounds.
        largest: Largest value over the rounds.
        unit: Unit of the three.
        limit: The limit in words, or empty where there is none.
        is_met: Whether the limit is kept; None where there is none.
        note: What a reader must know to judge the line.
    """

    what: str
    value: float
    smallest: float
    largest: float
    unit: str
    limit: str = ""
    is_met: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One table.

    Attributes:
        name: Name of its file of results.
        title: Heading.
        text: What is compared with what, in sentences.
        rows: Its lines.
    """

    name: str
    title: str
    text: str
    rows: Sequence[Row]


def interleave_ms(
    arms: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 3
) -> dict[str, list[float]]:
    """Call every arm once a round, in turn, and return the times of each [ms].

    Args:
        arms: What is compared; each arm starts every other round first or last by turns.
        rounds: Measured rounds.
        warm_up: Rounds before them that are not measured.
    """
    times_ms: dict[str, list[float]] = {name: [] for name in arms}
    names = list(arms)
    for round_index in range(warm_up + rounds):
        for name in names:
            begin_ns = time.perf_counter_ns()
            arms[name]()
            took_ms = (time.perf_counter_ns() - begin_ns) / 1e6
            if round_index >= warm_up:
                times_ms[name].append(took_ms)
        names.reverse()
    return times_ms


def ratios(above: Iterable[float], below: Iterable[float]) -> list[float]:
    """Return the ratios of two arms, round by round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def median_row(
    what: str,
    values: Sequence[float],
    unit: str,
    *,
    most: float | None = None,
    least: float | None = None,
    note: str = "",
) -> Row:
    """Return a line with the median of some values, compared with one limit or with none.

    Args:
        what: What was measured.
        values: One value a round.
        unit: Their unit.
        most: Largest median that is within the limit.
        least: Smallest median that is within the limit.
        note: What a reader must know.
    """
    value = statistics.median(values)
    limit, is_met = "", None
    if most is not None:
        limit, is_met = f"<= {most:g}", value <= most
    if least is not None:
        limit, is_met = f">= {least:g}", value >= least
    return Row(what, value, min(values), max(values), unit, limit, is_met, note)


class LoadMeter:
    """Tells how much of the machine other processes used between two moments."""

    def __init__(self) -> None:
        self._begin = _ticks()
        self._own_s = _own_s()
        self._load = os.getloadavg()

    def read(self) -> dict[str, Any]:
        """Return the load average at the begin and the share of all cores used by others since."""
        busy, total = (now - then for now, then in zip(_ticks(), self._begin, strict=True))
        own = (_own_s() - self._own_s) * os.sysconf("SC_CLK_TCK")
        return {
            "load_average_1min_at_begin": round(self._load[0], 2),
            "cores_used_by_others": round(max(0.0, busy - own) / max(total, 1.0) * _cores(), 2),
        }


def machine() -> dict[str, Any]:
    """Return what was measured on: processor, system and versions."""
    return {
        "processor": _processor(),
        "cores": _cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def show(benchmark: Benchmark) -> str:
    """Return a table for a terminal."""
    head = f"{'':58} {'median':>10} {'smallest':>10} {'largest':>10} {'':8} {'limit':>22}"
    lines = [benchmark.title, head]
    for row in benchmark.rows:
        verdict = {None: "", True: "met", False: "MISSED"}[row.is_met]
        lines.append(
            f"{row.what:58} {row.value:10.3f} {row.smallest:10.3f} {row.largest:10.3f}"
            f" {row.unit:8} {row.limit:>22} {verdict} {row.note}".rstrip()
        )
    return "\n".join(lines)


def as_json(benchmark: Benchmark, load: Mapping[str, Any], *, is_quick: bool) -> dict[str, Any]:
    """Return the file of results of one benchmark."""
    return {
        "schema": RESULT_SCHEMA,
        "name": benchmark.name,
        "title": benchmark.title,
        "text": benchmark.text,
        "is_quick": is_quick,
        "machine": machine(),
        "load": dict(load),
        "rows": [_rounded(asdict(row)) for row in benchmark.rows],
    }


def _rounded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with numbers of five digits: more would be noise."""
    return {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in fields.items()}


def _ticks() -> tuple[float, float]:
    """Return (busy, total) clock ticks of all cores."""
    words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    user, nice, system, idle, iowait, *rest = (float(word) for word in words)
    busy = user + nice + system + sum(rest)
    return busy, busy + idle + iowait


def _own_s() -> float:
    """Return processor time of this process and its ended children [s]."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _processor() -> str:
    """Return the processor's name as the system gives it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _version(name: str) -> str:
    """Return the installed version of a package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
