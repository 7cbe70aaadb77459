"""The parity gate and the rule by which a variant is recommended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trocar_lab.optimise.tasks import Difference
from trocar_lab.optimise.turns import Speed

__all__ = [
    "LOSS_MAX",
    "RULE",
    "Candidate",
    "VariantRefusedError",
    "is_within",
    "recommended",
    "require_parity_of",
]

LOSS_MAX: Final = 0.01
"""Most by which a variant's figure may lie below that of the original (SYS_OPTIMISE_001)."""

RULE: Final = (
    "Of the variants that keep the limits of the reference case in each engine, and whose figure "
    f"on the side for choosing lies at most {LOSS_MAX} below that of the original in FP32 with the "
    "whole 95 % interval of the paired difference, the one with the greatest speed-up on all "
    "cores; and, beside it, the fastest of those that compute the same function. Only these two "
    "are then run on the test side, once, and one may be packed if its interval there stays above "
    f"-{LOSS_MAX} too."
)


class VariantRefusedError(ValueError):
    """The parity gate does not let a variant become a pack."""


@dataclass(frozen=True)
class Candidate:
    """One variant in one engine, with what the rule looks at.

    Attributes:
        variant: Name of the variant.
        engine: Engine.
        precision: Precision.
        is_same_function: Whether it computes what the original does, but for rounding.
        difference: Its figure beside that of the original, on the side for choosing.
        speed: Its times on all cores.
    """

    variant: str
    engine: str
    precision: str
    is_same_function: bool
    difference: Difference
    speed: Speed


def is_within(difference: Difference) -> bool:
    """Say whether the loss stays within the limit with its whole interval; NaN does not."""
    return difference.lower >= -LOSS_MAX and difference.value >= -LOSS_MAX


def recommended(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return the fastest variant within the limit and the fastest of the same function.

    Returns:
        None, one or two, the fastest first; the same variant is not named twice.
    """
    within = sorted(
        (one for one in candidates if is_within(one.difference)),
        key=lambda one: (-one.speed.ratio, one.variant),
    )
    same = [one for one in within if one.is_same_function]
    return tuple(dict.fromkeys([*within[:1], *same[:1]]))


def require_parity_of(variant: str, figures: Mapping[str, Difference]) -> None:
    """Refuse a variant that was not measured on both sides, or whose figures leave the limit.

    Args:
        variant: Its name.
        figures: Difference on each side, by ``validation`` and ``test``.

    Raises:
        VariantRefusedError: A side is missing, or the interval on it leaves the limit.
    """
    for side in ("validation", "test"):
        found = figures.get(side)
        if found is None:
            raise VariantRefusedError(
                f"expected figures of {variant} on the {side} side, found none: pack a variant "
                "that the study recommends"
            )
        if not is_within(found):
            raise VariantRefusedError(
                f"expected {variant} to lose at most {LOSS_MAX} on the {side} side, got "
                f"{found.value:+.4f} with a 95 % interval from {found.lower:+.4f} to "
                f"{found.upper:+.4f}: pack another variant"
            )
