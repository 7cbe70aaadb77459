"""The device's own loop beside graphs of Holoscan in Python, frame by frame, in the same run."""

from __future__ import annotations

import importlib
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Benchmark, Row, median_row
from benchmarks.scenes import AGE_MS_MAX, MemorySource, ScriptedUnit, never, open_shipped, pictures
from trocar.adapters.holoscan import INPUT_PORT, OUTPUT_PORT, unit_operator
from trocar.adapters.unit_step import StepConfig, UnitStep
from trocar.contracts.frame import Frame
from trocar.contracts.ports import Unit
from trocar.contracts.record import FrameRecord
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamConfig

__all__ = ["run"]

RUNTIME_US_MAX: Final = 300.0
_HEIGHT_PX: Final = 1080
_WIDTH_PX: Final = 1920
_SKIPPED: Final = 20
"""Frames at the begin of a run that are not measured."""

_Untyped = Any
"""Holoscan ships no types."""

_Pixels = NDArray[np.uint8]


def run(*, is_quick: bool) -> Benchmark:
    """Measure the time a frame of each way around a unit that takes no time."""
    shown = pictures(height_px=_HEIGHT_PX, width_px=_WIDTH_PX)
    unit = ScriptedUnit(open_shipped(1).unit.info)
    arms: dict[str, Callable[[int], list[int]]] = {
        "plain": lambda count: _plain(unit, shown, count),
        "runtime": lambda count: _runtime(unit, shown, count),
        "graph of 0": lambda count: _graph(shown, count, middle_count=0),
        "graph of 1": lambda count: _graph(shown, count, middle_count=1),
        "graph of 3": lambda count: _graph(shown, count, middle_count=3),
        "adapter": lambda count: _graph(shown, count, middle_count=0, unit=unit),
    }
    found = _by_turns(arms, rounds=3 if is_quick else 15, count=120 if is_quick else 320)
    return Benchmark(
        name="bench_holoscan",
        title="The runtime and the adapter beside graphs of Holoscan",
        text=(
            f"Time between neighbouring results, median of a run, {_WIDTH_PX}x{_HEIGHT_PX} frames"
            " from memory, a unit that takes no time, by turns in one process. *Runtime* is"
            " ``run_stream`` as fast as possible with admission, every detector, record and"
            " account. A *graph* is source, so many operators that pass the message on, and"
            " receiver, in Python under Holoscan's greedy scheduler; its operators check nothing."
            " *Adapter* is source, the operator of Trocar with the same checks as the runtime, and"
            " receiver."
        ),
        rows=_rows(found),
    )


def _rows(found: Mapping[str, Sequence[float]]) -> list[Row]:
    """Return times and differences; differences are taken round by round."""

    def above(name: str, base: str, parts: int = 1) -> list[float]:
        pairs = zip(found[name], found[base], strict=True)
        return [(one - other) / parts for one, other in pairs]

    operator_us = above("graph of 3", "graph of 0", 3)
    runtime_us = above("runtime", "plain")
    adapter_us = above("adapter", "graph of 1")
    ratio = [one / other for one, other in zip(runtime_us, operator_us, strict=True)]
    return [
        median_row("plain loop: frame contract and unit", found["plain"], "us"),
        median_row("runtime, all detectors on", found["runtime"], "us"),
        median_row("runtime above the plain loop", runtime_us, "us", most=RUNTIME_US_MAX),
        median_row("Holoscan: source and receiver", found["graph of 0"], "us"),
        median_row("Holoscan: one operator between", found["graph of 1"], "us"),
        median_row("Holoscan: three operators between", found["graph of 3"], "us"),
        median_row("Holoscan: cost of one operator", operator_us, "us", note="checks nothing"),
        median_row("Holoscan: operator of Trocar between", found["adapter"], "us"),
        median_row("operator of Trocar above a bare one", adapter_us, "us"),
        median_row("runtime above plain loop, in Holoscan operators", ratio, "x"),
    ]


def _by_turns(
    arms: Mapping[str, Callable[[int], list[int]]], *, rounds: int, count: int
) -> dict[str, list[float]]:
    """Run every arm once a round; return the median interval of each run [us]."""
    found: dict[str, list[float]] = {name: [] for name in arms}
    names = list(arms)
    for _ in range(rounds):
        for name in names:
            at_ns = arms[name](count)[_SKIPPED:]
            gaps = [later - former for former, later in pairwise(at_ns)]
            found[name].append(statistics.median(gaps) / 1000)
        names.reverse()
    return found


