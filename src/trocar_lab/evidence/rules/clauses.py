"""Clause tables: how each clause of a standard stands, worked out from the outcome of the rules.

A row is as good as the worst of its parts. A part is a rule, narrowed to some of its rows or not,
or a document. A selector names rows by equality with one of their labels: the key of the row, each
word of that key and, where the first word is the id of a need, the type of the need, its kind of
document, and ``kind=`` with its kind of requirement. A selector that fits no row is red.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from typing import Final, Literal

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.rules.clause_data import (
    EVERY_RULE,
    ClauseFile,
    ClauseRow,
    Reference,
    load_clause_files,
)
from trocar_lab.evidence.rules.rule import Outcome, Row, RuleResult

APPROVAL_RULE: Final = "G8"
OVERALL_RISK_RULE: Final = "K10"
CLASSES: Final = "ABC"
REASONS_MAX: Final = 3
_REASON_LENGTH_MAX: Final = 140


class ClauseResult(StrEnum):
    """How a row stands, from good to bad in the order of ``rank``."""

    NOT_REQUIRED = "NOT REQUIRED"
    NOT_APPLICABLE = "NOT APPLICABLE"
    HOLDS = "HOLDS"
    WAIVED = "WAIVED"
    OPEN = "OPEN"
    RED = "RED"

    @property
    def rank(self) -> int:
        """Return the place in the order from good to bad."""
        return list(ClauseResult).index(self)


class Counts(Frozen):
    """How many rows of rules speak for a clause, and how they stand."""

    population: int = 0
    passed: int = 0
    failed: int = 0
    open: int = 0
    waived: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the sum of two counts."""
        return Counts(
            population=self.population + other.population,
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            open=self.open + other.open,
            waived=self.waived + other.waived,
        )


class DocumentState(Frozen):
    """How a document that a clause names stands.

    Attributes:
        document_id: Id of the document.
        state: approved; present, without an approval of its present text; stale, approved in
            another text; or absent.
    """

    document_id: str
    state: Literal["approved", "present", "stale", "absent"]


class Clause(Frozen):
    """One row of a clause table with its result.

    Attributes:
        clause: Number or name.
        classes: Safety classes that need it; empty where the standard has none.
        words: What Trocar shows for it.
        strength: M, P or H.
        rules: References as written: ``RULE`` or ``RULE:selector``.
        rule_ids: Ids of the rules, to link to; ``*`` is in ``rules`` only.
        documents: State of each document.
        counts: Summed over the rules.
        result: Worst of the parts.
        reasons: Why it is not better, the first few.
    """

    clause: str
    classes: str
    words: str
    strength: Literal["M", "P", "H"]
    rules: tuple[str, ...]
    rule_ids: tuple[str, ...]
    documents: tuple[DocumentState, ...] = ()
    counts: Counts = Counts()
    result: ClauseResult
    reasons: tuple[str, ...] = ()


class ClauseTable(Frozen):
    """One edition of one standard with its results.

    Attributes:
        file: Name of the data file.
        standard: Short name.
        edition: Edition.
        note: What the reader must know; printed above the table.
        safety_class: Highest class of the live items and units.
        rows: The rows in the order of the standard.
    """

    file: str
    standard: str
    edition: str
    note: str
    safety_class: str
    rows: tuple[Clause, ...]

    @property
    def result_counts(self) -> dict[ClauseResult, int]:
        """Return each result to the number of rows that have it."""
        found = [row.result for row in self.rows]
        return {result: found.count(result) for result in ClauseResult}


class _Part(Frozen):
    """What one rule or document contributes to a row."""

    result: ClauseResult
    counts: Counts = Counts()
    reasons: tuple[str, ...] = ()


