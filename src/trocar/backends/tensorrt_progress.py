"""How far the build of an engine is: nested phases with steps, as one line for a person."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["BuildListener", "BuildPhases", "BuildProgress"]


@dataclass(frozen=True)
class BuildProgress:
    """Where a build stands.

    Attributes:
        phase: Innermost phase, in the words of the library, or what is waited for.
        percent: Share of the whole that is done, 0 to 100; never falls within one build.
    """

    phase: str
    percent: int


BuildListener = Callable[[BuildProgress], None]
"""Is told of a build, always by the thread that asked for the engine."""


@dataclass
class _Phase:
    """One open phase: its steps, and how many of them are done."""

    step_count: int
    done_count: int = 0


# @need-ids: SRS_TRT_002, SRS_TRT_003
class BuildPhases:
    """The open phases of one build; written by the library's threads, read by the caller's.

    A phase is inside one step of its parent. The library may leave a phase before its last step.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phases: dict[str, _Phase] = {}
        self._percent = 0
        self._innermost = "starting"
        self._is_cancelled = False

    def start(self, name: str, step_count: int) -> None:
        """Open a phase of ``step_count`` steps."""
        with self._lock:
            self._phases[name] = _Phase(max(1, step_count))
            self._innermost = name

    def step(self, name: str, step_index: int) -> bool:
        """Count a step; return whether the build goes on."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done_count = max(phase.done_count, min(step_index + 1, phase.step_count))
                self._innermost = name
            self._percent = max(self._percent, self._share())
            return not self._is_cancelled

    def finish(self, name: str) -> None:
        """Close a phase."""
        with self._lock:
            self._phases.pop(name, None)

    def complete(self) -> BuildProgress:
        """Return that the engine is there."""
        return BuildProgress(phase="engine built", percent=100)

    def cancel(self) -> None:
        """Make each step from now on ask for the end of the build."""
        with self._lock:
            self._is_cancelled = True

    def now(self) -> BuildProgress:
        """Return where the build stands."""
        with self._lock:
            return BuildProgress(phase=self._innermost, percent=self._percent)

    def _share(self) -> int:
        """Return the share of the outermost open phase [%], with what is done inside its step."""
        share = 0.0
        # Phases stand in the order in which they were opened: parents before what is in them.
        for phase in reversed(self._phases.values()):
            inside = share if phase.done_count < phase.step_count else 0.0
            share = min(1.0, (phase.done_count + inside) / phase.step_count)
        return min(99, int(100 * share))
