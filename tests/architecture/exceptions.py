"""Exceptions from the rules: a list that may only shrink."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from architecture.tidy import Violation

__all__ = ["EXCEPTIONS_FILE", "RuleException", "load_exceptions", "unexcused"]

EXCEPTIONS_FILE: Final = Path(__file__).with_name("exceptions.toml")


class RuleException(BaseModel):
    """One exception.

    Attributes:
        rule: Name of the rule.
        path: File.
        symbol: What is meant, or empty for every place of the rule in the file.
        at_most: Exact sum found today: measured numbers for a limit, else the number of places.
        reason: Why the rule cannot be kept.
        issue: Where its end is planned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rule: str
    path: str
    symbol: str = ""
    at_most: int = Field(ge=1)
    reason: str = Field(min_length=20)
    issue: str = Field(min_length=3)

    def covers(self, violation: Violation) -> bool:
        """Return whether this exception is meant for the violation."""
        key = (violation.rule, violation.path)
        return key == (self.rule, self.path) and self.symbol in {"", violation.symbol}


def load_exceptions(path: Path = EXCEPTIONS_FILE) -> list[RuleException]:
    """Return the list of exceptions."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return [RuleException.model_validate(entry) for entry in table.get("exception", [])]


def unexcused(violations: Sequence[Violation], exceptions: Iterable[RuleException]) -> list[str]:
    """Return what remains: violations not excused, those that grew, exceptions too wide."""
    open_violations = list(violations)
    remaining = []
    for exception in exceptions:
        covered = [violation for violation in violations if exception.covers(violation)]
        total = sum(violation.measured or 1 for violation in covered)
        if total < exception.at_most:
            remedy = f"lower at_most to {total}" if total else "delete the exception"
            remaining.append(
                f"exceptions.toml: [{exception.rule}] {exception.path} {exception.symbol}: "
                f"{total} found, {exception.at_most} excused; {remedy}"
            )
        if total <= exception.at_most:
            open_violations = [v for v in open_violations if v not in covered]
    return [*remaining, *map(str, open_violations)]
