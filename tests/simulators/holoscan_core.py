"""As much of ``holoscan.core`` as an operator needs, in memory: ports, policies, one call."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import ModuleType
from typing import Any

__all__ = ["Port", "SimulatedOperator", "SimulatedSpec", "holoscan_core"]


class _QueuePolicy(Enum):
    """What a full queue does."""

    POP = "pop"
    REJECT = "reject"
    FAULT = "fault"


class _IOSpec:
    """Holder of the policies, as in Holoscan."""

    QueuePolicy = _QueuePolicy


class SimulatedSpec:
    """Ports that an operator declares: name to (length of the queue, policy)."""

    def __init__(self) -> None:
        self.inputs: dict[str, tuple[int, Enum]] = {}
        self.outputs: list[str] = []

    def input(self, name: str, *, size: int, policy: Enum) -> None:
        """Declare an input."""
        self.inputs[name] = (size, policy)

    def output(self, name: str) -> None:
        """Declare an output."""
        self.outputs.append(name)


class Port:
    """Both sides of one call: what is received, and what was emitted."""

    def __init__(self, message: object) -> None:
        self._message = message
        self.emitted: list[tuple[object, str]] = []
        self.received_from: list[str] = []

    def receive(self, name: str) -> object:
        """Return the message."""
        self.received_from.append(name)
        return self._message

    def emit(self, value: object, name: str) -> None:
        """Keep what an operator sends."""
        self.emitted.append((value, name))


class SimulatedOperator:
    """Base class of operators; calls ``setup`` at once, as Holoscan does when a graph is made."""

    def __init__(self, fragment: object, *conditions: object, name: str) -> None:
        self.fragment = fragment
        self.conditions = conditions
        self.name = name
        self.metadata: Mapping[str, Any] = {}
        self.spec = SimulatedSpec()
        self.setup(self.spec)

    def setup(self, spec: SimulatedSpec) -> None:
        """Declare nothing."""


def holoscan_core() -> ModuleType:
    """Return a module that can stand where ``holoscan.core`` is imported."""
    module = ModuleType("holoscan.core")
    module.__dict__.update(Operator=SimulatedOperator, IOSpec=_IOSpec)
    return module
