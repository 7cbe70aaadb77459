"""Lines for a person who waits while an engine is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trocar.backends.tensorrt_progress import BuildProgress

__all__ = ["EngineProgress"]

_STEP_PERCENT: Final = 5
_PHASES_SAID: Final = 64


# @need-ids: SRS_TRT_002
class EngineProgress:
    """Say each phase once, and the share that is done when it has grown by 5 %.

    Args:
        say: Prints one line to standard error.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._phases: set[str] = set()
        self._percent = 0

    def __call__(self, progress: BuildProgress) -> None:
        """Print where the build stands, if that is news."""
        if progress.percent < self._percent:
            # Another engine is begun: the unit has more than one model, or there are more units.
            self._phases.clear()
            self._percent = 0
        is_new = progress.phase not in self._phases and len(self._phases) < _PHASES_SAID
        if is_new or progress.percent >= self._percent + _STEP_PERCENT:
            self._phases.add(progress.phase)
            self._percent = progress.percent
            self._say(f"engine: {progress.percent:3d} % {progress.phase}")