class _Evidence:
    """The outcome of the rules, laid out for look-up by rule and label."""

    def __init__(self, graph: Graph, outcome: Outcome) -> None:
        self._graph = graph
        self._results = {result.rule_id: result for result in outcome.results}
        self._keys: dict[str, tuple[set[str], list[str]]] = {}
        self._parts: dict[Reference, _Part] = {}

    def part(self, reference: Reference) -> _Part:
        """Return what a reference contributes; each is worked out once."""
        if reference not in self._parts:
            self._parts[reference] = self._part(reference)
        return self._parts[reference]

    def _part(self, reference: Reference) -> _Part:
        """Return what a reference contributes."""
        if reference.rule_id == EVERY_RULE:
            parts = [_judged(name, result) for name, result in self._results.items()]
            return _worst(parts) if parts else _red("no rule was run")
        result = self._results.get(reference.rule_id)
        if result is None:
            return _red(f"no such rule: {reference.rule_id}")
        if not reference.selector:
            return _judged(reference.rule_id, result)
        return self._narrowed(reference, result)

    def _narrowed(self, reference: Reference, result: RuleResult) -> _Part:
        """Return what the selected rows of a rule contribute."""
        name = f"{reference.rule_id}:{reference.selector}"
        if result.population == 0 and result.note:
            return _judged(name, result)
        keys = self._selected(result, reference.selector)
        if not keys:
            return _red(f"{name} selects nothing")
        failed, opened, waived = (
            tuple(row for row in rows if row.need_id in keys)
            for rows in (result.failed, result.open, result.waived)
        )
        update = {
            "population": len(keys),
            "passed": len(keys) - len(failed) - len(opened) - len(waived),
            "failed": failed,
            "open": opened,
            "waived": waived,
        }
        return _judged(name, result.model_copy(update=update))

    def _selected(self, result: RuleResult, selector: str) -> set[str]:
        """Return the keys of a rule that carry a label equal to the selector."""
        if result.rule_id not in self._keys:
            phrases = [key for key in result.keys if " " in key]
            self._keys[result.rule_id] = set(result.keys), phrases
        keys, phrases = self._keys[result.rule_id]
        group = self._groups.get(selector, set())
        found = (group | {selector}) & keys
        for key in phrases:
            words = key.split()
            if selector in words or words[0] in group:
                found.add(key)
        return found

    @cached_property
    def _groups(self) -> dict[str, set[str]]:
        """Return each label that needs share to their ids: type and kinds."""
        table: dict[str, set[str]] = {}
        for need in self._graph.needs.values():
            labels = [need.need_type, need.field("document_kind")]
            labels += [f"kind={need.field('kind')}"] if need.field("kind") else []
            for label in labels:
                table.setdefault(label, set()).add(need.need_id)
        return table

    def document(self, document_id: str) -> tuple[DocumentState, _Part]:
        """Return the state of a document and what it contributes."""
        need = self._graph.needs.get(document_id)
        if need is None or need.is_retired or need.need_type != "document":
            state = DocumentState(document_id=document_id, state="absent")
            return state, _red(f"{document_id} does not exist")
        approval = self._approvals.get(document_id, ClauseResult.OPEN)
        if approval is ClauseResult.HOLDS:
            state = DocumentState(document_id=document_id, state="approved")
            return state, _Part(result=approval)
        stale = approval is ClauseResult.RED
        state = DocumentState(document_id=document_id, state="stale" if stale else "present")
        words = "changed after its approval" if stale else "is not approved"
        return state, _Part(result=approval, reasons=(f"{document_id} {words}",))

    @cached_property
    def _approvals(self) -> dict[str, ClauseResult]:
        """Return each need that the rule on approvals looked at to what it says."""
        result = self._results.get(APPROVAL_RULE)
        if result is None:
            return {}
        found = dict.fromkeys(result.keys, ClauseResult.HOLDS)
        for colour, rows in (
            (ClauseResult.WAIVED, result.waived),
            (ClauseResult.OPEN, result.open),
            (ClauseResult.RED, result.failed),
        ):
            found.update(dict.fromkeys((row.need_id for row in rows), colour))
        return found


def clause_tables(
    graph: Graph, outcome: Outcome, files: Sequence[ClauseFile] | None = None
) -> tuple[ClauseTable, ...]:
    """Return every clause table with its results; nothing in it is stored anywhere.

    Args:
        graph: The needs.
        outcome: What the rules said about them.
        files: Clause data; the files that ship when left out.

    Raises:
        ClauseError: A file that ships cannot be judged.
    """
    evidence, required = _Evidence(graph, outcome), safety_class(graph)
    return tuple(
        ClauseTable(
            file=file.file,
            standard=file.standard,
            edition=file.edition,
            note=file.note,
            safety_class=required,
            rows=_rows(file, evidence, required),
        )
        for file in (load_clause_files() if files is None else files)
    )


def safety_class(graph: Graph) -> str:
    """Return the highest class of live items and units; C where none has a class."""
    found = {need.field("safety_class") for need in graph.live("item", "unit")}
    return max(found & set(CLASSES), default=CLASSES[-1])


def _rows(file: ClauseFile, evidence: _Evidence, required: str) -> tuple[Clause, ...]:
    """Return the judged rows; those that look at the whole table come last to be judged."""
    judged = {
        row.clause: _clause(row, evidence, required) for row in file.rows if not row.whole_table
    }
    others = list(judged.values())
    for row in file.rows:
        if row.whole_table:
            judged[row.clause] = _clause(row, evidence, required, whole=_whole(others))
    return tuple(judged[row.clause] for row in file.rows)


def _clause(
    row: ClauseRow, evidence: _Evidence, required: str, whole: _Part | None = None
) -> Clause:
    """Return one judged row."""
    documents = [evidence.document(name) for name in row.documents]
    states = tuple(state for state, _ in documents)
    parts = [evidence.part(reference) for reference in row.references]
    parts += [part for _, part in documents]
    parts += [whole] if whole is not None else []
    if row.pending:
        parts.append(_Part(result=ClauseResult.OPEN, reasons=(row.pending,)))
    part = _decided(row, required) or _signed(row, evidence, states, _worst(parts))
    return Clause(
        clause=row.clause,
        classes=row.classes,
        words=row.words,
        strength=row.strength,
        rules=row.rules,
        rule_ids=tuple(
            dict.fromkeys(ref.rule_id for ref in row.references if ref.rule_id != EVERY_RULE)
        ),
        documents=states,
        counts=part.counts,
        result=part.result,
        reasons=_few(part.reasons),
    )


