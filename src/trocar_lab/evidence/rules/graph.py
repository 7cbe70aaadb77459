"""Rules on the graph itself: G1 to G5, G7, G11."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trocar_lab.evidence.graph.metamodel import ANY
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.rule import Rule, Tally

_CLASSES = {"": 0, "A": 1, "B": 2, "C": 3}


def source_equals_sphinx(project: Project, tally: Tally) -> None:
    """G1: ids unique and well formed; each need in the source is the same in needs.json."""
    model, needs = project.model, project.graph.needs
    for fault in project.scan.faults:
        place, _, reason = fault.partition(": ")
        tally.check(place, reason)
    seen: dict[str, Need] = {}
    for need in project.scan.needs:
        if need.need_id in seen:
            tally.check(need.need_id, f"defined twice: {seen[need.need_id].place} and {need.place}")
        seen.setdefault(need.need_id, need)
    for need_id in sorted(set(seen) | set(needs)):
        written, read = seen.get(need_id), needs.get(need_id)
        if written is None or read is None:
            tally.check(
                need_id,
                "in needs.json only" if written is None else f"{written.place}: not in needs.json",
            )
            continue
        wrong_id = None
        if model.type_of_id(need_id) != read.need_type:
            prefix = model.type[read.need_type].prefix
            wrong_id = f"id does not match {model.id_pattern} with prefix {prefix}"
        tally.check(need_id, wrong_id, *_differences(written, read))
    if not project.read_by_sphinx:
        tally.leave_open("needs.json", "this check read the source alone; Sphinx may drop a need")


def _differences(written: Need, read: Need) -> Iterator[str]:
    """Yield in which parts the scanned need and the need in needs.json differ."""
    for part in ("need_type", "title", "content", "status"):
        if getattr(written, part) != getattr(read, part):
            yield f"{part} differs between source and needs.json"
    for name in sorted(set(written.fields) | set(read.fields)):
        if written.field(name) != read.field(name):
            yield f"field {name} differs between source and needs.json"
    for name in sorted(set(written.links) | set(read.links)):
        if sorted(written.targets(name)) != sorted(read.targets(name)):
            yield f"link {name} differs between source and needs.json"


def no_dangling_link(project: Project, tally: Tally) -> None:
    """G2: no link to a missing id."""
    for need, link, target in project.graph.edges():
        known = target in project.graph.needs
        tally.check(
            f"{need.need_id}", None if known else f"{link} names {target}, which does not exist"
        )


def links_allowed(project: Project, tally: Tally) -> None:
    """G3: every link stands in the metamodel's list for its type and points to an allowed type."""
    model, needs = project.model, project.graph.needs
    for need, link, target in project.graph.edges():
        rule = model.type[need.need_type].links.get(link)
        reason = None
        if rule is None:
            reason = f"a {need.need_type} has no link {link}"
        elif target in needs and ANY not in rule.to and needs[target].need_type not in rule.to:
            wrong = f"{target}, a {needs[target].need_type}"
            reason = f"{link} points to {wrong}; allowed: {', '.join(rule.to)}"
        tally.check(need.need_id, reason)


def shape_of_needs(project: Project, tally: Tally) -> None:
    """G4: required fields, allowed values, number of links; a retired need has no live children."""
    graph, model = project.graph, project.model
    for need in graph.needs.values():
        tally.check(need.need_id, *_field_faults(project, need))
        if need.is_retired:
            children = sorted({
                s.need_id for link in model.link for s in graph.sources(need.need_id, link)
            })
            tally.check(
                need.need_id,
                f"retired, but linked from {', '.join(children)}" if children else None,
            )
            continue
        tally.check(need.need_id, *_count_faults(project, need))


