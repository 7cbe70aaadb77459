"""Clause tables: a row follows from the rules, and nothing in the data can hide a gap."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.clause_data import (
    clause_faults,
    load_clause_files,
    parse_clause_file,
)
from trocar_lab.evidence.rules.clauses import Clause, ClauseResult, clause_tables, safety_class
from trocar_lab.evidence.rules.rule import Outcome, Row, Rule, RuleResult, Tally, run_rule
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project

HEAD: Final = 'standard = "Standard"\nedition = "1"\nnote = "Words that the report prints above."\n'
WORDS: Final = "What is shown for this clause."


def _need(need_id: str, need_type: str, **fields: str) -> Need:
    """Return one need."""
    return Need(need_id=need_id, need_type=need_type, title=need_id, fields=fields)


GRAPH: Final = Graph([
    _need("UNIT_ONE", "unit", safety_class="B"),
    _need("ITEM_ONE", "item", safety_class="A"),
    _need("DOC_PLAN", "document", document_kind="development"),
    _need("DOC_RISK", "document", document_kind="risk_management"),
    _need("SRS_KEY", "srs", kind="security"),
    _need("SRS_MASK", "srs", kind="functional"),
])


def _result(
    rule_id: str = "P1",
    keys: str = "DOC_PLAN DOC_RISK",
    *,
    failed: str = "",
    opened: str = "",
    waived: str = "",
    note: str = "",
) -> RuleResult:
    """Return the result of a rule about ``keys``, of which some are not green."""
    names = tuple(keys.split())
    rows = [tuple(Row(key, "because") for key in text.split()) for text in (failed, opened, waived)]
    return RuleResult(
        rule_id=rule_id,
        title=rule_id,
        population=len(names),
        passed=len(names) - sum(map(len, rows)),
        failed=rows[0],
        open=rows[1],
        waived=rows[2],
        note=note,
        keys=names,
    )


def _text(*rows: str) -> str:
    """Return a clause file with the given rows."""
    bodies = (f'[[row]]\nwords = "{WORDS}"\n{row}\n' for row in rows)
    return HEAD + "\n".join(bodies)


def _row(line: str, *, clause: str = "1", strength: str = "M") -> str:
    """Return the lines of one row."""
    return f'clause = "{clause}"\nstrength = "{strength}"\n{line}'


def _judged(row: str, *results: RuleResult, graph: Graph = GRAPH) -> Clause:
    """Return the only row of a file with one row."""
    file = parse_clause_file("x.toml", _text(row))
    return clause_tables(graph, Outcome(results=results), [file])[0].rows[0]


def _said(row: Clause) -> str:
    """Return the reasons of a row in one line."""
    return " | ".join(row.reasons)


@pytest.mark.verifies("SRS_TRACE_021", technique="equivalence")
@pytest.mark.parametrize(
    ("result", "expected", "counts"),
    [
        (_result(), ClauseResult.HOLDS, (2, 2, 0, 0, 0)),
        (_result(waived="DOC_RISK"), ClauseResult.WAIVED, (2, 1, 0, 0, 1)),
        (_result(opened="DOC_RISK", waived="DOC_PLAN"), ClauseResult.OPEN, (2, 0, 0, 1, 1)),
        (_result(failed="DOC_RISK", opened="DOC_PLAN"), ClauseResult.RED, (2, 0, 1, 1, 0)),
        (_result(keys=""), ClauseResult.RED, (0, 0, 0, 0, 0)),
        (_result(keys="", note="signed"), ClauseResult.NOT_APPLICABLE, (0, 0, 0, 0, 0)),
    ],
    ids=["green", "waived", "open", "red", "empty", "empty-and-signed"],
)
def test_row_stands_as_its_rule(
    result: RuleResult, expected: ClauseResult, counts: tuple[int, ...]
) -> None:
    """The worst row of the rule decides; a rule with nothing to look at proves nothing."""
    row = _judged(_row('rules = ["P1"]'), result)
    found = row.counts
    assert row.result is expected
    assert (found.population, found.passed, found.failed, found.open, found.waived) == counts
    assert bool(row.reasons) is (expected is not ClauseResult.HOLDS)


@pytest.mark.verifies("SRS_TRACE_021", technique="example")
def test_row_is_the_worst_of_its_rules_and_sums_them() -> None:
    """One red rule among green ones must show; counts are those of all of them."""
    row = _judged(
        _row('rules = ["P1", "C9", "G8"]'),
        _result(),
        _result("C9", "security", failed="security"),
        _result("G8", "SRS_KEY", opened="SRS_KEY"),
    )
    assert row.result is ClauseResult.RED
    assert row.counts.population == 4
    assert row.rule_ids == ("P1", "C9", "G8")
    assert row.reasons[0] == "C9: 1 of 1 RED, first security: because"
    assert row.reasons[1] == "G8: 1 of 1 OPEN, first SRS_KEY: because"


@pytest.mark.verifies("SRS_TRACE_021", technique="example")
def test_unknown_rule_is_red_and_a_fault_that_names_file_and_clause() -> None:
    """A mistyped rule id must neither pass nor hide behind the rules beside it."""
    text = _text(_row('rules = ["P1", "Q9:security"]', clause="7.1"))
    file = parse_clause_file("x.toml", text)
    row = clause_tables(GRAPH, Outcome(results=(_result(),)), [file])[0].rows[0]
    assert row.result is ClauseResult.RED
    assert "no such rule: Q9" in _said(row)
    assert clause_faults({"P1"}, files=[file]) == {"x.toml": ("x.toml 7.1: no such rule: Q9",)}
    assert clause_faults({"P1", "Q9"}, files=[file]) == {"x.toml": ()}


@pytest.mark.verifies("SRS_TRACE_021", technique="equivalence")
@pytest.mark.parametrize(
    ("reference", "population"),
    [
        ("P1:DOC_PLAN", 1),
        ("P1:development", 2),
        ("P1:document", 2),
        ("P1:kind=security", 1),
        ("P1:srs", 2),
        ("P1:derives", 1),
        ("P1:SRS_MASK derives SYS_A", 1),
        ("P1", 6),
    ],
)
def test_selector_selects_by_equality_with_a_label(reference: str, population: int) -> None:
    """A selector is a key, a word of a key, a type, a kind of document or of requirement."""
    result = _result(keys="DOC_PLAN DOC_RISK development SRS_KEY other")
    result = result.model_copy(
        update={"keys": (*result.keys, "SRS_MASK derives SYS_A"), "population": 6, "passed": 6}
    )
    row = _judged(_row(f'rules = ["{reference}"]'), result)
    assert row.result is ClauseResult.HOLDS
    assert row.counts.population == population


@pytest.mark.verifies("SRS_TRACE_021", technique="boundary")
@pytest.mark.parametrize(
    "selector",
    [
        "DOC_PLA",
        "DOC_PLANS",
        "doc_plan",
        "develop",
        "security",
        "kind",
        "because",
        "user",
        "derive",
        "SYS_",
    ],
)
def test_selector_that_selects_nothing_is_red(selector: str) -> None:
    """A part of a label is none: clause 5.1.11 must not speak for clause 5.1.1."""
    result = _result(keys="DOC_PLAN SRS_KEY phrase")
    phrase = {"keys": ("DOC_PLAN", "SRS_KEY", "SRS_MASK derives SYS_A")}
    row = _judged(_row(f'rules = ["P1:{selector}"]'), result.model_copy(update=phrase))
    assert row.result is ClauseResult.RED
    assert row.counts.population == 0
    assert _said(row) == f"P1:{selector} selects nothing"


@pytest.mark.verifies("SRS_TRACE_021", technique="boundary")
def test_selector_on_a_rule_that_is_signed_as_empty_is_not_applicable() -> None:
    """Who signed that a rule has nothing to look at has signed it for each part of the rule."""
    row = _judged(_row('rules = ["P1:development"]'), _result(keys="", note="signed"))
    assert row.result is ClauseResult.NOT_APPLICABLE
    assert _said(row) == "P1:development: signed"


@pytest.mark.verifies("SRS_TRACE_021", technique="example")
def test_selector_takes_only_its_own_rows() -> None:
    """A red row of another document is not this clause's, and its own is."""
    results = _result(failed="DOC_RISK", opened="DOC_PLAN")
    plan = _judged(_row('rules = ["P1:development"]'), results)
    assert plan.result is ClauseResult.OPEN
    assert plan.counts.open == plan.counts.population == 1
    assert _judged(_row('rules = ["P1:risk_management"]'), results).result is ClauseResult.RED


