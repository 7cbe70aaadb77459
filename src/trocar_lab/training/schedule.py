"""How fast a network learns in the course of a run."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Schedule", "learning_rate_at"]


class Schedule(Protocol):
    """What a configuration says of the learning rate."""

    @property
    def warmup_steps(self) -> int:
        """Steps over which it rises."""
        ...

    @property
    def decay_fraction(self) -> float:
        """Last share of the run over which it falls to zero."""
        ...

    @property
    def learning_rate(self) -> float:
        """Its plateau."""
        ...


def learning_rate_at(step: int, step_count: int, config: Schedule) -> float:
    """Return the learning rate of a step: linear warm-up, plateau, linear decay to zero."""
    rise = min(1.0, (step + 1) / config.warmup_steps)
    decay_start = step_count * (1 - config.decay_fraction)
    fall = 1.0 if step < decay_start else max(0.0, (step_count - step) / (step_count - decay_start))
    return config.learning_rate * min(rise, fall)
