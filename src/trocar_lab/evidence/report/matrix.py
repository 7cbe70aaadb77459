"""The matrix in both directions, and from hazard to control to requirement; with filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.proof.verdicts import Verdict
from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.filters import Choice, coded, filter_bar
from trocar_lab.evidence.report.markup import (
    MARKS,
    NONE,
    NOTHING,
    esc,
    inline,
    ref,
    refs,
    table,
)
from trocar_lab.evidence.report.need_cards import platform_text
from trocar_lab.evidence.report.platform_proofs import RANK

TYPES: Final = ("srs", "risk_control")
Codes = Sequence[Mapping[str, str]]
_PLATFORMS: Final = ("host", "agx", "both")


def matrix(facts: Facts) -> str:
    """Return the filter and the three tables."""
    choices = _choices(facts)
    codes = [choice.codes() for choice in choices]
    requirements, risk = _requirement_rows(facts, codes), _risk_rows(facts, codes)
    words = (
        "<p>Read to the left of a requirement, upwards: why it is there. Read to its right,"
        " downwards: what carries it and what proves it. The card of a requirement names its test"
        " cases. A gap is a row with a hole, never a row left out.</p>"
    )
    bar = filter_bar("matrix", "rows", choices, len(requirements) + len(risk))
    return words + bar + _both_ways(requirements) + _from_hazards(risk) + _from_needs(facts)


def _choices(facts: Facts) -> tuple[Choice, ...]:
    """Return the choices of the filter."""
    model = facts.project.model
    kinds = model.vocabulary["requirement_kind"]
    return (
        Choice("Type", {name: model.type[name].title for name in TYPES}),
        Choice("Class", {name: name for name in model.vocabulary["safety_class"]}),
        Choice("Kind", {name: name.replace("_", " ") for name in kinds}),
        Choice("Platform asked for", {name: name for name in _PLATFORMS}),
        Choice("Verdict", {verdict.value: verdict.value for verdict in MARKS}),
    )


def _both_ways(rows: Sequence[str]) -> str:
    """Return the table around the software requirements."""
    head = (
        "User need",
        "System requirement",
        "Software requirement",
        "Class, kind",
        "Realises control",
        "Carried by unit",
        "Cases",
        "Verdict, nodes passed",
    )
    return table(
        "Software requirements: upwards to user need and control, downwards to unit, test, verdict",
        head,
        rows,
        empty="0 software requirements",
        widths=(12, 12, 18, 8, 13, 20, 5, 12),
        wide=True,
    )


def _requirement_rows(facts: Facts, codes: Codes) -> list[str]:
    """Return one row a software requirement."""
    rows = []
    needs = facts.needs
    for need in facts.live("srs"):
        name = need.need_id
        systems, users = _ancestors(facts, need)
        parents = refs(systems, needs)
        rationale = need.field("rationale")
        if rationale:
            parents += f"{'<br>' if parents else ''}no parent: {inline(rationale, needs)}"
        claims = facts.claims.get(name, ())
        mark = MARKS[facts.findings[name].verdict]
        kind = esc(need.field("kind").replace("_", " "))
        rows.append(
            f"<tr {_values(facts, need, codes)}>"
            f"<td>{refs(users, needs, NOTHING if rationale else NONE)}"
            f"<td>{parents or NONE}<th>{ref(name)} {esc(need.title)}"
            f"<td>{esc(need.field('safety_class'))}, {kind}"
            f"<td>{refs(need.targets('realises'), needs, '-')}"
            f"<td>{refs(facts.sources(name, 'implements'), needs, NONE)}"
            f"<td>{len({case.case_id for _, case in claims}) or NONE}"
            f"<td>{mark} {platform_text(facts.platforms.get(name, {}), mark)}"
        )
    return rows


def _ancestors(facts: Facts, need: Need) -> tuple[list[str], list[str]]:
    """Return the system requirements and the user needs that a requirement leads up to."""
    seen: dict[str, str] = {}
    waiting = list(need.targets("derives"))
    while waiting:
        name = waiting.pop()
        found = facts.needs.get(name)
        if found is None or name in seen:
            continue
        seen[name] = found.need_type
        waiting += found.targets("derives")
    return (
        sorted(name for name, kind in seen.items() if kind == "sys_req"),
        sorted(name for name, kind in seen.items() if kind == "user_need"),
    )


def _values(facts: Facts, need: Need, codes: Codes) -> str:
    """Return the attribute by which a row is filtered."""
    finding = facts.findings.get(need.need_id)
    asked = {case.platform for _, case in facts.claims.get(need.need_id, ())}
    values = (
        need.need_type,
        need.fields.get("safety_class", ""),
        need.fields.get("kind", ""),
        "both" if len(asked) > 1 else next(iter(asked), ""),
        finding.verdict.value if finding else "",
    )
    return f"data-f={coded(values, codes)}"


def _from_needs(facts: Facts) -> str:
    """Return the table from user need to system requirement, with what came of its children."""
    rows = []
    for user in facts.live("user_need"):
        for name in facts.sources(user.need_id, "derives") or ("",):
            children = facts.sources(name, "derives") if name else ()
            rows.append(
                f"<tr><th>{ref(user.need_id)} {esc(user.title)}"
                f"<td>{f'{ref(name)} {esc(facts.needs[name].title)}' if name else NONE}"
                f"<td>{len(children) or NONE}<td>{_tally(facts, children)}"
            )
    return table(
        "From user need down: system requirements, and the verdicts of what is derived from them",
        ("User need", "System requirement", "Software requirements", "Their verdicts"),
        rows,
        empty="0 user needs",
        widths=(34, 34, 14, 18),
        wide=True,
    )


def _tally(facts: Facts, need_ids: Sequence[str]) -> str:
    """Return how many of some requirements have which verdict, worst first."""
    found: dict[Verdict, int] = {}
    for name in need_ids:
        finding = facts.findings.get(name)
        if finding is not None:
            found[finding.verdict] = found.get(finding.verdict, 0) + 1
    ordered = sorted(found.items(), key=lambda pair: -RANK[pair[0]])
    return "<br>".join(f"{MARKS[verdict]} {count}" for verdict, count in ordered) or NONE


def _from_hazards(rows: Sequence[str]) -> str:
    """Return the table between hazards, controls and requirements."""
    return table(
        "Hazard, situation, control, requirement and both proofs",
        ("Hazard", "Situation", "Control", "Requirement", "It is built", "It works"),
        rows,
        empty="0 hazards",
        widths=(16, 20, 18, 20, 13, 13),
        wide=True,
    )


def _risk_rows(facts: Facts, codes: Codes) -> list[str]:
    """Return one row a hazard, situation and control; a missing one is a hole."""
    rows = []
    for hazard in facts.live("hazard"):
        for situation in facts.sources(hazard.need_id, "arises_from") or ("",):
            controls = facts.sources(situation, "reduces") if situation else ()
            rows += [
                _risk_row(facts, (hazard.need_id, situation, c), codes) for c in controls or ("",)
            ]
    return rows


def _risk_row(facts: Facts, names: tuple[str, str, str], codes: Codes) -> str:
    """Return the row of hazard, situation and control; an empty name is a hole."""
    hazard, situation, control = names
    begin = f"<th>{ref(hazard)}<td>{ref(situation) if situation else NONE}"
    if not control:
        values = coded(("risk_control", "", "", "", Verdict.MISSING.value), codes)
        return f"<tr data-f={values}>{begin}" + f"<td>{NONE}" * 4
    need = facts.needs[control]
    built, works = (MARKS[finding.verdict] for finding in facts.controls[control])
    carried = refs(facts.sources(control, "realises"), facts.needs)
    return (
        f"<tr {_values(facts, need, codes)}>{begin}<td>{ref(control)}"
        f"<td>{carried or esc(need.field('other_measure')) or NONE}<td>{built}<td>{works}"
    )