@pytest.mark.verifies("SRS_TRACE_021", technique="example")
def test_keys_of_a_rule_are_its_whole_population(tmp_path: Path) -> None:
    """Without the keys that pass, a selector could not tell green from absent."""

    def both(_project: Project, tally: Tally) -> None:
        """Judge two keys."""
        tally.check("b", "because")
        tally.check("a")

    result = run_rule(Rule("X1", "two keys", both), seeded_project(CLEAN, tmp_path))
    assert result.keys == ("a", "b")
    assert result.population == 2
    assert "keys" not in result.model_dump()


@pytest.mark.verifies("SRS_TRACE_021", technique="equivalence")
@pytest.mark.parametrize(
    ("approvals", "state", "expected"),
    [
        (_result("G8", "DOC_PLAN"), "approved", ClauseResult.HOLDS),
        (_result("G8", "DOC_PLAN", opened="DOC_PLAN"), "present", ClauseResult.OPEN),
        (_result("G8", "DOC_PLAN", failed="DOC_PLAN"), "stale", ClauseResult.RED),
        (_result("G8", "DOC_RISK"), "present", ClauseResult.OPEN),
        (_result("P1", "DOC_PLAN"), "present", ClauseResult.OPEN),
    ],
    ids=["approved", "not-approved", "stale", "not-looked-at", "rule-not-run"],
)
def test_document_stands_as_its_approval(
    approvals: RuleResult, state: str, expected: ClauseResult
) -> None:
    """A document that is merely there is open; one that changed since its approval is red."""
    row = _judged(_row('documents = ["DOC_PLAN"]', strength="P"), approvals)
    assert [found.state for found in row.documents] == [state]
    assert row.result is expected


