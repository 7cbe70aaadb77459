"""Rules that ask the other way round: C10, C11, K12, K13, V11. What exists is declared, and more.

An import that no interface declares, a class of defect that no test finds, a threat that nothing
counters, a requirement that changed after the risk file was read, a failure that nobody reported.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.verdicts import worst
from trocar_lab.evidence.rules.process import newest_findings
from trocar_lab.evidence.rules.risk import DISMISSED_LENGTH_MIN
from trocar_lab.evidence.rules.rule import Rule, Tally
from trocar_lab.evidence.rules.units import owned_modules
from trocar_lab.evidence.source.defect_classes import FILE, first_column
from trocar_lab.evidence.source.item_imports import Import
from trocar_lab.evidence.store.evidence_record import EvidenceRun

DEFECT_SECTION: Final = "dev-defect-classes"
_PORT: Final = re.compile(r"``([a-z_][a-z0-9_.]*)\.([A-Z]\w*)``")
_BAD: Final = frozenset({"failed", "error", "xfailed", "xpassed"})
_REPORT_ID: Final = re.compile(r"\bANO_[A-Z0-9_]+")
_TEST_NAME: Final = re.compile(r"\btest_\w+")


def interfaces_equal_imports(project: Project, tally: Tally) -> None:
    """C10: each import from item to item has an interface need, and each of those an import.

    A signed record about an item covers the imports of it by others, not its own imports: the item
    is the language of the interfaces. An interface without an import names the port it goes
    through: a class, written as ``module.Class``, that one of its sides imports.
    """
    items = _items(project)
    crossings = item_crossings(project, items)
    declared = {frozenset(n.targets("between")) for n in project.graph.live("interface")}
    for (user, used), first in crossings.items():
        is_covered = frozenset({user, used}) in declared
        is_covered = is_covered or project.records.is_not_applicable("C10", used)
        words = f"{first.path}:{first.line} imports {first.target}, and no interface lies between"
        tally.check(f"{user} imports {used}", None if is_covered else words)
    imported, joined = {used for _, used in crossings}, {frozenset(pair) for pair in crossings}
    for record in project.records.not_applicable:
        if record.rule == "C10" and record.key:
            words = "a record covers the imports of it, and no other item imports it"
            tally.check(record.key, None if record.key in imported else words)
    device = set(items.values())
    for need in project.graph.live("interface"):
        sides = frozenset(need.targets("between"))
        if any(_is_of_toolchain(project, side, device) for side in sides):
            continue
        is_joined = len(sides) < 2 or sides in joined or _has_port(project, need, items)
        words = "no import joins its sides, and it names no port that one of them imports"
        tally.check(
            need.need_id,
            "both sides are one item" if len(sides) < 2 else None,
            None if is_joined else words,
        )


def item_crossings(project: Project, items: Mapping[str, str]) -> dict[tuple[str, str], Import]:
    """Return (importing item, imported item) to the first import that crosses.

    A module that belongs to no item, such as a package or the entry, is looked through: what it
    imports is imported by whoever imports it.

    Args:
        project: What is judged.
        items: Each module of the device to its item.
    """
    by_importer: dict[str, list[Import]] = {}
    for found in project.imports:
        by_importer.setdefault(found.importer, []).append(found)
    crossings: dict[tuple[str, str], Import] = {}
    for module, item in items.items():
        for first in by_importer.get(module, ()):
            seen: set[str] = set()
            waiting = [first.target]
            while waiting:
                target = waiting.pop()
                used = items.get(target)
                if used is None and target not in seen:
                    seen.add(target)
                    waiting += [found.target for found in by_importer.get(target, ())]
                elif used not in {None, item}:
                    crossings.setdefault((item, str(used)), first)
    return crossings


def _items(project: Project) -> dict[str, str]:
    """Return each module of the device to the item of the unit that owns it."""
    device = set(project.device.modules)
    return {
        module: item
        for unit in project.graph.live("unit")
        for module in sorted(owned_modules(project, unit) & device)
        for item in unit.targets("part_of")
    }


def _is_of_toolchain(project: Project, item: str, device: Collection[str]) -> bool:
    """Return whether an item has units and none of them is in the device."""
    return item not in device and bool(project.graph.sources(item, "part_of"))


def _has_port(project: Project, need: Need, items: Mapping[str, str]) -> bool:
    """Return whether an interface names a class of the device that one of its sides imports."""
    named, sides = _PORT.findall(need.content), need.targets("between")
    return any(
        f".{found.target}".endswith(f".{module}")
        and found.name == name
        and name in project.device.modules.get(found.target, ())
        and items.get(found.importer) in sides
        for module, name in named
        for found in project.imports
    )


def defect_classes_are_tested(project: Project, tally: Tally) -> None:
    """C11: each listed class of defect has tests that pass, and page and file list the same."""
    found, listed = project.defect_classes, _listed_classes(project)
    if found.fault and listed:
        tally.check(FILE, found.fault)
    known = {function.function for function in project.functions} | found.defined
    names = [entry.name for entry in found.classes]
    for entry in found.classes:
        tally.check(
            entry.name,
            None if entry.name in listed else f"not in the section {DEFECT_SECTION} of the plan",
            "stands twice" if names.count(entry.name) > 1 else None,
            None if entry.tests else "no test is named for it",
        )
        for test in entry.tests:
            tally.check(entry.name, None if test in known else f"{test} does not exist")
            findings = newest_findings(project, test)
            tally.judge(entry.name, worst(findings, subject=test, empty="no evidence"))
    for name in listed:
        tally.check(name, None if name in names else f"listed in the plan, but not in {FILE}")


def _listed_classes(project: Project) -> list[str]:
    """Return the classes of defect that the development plan lists."""
    found: list[str] = []
    for need in project.graph.live("document"):
        if need.field("document_kind") == "development":
            text = project.documents.get(need.field("path")) or ""
            found += first_column(text, DEFECT_SECTION)
    return found


def threats_are_countered(project: Project, tally: Tally) -> None:
    """K12: a threat enables a situation or says why it bears on none, and a control counters it."""
    graph = project.graph
    for need in graph.live("threat"):
        enabled = [n for n in graph.targets(need, "enables") if not n.is_retired]
        reason = need.field("dismissed")
        short = f"dismissed in {len(reason)} characters; at least {DISMISSED_LENGTH_MIN}"
        tally.check(
            need.need_id,
            None if enabled or reason else "enables no situation and does not say why",
            "enables a situation and says that it enables none" if enabled and reason else None,
            short if reason and len(reason) < DISMISSED_LENGTH_MIN else None,
        )
        if not graph.sources(need.need_id, "counters"):
            tally.leave_open(need.need_id, "no control counters it")


def risk_is_read_after_requirements(project: Project, tally: Tally) -> None:
    """K13: situations were approved after the last change of a requirement that controls them."""
    graph = project.graph
    for need in graph.live("srs"):
        controls = [n for n in graph.targets(need, "realises") if not n.is_retired]
        if not controls:
            continue
        situations = {
            n.need_id
            for control in controls
            for n in graph.targets(control, "reduces")
            if not n.is_retired
        }
        tally.check(need.need_id, None if situations else "its controls reduce no situation")
        approvals = {n: project.approvals.of(n) for n in sorted(situations)}
        unread = [n for n, approval in approvals.items() if approval is None]
        if unread:
            tally.leave_open(need.need_id, f"not approved: {', '.join(unread)}")
        if len(unread) == len(approvals):
            continue
        texts = project.history_of(need.need_id)
        changed = _day(texts[-1].date) if texts else None
        if changed is None or texts[-1].fingerprint != need.fingerprint:
            words = project.history.fault or "its text is not committed, so its day is not known"
            tally.leave_open(need.need_id, words)
        for situation, approval in approvals.items():
            if approval is not None and changed is not None and approval.date < changed:
                words = f"changed on {changed}, but {situation} was approved on {approval.date}"
                tally.check(need.need_id, words)


def _day(text: str) -> dt.date | None:
    """Return the day of a commit in universal time, in which approvals are dated."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(dt.UTC).date()


