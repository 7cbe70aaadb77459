"""What is public is listed and described; what is not listed is private."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from architecture.exceptions import load_exceptions, unexcused
from architecture.exports import EXPORT_RULES

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("rule", sorted(EXPORT_RULES))
def test_device_keeps_rule(rule: str) -> None:
    """A name is public by decision, never by accident, and says what it is."""
    exceptions = [entry for entry in load_exceptions() if entry.rule == rule]
    remaining = unexcused(EXPORT_RULES[rule](ROOT), exceptions)
    assert not remaining, "\n" + "\n".join(remaining)
