"""The tree keeps the style rules that no other tool checks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from architecture.device_imports import IMPORT_RULES
from architecture.exceptions import load_exceptions, unexcused
from architecture.exports import EXPORT_RULES
from architecture.tidy import CODE_RULES
from architecture.tree_files import FILE_RULES

ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final = {**CODE_RULES, **FILE_RULES}


BOUND_RULE: Final = "stray-bound"


def _remaining(rule: str) -> list[str]:
    """Return what breaks a rule and is not excused."""
    exceptions = [entry for entry in load_exceptions() if entry.rule == rule]
    return unexcused(RULES[rule](ROOT), exceptions)


@pytest.mark.parametrize("rule", sorted(RULES.keys() - {BOUND_RULE}))
def test_tree_keeps_rule(rule: str) -> None:
    """A rule that nobody runs is a wish; each is run on the whole tree, exceptions are listed."""
    remaining = _remaining(rule)
    assert not remaining, "\n" + "\n".join(remaining)


@pytest.mark.verifies("SRS_LIMITS_001", extent="full", technique="inspection")
def test_every_bound_stands_in_one_place() -> None:
    """A limit that is written anywhere else would not be seen when limits are reviewed."""
    remaining = _remaining(BOUND_RULE)
    assert not remaining, "\n" + "\n".join(remaining)


def test_each_exception_names_a_rule() -> None:
    """An exception from a rule that does not exist would never be found too wide."""
    known = {*RULES, *EXPORT_RULES, *IMPORT_RULES}
    assert {entry.rule for entry in load_exceptions()} <= known


def test_changelog_has_a_head_and_this_version() -> None:
    """The version that is built must be found in the changelog, released or not."""
    import trocar

    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert text.startswith("# Changelog\n")
    assert f"## [{trocar.__version__}]" in text
