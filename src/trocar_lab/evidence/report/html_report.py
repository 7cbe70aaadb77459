"""The report: one HTML file and trace.json, drawn from the graph and verdicts of the gate."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.verdicts import Finding
from trocar_lab.evidence.report.html_page import Markup, element, join, link_to, mark, page, table
from trocar_lab.evidence.rules.risk import RiskEstimate, effect_finding, initial_risk, residual_risk
from trocar_lab.evidence.rules.rule import Outcome, Row, RuleResult

TITLE: Final = "Trocar trace report"
_BOUNDARY: Final = (
    "Research use only. Trocar is not a medical device and is not cleared for clinical use.",
    "A green rule shows that a record exists, is linked and that its tests passed on this tree.",
    "It does not show that a requirement is right, that a test is strong or that a model is safe.",
    "A link is not a proof. An empty population fails unless a dated, signed record says why.",
    "The hash chain of an evidence file shows damage and careless edits.",
    "Evidence is not signed: whoever can write a file can write a new chain.",
)


def need_finding(project: Project, need: Need) -> Finding | None:
    """Return the verdict of a need that is proven by tests, or None for types that are not."""
    if need.need_type == "risk_control":
        built = project.proofs.verdict(need.need_id, "verifies_control")
        works = effect_finding(project, need)
        return max((built, works), key=lambda finding: finding.verdict.rank)
    if need.need_type == "test_case":
        return project.proofs.findings.get(need.need_id)
    if need.need_type in project.model.type["test_case"].links["verifies"].to:
        return project.proofs.verdict(need.need_id, "verifies")
    return None


def html_report(project: Project, outcome: Outcome, *, selftest: str) -> str:
    """Return the report as one HTML page in the order in which a reviewer reads.

    Args:
        project: What was judged.
        outcome: What the rules said.
        selftest: Last line of the self-test.
    """
    return page(
        TITLE,
        (
            ("identity", "Identity and verdict", _identity(project, outcome, selftest)),
            (
                "boundary",
                "What this report does not show",
                element("div", *map(_paragraph, _BOUNDARY), class_="box"),
            ),
            ("not-proven", "What is not proven", _not_proven(outcome)),
            ("hazards", "Hazards, controls and their proofs", _hazards(project)),
            ("matrix", "Matrix of requirements and proofs", _matrix(project)),
            ("rules", "Rules", _rules(outcome)),
            ("cases", "Test cases", _cases(project)),
            ("needs", "Every need", join(_card(project, need) for need in project.graph.live())),
        ),
    )


def _paragraph(text: str) -> Markup:
    """Return one paragraph."""
    return element("p", text)


def _identity(project: Project, outcome: Outcome, selftest: str) -> Markup:
    """Return the verdict, the state it is about and the runs it rests on."""
    present = project.proofs.present
    colour = "good" if outcome.is_green else "red"
    sign = "✔" if outcome.is_green else "✘"
    state = (
        ("Day of the check", project.today.isoformat()),
        ("Mode", "release" if outcome.release else "development"),
        ("Device source", present.device_sha256),
        ("Lock", present.lock_sha256 or "no pylock.toml"),
        ("Wheel", present.wheel_sha256 or "none named"),
        ("Needs", f"{len(project.graph.needs)}, digest {graph_digest(project)}"),
        ("Gate self-test", selftest),
    )
    runs = [
        (
            run.path,
            run.run.started,
            run.platform,
            run.run.identity.commit[:12] or "no commit",
            "clean" if run.run.identity.clean else "not clean",
            run.run.identity.python,
            f"{len(run.outcomes)} of {len(run.collected)}",
            "finished" if run.finished else "not finished",
        )
        for run in project.runs
    ]
    head = ("File", "Started", "Platform", "Commit", "Tree", "Python", "Outcomes of nodes", "State")
    return join((
        element("p", f"{sign} {outcome.verdict_line}", class_=f"banner {colour}"),
        table(
            ("What", "Value"),
            [(name, element("code", value)) for name, value in state],
            empty="nothing",
        ),
        element("h3", "Runs"),
        table(head, runs, empty="No evidence at all"),
    ))


def graph_digest(project: Project) -> str:
    """Return one digest over the fingerprints of every need."""
    lines = sorted(f"{need_id} {need.fingerprint}" for need_id, need in project.graph.needs.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _not_proven(outcome: Outcome) -> Markup:
    """Return every red, open and waived row with its population; never left out."""
    rows: list[tuple[object, ...]] = []
    for result in outcome.results:
        for word, colour, found in (
            ("✘ red", "red", result.failed),
            ("○ open", "open", result.open),
            ("◇ waived", "open", result.waived),
        ):
            of = f"{len(found)} of {result.population}"
            rows += [
                (
                    element("span", word, class_=f"mark {colour}"),
                    _rule_link(result),
                    _subject(r),
                    r.reason,
                    of,
                )
                for r in found
            ]
        if result.population == 0 and not result.note:
            red = element("span", "✘ red", class_="mark red")
            rows.append((
                red,
                _rule_link(result),
                "nothing",
                "the population is empty and no record says why",
                "0 of 0",
            ))
        elif result.population == 0:
            word = element("span", "◇ not applicable", class_="mark open")
            rows.append((word, _rule_link(result), "nothing", result.note, "0 of 0"))
    lost = outcome.check_count - outcome.passed_count
    count = f"{lost} of {outcome.check_count} checks are not proven."
    head = ("State", "Rule", "About", "Why", "How many of the rule's population")
    return join((_paragraph(count), table(head, rows, empty=f"0 of {outcome.check_count} checks")))


def _rule_link(result: RuleResult) -> Markup:
    """Return a link to the rule's row."""
    return element("a", result.rule_id, href=f"#rule-{result.rule_id}")


