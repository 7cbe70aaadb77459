"""The report: one HTML file in the order in which a reviewer reads, trace.json and needs.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from trocar_lab.evidence.graph.needs import needs_json_of
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.report import front_page, registers, rules_and_cases
from trocar_lab.evidence.report.changes_page import changes_page
from trocar_lab.evidence.report.clause_pages import clause_pages
from trocar_lab.evidence.report.facts import Facts, collect_facts
from trocar_lab.evidence.report.hazard_pages import HazardPages
from trocar_lab.evidence.report.matrix import matrix
from trocar_lab.evidence.report.need_cards import need_cards
from trocar_lab.evidence.report.not_proven import details, summary
from trocar_lab.evidence.report.page_frame import Frame, Section, page
from trocar_lab.evidence.report.selftest_summary import SelftestSummary
from trocar_lab.evidence.report.strength_page import strength_page
from trocar_lab.evidence.report.trace_json import trace_json
from trocar_lab.evidence.rules.rule import Outcome

_LAID_OUT_MAX: Final = 1_000
TITLE: Final = "Trocar trace report"
HTML, JSON, NEEDS, PDF = "trace.html", "trace.json", "needs.json", "trace.pdf"


def html_report(facts: Facts) -> str:
    """Return the report as one HTML page; nothing in it refers outside itself."""
    frame = Frame(
        title=TITLE,
        statement=front_page.RESEARCH_ONLY,
        identity=facts.identity.line,
        verdict=facts.outcome.verdict_line.partition(" (")[0],
    )
    sections = [Section(*parts) for parts in _sections(facts)]
    return page(frame, sections, is_large=len(facts.needs) > _LAID_OUT_MAX)


def _sections(facts: Facts) -> tuple[tuple[str, str, str], ...]:
    """Return the sections: the first five are the first page."""
    hazards = HazardPages(facts)
    return (
        ("identity", "Release identity and verdict", front_page.identity(facts)),
        ("boundary", "What this report does not show", front_page.boundary()),
        ("not-proven", "What is not proven", summary(facts.outcome) + details(facts)),
        ("suites", "Suites not run in this evidence", front_page.suites_not_run(facts)),
        ("hazard-list", "Hazards", front_page.hazard_list(facts)),
        ("hazards", "Hazard pages", hazards.html),
        ("matrix", "Matrix in both directions", matrix(facts)),
        ("clauses", "Clause tables", clause_pages(facts)),
        ("changes", "Changes since the last release", changes_page(facts)),
        ("soup", "SOUP", registers.soup(facts)),
        ("tools", "Tools", registers.tools(facts)),
        ("anomalies", "Problem reports", registers.anomalies(facts)),
        ("models", "Models and datasets", registers.models(facts)),
        ("documents", "Documents", registers.documents(facts)),
        ("approvals", "Approvals", registers.approvals(facts)),
        ("tool-validation", "Validation of the analyser", rules_and_cases.tool_validation(facts)),
        ("rules", "Rules", rules_and_cases.rules(facts)),
        ("runs", "Runs of evidence", rules_and_cases.runs(facts)),
        ("cases", "Test cases", rules_and_cases.cases(facts)),
        ("strength", "Strength of the tests", strength_page(facts)),
        ("needs", "Every need", need_cards(facts, hazards.hosted)),
    )


def write_report(
    folder: Path,
    project: Project,
    outcome: Outcome,
    *,
    selftest: SelftestSummary,
    evidence: Path | None = None,
    needs: Path | None = None,
) -> Path:
    """Write trace.html, trace.json and needs.json and return the path of the first.

    Args:
        folder: Where to write.
        project: What was judged.
        outcome: What the rules said.
        selftest: What the self-test of the gate found.
        evidence: Folder of the evidence files, for their digests.
        needs: The needs.json that was judged; made from the graph when left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = collect_facts(project, outcome, selftest=selftest, evidence=evidence)
    path = folder / HTML
    path.write_text(html_report(facts), encoding="utf-8")
    (folder / JSON).write_text(trace_json(facts), encoding="utf-8")
    if needs is not None:
        (folder / NEEDS).write_bytes(needs.read_bytes())
    else:
        text = json.dumps(needs_json_of(project.graph.needs.values()), ensure_ascii=False)
        (folder / NEEDS).write_text(text + "\n", encoding="utf-8")
    return path
