"""Rules on risk: K1 to K11. Levels are computed; a control needs two different proofs."""

from __future__ import annotations

import hashlib
from typing import Final

from trocar_lab.evidence.graph.metamodel import Frozen, split_list
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.generated import TraceCase
from trocar_lab.evidence.proof.verdicts import Finding, Verdict
from trocar_lab.evidence.rules.rule import Rule, Tally
from trocar_lab.evidence.rules.units import module_of_path, owned_modules

RISK_TYPES: Final = (
    "hazard",
    "harm",
    "hazardous_situation",
    "risk_control",
    "threat",
    "misuse",
    "characteristic",
    "use_scenario",
)
DISMISSED_LENGTH_MIN: Final = 20


class RiskEstimate(Frozen):
    """One estimate of a hazardous situation; the level is computed."""

    severity: int
    p1: int
    p2: int
    level: str
    acceptable: bool


def initial_risk(project: Project, situation: Need) -> RiskEstimate | None:
    """Return the risk before control, or None when a value is missing or outside its scale."""
    severities = [
        _scale(harm.field("severity")) for harm in project.graph.targets(situation, "leads_to")
    ]
    values = (
        max(severities, default=0),
        _scale(situation.field("p1")),
        _scale(situation.field("p2")),
    )
    return _estimate(project, *values)


def residual_risk(project: Project, situation: Need) -> RiskEstimate | None:
    """Return the risk after control, or None when a value is missing or outside its scale."""
    before = initial_risk(project, situation)
    if before is None:
        return None
    severity = _scale(situation.field("residual_severity")) or before.severity
    p2 = _scale(situation.field("residual_p2")) or before.p2
    return _estimate(project, severity, _scale(situation.field("residual_p1")), p2)


def _scale(text: str) -> int:
    """Return a scale value; 0 when it is none."""
    return int(text) if text in {"1", "2", "3", "4", "5"} else 0


def _estimate(project: Project, severity: int, p1: int, p2: int) -> RiskEstimate | None:
    """Return the estimate with its computed level."""
    if not (severity and p1 and p2):
        return None
    risk = project.model.risk
    level = risk.level_of(severity=severity, p1=p1, p2=p2)
    return RiskEstimate(
        severity=severity, p1=p1, p2=p2, level=level, acceptable=risk.is_acceptable(level)
    )


def situations_are_complete(project: Project, tally: Tally) -> None:
    """K1: a hazardous situation has hazard, sequence, harm, and estimates on the scales."""
    graph = project.graph
    for need in graph.live("hazardous_situation"):
        tally.check(
            need.need_id,
            None if graph.targets(need, "arises_from") else "no hazard",
            None if graph.targets(need, "leads_to") else "no harm",
            None if need.field("sequence") else "no sequence of events",
            None
            if initial_risk(project, need)
            else "severity, P1 or P2 is missing or outside its scale",
            None
            if residual_risk(project, need)
            else "the residual risk is missing or outside its scale",
        )
    for need in graph.live("hazard"):
        used = graph.sources(need.need_id, "arises_from")
        tally.check(need.need_id, None if used else "no hazardous situation arises from it")


def high_risks_are_controlled(project: Project, tally: Tally) -> None:
    """K2: an initial risk above the line has a control."""
    for need in project.graph.live("hazardous_situation"):
        before = initial_risk(project, need)
        controls = project.graph.sources(need.need_id, "reduces")
        needed = before is None or not before.acceptable
        level = before.level if before is not None else "unknown"
        tally.check(
            need.need_id,
            f"initial risk {level} and no control" if needed and not controls else None,
        )


def controls_are_realised(project: Project, tally: Tally) -> None:
    """K3: a control is realised by a requirement or by a named measure outside software."""
    for control in project.graph.live("risk_control"):
        realised = project.graph.sources(control.need_id, "realises") or control.field(
            "other_measure"
        )
        tally.check(
            control.need_id,
            None if realised else "no requirement realises it and no other measure is named",
        )