@pytest.mark.verifies("SRS_TRACE_021", technique="example")
@pytest.mark.parametrize("name", ["DOC_GONE", "DOC_RETIRED", "DOC_OTHER_TYPE"])
def test_absent_document_is_red_and_a_fault(name: str) -> None:
    """A document that nobody wrote, or that was withdrawn, speaks for nothing."""
    retired = _need("DOC_RETIRED", "document").model_copy(update={"status": "retired"})
    graph = Graph([*GRAPH.needs.values(), retired, _need("DOC_OTHER_TYPE", "srs")])
    text = _text(_row(f'documents = ["{name}"]'))
    file = parse_clause_file("x.toml", text)
    row = clause_tables(graph, Outcome(results=(_result("G8", name),)), [file])[0].rows[0]
    assert row.result is ClauseResult.RED
    assert row.documents[0].state == "absent"
    assert clause_faults((), graph, files=[file]) == {
        "x.toml": (f"x.toml 1: no such document: {name}",)
    }


@pytest.mark.verifies("SRS_TRACE_021", technique="equivalence")
@pytest.mark.parametrize(
    ("line", "results", "expected"),
    [
        ('rules = ["P1"]', (_result(),), ClauseResult.OPEN),
        ('rules = ["P1"]', (_result(failed="DOC_PLAN"),), ClauseResult.RED),
        ('rules = ["G8"]', (_result("G8"),), ClauseResult.OPEN),
        ('rules = ["P1"]', (_result(keys="", note="signed"),), ClauseResult.OPEN),
        ('rules = ["P1", "G8:development"]', (_result(), _result("G8")), ClauseResult.HOLDS),
        ('documents = ["DOC_PLAN"]', (_result("G8"),), ClauseResult.HOLDS),
        ('documents = ["DOC_PLAN"]', (_result("G8", opened="DOC_PLAN"),), ClauseResult.OPEN),
        ('rules = ["K10"]', (_result("K10", "release"),), ClauseResult.HOLDS),
    ],
    ids=[
        "green-rule",
        "red-rule",
        "all-approvals",
        "empty-and-signed",
        "approved-selection",
        "approved-document",
        "document-not-approved",
        "overall-risk-signed",
    ],
)
def test_row_for_a_person_never_holds_by_machine_alone(
    line: str, results: Iterable[RuleResult], expected: ClauseResult
) -> None:
    """Strength H: green rules leave the row open until a person's approval speaks for it."""
    row = _judged(_row(line, strength="H"), *results)
    assert row.result is expected
    if expected is ClauseResult.OPEN and "DOC_PLAN" not in line:
        assert "a person must sign this" in _said(row)


