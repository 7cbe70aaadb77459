"""How strong the tests are: coverage of each unit, and the mutants of each risk control."""

from __future__ import annotations

from collections.abc import Sequence

from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.markup import (
    GOOD,
    MUTED,
    OPEN,
    RED,
    esc,
    ref,
    state,
    table,
)
from trocar_lab.evidence.rules.strength import ControlStrength, UnitStrength

NOT_MEASURED = state(OPEN, "○", "not measured")


def strength_page(facts: Facts) -> str:
    """Return the tables of coverage and of mutants."""
    record = facts.project.strength.coverage
    if record is None:
        words = "No coverage was recorded with this evidence."
    else:
        words = f"Coverage was measured by {record.tool} in the run {record.run}."
    return (
        f"<p>{esc(words)} Coverage says that code ran, not that a test would notice an error in it;"
        " for the code of the risk controls, mutants say that: each is one small fault put into the"
        " code, and a test must fail with it.</p>"
        f"{_coverage_table(facts)}{_mutation_table(facts)}{_survivor_table(facts)}"
    )


def _coverage_table(facts: Facts) -> str:
    """Return the coverage of each unit."""
    rows = []
    measured = facts.project.strength.coverage is not None
    units = facts.live("unit")
    for unit in units if measured else ():
        found = facts.strength[unit.need_id].coverage
        cells = "<td>".join(_coverage_cells(found))
        rows.append(f"<tr><th>{ref(unit.need_id)}<td>{cells}")
    return table(
        "Coverage of each unit beside what its safety class asks for",
        (
            "Unit",
            "State",
            "Class",
            "Statements reached",
            "Asked for",
            "Branches taken",
            "Asked for",
        ),
        rows,
        empty=f"not measured: 0 of {len(units):,} units",
        widths=(32, 14, 7, 15, 8, 15, 8),
        wide=True,
    )


def _coverage_cells(found: UnitStrength | None) -> Sequence[str]:
    """Return the cells of one unit."""
    if found is None:
        return (NOT_MEASURED, "", "", "", "", "")
    return (
        coverage_state(found),
        found.safety_class,
        f"{found.covered_statements}/{found.statements}, {found.statement_share:.1%}",
        f"{found.statements_min:.0%}",
        f"{found.covered_branches}/{found.branches}, {found.branch_share:.1%}",
        f"{found.branches_min:.0%}",
    )


def coverage_state(found: UnitStrength) -> str:
    """Return whether a unit is covered as its class asks."""
    if found.absent or not found.statements:
        return state(RED, "∅", "not in the record")
    if found.statement_share < found.statements_min or found.branch_share < found.branches_min:
        return state(RED, "✘", "below")
    return state(GOOD, "✔", "reached")


def coverage_text(found: UnitStrength) -> str:
    """Return the coverage of a unit in one line."""
    return (
        f"{coverage_state(found)} statements {found.covered_statements}/{found.statements},"
        f" branches {found.covered_branches}/{found.branches}"
    )


def _mutation_table(facts: Facts) -> str:
    """Return the mutants of the code of each control."""
    pairs = [
        (control.need_id, found)
        for control in facts.live("risk_control")
        for found in facts.strength[control.need_id].controls
    ]
    rows = [
        f"<tr><th>{ref(name)}<td><code>{esc(found.code)}</code>"
        f"<td>{mutation_state(found)}<td>{mutation_text(found)}"
        for name, found in pairs
        if facts.project.strength.mutation is not None
    ]
    return table(
        "Mutants of the code that enforces each risk control",
        ("Control", "Code", "State", "Mutants"),
        rows,
        empty=f"not measured: 0 of {len(pairs):,} pieces of code that enforce a control",
        widths=(20, 36, 14, 30),
        wide=True,
    )


def mutation_state(found: ControlStrength) -> str:
    """Return whether the tests notice enough of the mutants of one piece of code."""
    if found.state == "outdated":
        return state(OPEN, "⟲", "outdated")
    if found.state != "measured":
        return NOT_MEASURED
    if found.total and found.score >= found.score_min:
        return state(GOOD, "✔", "reached")
    return state(RED, "✘", "below")


def mutation_text(found: ControlStrength) -> str:
    """Return the score of one piece of code, or why there is none."""
    if found.state != "measured":
        return esc(found.reason)
    argued = found.total - found.counted
    extra = f"; {argued} argued to be equivalent" if argued else ""
    return (
        f"{found.killed} of {found.counted} noticed, {found.score:.0%}; asked for"
        f" {found.score_min:.0%}{extra}"
    )


def _survivor_table(facts: Facts) -> str:
    """Return each mutant that no test noticed."""
    rows = [
        f"<tr><th><code>{esc(one.function)}</code> line {one.survivor.line}"
        f"<td>{esc(one.survivor.operator)}<td><code>{esc(one.survivor.change)}</code>"
        f"<td>{esc(one.argued) or state(OPEN, '○', 'not argued')}"
        for control in facts.live("risk_control")
        for found in facts.strength[control.need_id].controls
        for one in found.survivors
    ]
    return table(
        "Mutants that no test noticed",
        ("Function and line", "Kind", "Change", "Why it is equivalent"),
        dict.fromkeys(rows),
        empty="0 survivors in the records that are about the present code",
        widths=(30, 14, 30, 26),
        wide=True,
    )


def control_cells(facts: Facts, need_id: str) -> tuple[str, str]:
    """Return state and text on the mutants of a control, for its chain of proof."""
    found = facts.strength[need_id].controls
    if not found:
        return f"<span class={MUTED}>not asked for</span>", "no code carries its comment"
    states = [mutation_state(one) for one in found]
    lines = [f"<code>{esc(one.code)}</code>: {mutation_text(one)}" for one in found]
    if len(set(states)) == 1:
        return states[0], "<br>".join(lines)
    marked = (f"{mark} {line}" for mark, line in zip(states, lines, strict=True))
    return state(OPEN, "◐", "in part"), "<br>".join(marked)
