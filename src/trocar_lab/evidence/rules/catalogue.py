"""The table of all rules, in the order in which they are printed.

Rule G11 stands here because it must know every rule, itself included.
"""

from __future__ import annotations

from typing import Final

from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.verdicts import Verdict
from trocar_lab.evidence.rules.approval import APPROVAL_RULES, AUTHOR_RULES
from trocar_lab.evidence.rules.clause_data import clause_faults
from trocar_lab.evidence.rules.completeness import COMPLETENESS_RULES
from trocar_lab.evidence.rules.coverage import COVERAGE_RULES
from trocar_lab.evidence.rules.evidence import EVIDENCE_RULES
from trocar_lab.evidence.rules.graph import GRAPH_RULES
from trocar_lab.evidence.rules.process import PROCESS_RULES
from trocar_lab.evidence.rules.release import RELEASE_RULES
from trocar_lab.evidence.rules.risk import RISK_RULES
from trocar_lab.evidence.rules.rule import NOT_WAIVABLE, Rule, Tally
from trocar_lab.evidence.rules.strength import STRENGTH_RULES
from trocar_lab.evidence.rules.wording import WORDING_RULES


def names_registered(project: Project, tally: Tally) -> None:
    """G11: every name that records and filters use is registered, and no waiver is expired."""
    known = {rule.rule_id for rule in RULES}
    for name in project.model.marker:
        tally.check(f"marker {name}")
    for verdict in Verdict:
        tally.check(f"verdict {verdict}")
    for name, faults in clause_faults(known, today=project.today).items():
        tally.check(f"clauses {name}", *faults)
    for use in project.filters:
        tally.check(f"filter {use.place}", *use.faults)
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


_ORDER: Final = "GCKVFP"


def _place(rule: Rule) -> tuple[int, int]:
    """Return where a rule stands in the table: by letter of the catalogue, then by number."""
    return _ORDER.index(rule.rule_id[0]), int(rule.rule_id[1:])


RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (
            *GRAPH_RULES,
            *APPROVAL_RULES,
            *WORDING_RULES,
            Rule("G11", "Names in records, markers and filters are registered", names_registered),
            *COVERAGE_RULES,
            *RISK_RULES,
            *EVIDENCE_RULES,
            *STRENGTH_RULES,
            *AUTHOR_RULES,
            *RELEASE_RULES,
            *PROCESS_RULES,
            *COMPLETENESS_RULES,
        ),
        key=_place,
    )
)
