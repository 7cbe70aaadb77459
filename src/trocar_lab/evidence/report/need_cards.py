"""The card of each need: text, verdict, fields, links both ways, approval, history, evidence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from trocar_lab.evidence.graph.history import HistoryEntry
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.report.facts import Claim, Facts, case_name
from trocar_lab.evidence.report.filters import Choice, coded, filter_bar
from trocar_lab.evidence.report.markup import (
    MARKS,
    MUTED,
    OPEN,
    RED,
    SHORT_DIGITS,
    esc,
    inline,
    link,
    refs,
    state,
)
from trocar_lab.evidence.report.platform_proofs import ByPlatform
from trocar_lab.evidence.report.strength_page import coverage_text

APPROVED, STALE, NOT_APPROVED, NOT_ASKED = "approved", "stale", "not approved", "not asked for"
_ABOUT_APPROVAL: Final = frozenset({("open", "G8"), ("open", "G9")})
_WORDS: Final = {"verifies_control": "built: ", "proves_effect": "works: "}
_SIGNS: Final = {"red": (RED, "✘"), "open": (OPEN, "○"), "waived": (OPEN, "◇")}


def need_cards(facts: Facts, hosted: Collection[str]) -> str:
    """Return the cards by type, but those that stand on the hazard pages.

    Args:
        facts: Look-up tables.
        hosted: Ids whose card is on a hazard page.
    """
    model = facts.project.model
    by_type: dict[str, list[Need]] = {}
    for need_id in sorted(facts.needs):
        if need_id not in hosted:
            need = facts.needs[need_id]
            by_type.setdefault(need.need_type, []).append(need)
    chosen = [name for name in model.type if name in by_type]
    choices = _choices(facts, chosen)
    codes = [choice.codes() for choice in choices]
    groups = [
        f"<section data-g><h3 id=type-{name}>{esc(model.type[name].title)}"
        f" <span class={MUTED}>({len(by_type[name]):,})</span></h3>"
        + "".join([_card(facts, need, codes) for need in by_type[name]])
        + "</section>"
        for name in chosen
    ]
    fault = facts.project.history.fault
    lost = f" No history: {esc(fault)}." if fault else ""
    words = (
        "<p>Hazards, their situations and their controls stand on the hazard pages; every other"
        " need has its card here. 4/5 means that 4 of 5 test nodes passed."
        f" {runs_text(facts)} The digits of a text are the first of its fingerprint; trace.json"
        f" holds all of it.{lost}</p>"
    )
    count = sum(map(len, by_type.values()))
    return words + filter_bar("needs", "cards", choices, count) + "".join(groups)


def _choices(facts: Facts, types: Sequence[str]) -> tuple[Choice, ...]:
    """Return the choices of the filter."""
    model = facts.project.model
    return (
        Choice("Type", {name: model.type[name].title for name in types}),
        Choice("Class", {name: name for name in model.vocabulary["safety_class"]}),
        Choice("Verdict", {verdict.value: verdict.value for verdict in MARKS}),
        Choice("Approval", {w: w for w in (APPROVED, STALE, NOT_APPROVED, NOT_ASKED)}),
    )


def _card(facts: Facts, need: Need, codes: Sequence[Mapping[str, str]]) -> str:
    """Return the card of one need; its anchor is its id."""
    finding = facts.findings.get(need.need_id)
    values = (
        need.need_type,
        need.fields.get("safety_class", ""),
        finding.verdict.value if finding else "",
        facts.approvals[need.need_id],
    )
    retired = f" {state(OPEN, '◇', 'retired')}" if need.status == "retired" else ""
    text = f"<p>{inline(need.content, facts.needs)}" if need.content else ""
    return (
        f"<article id={need.need_id} data-f={coded(values, codes)}><h4>{need.need_id}"
        f" {esc(need.title)}{retired}</h4>{text}"
        f"<dl>{card_entries(facts, need)}</dl></article>"
    )


def card_entries(facts: Facts, need: Need, skip: Collection[str] = ()) -> str:
    """Return names and values of one card.

    Args:
        facts: Look-up tables.
        need: The need.
        skip: Fields, links and ``verdict`` that stand elsewhere already.
    """
    name, labels, needs = need.need_id, facts.labels, facts.needs
    parts: list[str] = []
    if name in facts.findings and "verdict" not in skip:
        parts.append(_verdict(facts, need))
    gaps = [pair for pair in facts.rows.get(name, ()) if pair not in _ABOUT_APPROVAL]
    if gaps:
        parts.append(f"<dt>Not proven<dd>{row_marks(gaps)}")
    parts += [
        labels.fields[field] + inline(value, needs)
        for field, value in need.fields.items()
        if field not in skip
    ]
    parts += [
        labels.outgoing[link_name] + refs(ids, needs)
        for link_name, ids in need.links.items()
        if link_name not in skip
    ]
    parts += [
        labels.incoming[link_name] + refs(ids, needs)
        for link_name, ids in facts.incoming.get(name, {}).items()
        if link_name not in skip
    ]
    strength = facts.strength.get(name)
    if strength is not None and strength.coverage is not None:
        parts.append(f"<dt>Coverage<dd>{coverage_text(strength.coverage)}")
    places = facts.comments.get(name)
    if places and "comments" not in skip:
        parts.append(f"<dt>In the code<dd>{esc(', '.join(places))}")
    digits = need.fingerprint[:SHORT_DIGITS]
    parts.append(f"<dt>Text<dd>{digits}, {_approval(facts, need)}")
    entries = facts.project.history_of(name)
    if entries:
        parts.append(f"<dt>History<dd>{'<br>'.join(map(history_line, entries))}")
    return "".join(parts)


def _verdict(facts: Facts, need: Need) -> str:
    """Return the verdict with its reason, what each platform proves, the runs and the cases."""
    finding = facts.findings[need.need_id]
    claims = facts.claims.get(need.need_id, ())
    case_ids = [case.case_id for _, case in claims]
    if need.need_id in facts.anchors:
        case_ids.append(need.need_id)
    mark = MARKS[finding.verdict]
    reason = f" {esc(finding.reason)};" if finding.reason else ""
    proof = platform_text(facts.platforms.get(need.need_id, {}), mark)
    text = f"<dt>Verdict<dd>{mark}{reason} {proof}{run_names(facts, case_ids)}"
    if claims:
        text += f": {case_links(facts, claims)}"
    if need.need_id in facts.anchors:
        text += f"; {link(facts.anchors[need.need_id], 'row of this case')}"
    return text


def case_links(facts: Facts, claims: Iterable[Claim]) -> str:
    """Return links to cases; those of a control say what they prove."""
    anchors = facts.anchors
    return ", ".join([
        f"{_WORDS.get(link_name, '')}<a href=#{anchors[case.case_id]}>{esc(case_name(case))}</a>"
        for link_name, case in claims
    ])


def platform_text(by_platform: ByPlatform, said: str = "") -> str:
    """Return the verdict of each platform with its counts of nodes.

    Args:
        by_platform: What each platform proves.
        said: Verdict that stands before this text; it is not repeated.
    """
    parts = []
    for platform, (verdict, passed, nodes) in by_platform.items():
        mark = MARKS[verdict]
        shown = "" if mark == said else f" {mark}"
        parts.append(f"{platform}{shown} {passed}/{nodes}")
    return ", ".join(parts) or "no evidence on any platform"


def run_names(facts: Facts, case_ids: Iterable[str]) -> str:
    """Return the runs that hold the last evidence of some cases, each after a comma.

    Where all evidence is of one run, that is said once above, and only its absence here.

    Args:
        facts: Look-up tables.
        case_ids: The cases.
    """
    places: set[int] = set()
    for name in case_ids:
        places.update(facts.runs.get(name, ()))
    if not places:
        return ", no run"
    if len(facts.project.runs) == 1:
        return ""
    return "".join([f", R{index + 1}" for index in sorted(places)])


def runs_text(facts: Facts) -> str:
    """Return how this report names the runs of evidence."""
    count = len(facts.project.runs)
    if count == 1:
        return f"All evidence is of {link('run-1', 'one run, R1')}."
    return f"R1, R2 and so on are {link('runs', 'runs of evidence')}."


def row_marks(rows: Iterable[tuple[str, str]]) -> str:
    """Return the rules that a need is not proven by, after the state that they have in common."""
    by_state: dict[str, list[str]] = {}
    for word, rule_id in rows:
        by_state.setdefault(word, []).append(link(f"open-{rule_id}", rule_id))
    return "; ".join(
        f"{state(*_SIGNS[word], word)} {', '.join(found)}" for word, found in by_state.items()
    )


def _approval(facts: Facts, need: Need) -> str:
    """Return who approved a need and when, or that nobody did."""
    word = facts.approvals[need.need_id]
    found = facts.project.approvals.of(need.need_id)
    if word == NOT_APPROVED or found is None:
        return NOT_APPROVED if word == NOT_APPROVED else "approval not asked for"
    who = f"{esc(found.reviewer)}, {esc(found.role)}, {found.date.isoformat()}"
    if word == STALE:
        return f"{state(RED, '⟲', STALE)}: another text was approved by {who}"
    return f"{state('g', '✔', APPROVED)} by {who}"


def history_line(entry: HistoryEntry) -> str:
    """Return one text that a need had."""
    version = f", first in {esc(entry.version)}" if entry.version else ""
    text = entry.fingerprint[:SHORT_DIGITS] or "removed"
    return f"{text} {entry.date[:10]} {entry.commit[:7]} {esc(entry.author)}{version}"
