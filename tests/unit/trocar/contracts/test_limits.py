"""Every bound is typed, in one place, and the bounds fit each other."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

from trocar.contracts import limits
from trocar.contracts.errors import InvariantError

SOURCE: Final = Path(limits.__file__)
NAMES: Final = sorted(name for name in vars(limits) if name.isupper())


def _assignments(path: Path) -> list[ast.AnnAssign | ast.Assign]:
    """Return the assignments at the top of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, ast.AnnAssign | ast.Assign)]


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="inspection")
@pytest.mark.parametrize("name", NAMES)
def test_bound_is_a_positive_number(name: str) -> None:
    """A bound of zero or of another type bounds nothing."""
    value = getattr(limits, name)
    assert type(value) in {int, float}
    assert value > 0


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="inspection")
def test_each_bound_is_final() -> None:
    """No bound may be set from elsewhere; the type checker then refuses it."""
    typed = {
        node.target.id
        for node in _assignments(SOURCE)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and ast.unparse(node.annotation).startswith("Final")
    }
    assert typed == set(NAMES)


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FRAME_SIDE_PX_MIN", "8192"),
        ("FRAME_PIXEL_COUNT_MAX", "3840 * 2160 - 1"),
        ("BLACK_LEVEL_MAX", "250.0"),
        ("DEADLINE_MS_DEFAULT", "5000"),
        ("FROZEN_AFTER_MS_DEFAULT", "5000"),
    ],
)
def test_bounds_that_contradict_each_other_stop_the_import(name: str, value: str) -> None:
    """Each relation is broken by the smallest change; the device must not start."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    changed = 0
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            node.value = ast.parse(value, mode="eval").body
            changed += 1
    assert changed == 1
    with pytest.raises(InvariantError):
        exec(compile(tree, str(SOURCE), "exec"), {})  # noqa: S102 - the module itself, changed


def test_bounds_as_they_stand_are_accepted() -> None:
    """The same way of running the module passes without a change."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    exec(compile(tree, str(SOURCE), "exec"), {})  # noqa: S102 - the module itself


def test_units_of_time() -> None:
    """A slip of a zero here would move every deadline."""
    assert (limits.NS_PER_MS, limits.NS_PER_S) == (10**6, 10**9)