def controls_are_in_code(project: Project, tally: Tally) -> None:
    """K4: a software control has an existing unit and, if not information, a code comment."""
    graph = project.graph
    for control in graph.live("risk_control"):
        if not graph.sources(control.need_id, "realises"):
            continue
        units = [
            u
            for u in graph.sources(control.need_id, "enforces")
            if project.device.has_symbol(u.field("symbol"))
        ]
        tally.check(
            control.need_id, None if units else "no unit with an existing symbol enforces it"
        )
        if control.field("option") == "information":
            continue
        owned = {module for unit in units for module in owned_modules(project, unit)}
        places = [c for c in project.device.comments if control.need_id in c.need_ids]
        inside = [c for c in places if module_of_path(c.path) in owned]
        reason = None
        if not places:
            reason = "no @need-ids comment in src/trocar names it"
        elif not inside:
            reason = f"its @need-ids comment stands outside the enforcing unit: {places[0].path}"
        tally.check(control.need_id, reason)


def controls_are_built(project: Project, tally: Tally) -> None:
    """K5: the worst verdict of the tests that a control is built is PASS."""
    for control in project.graph.live("risk_control"):
        tally.judge(control.need_id, project.proofs.verdict(control.need_id, "verifies_control"))


def controls_work(project: Project, tally: Tally) -> None:
    """K6: the worst verdict of other tests, with measure and limit, that a control works."""
    for control in project.graph.live("risk_control"):
        tally.judge(control.need_id, effect_finding(project, control))
        built = _functions(project.proofs.cases_for(control.need_id, "verifies_control"))
        cases = project.proofs.cases_for(control.need_id, "proves_effect")
        shared = sorted(built & _functions(cases))
        vague = [
            c.case_id
            for c in cases
            if not all(text.strip() for text in c.effects.get(control.need_id, ("", "")))
        ]
        tally.check(
            control.need_id,
            f"one test is used for both proofs: {', '.join(shared)}" if shared else None,
            f"no effect measure or no acceptance value: {', '.join(vague)}" if vague else None,
        )


def effect_finding(project: Project, control: Need) -> Finding:
    """Return the verdict of the effectiveness proof; a test of both proofs does not count."""
    built = _functions(project.proofs.cases_for(control.need_id, "verifies_control"))
    cases = project.proofs.cases_for(control.need_id, "proves_effect")
    other = [case for case in cases if not (_functions([case]) & built)]
    return project.proofs.verdict(control.need_id, "proves_effect", other)


def _functions(cases: list[TraceCase]) -> set[str]:
    """Return what carries out the cases: functions, or the case itself when a person does."""
    found: set[str] = set()
    for case in cases:
        found |= {function.function for function in case.functions} or {case.case_id}
    return found


def residual_risk_recorded(project: Project, tally: Tally) -> None:
    """K7: residual risk is lower where controls act, and above the line it is signed for."""
    graph = project.graph
    for need in graph.live("hazardous_situation"):
        before, after = initial_risk(project, need), residual_risk(project, need)
        if before is None or after is None:
            tally.check(need.need_id, "no estimate before or after control")
            continue
        pairs = {
            name: (getattr(before, name), getattr(after, name)) for name in ("severity", "p1", "p2")
        }
        risen = [name for name, (old, new) in pairs.items() if new > old]
        fallen = [name for name, (old, new) in pairs.items() if new < old]
        controls = graph.sources(need.need_id, "reduces")
        acted = {name for control in controls for name in split_list(control.field("acts_on"))}
        unexplained = sorted(set(fallen) - acted)
        signed = bool(need.field("benefit_risk"))
        tally.check(
            need.need_id,
            f"{', '.join(risen)} is higher after control" if risen else None,
            "has controls, but nothing is lower after control" if controls and not fallen else None,
            f"{', '.join(unexplained)} fell, but no control acts on it" if unexplained else None,
            f"residual risk {after.level} without a benefit-risk record"
            if not after.acceptable and not signed
            else None,
        )


def new_hazards_answered(project: Project, tally: Tally) -> None:
    """K8: each control answers whether it brings new hazards, and links them."""
    for control in project.graph.live("risk_control"):
        answer, introduced = control.field("new_hazards"), bool(control.targets("introduces"))
        tally.check(
            control.need_id,
            None if answer in {"yes", "no"} else "the question for new hazards is not answered",
            "says yes, but introduces no situation" if answer == "yes" and not introduced else None,
            "says no, but introduces a situation" if answer == "no" and introduced else None,
        )