def _plain(unit: Unit, shown: Sequence[_Pixels], count: int) -> list[int]:
    """Call the unit on frames without any check; return when each result was there [ns]."""
    at_ns: list[int] = []
    for index in range(count):
        now_ns = time.monotonic_ns()
        frame = Frame(
            pixels=shown[index % len(shown)],
            frame_index=index,
            captured_at_ns=now_ns,
            source_id="plain",
        )
        unit.run(frame, now_ns=now_ns)
        at_ns.append(time.monotonic_ns())
    return at_ns


class _Stamps:
    """``ports.Sink`` that keeps when each record came."""

    def __init__(self) -> None:
        self.at_ns: list[int] = []

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Keep the time."""
        del record, frame
        self.at_ns.append(time.monotonic_ns())

    def close(self) -> None:
        """Hold nothing."""


def _runtime(unit: Unit, shown: Sequence[_Pixels], count: int) -> list[int]:
    """Run the device's own loop; return when each result was there [ns]."""
    sink = _Stamps()
    run_stream(
        MemorySource(shown, count=count),
        [unit],
        [sink],
        clock=MonotonicClock(),
        config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
        stop=never,
    )
    return sink.at_ns


@dataclass
class _Plan:
    """One graph: pictures, number of messages, operators between, times at its end."""

    shown: Sequence[_Pixels]
    count: int
    middle_count: int
    unit: Unit | None
    at_ns: list[int] = field(default_factory=list)


def _graph(
    shown: Sequence[_Pixels], count: int, *, middle_count: int, unit: Unit | None = None
) -> list[int]:
    """Run a graph of Holoscan; return when each message was at its end [ns]."""
    plan = _Plan(shown, count, middle_count, unit)
    application: _Untyped = type("App", (_App, _core().Application), {"plan": plan})
    application().run()
    return plan.at_ns


def _core() -> _Untyped:
    """Return Holoscan's core; its warning of a stack of 8 MiB does not concern these graphs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("holoscan.core")


class _App:
    """Source, operators between, receiver."""

    plan: _Plan
    add_flow: _Untyped

    def compose(self) -> None:
        """Build the graph."""
        conditions = importlib.import_module("holoscan.conditions")
        count = conditions.CountCondition(self, self.plan.count)
        parts = [self._operator(_Source, count, name="source")]
        if self.plan.unit is not None:
            config = StepConfig(source_id="graph", deadline_ms=AGE_MS_MAX)
            parts.append(unit_operator(self, UnitStep(self.plan.unit, config, clock=_CLOCK)))
        names = [f"pass{number}" for number in range(self.plan.middle_count)]
        parts += [self._operator(_Pass, name=name) for name in names]
        parts.append(self._operator(_Receiver, name="receiver"))
        for former, later in pairwise(parts):
            self.add_flow(former, later, {(_output_of(former), _input_of(later))})

    def _operator(self, part: type, *conditions: object, name: str) -> _Untyped:
        """Return an operator of this graph."""
        kind: _Untyped = type(name, (part, _core().Operator), {"plan": self.plan})
        return kind(self, *conditions, name=name)


_CLOCK: Final = MonotonicClock()


def _output_of(part: _Untyped) -> str:
    """Return the name of an operator's output."""
    return getattr(part, "output_name", OUTPUT_PORT)


def _input_of(part: _Untyped) -> str:
    """Return the name of an operator's input."""
    return getattr(part, "input_name", INPUT_PORT)


class _Source:
    """Sends pixels, index and time."""

    plan: _Plan
    output_name = "out"

    def setup(self, spec: _Untyped) -> None:
        """Declare the port."""
        spec.output(self.output_name)

    def start(self) -> None:
        """Begin at frame 0."""
        self.index = 0

    def compute(self, _op_input: _Untyped, op_output: _Untyped, _context: _Untyped) -> None:
        """Send one message."""
        message = {
            "pixels": self.plan.shown[self.index % len(self.plan.shown)],
            "frame_index": self.index,
            "captured_at_ns": time.monotonic_ns(),
        }
        op_output.emit(message, self.output_name)
        self.index += 1


class _Pass:
    """Passes the message on."""

    input_name = "in"
    output_name = "out"

    def setup(self, spec: _Untyped) -> None:
        """Declare the ports."""
        spec.input(self.input_name)
        spec.output(self.output_name)

    def compute(self, op_input: _Untyped, op_output: _Untyped, _context: _Untyped) -> None:
        """Pass one message on."""
        op_output.emit(op_input.receive(self.input_name), self.output_name)


class _Receiver:
    """Keeps when each message came."""

    plan: _Plan
    input_name = "in"

    def setup(self, spec: _Untyped) -> None:
        """Declare the port."""
        spec.input(self.input_name)

    def compute(self, op_input: _Untyped, _op_output: _Untyped, _context: _Untyped) -> None:
        """Keep the time."""
        op_input.receive(self.input_name)
        self.plan.at_ns.append(time.monotonic_ns())
