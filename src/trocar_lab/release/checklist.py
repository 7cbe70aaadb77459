"""The checklist of a release: clauses 5.8 and 8 of IEC 62304, from the clause data.

The page holds what does not change with a run: clause, rules, and who. How each row stands is never
stored; it is worked out from evidence when the command is given some.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.clause_data import EVERY_RULE, ClauseRow, load_clause_files
from trocar_lab.evidence.rules.clauses import Clause, ClauseResult, ClauseTable
from trocar_lab.release.errors import NotReleasableError

__all__ = ["PAGE", "checklist_page", "checklist_rows", "state_lines"]

PAGE: Final = Path("docs", "process", "release_checklist.rst")
_STANDARD: Final = "IEC 62304"
_CLAUSE: Final = re.compile(r"(5\.8|8)\.\d+(\.\d+)?")
_WHO: Final[Mapping[Literal["M", "P", "H"], str]] = {
    "M": "the machine",
    "P": "the machine; a person judges the content",
    "H": "a person signs",
}
_STATES: Final[Mapping[ClauseResult, str]] = {
    ClauseResult.HOLDS: "done",
    ClauseResult.NOT_APPLICABLE: "does not apply",
    ClauseResult.NOT_REQUIRED: "does not apply",
    ClauseResult.WAIVED: "waived",
    ClauseResult.OPEN: "open",
    ClauseResult.RED: "red",
}
_WIDTH: Final = 138
_UNAPPROVED: Final = "not approved"
"""What the rules say of a text that nobody has approved yet."""
_HEAD: Final = """\
Release checklist
=================

Written by ``python -m trocar_lab.release checklist --write`` from the clause data of the trace;
do not edit. One row for each clause of IEC 62304 on release (5.8) and configuration (8). The words
are Trocar's, not those of the standard, and its class letters are not confirmed.

How a row stands today is not written here: a page would be out of date with the next run. The
report of the trace shows it, and so does

.. code-block:: console

   $ python -m trocar_lab.release checklist --evidence .tox/verify/tmp/evidence

where *done* means that each rule holds for all that it looks at, *open* that something is missing,
*by a person* that the machine has no objection left and a named person has yet to decide. **No row
has been signed by anybody.**

.. list-table::
   :header-rows: 1
   :widths: 8 50 24 18

   * - Clause
     - What is shown
     - Rules
     - Who
"""


def checklist_rows() -> tuple[ClauseRow, ...]:
    """Return the rows of the clauses on release and configuration.

    Raises:
        NotReleasableError: The clause data holds none of them.
    """
    rows = [
        row
        for file in load_clause_files()
        if file.standard == _STANDARD
        for row in file.rows
        if _CLAUSE.fullmatch(row.clause)
    ]
    if not any(row.clause.startswith("5.8.") for row in rows):
        raise NotReleasableError("the clause data holds no clause 5.8")
    return tuple(rows)


def checklist_page() -> str:
    """Return the page as RST."""
    lines = []
    for row in checklist_rows():
        pending = f" **Open whatever the rules say:** {row.pending}" if row.pending else ""
        cells = (row.clause, f"{row.words}{pending}", _rules(row), _WHO[row.strength])
        for mark, cell in zip(("* -", "  -", "  -", "  -"), cells, strict=True):
            lines += textwrap.wrap(
                cell,
                _WIDTH,
                initial_indent=f"   {mark} ",
                subsequent_indent=" " * 7,
                break_long_words=False,
                break_on_hyphens=False,
            )
    return _HEAD + "\n".join(lines) + "\n"


def state_lines(tables: Sequence[ClauseTable]) -> list[str]:
    """Return one line a row: clause, state, who, and why it is not better.

    Args:
        tables: Judged clause tables.
    """
    judged = {
        row.clause: row for table in tables if table.standard == _STANDARD for row in table.rows
    }
    lines = []
    for row in checklist_rows():
        found = judged[row.clause]
        reason = f": {found.reasons[0]}" if found.reasons else ""
        lines.append(f"{row.clause:6} {_state(found, row.pending):12} {_WHO[row.strength]}{reason}")
    return lines


def _state(row: Clause, pending: str) -> str:
    """Return how a row stands; one that only waits for somebody's approval says so."""
    is_waiting = row.result is ClauseResult.OPEN and all(
        _UNAPPROVED in reason or reason == pending for reason in row.reasons
    )
    return "by a person" if is_waiting else _STATES[row.result]


def _rules(row: ClauseRow) -> str:
    """Return the rules of a row with their titles."""
    titles = {rule.rule_id: rule.title for rule in RULES}
    found = []
    for reference in row.references:
        if reference.rule_id == EVERY_RULE:
            found.append("every rule")
            continue
        part = f" ({reference.selector})" if reference.selector else ""
        found.append(f"{reference.rule_id}{part}: {titles[reference.rule_id]}")
    if row.whole_table:
        found.append("all other rows of the table")
    return "; ".join(found) or "none"