@pytest.mark.verifies("SRS_TRACE_021", technique="example")
def test_pending_row_is_open_however_green_its_rules_are() -> None:
    """What does not exist yet is not made good by what does; red stays red."""
    line = 'rules = ["P1"]\npending = "No person has done this yet."'
    row = _judged(_row(line), _result())
    assert row.result is ClauseResult.OPEN
    assert row.reasons == ("No person has done this yet.",)
    assert _judged(_row(line), _result(failed="DOC_PLAN")).result is ClauseResult.RED


@pytest.mark.verifies("SRS_TRACE_021", technique="example")
def test_signed_reason_makes_a_row_not_applicable_and_shows_who_signed() -> None:
    """Not applicable is a decision with a name; a reason from a later day is a fault."""
    signed = '{ reason = "There is no older product.", name = "Some Body", date = 2026-11-20 }'
    text = _text(_row(f'rules = ["P1"]\nnot_applicable = {signed}'))
    file = parse_clause_file("x.toml", text)
    row = clause_tables(GRAPH, Outcome(results=(_result(keys=""),)), [file])[0].rows[0]
    assert row.result is ClauseResult.NOT_APPLICABLE
    assert "Some Body, 2026-11-20" in _said(row)
    faults = clause_faults({"P1"}, today=dt.date(2026, 11, 19), files=[file])
    assert "in the future" in faults["x.toml"][0]
    assert clause_faults({"P1"}, today=dt.date(2026, 11, 20), files=[file]) == {"x.toml": ()}


@pytest.mark.verifies("SRS_TRACE_021", technique="boundary")
@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ("C", ClauseResult.NOT_REQUIRED),
        ("BC", ClauseResult.HOLDS),
        ("ABC", ClauseResult.HOLDS),
        ("", ClauseResult.HOLDS),
    ],
)
def test_class_filter(classes: str, expected: ClauseResult) -> None:
    """Class B: a row for class C is shown as not required, which is not a pass."""
    row = _judged(_row(f'classes = "{classes}"\nrules = ["P1"]'), _result())
    assert row.result is expected
    if expected is ClauseResult.NOT_REQUIRED:
        assert row.reasons == ("not required for class B",)
        assert row.counts.population == 0


@pytest.mark.verifies("SRS_TRACE_021", technique="boundary")
@pytest.mark.parametrize(
    ("fields", "expected"), [("A", "A"), ("A B", "B"), ("A B C", "C"), ("", "C"), ("A X", "A")]
)
def test_safety_class_is_the_highest_of_live_items_and_units(fields: str, expected: str) -> None:
    """One unit of class C makes the project class C; without any class the highest is taken."""
    needs = [_need(f"UNIT_{name}", "unit", safety_class=name) for name in fields.split()]
    gone = _need("UNIT_GONE", "unit", safety_class="C").model_copy(update={"status": "retired"})
    other = _need("SRS_OTHER", "srs", safety_class="C")
    assert safety_class(Graph([*needs, gone, other])) == expected


