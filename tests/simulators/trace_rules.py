"""One rule on a project of the trace, and its rows by key."""

from __future__ import annotations

from dataclasses import replace

from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import RuleResult, run_rule


def judged(rule_id: str, project: Project) -> RuleResult:
    """Return what one rule says about a project, everything that is read late read afresh."""
    rule = next(rule for rule in RULES if rule.rule_id == rule_id)
    return run_rule(rule, replace(project))


def red(result: RuleResult) -> dict[str, str]:
    """Return the red rows: key to reason."""
    return {row.need_id: row.reason for row in result.failed}


def opened(result: RuleResult) -> dict[str, str]:
    """Return the open rows: key to reason."""
    return {row.need_id: row.reason for row in result.open}
