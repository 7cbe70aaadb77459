"""The table of all rules, in the order in which they are printed.

Rule G11 stands here because it must know every rule, itself included.
"""

from __future__ import annotations

from typing import Final

from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.verdicts import Verdict
from trocar_lab.evidence.rules.coverage import COVERAGE_RULES
from trocar_lab.evidence.rules.evidence import EVIDENCE_RULES
from trocar_lab.evidence.rules.graph import GRAPH_RULES
from trocar_lab.evidence.rules.risk import RISK_RULES
from trocar_lab.evidence.rules.rule import NOT_WAIVABLE, Rule, Tally


def names_registered(project: Project, tally: Tally) -> None:
    """G11: every name that records use is registered, and no waiver is expired."""
    known = {rule.rule_id for rule in RULES}
    for name in project.model.marker:
        tally.check(f"marker {name}")
    for verdict in Verdict:
        tally.check(f"verdict {verdict}")
    for record in project.records.not_applicable:
        tally.check(
            f"not_applicable {record.rule} {record.key}".strip(),
            None if record.rule in known else "no such rule",
            f"dated {record.date}, in the future" if record.date > project.today else None,
        )
    for waiver in project.records.waivers:
        tally.check(
            f"waiver {waiver.rule} {waiver.need}",
            None if waiver.rule in known else "no such rule",
            f"rule {waiver.rule} cannot be waived" if waiver.rule in NOT_WAIVABLE else None,
            f"expired on {waiver.expires}" if waiver.expires < project.today else None,
            f"dated {waiver.date}, in the future" if waiver.date > project.today else None,
        )
    cases = {need.need_id for need in project.graph.live("test_case")}
    for signed in project.records.manual:
        tally.check(
            f"manual record {signed.case}", None if signed.case in cases else "no such test case"
        )


RULES: Final[tuple[Rule, ...]] = (
    *GRAPH_RULES,
    Rule("G11", "Every name used in records and markers is registered", names_registered),
    *COVERAGE_RULES,
    *RISK_RULES,
    *EVIDENCE_RULES,
)
