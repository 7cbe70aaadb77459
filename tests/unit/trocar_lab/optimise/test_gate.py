"""The gate and the rule look at the whole interval, and at both sides."""

from __future__ import annotations

import pytest

from trocar_lab.optimise.gate import (
    LOSS_MAX,
    Candidate,
    VariantRefusedError,
    is_within,
    recommended,
    require_parity_of,
)
from trocar_lab.optimise.tasks import Difference
from trocar_lab.optimise.turns import Speed


def _difference(lower: float, value: float = 0.0) -> Difference:
    """Return a difference with this lower end."""
    return Difference(0.8, 0.8 + value, value, lower, value + 0.01, 97, 90)


def _candidate(name: str, ratio: float, lower: float, *, is_same: bool) -> Candidate:
    """Return a candidate."""
    speed = Speed(10.0, 12.0, ratio, ratio - 0.1, ratio + 0.1, 100, 1.0)
    return Candidate(name, "openvino-cpu", "int8", is_same, _difference(lower), speed)


@pytest.mark.verifies("SRS_OPT_008", extent="full", technique="boundary")
@pytest.mark.controls("RCM_OPT_001")
@pytest.mark.parametrize(
    ("lower", "value", "passes"),
    [
        (-LOSS_MAX, 0.0, True),
        (-LOSS_MAX - 1e-9, 0.0, False),
        (0.02, 0.03, True),
        (float("nan"), 0.0, False),
        (0.0, float("nan"), False),
    ],
)
def test_loss_is_within_the_limit_with_its_interval(
    lower: float, value: float, *, passes: bool
) -> None:
    """A gain is no loss; what is not a number does not pass."""
    assert is_within(_difference(lower, value)) is passes


@pytest.mark.verifies("SRS_OPT_008", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_OPT_001",
    measure="variants outside the limit, or without figures, that the gate lets pass",
    acceptance="0 of 4 kinds",
)
@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"validation": _difference(0.0)},
        {"validation": _difference(-0.011), "test": _difference(0.0)},
        {"validation": _difference(0.0), "test": _difference(-0.011)},
    ],
)
def test_variant_outside_the_limit_is_refused(figures: dict[str, Difference]) -> None:
    """A side that is missing is no side that was passed."""
    with pytest.raises(VariantRefusedError):
        require_parity_of("one_view", figures)


def test_variant_inside_the_limit_passes() -> None:
    """Both sides keep the limit."""
    require_parity_of("good", {"validation": _difference(-0.005), "test": _difference(-0.009)})


@pytest.mark.verifies("SRS_OPT_005", extent="partial", technique="equivalence")
def test_fastest_within_the_limit_and_fastest_of_the_same_function_are_chosen() -> None:
    """Outside the limit, speed counts for nothing."""
    fastest = _candidate("one_view", 6.0, -0.008, is_same=False)
    same = _candidate("rewritten_int8", 3.0, -0.003, is_same=True)
    rows = [
        _candidate("averaged", 7.0, -0.015, is_same=False),
        same,
        fastest,
        _candidate("cleaned", 1.2, 0.0, is_same=True),
    ]
    assert recommended(rows) == (fastest, same)
    assert recommended([same]) == (same,)
    assert recommended(rows[:1]) == ()