def failures_are_reported(project: Project, tally: Tally) -> None:
    """V11: each outcome that is no pass and no skip belongs to a problem report.

    The reason of the outcome names the report, or the report names the test function. In a run on a
    tree with changes, a failure may be mended in the change at hand: it is open and not red.
    """
    by_test = _reports_by_test(project)
    for run in project.runs:
        failures = list(_failures(run))
        if not failures:
            tally.check(run.path)
        for node, function, outcome, reason in failures:
            key = f"{node} ({run.path})"
            name = function.rpartition("::")[2]
            fault = _report_fault(
                project, run, [*_REPORT_ID.findall(reason), *by_test.get(name, ())]
            )
            tally.check(key)
            if fault and run.run.identity.clean:
                tally.check(key, f"{outcome}, {fault}")
            elif fault:
                tally.leave_open(key, f"{outcome} on a tree with changes, {fault}")


def _failures(run: EvidenceRun) -> Iterator[tuple[str, str, str, str]]:
    """Yield (node or file, function, outcome, reason) of what is no pass and no skip."""
    for node, line in run.outcomes.items():
        found = _BAD & {line.outcome, *line.phases.values()}
        if found:
            collected = run.collected.get(node)
            function = collected.function if collected else node
            yield node, function, ", ".join(sorted(found)), line.reason
    for lost in run.uncollected:
        if lost.outcome != "skipped":
            yield lost.path, lost.path, f"not collected: {lost.outcome}", lost.reason


def _reports_by_test(project: Project) -> Mapping[str, list[str]]:
    """Return the name of each test function to the problem reports that name it."""
    found: dict[str, list[str]] = {}
    for need in project.graph.live("anomaly"):
        texts = [need.title, need.content, *need.fields.values()]
        for name in {name for text in texts for name in _TEST_NAME.findall(text)}:
            found.setdefault(name, []).append(need.need_id)
    return found


def _report_fault(project: Project, run: EvidenceRun, reports: list[str]) -> str:
    """Return why none of the named reports stands for a failure of a run, or nothing."""
    needs = project.graph.needs
    live = [
        needs[n]
        for n in reports
        if n in needs and needs[n].need_type == "anomaly" and not needs[n].is_retired
    ]
    if not live:
        odd = f": no such live report as {', '.join(reports)}" if reports else ""
        return f"and no problem report names it{odd}"
    day = run.run.started[:10]
    if any(n.field("anomaly_state") == "open" or day <= n.field("closed_on") for n in live):
        return ""
    closed = ", ".join(f"{n.need_id} is closed since {n.field('closed_on')}" for n in live)
    return f"and {closed}, before this run"


COMPLETENESS_RULES: Final = (
    Rule("C10", "Imports between items and interface needs are the same", interfaces_equal_imports),
    Rule("C11", "Each class of defect has tests that pass", defect_classes_are_tested),
    Rule("K12", "Threats name a situation or a reason, and a control", threats_are_countered),
    Rule(
        "K13",
        "The risk file was read after the last change of a requirement",
        risk_is_read_after_requirements,
    ),
    Rule("V11", "Each failure belongs to a problem report", failures_are_reported),
)
