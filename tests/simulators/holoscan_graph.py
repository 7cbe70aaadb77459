"""A graph of Holoscan around one unit: source, operator, receiver. Needs the package to run."""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.source import noise_pixels
from trocar.adapters.holoscan import INPUT_PORT, OUTPUT_PORT, unit_operator
from trocar.adapters.unit_step import UnitStep
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.record import FrameRecord

__all__ = ["FRAME_COUNT", "PICTURES", "Graph", "Untyped", "core"]

Untyped = Any
"""Holoscan ships no types."""

FRAME_COUNT: Final = 40
PICTURES: Final = tuple(noise_pixels(seed) for seed in range(8))

Sends = Callable[[int], object]
"""Returns the message for an index; numbers that it lacks travel in the metadata."""


def core() -> Untyped:
    """Return Holoscan's core; its warning of a stack of 8 MiB does not concern these graphs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("holoscan.core")


def _part(module: str, name: str) -> Untyped:
    """Return a class of another module of Holoscan."""
    return getattr(importlib.import_module(f"holoscan.{module}"), name)


@dataclass
class Graph:
    """One graph.

    Attributes:
        step: What answers.
        period_ms: Period of the source, which then waits for nobody; 0 for as fast as the graph
            takes frames.
        frame_count: Messages of the source.
        sends: Makes the messages; without it they hold pixels and both numbers.
        records: What arrived.
    """

    step: UnitStep
    period_ms: int = 0
    frame_count: int = FRAME_COUNT
    sends: Sends | None = None
    records: list[FrameRecord] = field(default_factory=list)

    def run(self) -> None:
        """Build the graph and run it to its end."""
        app = _application(self)
        if self.period_ms:
            app.scheduler(_part("schedulers", "EventBasedScheduler")(app, worker_thread_number=2))
        app.run()

    def message(self, index: int) -> object:
        """Return the message for an index."""
        if self.sends is not None:
            return self.sends(index)
        return {"pixels": PICTURES[index % len(PICTURES)], **numbers_of(index)}


def numbers_of(index: int) -> dict[str, int]:
    """Return what every message says beside its pixels."""
    return {"frame_index": index, "captured_at_ns": time.monotonic_ns()}


def _application(graph: Graph) -> Untyped:
    """Return the application of a graph."""
    kind: Untyped = type("App", (_App, core().Application), {"graph": graph})
    return kind()


class _App:
    """Source, unit, receiver."""

    graph: Graph
    add_flow: Untyped

    def compose(self) -> None:
        """Build the graph."""
        graph = self.graph
        conditions = [_part("conditions", "CountCondition")(self, graph.frame_count)]
        if graph.period_ms:
            period_ns = graph.period_ms * NS_PER_MS
            conditions.append(_part("conditions", "PeriodicCondition")(self, period_ns))
        source = self._operator(_Source, *conditions, name="source")
        unit = unit_operator(self, graph.step)
        receiver = self._operator(_Receiver, name="receiver")
        self.add_flow(source, unit, {("out", INPUT_PORT)})
        self.add_flow(unit, receiver, {(OUTPUT_PORT, "in")})

    def _operator(self, part: type, *conditions: object, name: str) -> Untyped:
        """Return an operator of this graph."""
        members = {"graph": self.graph, "unpaced": core().ConditionType.NONE}
        kind: Untyped = type(name, (part, core().Operator), members)
        return kind(self, *conditions, name=name)


class _Source:
    """Sends frames; in real time, whether or not anybody waits for them."""

    graph: Graph
    unpaced: Untyped
    metadata: Untyped

    def setup(self, spec: Untyped) -> None:
        """Declare the port."""
        port = spec.output("out")
        if self.graph.period_ms:
            port.condition(self.unpaced)

    def start(self) -> None:
        """Begin at frame 0."""
        self.index = 0

    def compute(self, _op_input: Untyped, op_output: Untyped, _context: Untyped) -> None:
        """Send one message."""
        message = self.graph.message(self.index)
        if not isinstance(message, dict) or "frame_index" not in message:
            for name, value in numbers_of(self.index).items():
                self.metadata[name] = value
        op_output.emit(message, "out")
        self.index += 1


class _Receiver:
    """Keeps what arrives."""

    graph: Graph

    def setup(self, spec: Untyped) -> None:
        """Declare the port."""
        spec.input("in")

    def compute(self, op_input: Untyped, _op_output: Untyped, _context: Untyped) -> None:
        """Keep one record."""
        self.graph.records.append(op_input.receive("in"))