def _field_faults(project: Project, need: Need) -> Iterator[str]:
    """Yield what is wrong with the fields of one need."""
    rule = project.model.type[need.need_type]
    yield from (f"field {name} is missing" for name in rule.required if not need.field(name))
    if need.status not in project.model.vocabulary["status"]:
        yield f"status is {need.status!r}"
    for name, value in need.fields.items():
        if name not in rule.fields:
            yield f"a {need.need_type} has no field {name}"
            continue
        fault = project.model.field_fault(name, value)
        if fault is not None:
            yield fault


def _count_faults(project: Project, need: Need) -> Iterator[str]:
    """Yield what is wrong with the number of links of one need."""
    rule = project.model.type[need.need_type]
    for link, target in rule.links.items():
        ids = need.targets(link)
        excused = bool(target.or_field) and bool(need.field(target.or_field))
        if len(set(ids)) != len(ids):
            yield f"{link} names an id twice"
        if len(ids) < target.min and not excused:
            yield f"{link} needs at least {target.min} of {', '.join(target.to)}, got {len(ids)}"
        if target.max and len(ids) > target.max:
            yield f"{link} takes at most {target.max}, got {len(ids)}"
    if rule.at_least_one_of and not any(need.targets(link) for link in rule.at_least_one_of):
        yield f"needs at least one of {', '.join(rule.at_least_one_of)}"


def families_acyclic(project: Project, tally: Tally) -> None:
    """G5: no cycle inside a family of links."""
    model = project.model
    for family, rule in model.family.items():
        if not rule.acyclic:
            continue
        links = [name for name, link in model.link.items() if link.family == family]
        parents = {
            need.need_id: {t for link in links for t in need.targets(link)}
            for need in project.graph.needs.values()
        }
        stuck = _stuck(parents)
        reason = f"in or behind a cycle of {family}: {', '.join(sorted(stuck))}"
        for need_id, ids in parents.items():
            if ids:
                tally.check(need_id, reason if need_id in stuck else None)


def _stuck(parents: Mapping[str, set[str]]) -> set[str]:
    """Return the needs in a cycle, and those that rest on one.

    Needs without a parent left are taken away until none is (Kahn, 1962); what stays is stuck.
    """
    left = {need_id: len(ids & parents.keys()) for need_id, ids in parents.items()}
    children: dict[str, list[str]] = {}
    for need_id, ids in parents.items():
        for parent in ids & parents.keys():
            children.setdefault(parent, []).append(need_id)
    free = [need_id for need_id, count in left.items() if not count]
    while free:
        for child in children.get(free.pop(), ()):
            left[child] -= 1
            if not left[child]:
                free.append(child)
    return {need_id for need_id, count in left.items() if count}


def safety_class_kept(project: Project, tally: Tally) -> None:
    """G7: a unit or item has at least the class of what it carries, or is segregated."""
    graph = project.graph
    for need in graph.live("unit", "item"):
        own = _CLASSES.get(need.field("safety_class"), 0)
        carried = graph.targets(need, "implements" if need.need_type == "unit" else "satisfies")
        carried += (
            graph.targets(need, "enforces")
            if need.need_type == "unit"
            else graph.sources(need.need_id, "part_of")
        )
        above = [n.need_id for n in carried if _CLASSES.get(n.field("safety_class"), 0) > own]
        excused = bool(need.field("segregation"))
        low = f"class {need.field('safety_class')} is below the class of {', '.join(above)}"
        reason = f"{low}, and no segregation record"
        tally.check(need.need_id, reason if above and not excused else None)


GRAPH_RULES = (
    Rule(
        "G1",
        "Needs in the source are the needs that Sphinx read; ids unique and well formed",
        source_equals_sphinx,
    ),
    Rule("G2", "No link to a missing id", no_dangling_link),
    Rule("G3", "Every link is allowed by the metamodel", links_allowed),
    Rule("G4", "Required fields, allowed values and number of links", shape_of_needs),
    Rule("G5", "No cycle inside a family of links", families_acyclic),
    Rule(
        "G7",
        "Safety class at least that of what is carried, or a segregation record",
        safety_class_kept,
    ),
)