def _subject(row: Row) -> Markup:
    """Return what a row is about; needs are links."""
    name = row.need_id
    return (
        link_to(name)
        if name.replace("_", "").isalnum() and name.isupper()
        else element("code", name)
    )


def _hazards(project: Project) -> Markup:
    """Return one section a hazard: the path from hazard to proof."""
    graph = project.graph
    parts: list[Markup] = []
    for hazard in graph.live("hazard"):
        situations = graph.sources(hazard.need_id, "arises_from")
        inner = [_situation(project, situation) for situation in situations]
        lost = _paragraph("No hazardous situation arises from it.")
        heading = element("h3", f"{hazard.need_id}: {hazard.title}")
        parts.append(
            element(
                "div",
                heading,
                _paragraph(hazard.content),
                *(inner or [lost]),
                class_="card",
                id_=f"hazard-{hazard.need_id}",
            )
        )
    return join(parts or [_paragraph("0 hazards: the risk file is empty, which is red.")])


def _situation(project: Project, situation: Need) -> Markup:
    """Return one hazardous situation with its risk before and after, and its controls."""
    graph = project.graph
    before, after = initial_risk(project, situation), residual_risk(project, situation)
    harms = join(
        (link_to(harm.need_id) + f" {harm.title}" for harm in graph.targets(situation, "leads_to")),
        ", ",
    )
    facts = (
        ("Sequence of events", situation.field("sequence")),
        ("Harm", Markup(harms)),
        ("Caused by", join(map(link_to, situation.targets("caused_by")), ", ")),
        ("Before control", _risk_text(before)),
        ("After control", _risk_text(after)),
        ("Benefit-risk record", situation.field("benefit_risk") or "none"),
    )
    rows = []
    for control in graph.sources(situation.need_id, "reduces"):
        units = graph.sources(control.need_id, "enforces")
        places = [
            f"{c.path}:{c.line}" for c in project.device.comments if control.need_id in c.need_ids
        ]
        rows.append((
            join((link_to(control.need_id), " ", control.title)),
            control.field("option"),
            join((link_to(n.need_id) for n in graph.sources(control.need_id, "realises")), ", ")
            or control.field("other_measure"),
            join((element("code", unit.field("symbol")) for unit in units), ", "),
            join((element("code", place) for place in places), ", "),
            _finding(project.proofs.verdict(control.need_id, "verifies_control")),
            _finding(effect_finding(project, control)),
        ))
    head = ("Control", "Option", "Realised by", "Symbol", "In the code", "It is built", "It works")
    return join((
        element("h4", link_to(situation.need_id), " ", situation.title),
        table(("What", "Value"), facts, empty="nothing"),
        table(head, rows, empty="No control"),
    ))


def _risk_text(risk: RiskEstimate | None) -> str:
    """Return one estimate in words."""
    if risk is None:
        return "not estimated"
    line = "acceptable" if risk.acceptable else "above the line"
    return f"severity {risk.severity}, P1 {risk.p1}, P2 {risk.p2}: {risk.level} ({line})"


def _finding(finding: Finding | None) -> Markup:
    """Return a verdict with its reason."""
    if finding is None:
        return Markup("")
    return join((mark(finding.verdict), f" {finding.reason}" if finding.reason else ""))


def _matrix(project: Project) -> Markup:
    """Return the matrix in both directions: to the user need, and to unit, test and verdict."""
    graph, proofs = project.graph, project.proofs
    rows = []
    for need in graph.live("srs"):
        cases = proofs.cases_for(need.need_id, "verifies")
        rows.append((
            join((link_to(need.need_id), " ", need.title)),
            need.field("kind"),
            need.field("safety_class"),
            join(map(link_to, need.targets("derives")), ", ") or need.field("rationale"),
            join(map(link_to, need.targets("realises")), ", "),
            join(
                (link_to(unit.need_id) for unit in graph.sources(need.need_id, "implements")), ", "
            ),
            join(
                (
                    element("a", element("code", case.case_id), href=f"#case-{case.case_id}")
                    for case in cases
                ),
                ", ",
            ),
            _finding(proofs.verdict(need.need_id, "verifies")),
        ))
    head = (
        "Software requirement",
        "Kind",
        "Class",
        "Derives from",
        "Realises",
        "Implemented by",
        "Verified by",
        "Verdict",
    )
    upward = []
    for need in graph.live("user_need", "sys_req"):
        children = graph.sources(need.need_id, "derives")
        upward.append((
            join((link_to(need.need_id), " ", need.title)),
            join((link_to(n.need_id) for n in children), ", "),
        ))
    return join((
        element("h3", "From need to requirement"),
        table(("Need", "Derived into"), upward, empty="0 user needs"),
        element("h3", "From requirement to proof"),
        table(head, rows, empty="0 software requirements"),
    ))


