"""One page a hazard: the path from the hazard to the proofs of its controls, every hole shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from trocar_lab.evidence.graph.metamodel import split_list
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.proof.verdicts import Finding
from trocar_lab.evidence.report.facts import Facts, case_name
from trocar_lab.evidence.report.front_page import (
    controls_of,
    level_mark,
    worst_level,
    worst_mark,
)
from trocar_lab.evidence.report.markup import (
    GOOD,
    MARKS,
    MUTED,
    NONE,
    NOTHING,
    RED,
    counted,
    esc,
    inline,
    link,
    ref,
    refs,
    row,
    state,
    table,
)
from trocar_lab.evidence.report.need_cards import card_entries
from trocar_lab.evidence.report.strength_page import NOT_MEASURED, control_cells
from trocar_lab.evidence.rules.risk import RiskEstimate

_STEP: Final = re.compile(r"\s*(?:;|→|->)\s*")
CLOSED: Final = state(GOOD, "✔", "closed")
HOLE: Final = state(RED, "∅", "hole")
_SHOWN_OF_SITUATION: Final = frozenset({
    "sequence",
    "p1",
    "p2",
    "residual_p1",
    "residual_p2",
    "residual_severity",
    "cause_kinds",
    "benefit_risk",
    "leads_to",
    "caused_by",
    "reduces",
})
_SHOWN_OF_CONTROL: Final = frozenset({
    "option",
    "acts_on",
    "new_hazards",
    "other_measure",
    "introduces",
    "realises",
    "enforces",
    "verdict",
    "comments",
})


class HazardPages:
    """The pages of all live hazards; a need is shown in full where it first occurs.

    Attributes:
        hosted: Ids of the needs whose card is on a page.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.hosted: set[str] = set()
        pages = [self._page(hazard) for hazard in facts.live("hazard")]
        unmeasured = facts.live("risk_control") and facts.project.strength.mutation is None
        words = (
            f"<p>{NOT_MEASURED}: no mutants were made, so whether the tests of a control can fail"
            f" is not known. See {link('strength', 'strength of the tests')}.</p>"
        )
        text = "".join(pages) and (words if unmeasured else "") + "".join(pages)
        self.html = text or "<p>0 hazards: the risk file is empty, which is red."

    def _page(self, hazard: Need) -> str:
        """Return the page of one hazard."""
        facts = self._facts
        self.hosted.add(hazard.need_id)
        names = facts.sources(hazard.need_id, "arises_from")
        controls = controls_of(facts, names)
        built = worst_mark([facts.controls[name].built for name in controls])
        works = worst_mark([facts.controls[name].works for name in controls])
        head = (
            f"<p class=s>Worst residual risk: {worst_level(facts, names)}. Controls built:"
            f" {built}. Controls work: {works}."
        )
        body = "".join([self._situation(facts.needs[name], hazard.need_id) for name in names])
        lost = f"<p>{HOLE} No hazardous situation arises from this hazard."
        return (
            f"<article class=h id={hazard.need_id}><h3>{hazard.need_id} {esc(hazard.title)}</h3>"
            f"<p>{inline(hazard.content, facts.needs)}{head}"
            f"<dl>{card_entries(facts, hazard, {'arises_from'})}</dl>"
            f"{_risks(facts, hazard.need_id, names)}{body or lost}</article>"
        )

    def _situation(self, situation: Need, hazard: str) -> str:
        """Return one hazardous situation; a second time only its levels and a link."""
        facts, name = self._facts, situation.need_id
        before, after = facts.risks[name]
        heading = f"<h4>Situation {{}} {esc(situation.title)}</h4>"
        if name in self.hosted:
            first = situation.targets("arises_from")[0]
            controls = facts.sources(name, "reduces")
            return (
                f"<section class=i>{heading.format(ref(name))}<p>{_level(before)} before control,"
                f" {_level(after)} after it. Sequence, harm and causes stand under"
                f" {link(name, f'{first}')}, where it is shown in full."
                f"{self._chains(name, controls) if controls else _uncontrolled(before)}</section>"
            )
        self.hosted.add(name)
        alone = situation.targets("arises_from") == (hazard,)
        skip = _SHOWN_OF_SITUATION | {"arises_from"} if alone else _SHOWN_OF_SITUATION
        steps = [step for step in _STEP.split(situation.field("sequence")) if step]
        listed = "".join(f"<li>{inline(s[0].upper() + s[1:], facts.needs)}" for s in steps)
        sequence = f"<ol>{listed}</ol>" if steps else f"<p>{HOLE} No sequence of events."
        text = f"<p>{inline(situation.content, facts.needs)}" if situation.content else ""
        controls = facts.sources(name, "reduces")
        blocks = "".join([self._control(facts.needs[control], name) for control in controls])
        return (
            f"<section class=i id={name}>{heading.format(name)}{text}"
            f"<h5>Sequence of events</h5>{sequence}"
            f"<dl>{_harms(facts, situation)}{_causes(facts, situation, after)}"
            f"{card_entries(facts, situation, skip)}</dl>"
            f"{blocks or _uncontrolled(before)}</section>"
        )

    def _chains(self, situation: str, controls: Sequence[str]) -> str:
        """Return a table with one row a control, for controls that are shown in full elsewhere."""
        head = ("Control", "Requirement", "Unit and place in the code", "Built", "Works")
        return table(
            f"Controls of {situation}; their tests stand where their links lead",
            head,
            [_chain(self._facts, self._facts.needs[name]) for name in controls],
            empty="no control",
            widths=(19, 19, 36, 13, 13),
        )

    def _control(self, control: Need, situation: str) -> str:
        """Return one control as a chain of steps; a second time only its verdicts and a link."""
        facts, name = self._facts, control.need_id
        proofs = facts.controls[name]
        if name in self.hosted:
            return self._chains(situation, (name,))
        self.hosted.add(name)
        rows = [
            _required(facts, control),
            _coded(facts, control),
            _proved(facts, control, proofs.built, link_name="verifies_control"),
            _proved(facts, control, proofs.works, link_name="proves_effect"),
            _new_hazards(facts, control),
        ]
        if facts.project.strength.mutation is not None:
            rows.append(row("Can its tests fail?", *control_cells(facts, name)))
        alone = control.targets("reduces") == (situation,)
        skip = _SHOWN_OF_CONTROL | {"reduces"} if alone else _SHOWN_OF_CONTROL
        acts = control.field("acts_on").replace("p1", "P1").replace("p2", "P2")
        head = ("Question", "State", "What answers it")
        chain = table(f"Proof of {name}", head, rows, empty="nothing", layout="p")
        return (
            f"<section class=e id={name}><h5>Control {name} {esc(control.title)}</h5>"
            f"<p class={MUTED}>Option: {esc(control.field('option'))}. Acts on: {esc(acts)}."
            f"<p>{inline(control.content, facts.needs)}{chain}"
            f"<dl>{card_entries(facts, control, skip)}</dl></section>"
        )


