"""The page of the report: order, links, escaping, holes, and nothing from outside."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Final

import pytest

from simulators.report_reader import ReportReader, facts_of, unclosed
from simulators.trace_graphs import write_trace
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.project import Project, read_project
from trocar_lab.evidence.proof.verdicts import Verdict
from trocar_lab.evidence.report import not_proven
from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.html_report import html_report
from trocar_lab.evidence.report.markup import MARKS
from trocar_lab.evidence.rules.rule import Outcome, Row, RuleResult
from trocar_lab.evidence.selftest.faults import Fault, TextEdit, load_faults
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project

_HOSTILE: Final = "<img src=x onerror=alert(1)> & \"quoted\" 'single' </style></script>"


def _fault(name: str) -> Fault:
    """Return a seeded fault by its name."""
    return next(fault for fault in load_faults() if fault.name == name)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Return the facts of the demo without a fault."""
    return facts_of(seeded_project(CLEAN, tmp_path_factory.mktemp("clean")))


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Return the facts of the demo in which one parameter set fails."""
    fault = _fault("one parameter set fails, the next passes")
    return facts_of(seeded_project(fault, tmp_path_factory.mktemp("failed")))


@pytest.mark.verifies("SRS_TRACE_020", extent="full", technique="requirement")
def test_page_refers_to_nothing_but_itself(clean: Facts) -> None:
    """The page opens offline, in an archive, and in ten years."""
    page = html_report(clean)
    reader = ReportReader(page)
    assert reader.references
    assert all(value.startswith("#") for value in reader.references)
    assert {value[1:] for value in reader.references} <= set(reader.anchors)
    assert reader.tags.isdisjoint({"link", "img", "iframe", "object", "embed", "base", "form"})
    assert reader.attributes.isdisjoint({"style", "onclick", "onload", "hidden"})
    assert not re.search(r"url\(|@import|https?:", page.partition("</style>")[0])
    assert "default-src 'none'" in page


@pytest.mark.verifies("SRS_TRACE_020", extent="partial", technique="requirement")
def test_each_need_case_rule_clause_and_run_has_one_anchor(clean: Facts) -> None:
    """A deficiency letter cites an anchor; one that stands twice would lead to the wrong place."""
    reader = ReportReader(html_report(clean))
    assert len(reader.anchors) == len(set(reader.anchors))
    anchors = set(reader.anchors)
    assert set(clean.needs) <= anchors
    assert set(clean.anchors.values()) <= anchors
    assert {f"rule-{result.rule_id}" for result in clean.outcome.results} <= anchors
    assert {f"run-{index + 1}" for index in range(len(clean.project.runs))} <= anchors
    assert {"clause-iec-62304-5.7.1", "not-proven", "matrix"} <= anchors
    count = sum(len(table.rows) for table in clean.clauses)
    assert sum(name.startswith("clause-") for name in anchors) == count


def test_elements_are_closed_where_html_asks_for_it(clean: Facts, failed: Facts) -> None:
    """A browser that has to guess shows another page than the one that was meant."""
    for facts in (clean, failed):
        assert unclosed(html_report(facts)) == []


def test_every_text_of_others_is_escaped(tmp_path: Path) -> None:
    """Titles, bodies, fields and reasons come from many hands; none may become an element."""
    edits = (
        TextEdit(path="requirements_spec/demo.rst", old="Mask per frame", new=_HOSTILE),
        TextEdit(path="requirements_spec/demo.rst", old="one mask a frame", new=_HOSTILE),
        TextEdit(path="risk/demo.rst", old="The source stalls;", new=f"{_HOSTILE};"),
        TextEdit(path="docs/architecture/demo.rst", old="NumPy developers", new=_HOSTILE),
        TextEdit(path="verification/demo.rst", old="Below the accuracy", new=_HOSTILE),
    )
    fault = Fault(name="hostile", rule="", phrase="", edits=edits)
    reader = ReportReader(html_report(facts_of(seeded_project(fault, tmp_path))))
    assert "img" not in reader.tags
    assert reader.attributes.isdisjoint({"onerror", "src"})
    assert reader.text.count("<img src=x onerror=alert(1)>") >= 5


@pytest.mark.verifies("SRS_TRACE_020", extent="partial", technique="equivalence")
def test_each_verdict_is_a_word_and_a_sign() -> None:
    """Colour is only the third way in which a verdict is said."""
    words = {verdict: re.sub(r"<[^>]*>", "", mark) for verdict, mark in MARKS.items()}
    assert set(words) == set(Verdict)
    assert all(text.endswith(f" {verdict}") for verdict, text in words.items())
    assert len({text[0] for text in words.values()}) == len(words)


@pytest.mark.verifies("SRS_TRACE_018", extent="full", technique="requirement")
def test_what_is_not_proven_stands_before_what_passed(failed: Facts) -> None:
    """A reader who stops after a page has read the gaps; each row is there with its reason."""
    page = html_report(failed)
    places = [page.index(f"id={name}>") for name in ("identity", "boundary", "not-proven")]
    assert places == sorted(places)
    end = page.index("<section id=suites>")
    assert page.index(MARKS[Verdict.PASS]) > end
    shown = ReportReader(page[page.index("<section id=not-proven>") : end])
    rows = 0
    for result in failed.outcome.results:
        for row in (*result.failed, *result.open, *result.waived):
            block = shown.texts[f"open-{result.rule_id}"]
            subject = row.need_id.partition("[")[0].rstrip()
            first = subject.split(" ")[0]
            assert first in block, row
            assert not_proven.core_reason(row.reason) in block, row
            rows += 1
        if result.failed:
            assert f"{len(result.failed)} of {result.population}" in shown.text
    assert rows > 3
    assert any(result.failed for result in failed.outcome.results)


def test_nothing_lost_is_said_and_not_left_out() -> None:
    """An empty list that vanishes looks like a list that was forgotten."""
    held = RuleResult(rule_id="G1", title="It holds", population=3, passed=3)
    text = ReportReader(not_proven.summary(Outcome(results=(held,)))).text
    assert "0 of 3 checks are not proven" in text


def test_rule_without_population_is_red_or_says_why() -> None:
    """Nothing to look at is a gap of its own."""
    empty = RuleResult(rule_id="G1", title="It holds", population=0, passed=0)
    noted = RuleResult(rule_id="G2", title="Too", population=0, passed=0, note="none on purpose")
    text = ReportReader(not_proven.summary(Outcome(results=(empty, noted)))).text
    assert "✘ redG1It holds0 of 0nothing to look at" in text
    assert "◇ not applicableG2Too0 of 0none on purpose" in text


def test_rows_of_one_reason_stand_together_and_are_counted() -> None:
    """A thousand nodes with one reason are one line; the nodes of a function are counted."""
    keys = [f"tests/unit/test_a.py::test_x[{n}] (host)" for n in range(3)]
    keys += ["tests/unit/test_a.py::test_y (host)"]
    listed = list(not_proven.subjects(keys, {}))
    assert listed == [
        "<code>tests/unit/test_a.py::test_x (host)</code> (3 nodes)",
        "<code>tests/unit/test_a.py::test_y (host)</code>",
    ]
    reason = "FAIL: failed [tests/a.py::test_x[1; 2]]; FAIL: failed [tests/a.py::test_x[3]]"
    assert not_proven.core_reason(reason) == "FAIL: failed"
    both = "FAIL: failed [tests/a.py::test_x]; MISSING: not run [tests/a.py::test_y]"
    assert not_proven.core_reason(both) == "FAIL: failed; MISSING: not run"


def test_waived_row_names_who_and_until_when() -> None:
    """A waiver without name and day would be a hidden gap."""
    waived = RuleResult(
        rule_id="C5",
        title="Verified",
        population=2,
        passed=1,
        waived=(Row("SRS_A_001", "WAIVED by A Person, 2026-11-01, until 2026-12-01: because"),),
    )
    text = ReportReader(not_proven.summary(Outcome(results=(waived,)))).text
    assert "◇ waivedC5Verified1 of 2SRS_A_001: WAIVED by A Person, 2026-11-01, until" in text


def test_report_of_nothing_shows_its_holes(clean: Facts) -> None:
    """An empty graph gives a page that is red everywhere, not one that fails or looks clean."""
    project = clean.project
    bare = dataclasses.replace(project, graph=Graph([], project.model), runs=(), texts={})
    page = html_report(facts_of(bare))
    reader = ReportReader(page)
    assert unclosed(page) == []
    assert "TRACE VERDICT: RED" in reader.text
    for words in (
        "0 hazards: the risk file is empty",
        "0 runs: no evidence at all",
        "0 user needs",
    ):
        assert words in reader.text


def test_size_and_holes_of_a_made_graph(tmp_path: Path) -> None:
    """At a few hundred needs each has its card, and the bytes for each stay within their bound."""
    made = write_trace(tmp_path, 500)
    project: Project = read_project(made.root, graph=made.graph, evidence=made.evidence)
    facts = facts_of(project)
    page = html_report(facts)
    reader = ReportReader(page)
    assert set(made.graph.needs) <= set(reader.anchors)
    assert unclosed(page) == []
    fixed = len(html_report(facts_of(_without_needs(project))).encode())
    assert (len(page.encode()) - fixed) / len(made.graph.needs) < 1400


def _without_needs(project: Project) -> Project:
    """Return a project that holds no need, so that what is left of a page is what is fixed."""
    return dataclasses.replace(project, graph=Graph([], project.model), texts={})
