"""What the self-test of the gate found, as the report shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class SeededFault(NamedTuple):
    """One seeded fault and what became of it.

    Attributes:
        rule_id: The rule that must catch it.
        name: What was done.
        is_caught: The rule caught it.
        detail: The row that caught it, or what the rule said instead.
    """

    rule_id: str
    name: str
    is_caught: bool
    detail: str


class SelftestSummary(NamedTuple):
    """Result of one self-test.

    Attributes:
        is_clean: The demo without a fault is green.
        faults: What became of each fault.
    """

    is_clean: bool
    faults: tuple[SeededFault, ...]

    @property
    def caught_count(self) -> int:
        """Return how many faults were caught."""
        return sum(fault.is_caught for fault in self.faults)

    @property
    def is_sound(self) -> bool:
        """Return whether the clean demo is green and every fault is caught; no fault is not."""
        return self.is_clean and bool(self.faults) and self.caught_count == len(self.faults)

    @property
    def line(self) -> str:
        """Return the self-test in one line."""
        clean = "green" if self.is_clean else "red, although nothing is wrong with it"
        count = len(self.faults)
        return f"{count} faults seeded, {self.caught_count} caught; demo without a fault: {clean}"

    def by_rule(self) -> Mapping[str, tuple[SeededFault, ...]]:
        """Return the faults by the rule that must catch them."""
        table: dict[str, list[SeededFault]] = {}
        for fault in self.faults:
            table.setdefault(fault.rule_id, []).append(fault)
        return {rule_id: tuple(faults) for rule_id, faults in table.items()}
