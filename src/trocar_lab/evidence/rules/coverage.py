"""Rules on coverage: C1 to C9. A link is not a proof: C5, C7 and C8 look at verdicts."""

from __future__ import annotations

from fnmatch import fnmatchcase

from trocar_lab.evidence.graph.metamodel import split_list
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.generated import TraceCase
from trocar_lab.evidence.rules.rule import Rule, Tally
from trocar_lab.evidence.rules.units import owned_modules, owners


def parents_have_children(project: Project, tally: Tally) -> None:
    """C1: every user need is derived into a system, and that into a software requirement."""
    graph = project.graph
    for parent_type, child_type in (("user_need", "sys_req"), ("sys_req", "srs")):
        for need in graph.live(parent_type):
            children = [
                n for n in graph.sources(need.need_id, "derives") if n.need_type == child_type
            ]
            tally.check(need.need_id, None if children else f"no {child_type} is derived from it")


def requirements_have_parents(project: Project, tally: Tally) -> None:
    """C2: every requirement leads up to a user need, or carries a rationale."""
    graph = project.graph
    for need in graph.live("sys_req", "srs"):
        seen: set[str] = set()
        waiting, grounded = [need], False
        while waiting and not grounded:
            current = waiting.pop()
            if current.need_id in seen:
                continue
            seen.add(current.need_id)
            grounded = current.need_type == "user_need" or bool(current.field("rationale"))
            waiting += [
                parent for parent in graph.targets(current, "derives") if not parent.is_retired
            ]
        tally.check(
            need.need_id, None if grounded else "leads up to no user need and carries no rationale"
        )


def requirements_are_implemented(project: Project, tally: Tally) -> None:
    """C3: every software requirement has a unit whose symbol exists."""
    for need in project.graph.live("srs"):
        units = project.graph.sources(need.need_id, "implements")
        real = [unit for unit in units if project.device.has_symbol(unit.field("symbol"))]
        tally.check(need.need_id, None if real else "no unit with an existing symbol implements it")


def modules_are_units(project: Project, tally: Tally) -> None:
    """C4: every module of the device belongs to exactly one unit, and every unit exists."""
    for fault in project.device.faults:
        tally.check(*fault.split(": ", 1))
    for module, unit_ids in owners(project).items():
        reason = None
        if len(unit_ids) != 1:
            reason = f"belongs to {', '.join(unit_ids)}" if unit_ids else "belongs to no unit"
        tally.check(module, reason)
    for unit in project.graph.live("unit"):
        symbol = unit.field("symbol")
        lost = None if project.device.has_symbol(symbol) else f"symbol {symbol} does not exist"
        idle = [
            glob
            for glob in split_list(unit.field("modules"))
            if not any(fnmatchcase(name, glob) for name in owned_modules(project, unit))
        ]
        nothing = None if owned_modules(project, unit) else "owns no module"
        tally.check(
            unit.need_id,
            lost,
            nothing,
            f"modules {', '.join(idle)} match nothing" if idle else None,
        )


def requirements_are_verified(project: Project, tally: Tally) -> None:
    """C5: the worst verdict of all tests of a software requirement is PASS."""
    for need in project.graph.live("srs"):
        tally.judge(need.need_id, project.proofs.verdict(need.need_id, "verifies"))


def items_are_allocated(project: Project, tally: Tally) -> None:
    """C6: every item carries a requirement; each class B or C requirement has an item."""
    graph = project.graph
    for item in graph.live("item"):
        carried = [n for n in graph.targets(item, "satisfies") if not n.is_retired]
        tally.check(item.need_id, None if carried else "satisfies no live requirement")
    for need in graph.live("srs"):
        if need.field("safety_class") != "A":
            tally.check(
                need.need_id,
                None if graph.sources(need.need_id, "satisfies") else "no item satisfies it",
            )


def units_are_verified(project: Project, tally: Tally) -> None:
    """C7: every unit of class B or C has unit-level tests and their worst verdict is PASS."""
    for unit in project.graph.live("unit"):
        if unit.field("safety_class") != "A":
            cases = unit_level_cases(project, unit)
            tally.judge(
                unit.need_id, project.proofs.verdict(unit.need_id, "verifies (unit level)", cases)
            )


def unit_level_cases(project: Project, unit: Need) -> list[TraceCase]:
    """Return the unit-level cases of a unit.

    A case counts when it claims the unit itself, or when it claims a requirement that the unit
    implements and its file imports a module that the unit owns.
    """
    proofs = project.proofs
    modules = owned_modules(project, unit)
    found = {case.case_id: case for case in proofs.cases_for(unit.need_id, "verifies")}
    for requirement in unit.targets("implements"):
        for case in proofs.cases_for(requirement, "verifies"):
            if any(function.imports & modules for function in case.functions):
                found[case.case_id] = case
    return [case for case in found.values() if case.level == "unit"]


def interfaces_are_verified(project: Project, tally: Tally) -> None:
    """C8: every interface has integration-level tests and their worst verdict is PASS."""
    for need in project.graph.live("interface"):
        cases = [
            case
            for case in project.proofs.cases_for(need.need_id, "verifies")
            if case.level != "unit"
        ]
        tally.judge(
            need.need_id,
            project.proofs.verdict(need.need_id, "verifies (integration level)", cases),
        )


def kinds_are_covered(project: Project, tally: Tally) -> None:
    """C9: every kind of requirement of IEC 62304 5.2.2 occurs, or a signed record says why not."""
    present = {need.field("kind") for need in project.graph.live("srs")}
    if not present:
        return
    for kind in project.model.vocabulary["requirement_kind"]:
        covered = kind in present or project.records.is_not_applicable("C9", kind)
        tally.check(
            kind, None if covered else "no software requirement of this kind and no signed record"
        )


COVERAGE_RULES = (
    Rule("C1", "User needs and system requirements are derived further", parents_have_children),
    Rule(
        "C2", "Requirements lead up to a user need or carry a rationale", requirements_have_parents
    ),
    Rule(
        "C3",
        "Software requirements are implemented by an existing unit",
        requirements_are_implemented,
    ),
    Rule(
        "C4",
        "Every device module belongs to exactly one unit, every unit exists",
        modules_are_units,
    ),
    Rule("C5", "Software requirements are verified: worst verdict PASS", requirements_are_verified),
    Rule(
        "C6",
        "Items carry requirements, class B and C requirements are allocated",
        items_are_allocated,
    ),
    Rule("C7", "Class B and C units are verified at unit level", units_are_verified),
    Rule("C8", "Interfaces are verified at integration level", interfaces_are_verified),
    Rule("C9", "Every kind of requirement of 5.2.2 occurs", kinds_are_covered),
)