def _chain(facts: Facts, control: Need) -> str:
    """Return the whole chain of one control in one row."""
    name = control.need_id
    realised = refs(facts.sources(name, "realises"), facts.needs)
    units = refs(facts.sources(name, "enforces"), facts.needs)
    places = "".join(f"<br><code>{esc(place)}</code>" for place in facts.comments.get(name, ()))
    asked = bool(realised)
    return row(
        f"{ref(name)}<br>{esc(control.title)}",
        realised or inline(control.field("other_measure"), facts.needs) or HOLE,
        f"{units}{places}" or (HOLE if asked else NOTHING),
        finding_mark(facts, name, "verifies_control"),
        finding_mark(facts, name, "proves_effect"),
    )


def finding_mark(facts: Facts, control: str, link_name: str) -> str:
    """Return the verdict of one of the two proofs of a control, and how many cases it has."""
    proofs = facts.controls[control]
    finding = proofs.built if link_name == "verifies_control" else proofs.works
    count = len(facts.project.proofs.cases_for(control, link_name))
    return f"{MARKS[finding.verdict]}<br>{counted(count, 'case')}"


def _level(risk: RiskEstimate | None) -> str:
    """Return the level of an estimate as HTML."""
    return level_mark(risk.level, acceptable=risk.acceptable) if risk else HOLE


def _harms(facts: Facts, situation: Need) -> str:
    """Return the harms with their severity in words."""
    scale: Mapping[str, str] = facts.project.model.risk.scale["severity"]
    found = [facts.needs[name] for name in situation.targets("leads_to") if name in facts.needs]
    return (
        "".join(
            f"<dt>Harm<dd>{ref(harm.need_id)} {esc(harm.title)};"
            f" severity {esc(harm.field('severity'))}:"
            f" {esc(scale.get(harm.field('severity'), 'not on the scale'))}"
            for harm in found
        )
        or f"<dt>Harm<dd>{HOLE}"
    )


def _causes(facts: Facts, situation: Need, after: RiskEstimate | None) -> str:
    """Return what causes a situation, and the record that weighs its residual risk."""
    kinds = ", ".join(k.replace("_", " ") for k in split_list(situation.field("cause_kinds")))
    record = esc(situation.field("benefit_risk"))
    acceptable = after is not None and after.acceptable
    weighed = "" if acceptable and not record else f"<dt>Benefit-risk record<dd>{record or HOLE}"
    return (
        f"<dt>Caused by<dd>{refs(situation.targets('caused_by'), facts.needs, NONE)}"
        f"<dt>Kinds of cause<dd>{esc(kinds) or NONE}{weighed}"
    )


