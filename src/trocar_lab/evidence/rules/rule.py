"""Rules: what a rule gives, how a table of rules is run, and what the whole run says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydantic import Field

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.verdicts import Finding, Verdict

NOT_WAIVABLE: Final = frozenset({
    "G1",
    "G2",
    "G3",
    "G4",
    "G5",
    "G8",
    "G9",
    "G11",
    "V1",
    "V6",
    "V7",
    "V10",
})


class Row(NamedTuple):
    """One row of a rule: what it is about and why it is not green."""

    need_id: str
    reason: str


class RuleResult(Frozen):
    """What one rule found; every member of the population is in exactly one of the four groups.

    Attributes:
        rule_id: Identifier in the catalogue.
        title: What must hold.
        population: How many were looked at.
        passed: How many hold.
        failed: Red rows.
        open: Rows that a release stops on.
        waived: Rows that a signed waiver covers.
        note: Why an empty population is in order, if it is.
        keys: Every member of the population, in order.
    """

    rule_id: str
    title: str
    population: int
    passed: int
    failed: tuple[Row, ...] = ()
    open: tuple[Row, ...] = ()
    waived: tuple[Row, ...] = ()
    note: str = ""
    keys: tuple[str, ...] = Field(default=(), exclude=True, repr=False)

    @property
    def is_red(self) -> bool:
        """Return whether the rule stops development: a red row, or nothing to look at."""
        return bool(self.failed) or (self.population == 0 and not self.note)


@dataclass
class Tally:
    """Collects the rows of one rule; a key that is judged twice keeps every reason."""

    keys: set[str] = field(default_factory=set)
    failed: dict[str, list[str]] = field(default_factory=dict)
    open: dict[str, list[str]] = field(default_factory=dict)

    def check(self, key: str, *reasons: str | None) -> None:
        """Count ``key``; each reason that is not None makes it red."""
        self.keys.add(key)
        for reason in reasons:
            if reason is not None:
                self.failed.setdefault(key, []).append(reason)

    def judge(self, key: str, finding: Finding) -> None:
        """Count ``key`` with the colour of a verdict."""
        self.keys.add(key)
        text = f"{finding.verdict}: {finding.reason}" + (
            "" if finding.subject == key else f" [{finding.subject}]"
        )
        if finding.verdict.is_red:
            self.failed.setdefault(key, []).append(text)
        elif finding.verdict.is_open:
            self.open.setdefault(key, []).append(text)

    def leave_open(self, key: str, reason: str) -> None:
        """Count ``key`` as open."""
        self.keys.add(key)
        self.open.setdefault(key, []).append(reason)


RuleFunction = Callable[[Project, Tally], None]


class Rule(NamedTuple):
    """One entry of the rule table."""

    rule_id: str
    title: str
    function: RuleFunction


def run_rule(rule: Rule, project: Project) -> RuleResult:
    """Return the result of one rule, waivers and not-applicable records applied.

    Args:
        rule: The rule.
        project: What it judges.
    """
    tally = Tally()
    rule.function(project, tally)
    failed, waived = [], []
    for key, reasons in sorted(tally.failed.items()):
        text = "; ".join(dict.fromkeys(reasons))
        waiver = project.records.waiver(rule.rule_id, key, today=project.today)
        if waiver is not None and rule.rule_id not in NOT_WAIVABLE:
            signed = f"{waiver.name}, {waiver.date}, until {waiver.expires}"
            words = f"{Verdict.WAIVED} by {signed}: {waiver.reason} ({text})"
            waived.append(Row(key, words))
        else:
            failed.append(Row(key, text))
    opened = [
        Row(k, "; ".join(dict.fromkeys(r)))
        for k, r in sorted(tally.open.items())
        if k not in tally.failed
    ]
    note = ""
    if not tally.keys and project.records.is_not_applicable(rule.rule_id):
        record = next(
            r for r in project.records.not_applicable if (r.rule, r.key) == (rule.rule_id, "")
        )
        note = f"not applicable: {record.reason} ({record.name}, {record.date})"
    return RuleResult(
        rule_id=rule.rule_id,
        title=rule.title,
        population=len(tally.keys),
        passed=len(tally.keys) - len(failed) - len(waived) - len(opened),
        failed=tuple(failed),
        open=tuple(opened),
        waived=tuple(waived),
        note=note,
        keys=tuple(sorted(tally.keys)),
    )


class Outcome(Frozen):
    """What a whole check says."""

    results: tuple[RuleResult, ...]
    release: bool = False

    @property
    def check_count(self) -> int:
        """Return how many checks were made over all rules."""
        return sum(result.population for result in self.results)

    @property
    def passed_count(self) -> int:
        """Return how many of them hold."""
        return sum(result.passed for result in self.results)

    @property
    def open_count(self) -> int:
        """Return how many are open."""
        return sum(len(result.open) for result in self.results)

    @property
    def waived_count(self) -> int:
        """Return how many are waived."""
        return sum(len(result.waived) for result in self.results)

    @property
    def red(self) -> list[RuleResult]:
        """Return the rules that are red."""
        return [result for result in self.results if result.is_red]

    @property
    def is_green(self) -> bool:
        """Return whether the gate opens; no rule is not green, a release bears nothing open."""
        if not self.results or self.red:
            return False
        return not (self.release and self.open_count)

    @property
    def verdict_line(self) -> str:
        """Return the last line of a check."""
        counts = f"{self.passed_count} of {self.check_count} checks"
        if self.open_count:
            counts += f"; {self.open_count} open: see report"
        if self.waived_count:
            counts += f"; {self.waived_count} waived"
        if self.is_green:
            return f"TRACE VERDICT: GREEN ({counts})"
        if self.red:
            counts += f"; {len(self.red)} rules red: {', '.join(r.rule_id for r in self.red)}"
        return f"TRACE VERDICT: RED ({counts})"


def run_rules(rules: Iterable[Rule], project: Project, *, release: bool = False) -> Outcome:
    """Return the outcome of all rules.

    Args:
        rules: The rule table.
        project: What they judge.
        release: A release bears nothing open.
    """
    return Outcome(results=tuple(run_rule(rule, project) for rule in rules), release=release)
