"""What changed between two graphs, and what a change reaches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs import Need

IN: Final = "in"
OUT: Final = "out"
# What a change reaches, stage by stage; IN follows a link from its target to its sources. The first
# stage is repeated until nothing is added. Following every link without end would reach everything:
# the union of all links is cyclic by nature.
REFINEMENT: Final = (("derives", IN), ("trained_on", IN))
STAGES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "control": (("realises", OUT), ("realises", IN), ("enforces", OUT)),
    "design": (
        ("implements", IN),
        ("enforces", IN),
        ("satisfies", IN),
        ("runs", IN),
        ("used_by", OUT),
        ("between", IN),
        ("part_of", IN),
    ),
    "risk": (
        ("caused_by", IN),
        ("reduces", OUT),
        ("arises_from", IN),
        ("leads_to", IN),
        ("introduces", OUT),
        ("enables", OUT),
        ("counters", IN),
        ("followed_up", IN),
    ),
    "anomaly": (("affects", IN), ("assessed_in", IN)),
    "test": (("verifies", IN), ("verifies_control", IN), ("proves_effect", IN)),
}


class NeedChange(Frozen):
    """One need whose text, field or link is another one now.

    Attributes:
        need_id: The need.
        parts: Name of each changed part to (before, after).
    """

    need_id: str
    parts: Mapping[str, tuple[str, str]]


class Difference(Frozen):
    """What changed from one graph to another.

    Attributes:
        added: Ids that only the newer graph holds.
        removed: Ids that only the older graph holds.
        changed: Needs that both hold with another fingerprint.
        impact: What the change reaches in the newer graph: id to the stage that reached it.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[NeedChange, ...]
    impact: Mapping[str, str]

    @property
    def is_empty(self) -> bool:
        """Return whether both graphs say the same."""
        return not (self.added or self.removed or self.changed)


def changed_ids(old: Graph, new: Graph) -> set[str]:
    """Return the ids of ``new`` that are added or have another fingerprint than in ``old``."""
    before = old.needs
    return {
        need_id
        for need_id, need in new.needs.items()
        if need_id not in before or before[need_id].fingerprint != need.fingerprint
    }


def impact_of(graph: Graph, ids: Iterable[str]) -> set[str]:
    """Return every need that a change of ``ids`` reaches, the changed needs included."""
    return set(staged_impact(graph, ids))


def staged_impact(graph: Graph, ids: Iterable[str]) -> dict[str, str]:
    """Return each need that a change reaches, to the stage in which it was reached first.

    Args:
        graph: The graph after the change.
        ids: Changed needs; an id that the graph does not hold reaches nothing.
    """
    found = dict.fromkeys((need_id for need_id in sorted(ids) if need_id in graph.needs), "changed")
    waiting = list(found)
    while waiting:
        for need_id in _reached(graph, waiting.pop(), REFINEMENT):
            if need_id not in found:
                found[need_id] = "refinement"
                waiting.append(need_id)
    for stage, steps in STAGES.items():
        for start in list(found):
            for need_id in _reached(graph, start, steps):
                found.setdefault(need_id, stage)
    return found


def _reached(graph: Graph, need_id: str, steps: Iterable[tuple[str, str]]) -> Iterable[str]:
    """Yield the ids that one step along each link reaches."""
    for link, direction in steps:
        if direction == IN:
            yield from (need.need_id for need in graph.sources(need_id, link))
        else:
            yield from (need.need_id for need in graph.targets(graph.needs[need_id], link))


def difference(old: Graph, new: Graph) -> Difference:
    """Return what changed from ``old`` to ``new``, with everything that the change reaches.

    What stood beside a removed need is reached as well: the needs that still link to its former
    neighbours are found through the older graph.
    """
    added = sorted(set(new.needs) - set(old.needs))
    removed = sorted(set(old.needs) - set(new.needs))
    common = sorted(set(old.needs) & set(new.needs))
    changed = [
        NeedChange(need_id=need_id, parts=changed_parts(old.needs[need_id], new.needs[need_id]))
        for need_id in common
        if old.needs[need_id].fingerprint != new.needs[need_id].fingerprint
    ]
    impact = staged_impact(new, [*added, *(change.need_id for change in changed)])
    for need_id, stage in staged_impact(old, removed).items():
        if need_id in new.needs:
            impact.setdefault(need_id, stage)
    return Difference(
        added=tuple(added), removed=tuple(removed), changed=tuple(changed), impact=impact
    )


def changed_parts(old: Need, new: Need) -> dict[str, tuple[str, str]]:
    """Return each part of a need that differs, to (before, after)."""
    before, after = _parts(old), _parts(new)
    names = sorted(set(before) | set(after))
    return {
        name: (before.get(name, ""), after.get(name, ""))
        for name in names
        if before.get(name, "") != after.get(name, "")
    }


def _parts(need: Need) -> dict[str, str]:
    """Return what the fingerprint covers, by name."""
    links = {name: ", ".join(sorted(ids)) for name, ids in need.links.items()}
    return {"type": need.need_type, "title": need.title, "text": need.content} | {
        **need.fields,
        **links,
    }
