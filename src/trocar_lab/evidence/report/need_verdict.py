"""The verdict of one need from all tests that claim it."""

from __future__ import annotations

from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.verdicts import Finding
from trocar_lab.evidence.rules.coverage import unit_level_cases
from trocar_lab.evidence.rules.risk import effect_finding


def need_finding(project: Project, need: Need) -> Finding | None:
    """Return the verdict of a need that is proven by tests, or None for needs that are not."""
    proofs = project.proofs
    if need.need_type == "risk_control":
        built = proofs.verdict(need.need_id, "verifies_control")
        works = effect_finding(project, need)
        return max((built, works), key=lambda finding: finding.verdict.rank)
    if need.need_type == "test_case":
        return proofs.findings.get(need.need_id)
    if need.need_type == "unit":
        cases = unit_level_cases(project, need)
        if not cases and need.field("safety_class") == "A":
            return None
        return proofs.verdict(need.need_id, "verifies (unit level)", cases)
    if need.need_type in project.model.type["test_case"].links["verifies"].to:
        return proofs.verdict(need.need_id, "verifies")
    return None
