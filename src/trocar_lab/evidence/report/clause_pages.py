"""The clause tables: what Trocar shows for each clause, which rules say so, and how far they go."""

from __future__ import annotations

import re
from typing import Final

from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.markup import (
    GOOD,
    MUTED,
    OPEN,
    RED,
    esc,
    link,
    refs,
    state,
    table,
)
from trocar_lab.evidence.rules.clauses import Clause, ClauseResult, ClauseTable

STRENGTHS: Final = {
    "M": "the rule proves the point",
    "P": "the rule proves that a record exists, is approved and still fits; a person judges it",
    "H": "a person signs it; the rule checks that the signature is there and fits",
}
MARKS: Final = {
    ClauseResult.NOT_REQUIRED: f"<span class={MUTED}>not required</span>",
    ClauseResult.NOT_APPLICABLE: state(OPEN, "◇", "not applicable"),
    ClauseResult.HOLDS: state(GOOD, "✔", "holds"),
    ClauseResult.WAIVED: state(OPEN, "◇", "waived"),
    ClauseResult.OPEN: state(OPEN, "○", "open"),
    ClauseResult.RED: state(RED, "✘", "red"),
}
_ROWS: Final = re.compile(r"([A-Z][0-9]+)(:\S.*?)?: ([\d,]+ of [\d,]+) ([A-Z]+), first ")
_DOCUMENT: Final = {
    "approved": state(GOOD, "✔", "approved"),
    "present": state(OPEN, "○", "not approved"),
    "stale": state(RED, "⟲", "stale"),
    "absent": state(RED, "∅", "absent"),
}


def standard_anchor(standard: str) -> str:
    """Return a standard as part of an anchor: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", standard.lower()).strip("-")


def clause_anchors(found: ClauseTable, used: set[str]) -> list[str]:
    """Return the anchor of each row; what is used already gets the edition in it.

    Args:
        found: One table.
        used: Anchors of the tables before; the new ones are added.
    """
    name = standard_anchor(found.standard)
    edition = standard_anchor(found.edition)
    anchors = []
    for row in found.rows:
        clause = re.sub(r"[^A-Za-z0-9.]+", "-", row.clause).strip("-")
        anchor = f"clause-{name}-{clause}"
        if anchor in used:
            anchor = f"clause-{name}-{edition}-{clause}"
        used.add(anchor)
        anchors.append(anchor)
    return anchors


def clause_pages(facts: Facts) -> str:
    """Return the legend, a summary of the tables and every table."""
    strengths = "".join(f"<dt>{letter}<dd>{esc(words)}" for letter, words in STRENGTHS.items())
    used: set[str] = set()
    tables = [_table(facts, found, clause_anchors(found, used)) for found in facts.clauses]
    return (
        "<p>No row of these tables stores how it stands: each is worked out from the rules in this"
        " report. No statement here is one of conformity with a standard.</p>"
        f"<h3>Strength</h3><dl class=d>{strengths}</dl>{_summary(facts)}{''.join(tables)}"
    )


def _summary(facts: Facts) -> str:
    """Return one line a table."""
    rows = []
    for found in facts.clauses:
        counts = found.result_counts
        cells = "<td>".join(str(counts[result]) for result in MARKS)
        target = f"standard-{found.file.removesuffix('.toml').replace('_', '-')}"
        name = link(target, f"{esc(found.standard)}, {esc(found.edition)}")
        rows.append(f"<tr><th>{name}<td>{len(found.rows)}<td>{cells}")
    head = (
        "Standard",
        "Rows",
        "Not required",
        "Not applicable",
        "Hold",
        "Waived",
        "Open",
        "Red",
    )  # fmt: skip - one row of titles
    return table(
        "Clause tables and how their rows stand",
        head,
        rows,
        empty="0 clause tables",
        widths=(40, 8, 10, 11, 8, 8, 8, 7),
        wide=True,
    )


def _table(facts: Facts, found: ClauseTable, anchors: list[str]) -> str:
    """Return one table with its note."""
    rows = [_row(facts, row, anchor) for row, anchor in zip(found.rows, anchors, strict=True)]
    title = f"{esc(found.standard)}, {esc(found.edition)}"
    target = f"standard-{found.file.removesuffix('.toml').replace('_', '-')}"
    head = (
        "Clause",
        "Class",
        "What Trocar shows",
        "Rules and documents",
        "Result, rows that hold",
        "Strength",
    )  # fmt: skip - one row of titles
    return (
        f"<section><h3 id={target}>{title}</h3><p class=z>{esc(found.note)}</p>"
        + table(
            f"{title}, judged for class {esc(found.safety_class)}",
            head,
            rows,
            empty="0 rows",
            widths=(10, 6, 38, 16, 24, 6),
            wide=True,
        )
        + "</section>"
    )


def _row(facts: Facts, row: Clause, anchor: str) -> str:
    """Return one row."""
    counts = row.counts
    population = f" {counts.passed:,} of {counts.population:,}" if counts.population else ""
    reasons = "".join(f"<br>{_reason(text)}" for text in row.reasons)
    return (
        f"<tr id={anchor}><th>{esc(row.clause)}<td>{esc(row.classes) or '-'}"
        f"<td>{esc(row.words)}<td>{_proofs(facts, row)}<td>{MARKS[row.result]}{population}{reasons}"
        f"<td>{row.strength}"
    )


def _reason(text: str) -> str:
    """Return a reason; of rows that a rule lists only their count, with a link to the rows."""
    found = _ROWS.match(text)
    if found is None:
        return f"<span class={MUTED}>{esc(text)}</span>"
    rule_id, selector, count, colour = found.groups()
    words = link(f"open-{rule_id}", f"{rule_id}{esc(selector or '')}: {count} {colour.lower()}")
    return f"<span class={MUTED}>{words}</span>"


def _proofs(facts: Facts, row: Clause) -> str:
    """Return links to the rules and documents of a row."""
    known = {result.rule_id for result in facts.outcome.results}
    parts = []
    for reference in row.rules:
        rule_id = reference.partition(":")[0]
        if reference == "*":
            parts.append(link("rules", "every rule"))
        elif rule_id in known:
            parts.append(link(f"rule-{rule_id}", esc(reference)))
        else:
            parts.append(f"<code>{esc(reference)}</code>")
    parts += [
        f"{refs((document.document_id,), facts.needs)} {_DOCUMENT[document.state]}"
        for document in row.documents
    ]
    return "<br>".join(parts) or "-"