def _rules(outcome: Outcome) -> Markup:
    """Return the table of rules."""
    rows = []
    for result in outcome.results:
        if result.is_red:
            state = element("span", "✘ red", class_="mark red")
        elif result.open:
            state = element("span", "○ open", class_="mark open")
        else:
            state = element(
                "span", "✔ holds" if not result.note else "◇ not applicable", class_="mark good"
            )
        counts = (
            result.population,
            result.passed,
            len(result.failed),
            len(result.open),
            len(result.waived),
        )
        rows.append((
            element("strong", result.rule_id, id_=f"rule-{result.rule_id}"),
            result.title,
            state,
            *counts,
        ))
    return table(
        ("Rule", "What must hold", "State", "Population", "Passed", "Failed", "Open", "Waived"),
        rows,
        empty="no rule",
    )


def _cases(project: Project) -> Markup:
    """Return the table of test cases with the verdict of each."""
    rows = []
    for case in project.proofs.cases.values():
        claims = join(
            (link_to(n) for n in sorted({n for ids in case.claims.values() for n in ids})), ", "
        )
        nodes = sum(
            len(found)
            for fn in case.functions
            for found in project.proofs.node_findings[fn.function].values()
        )
        name = element("code", case.case_id, id_=f"case-{case.case_id}")
        rows.append((
            name,
            case.title,
            case.level,
            case.platform,
            claims,
            nodes,
            _finding(project.proofs.findings[case.case_id]),
        ))
    return table(
        ("Case", "What", "Level", "Platform", "Claims", "Nodes", "Verdict"),
        rows,
        empty="0 test cases",
    )


def _card(project: Project, need: Need) -> Markup:
    """Return the card of one need; its anchor is its id."""
    model = project.model
    facts: list[tuple[object, object]] = [
        (model.field[name].title, value) for name, value in need.fields.items()
    ]
    facts += [
        (model.link[name].outgoing, join(map(link_to, ids), ", "))
        for name, ids in need.links.items()
    ]
    for name, rule in model.link.items():
        sources = project.graph.sources(need.need_id, name)
        if sources:
            facts.append((
                rule.incoming,
                join((link_to(source.need_id) for source in sources), ", "),
            ))
    facts += [
        ("Place", element("code", need.place)),
        ("Fingerprint", element("code", need.fingerprint)),
    ]
    heading = element(
        "h3",
        element("code", need.need_id),
        f" {need.title} ({model.type[need.need_type].title}, {need.status})",
    )
    finding = need_finding(project, need)
    verdict = element("p", _finding(finding)) if finding is not None else Markup("")
    facts_table = table(("What", "Value"), facts, empty="nothing")
    return element(
        "div",
        heading,
        verdict,
        _paragraph(need.content),
        facts_table,
        class_="card",
        id_=need.need_id,
    )


def trace_json(project: Project, outcome: Outcome) -> dict[str, Any]:
    """Return everything that the report shows, for machines."""
    return {
        "schema_version": 1,
        "verdict": outcome.verdict_line,
        "is_green": outcome.is_green,
        "release": outcome.release,
        "device_sha256": project.proofs.present.device_sha256,
        "graph_sha256": graph_digest(project),
        "rules": [result.model_dump(mode="json") for result in outcome.results],
        "needs": {
            need_id: {**need.model_dump(mode="json"), "fingerprint": need.fingerprint}
            for need_id, need in sorted(project.graph.needs.items())
        },
        "cases": {
            case_id: {
                "title": case.title,
                "level": case.level,
                "platform": case.platform,
                "claims": {link: sorted(ids) for link, ids in case.claims.items()},
                "finding": project.proofs.findings[case_id].model_dump(mode="json"),
            }
            for case_id, case in project.proofs.cases.items()
        },
    }


def write_report(folder: Path, project: Project, outcome: Outcome, *, selftest: str) -> Path:
    """Write trace.html and trace.json into ``folder`` and return the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trace.html"
    path.write_text(html_report(project, outcome, selftest=selftest), encoding="utf-8")
    text = json.dumps(trace_json(project, outcome), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / "trace.json").write_text(text + "\n", encoding="utf-8")
    return path