@pytest.mark.verifies("SRS_TRACE_021", technique="example")
def test_every_rule_and_whole_table() -> None:
    """A star stands for every rule; a row about the table is judged by all its other rows."""
    rows = [
        _row("whole_table = true", clause="1"),
        _row('rules = ["*"]', clause="2"),
        _row('rules = ["P1:development"]', clause="3"),
        _row('classes = "C"\nrules = ["P1"]', clause="4"),
        _row('reserved = "not used in this edition"', clause="5"),
    ]
    file = parse_clause_file("x.toml", _text(*rows))
    outcome = Outcome(results=(_result(), _result("C9", "alarm", opened="alarm")))
    table = clause_tables(GRAPH, outcome, [file])[0]
    assert [row.clause for row in table.rows] == ["1", "2", "3", "4", "5"]
    whole, every = table.rows[:2]
    assert every.result is ClauseResult.OPEN
    assert every.counts.population == 3
    assert every.rule_ids == ()
    assert whole.result is ClauseResult.OPEN
    assert (whole.counts.population, whole.counts.passed, whole.counts.open) == (2, 1, 1)
    assert "first 2" in _said(whole)
    assert table.result_counts[ClauseResult.NOT_REQUIRED] == 1
    assert clause_tables(GRAPH, Outcome(results=()), [file])[0].rows[1].result is ClauseResult.RED


@pytest.mark.verifies("SRS_TRACE_021", technique="boundary")
def test_whole_table_without_another_row_is_red() -> None:
    """A table that holds nothing but its own summary shows nothing."""
    assert _judged(_row("whole_table = true")).result is ClauseResult.RED


@pytest.mark.verifies("SRS_TRACE_021", technique="example")
def test_shipped_tables_without_any_evidence_hold_nothing() -> None:
    """No rule was run: no row of any table may hold."""
    tables = clause_tables(GRAPH, Outcome(results=()))
    results = {row.result for table in tables for row in table.rows}
    assert results == {
        ClauseResult.RED,
        ClauseResult.OPEN,
        ClauseResult.NOT_REQUIRED,
        ClauseResult.NOT_APPLICABLE,
    }


@pytest.mark.verifies("SRS_TRACE_021", technique="fault_injection")
@pytest.mark.parametrize("rule_id", [rule.rule_id for rule in RULES])
def test_each_rule_alone_turns_its_rows_red(rule_id: str) -> None:
    """A rule that a shipped row names turns the row red by itself, narrowed or not."""
    selectors: dict[str, set[str]] = {}
    for file in load_clause_files():
        for reference in (ref for row in file.rows for ref in row.references):
            selectors.setdefault(reference.rule_id, {"other"}).add(reference.selector)
    keys = {rule.rule_id: " ".join(selectors.get(rule.rule_id, {"other"})) for rule in RULES}
    green = [_result(name, text) for name, text in keys.items()]
    red = [_result(n, t, failed=t if n == rule_id else "") for n, t in keys.items()]
    before, after = _shipped_rows(green), _shipped_rows(red)
    assert ClauseResult.RED not in {row.result for row in before.values()}
    for place, row in after.items():
        asked = row.result not in {ClauseResult.NOT_REQUIRED, ClauseResult.NOT_APPLICABLE}
        named = {rule_id, "*"} & {text.partition(":")[0] for text in row.rules}
        if asked and named:
            assert row.result is ClauseResult.RED, place


def _shipped_rows(results: Iterable[RuleResult]) -> dict[tuple[str, str], Clause]:
    """Return (file, clause) to the judged row of the shipped tables."""
    tables = clause_tables(GRAPH, Outcome(results=tuple(results)))
    return {(table.file, row.clause): row for table in tables for row in table.rows}