def causes_are_named(project: Project, tally: Tally) -> None:
    """K9: situations name what contributes to them; every kind of cause and every item occurs."""
    graph = project.graph
    situations = graph.live("hazardous_situation")
    kinds: set[str] = set()
    causes = {need_id for need in situations for need_id in need.targets("caused_by")}
    for need in situations:
        own = split_list(need.field("cause_kinds"))
        kinds |= set(own)
        tally.check(
            need.need_id,
            None if graph.targets(need, "caused_by") else "names no item, unit, SOUP or model",
            None if own else "names no kind of cause",
        )
    for kind in project.model.vocabulary["cause_kind"] if situations else ():
        covered = kind in kinds or project.records.is_not_applicable("K9", kind)
        tally.check(
            kind, None if covered else "no situation has this kind of cause and no signed record"
        )
    for item in graph.live("item"):
        if item.field("safety_class") != "A":
            parts = {unit.need_id for unit in graph.sources(item.need_id, "part_of")}
            lost = "no situation names it or one of its units as a cause"
            tally.check(item.need_id, None if causes & {item.need_id, *parts} else lost)


def risk_file_digest(graph: Graph) -> str:
    """Return one digest over every live need of the risk file and the criteria it is judged by."""
    lines = [f"{need.need_id} {need.fingerprint}" for need in graph.live(*RISK_TYPES)]
    lines.append(graph.model.risk.model_dump_json())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def overall_risk_is_judged(project: Project, tally: Tally) -> None:
    """K10: the residual risk as a whole was judged for this version and this risk file."""
    version, digest = project.files.version, risk_file_digest(project.graph)
    key = f"release {version}".strip()
    records = [record for record in project.records.overall if record.release == version]
    tally.check(key)
    if not records:
        words = f"verification/residual_risk.toml has no record; the risk file is {digest}"
        tally.leave_open(key, f"overall residual risk not judged for {version}: {words}")
        return
    record = records[-1]
    tally.check(
        key,
        f"{record.name} judged another risk file on {record.date}; the present one is {digest}"
        if record.fingerprint != digest
        else None,
        f"dated {record.date}, in the future" if record.date > project.today else None,
    )


def misuse_is_followed_up(project: Project, tally: Tally) -> None:
    """K11: foreseeable misuse and safety characteristics are listed, each followed up or not."""
    for kind in ("misuse", "characteristic"):
        needs = project.graph.live(kind)
        tally.check(kind, None if needs else "the list is empty")
        for need in needs:
            reason = need.field("dismissed")
            short = f"dismissed in {len(reason)} characters; at least {DISMISSED_LENGTH_MIN}"
            followed = [n for n in project.graph.targets(need, "followed_up") if not n.is_retired]
            tally.check(
                need.need_id,
                None if followed or reason else "neither followed up nor dismissed",
                short if reason and len(reason) < DISMISSED_LENGTH_MIN else None,
            )


def verdicts_of_control(project: Project, control: Need) -> tuple[Verdict, Verdict]:
    """Return (built, works) of one control."""
    return project.proofs.verdict(control.need_id, "verifies_control").verdict, effect_finding(
        project, control
    ).verdict


RISK_RULES = (
    Rule("K1", "Hazardous situations are complete, every hazard is used", situations_are_complete),
    Rule("K2", "Risks above the line have a control", high_risks_are_controlled),
    Rule("K3", "Controls are realised by a requirement or a named measure", controls_are_realised),
    Rule("K4", "Software controls stand in the code of an existing unit", controls_are_in_code),
    Rule("K5", "Controls are built: worst verdict PASS", controls_are_built),
    Rule("K6", "Controls work: worst verdict of other tests PASS", controls_work),
    Rule(
        "K7",
        "Residual risk is lower, explained, and signed for above the line",
        residual_risk_recorded,
    ),
    Rule("K8", "Every control answers the question for new hazards", new_hazards_answered),
    Rule("K9", "Causes are named; every kind of cause and every item occurs", causes_are_named),
    Rule("K10", "The overall residual risk is judged for this release", overall_risk_is_judged),
    Rule("K11", "Misuse and characteristics are followed up or dismissed", misuse_is_followed_up),
)
