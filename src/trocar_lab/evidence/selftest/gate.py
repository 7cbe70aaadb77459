"""Self-test of the gate: a clean demo is green, each seeded fault is caught by its own rule."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from trocar_lab.evidence.project import Project, read_project
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import Outcome, run_rules
from trocar_lab.evidence.selftest.demo import (
    DEMO_FILES,
    demo_graph,
    demo_lines,
    write_demo,
    write_evidence,
)
from trocar_lab.evidence.selftest.demo_approvals import approve_demo, demo_history
from trocar_lab.evidence.selftest.demo_process import (
    DEMO_COMMITS,
    RELEASE,
    judge_demo,
    write_demo_release,
)
from trocar_lab.evidence.selftest.demo_strength import write_demo_strength
from trocar_lab.evidence.selftest.faults import Fault, load_faults
from trocar_lab.evidence.store.evidence_store import read_store
from trocar_lab.evidence.store.seal import write_seal

TODAY: Final = dt.date(2026, 11, 21)
CLEAN: Final = Fault(name="nothing", rule="", phrase="")


class Caught(NamedTuple):
    """What became of one fault."""

    fault: Fault
    is_caught: bool
    detail: str


def seeded_files(fault: Fault) -> dict[str, str]:
    """Return the files of the demo with the fault in them.

    Raises:
        ValueError: A text to replace does not occur, so that the fault would not be planted.
    """
    files = dict(DEMO_FILES)
    for edit in fault.edits:
        if not edit.old:
            files[edit.path] = edit.new
            continue
        if edit.old not in files[edit.path]:
            raise ValueError(f"fault {fault.name!r}: {edit.path} does not hold {edit.old!r}")
        files[edit.path] = files[edit.path].replace(edit.old, edit.new, 1)
    return files


def seeded_project(fault: Fault, root: Path) -> Project:
    """Write the demo with one fault into ``root`` and return what a check would read.

    Args:
        fault: The fault; ``CLEAN`` for none.
        root: Empty folder.
    """
    files = seeded_files(fault)
    evidence = root / "evidence"
    write_demo(root, DEMO_FILES if fault.stale or fault.stale_approval else files)
    graph = demo_graph(root, keep=lambda need: need.need_id != fault.dropped)
    approve_demo(root, graph, left_out=fault.unapproved)
    judge_demo(root, graph)
    if fault.stale_approval:
        write_demo(root, files)
        graph = demo_graph(root)
    lines = demo_lines(root, graph)
    host = write_evidence(evidence, fault.host.apply(lines) if fault.host else lines)
    if fault.agx:
        agx_lines = demo_lines(root, graph, platform="agx")
        write_evidence(evidence, agx_lines, name="run-20261121T080000Z-2.jsonl")
    write_demo_strength(root, evidence, host)
    write_demo_release(root)
    if fault.sealed:
        write_seal(evidence, read_store(evidence, with_seal=False))
    if fault.tamper is not None:
        fault.tamper.apply(host, root)
    if fault.stale:
        write_demo(root, files)
        graph = demo_graph(root)
    project = read_project(
        root, graph=graph, evidence=evidence, today=TODAY, release_path=root / RELEASE
    )
    return dataclasses.replace(
        project,
        known_history=demo_history(graph, author=fault.author, written=fault.written),
        known_commits=DEMO_COMMITS,
    )


def is_caught(fault: Fault, outcome: Outcome, release: Outcome) -> tuple[bool, str]:
    """Return whether the rule that must catch the fault did, and for the right reason.

    Args:
        fault: The fault.
        outcome: Development check.
        release: Release check.
    """
    result = next(r for r in outcome.results if r.rule_id == fault.rule)
    rows = result.open if fault.is_open else result.failed
    texts = [f"{row.need_id}: {row.reason}" for row in rows]
    if result.population == 0 and not result.note:
        texts.append("population 0")
    hit = next((text for text in texts if fault.phrase in text), "")
    stopped = release if fault.is_open else outcome
    return bool(hit) and not stopped.is_green, hit or f"{fault.rule} said: {texts}"


def run_selftest(switched_off: frozenset[str] = frozenset()) -> tuple[bool, list[Caught]]:
    """Return whether the clean demo is green, and what became of each fault.

    Args:
        switched_off: Rule ids to leave out; only a test does that, to see the self-test fail.
    """
    chosen = [rule for rule in RULES if rule.rule_id not in switched_off]
    with tempfile.TemporaryDirectory() as folder:
        clean = run_rules(chosen, seeded_project(CLEAN, Path(folder)), release=True)
    found: list[Caught] = []
    for fault in load_faults():
        with tempfile.TemporaryDirectory() as folder:
            project = seeded_project(fault, Path(folder))
            outcome = run_rules(chosen, project)
            release = run_rules(chosen, project, release=True)
        if fault.rule not in {rule.rule_id for rule in chosen}:
            detail = f"rule {fault.rule} is switched off"
            found.append(Caught(fault, is_caught=False, detail=detail))
            continue
        caught, detail = is_caught(fault, outcome, release)
        found.append(Caught(fault, caught, detail))
    return clean.is_green, found


def selftest_report() -> tuple[bool, str]:
    """Return whether the self-test holds, and its printed form."""
    is_clean, found = run_selftest()
    lines = [f"clean demo: {'GREEN' if is_clean else 'RED, although nothing is wrong with it'}"]
    for caught in found:
        mark = "caught by" if caught.is_caught else "NOT CAUGHT by"
        fault = caught.fault
        lines.append(f"  {mark} {fault.rule:4} {fault.name}  ({caught.detail[:110]})")
    count = sum(caught.is_caught for caught in found)
    lines.append(f"{len(found)} faults seeded, {count} caught")
    return is_clean and count == len(found), "\n".join(lines)