def _decided(row: ClauseRow, required: str) -> _Part | None:
    """Return the result of a row that no proof is asked of, or None."""
    if row.reserved:
        return _Part(result=ClauseResult.NOT_APPLICABLE, reasons=(row.reserved,))
    if row.classes and required not in row.classes:
        words = f"not required for class {required}"
        return _Part(result=ClauseResult.NOT_REQUIRED, reasons=(words,))
    if row.not_applicable is not None:
        signed = row.not_applicable
        words = f"{signed.reason} ({signed.name}, {signed.date})"
        return _Part(result=ClauseResult.NOT_APPLICABLE, reasons=(words,))
    return None


def _signed(
    row: ClauseRow, evidence: _Evidence, documents: Sequence[DocumentState], part: _Part
) -> _Part:
    """Return the part; a row that a person signs is open until an approval says so.

    That is the approval of a document of the row, of the needs that it selects from the rule on
    approvals, or the signed record of the overall residual risk.
    """
    is_approved = any(
        evidence.part(reference).result is ClauseResult.HOLDS
        for reference in row.references
        if reference.rule_id == OVERALL_RISK_RULE
        or (reference.rule_id == APPROVAL_RULE and reference.selector)
    )
    is_signed = is_approved or any(document.state == "approved" for document in documents)
    if row.strength != "H" or is_signed or part.result.rank >= ClauseResult.OPEN.rank:
        return part
    words = "a person must sign this, and no approval says so"
    return part.model_copy(update={"result": ClauseResult.OPEN, "reasons": (*part.reasons, words)})


def _whole(rows: Sequence[Clause]) -> _Part:
    """Return what all other rows of a table say together; a row that is not asked for is none."""
    asked = [
        row
        for row in rows
        if row.result not in {ClauseResult.NOT_REQUIRED, ClauseResult.NOT_APPLICABLE}
    ]
    if not asked:
        return _red("no other row to look at")
    found = [row.result for row in asked]
    counts = Counts(
        population=len(found),
        passed=found.count(ClauseResult.HOLDS),
        failed=found.count(ClauseResult.RED),
        open=found.count(ClauseResult.OPEN),
        waived=found.count(ClauseResult.WAIVED),
    )
    worst = max(found, key=lambda result: result.rank)
    first = next(row for row in asked if row.result is worst)
    words = (
        f"{found.count(worst)} of {len(found)} rows of this table: {worst}, first {first.clause}"
    )
    reasons = () if worst is ClauseResult.HOLDS else (words,)
    return _Part(result=worst, counts=counts, reasons=reasons)


def _judged(name: str, result: RuleResult) -> _Part:
    """Return what a rule, or the selected rows of one, contributes."""
    if result.population == 0:
        if result.note:
            return _Part(result=ClauseResult.NOT_APPLICABLE, reasons=(f"{name}: {result.note}",))
        return _red(f"{name} had nothing to look at")
    found, reasons = ClauseResult.HOLDS, []
    for colour, rows in (
        (ClauseResult.RED, result.failed),
        (ClauseResult.OPEN, result.open),
        (ClauseResult.WAIVED, result.waived),
    ):
        if rows:
            found = max(found, colour, key=lambda value: value.rank)
            reasons.append(_reason(name, colour, rows, result.population))
    counts = Counts(
        population=result.population,
        passed=result.passed,
        failed=len(result.failed),
        open=len(result.open),
        waived=len(result.waived),
    )
    return _Part(result=found, counts=counts, reasons=tuple(reasons))


def _reason(name: str, colour: ClauseResult, rows: Sequence[Row], population: int) -> str:
    """Return one reason: how many rows of how many, and the first of them."""
    first = f"{rows[0].need_id}: {rows[0].reason}"
    if len(first) > _REASON_LENGTH_MAX:
        first = first[: _REASON_LENGTH_MAX - 1].rstrip() + "…"
    return f"{name}: {len(rows)} of {population} {colour}, first {first}"


def _red(reason: str) -> _Part:
    """Return a red part that nothing was counted for."""
    return _Part(result=ClauseResult.RED, reasons=(reason,))


def _worst(parts: Sequence[_Part]) -> _Part:
    """Return the parts as one: the worst result, summed counts, reasons of the worst first."""
    if not parts:
        return _red("nothing speaks for this row")
    ordered = sorted(parts, key=lambda part: -part.result.rank)
    return _Part(
        result=ordered[0].result,
        counts=sum((part.counts for part in parts), Counts()),
        reasons=tuple(dict.fromkeys(reason for part in ordered for reason in part.reasons)),
    )


def _few(reasons: Sequence[str]) -> tuple[str, ...]:
    """Return the first few reasons and how many there are more."""
    more = len(reasons) - REASONS_MAX
    return (*reasons[:REASONS_MAX], f"and {more} more reasons") if more > 0 else tuple(reasons)