def _risks(facts: Facts, hazard: str, names: Sequence[str]) -> str:
    """Return the estimates of each situation before and after control; levels are computed."""
    head = ("Situation", "Severity", "P1", "P2", "Probability", "Level before", "Level after")
    return table(
        f"Risk of {hazard}",
        head,
        [_estimate(facts, facts.needs[name]) for name in names],
        empty="0 situations",
        layout="j",
        wide=True,
    )


def _estimate(facts: Facts, situation: Need) -> str:
    """Return one row of estimates."""
    before, after = facts.risks[situation.need_id]
    if before is None or after is None:
        return row(ref(situation.need_id), f"{HOLE} not estimated", "", "", "", "", "")
    matrix = facts.project.model.risk.probability.matrix
    pairs = [(getattr(before, name), getattr(after, name)) for name in ("severity", "p1", "p2")]
    pairs.append((matrix[before.p1 - 1][before.p2 - 1], matrix[after.p1 - 1][after.p2 - 1]))
    cells = [str(old) if old == new else f"{old} → {new}" for old, new in pairs]
    return row(ref(situation.need_id), *cells, _level(before), _level(after))


def _uncontrolled(before: RiskEstimate | None) -> str:
    """Return what to say of a situation without control."""
    if before is not None and before.acceptable:
        return "<p>No control; the initial risk is acceptable."
    return f"<p>{HOLE} No control, although the initial risk is above the line."


def _required(facts: Facts, control: Need) -> str:
    """Return the step from control to requirement."""
    found = facts.sources(control.need_id, "realises")
    lines = [f"{ref(name)} {esc(facts.needs[name].title)}" for name in found]
    other = control.field("other_measure")
    if other:
        lines.append(f"Other measure: {inline(other, facts.needs)}")
    words = "<br>".join(lines) or "none realises it"
    return row("Which requirement?", CLOSED if lines else HOLE, words)


def _coded(facts: Facts, control: Need) -> str:
    """Return the step from control to the code that carries it."""
    if not facts.sources(control.need_id, "realises"):
        words = "no software requirement realises it: a measure outside the software"
        return row("Where in the code?", f"<span class={MUTED}>not asked for</span>", words)
    lines, real = [], False
    for name in facts.sources(control.need_id, "enforces"):
        symbol = facts.needs[name].field("symbol")
        exists = facts.project.device.has_symbol(symbol)
        real = real or exists
        lost = "" if exists else f" {HOLE} no such symbol"
        lines.append(f"{ref(name)} <code>{esc(symbol)}</code>{lost}")
    places = facts.comments.get(control.need_id, ())
    at = f" at {esc(facts.identity.tag)}" if facts.identity.tag else ""
    lines += [f"<code>{esc(place)}</code>{at}" for place in places]
    asked = control.field("option") != "information"
    if asked and not places:
        lines.append("no @need-ids comment names it")
    closed = real and (bool(places) or not asked)
    return row("Where in the code?", CLOSED if closed else HOLE, "<br>".join(lines) or NOTHING)


def _proved(facts: Facts, control: Need, finding: Finding, *, link_name: str) -> str:
    """Return the step from control to one of its two proofs; cases that agree share its verdict."""
    cases = facts.project.proofs.cases_for(control.need_id, link_name)
    found = [facts.project.proofs.findings[case.case_id].verdict for case in cases]
    agree = set(found) == {finding.verdict}
    lines = []
    for case, verdict in zip(cases, found, strict=True):
        words = f"<a href=#{facts.anchors[case.case_id]}>{esc(case_name(case))}</a>"
        lines.append(words if agree else f"{words} {MARKS[verdict]}")
        if link_name == "proves_effect":
            measure, limit = (esc(t) or HOLE for t in case.effects.get(control.need_id, ("", "")))
            lines.append(f"measure: {measure}; accepted: {limit}")
    if finding.reason:
        lines.insert(0, esc(finding.reason))
    question = "Is it built?" if link_name == "verifies_control" else "Does it work?"
    return row(question, MARKS[finding.verdict], "<br>".join(lines) or "no test")


def _new_hazards(facts: Facts, control: Need) -> str:
    """Return the answer to the question for new hazards."""
    answer = control.field("new_hazards")
    brought = refs(control.targets("introduces"), facts.needs)
    words = f"{esc(answer)}{f': {brought}' if brought else ''}" if answer else "not answered"
    fits = answer in {"yes", "no"} and (answer == "yes") == bool(brought)
    return row("New hazards?", CLOSED if fits else HOLE, words)
