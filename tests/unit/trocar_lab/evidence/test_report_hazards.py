"""From each hazard to its proofs: every step of a control closes, or shows its hole."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from simulators.report_reader import ReportReader, facts_of
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.front_page import hazard_list
from trocar_lab.evidence.report.hazard_pages import HazardPages
from trocar_lab.evidence.report.html_report import html_report
from trocar_lab.evidence.report.matrix import matrix
from trocar_lab.evidence.selftest.faults import Fault, TextEdit, load_faults
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project

RISK = "risk/demo.rst"


def _facts(root: Path, *edits: TextEdit) -> Facts:
    """Return the facts of the demo with some texts changed."""
    return facts_of(seeded_project(Fault(name="edited", rule="", phrase="", edits=edits), root))


def _pages(facts: Facts) -> ReportReader:
    """Return the hazard pages, read."""
    return ReportReader(HazardPages(facts).html)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Return the facts of the demo without a fault."""
    return facts_of(seeded_project(CLEAN, tmp_path_factory.mktemp("clean")))


@pytest.mark.verifies("SRS_TRACE_019", extent="full", technique="requirement")
def test_page_of_a_hazard_holds_the_whole_path(clean: Facts) -> None:
    """An auditor walks one page: situation, sequence, harm, risk, control, code, both proofs."""
    reader = _pages(clean)
    text = reader.text
    for words in (
        "HAZ_DEMO_001 Wrong information",
        "Situation HSIT_DEMO_001 Mask of an old frame",
        "The source stalls",
        "The last frame stays",
        "severity 4: Critical: permanent impairment or life-threatening injury",
        "▲ medium, above the line",
        "✔ low, acceptable",
        "4 → 1",
        "Control RCM_DEMO_001 Stale frames are withheld",
        "Option: protective. Acts on: P1.",
        "Which requirement?✔ closedSRS_DEMO_002 Withhold stale frames",
        "trocar.demo:Segmenter",
        "measure: stale masks; accepted: 0 of 1 000 frames",
        "New hazards?✔ closedno",
    ):
        assert words in text, words
    assert re.search(r"src/trocar/demo\.py:\d+", text)
    assert re.search(r"Is it built\?✔ PASStest_stale_frame_is_withheld", text)
    assert re.search(r"Does it work\?✔ PASStest_no_stale_mask_reaches_the_screen", text)
    assert {"HAZ_DEMO_001", "HSIT_DEMO_001", "RCM_DEMO_001"} <= set(reader.anchors)


def test_sequence_is_an_ordered_list(clean: Facts) -> None:
    """Steps that are parted in the source by a semicolon or an arrow are steps on the page."""
    found = re.search(r"<ol>(.*?)</ol>", HazardPages(clean).html)
    assert found is not None
    assert found[1].count("<li>") == 3


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            TextEdit(path=RISK, old="   :leads_to: HARM_DEMO_001\n", new=""),
            "Harm∅ hole",
        ),
        (
            TextEdit(path="requirements_spec/demo.rst", old="   :realises: RCM_DEMO_001\n", new=""),
            "Which requirement?∅ holenone realises it",
        ),
        (
            TextEdit(
                path="docs/architecture/demo.rst", old="trocar.demo:Segmenter", new="trocar.x"
            ),
            "∅ hole no such symbol",
        ),
        (
            TextEdit(
                path="src/trocar/demo.py",
                old="# @need-ids: SRS_DEMO_002, RCM_DEMO_001",
                new="# @need-ids: SRS_DEMO_002",
            ),
            "no @need-ids comment names it",
        ),
        (
            TextEdit(path=RISK, old="   :new_hazards: no\n", new="   :new_hazards: yes\n"),
            "New hazards?∅ holeyes",
        ),
        (
            TextEdit(path=RISK, old="   :reduces: HSIT_DEMO_001\n", new=""),
            "∅ hole No control, although the initial risk is above the line.",
        ),
        (
            TextEdit(path=RISK, old="   :arises_from: HAZ_DEMO_001\n", new=""),
            "∅ hole No hazardous situation arises from this hazard.",
        ),
        (
            TextEdit(
                path="tests/unit/test_demo.py",
                old='@pytest.mark.controls("RCM_DEMO_001")\n',
                new="",
            ),
            "Is it built?∅ MISSING",
        ),
    ],
)
def test_each_missing_step_shows_as_a_hole(edit: TextEdit, words: str, tmp_path: Path) -> None:
    """A step that is left out must not look like one that is closed."""
    assert words in _pages(_facts(tmp_path, edit)).text


def test_residual_risk_above_the_line_asks_for_its_record(tmp_path: Path) -> None:
    """Above the line of acceptance a record weighs benefit and risk, or there is a hole."""
    edit = TextEdit(path=RISK, old="   :residual_p1: 1\n", new="   :residual_p1: 4\n")
    text = _pages(_facts(tmp_path, edit)).text
    assert "Benefit-risk record∅ hole" in text
    assert "Worst residual risk: ▲ medium, above the line" in text


def test_situation_of_two_hazards_is_shown_in_full_once(tmp_path: Path) -> None:
    """The second page keeps both verdicts of each control and leads to the full chain."""
    second = (
        ".. hazard:: Second hazard\n   :id: HAZ_DEMO_002\n\n   Another one.\n\n"
        ".. hazard:: Wrong information"
    )
    facts = _facts(
        tmp_path,
        TextEdit(path=RISK, old=".. hazard:: Wrong information", new=second),
        TextEdit(
            path=RISK,
            old="   :arises_from: HAZ_DEMO_001\n",
            new="   :arises_from: HAZ_DEMO_001, HAZ_DEMO_002\n",
        ),
    )
    reader = _pages(facts)
    assert reader.anchors.count("HSIT_DEMO_001") == 1
    assert reader.anchors.count("RCM_DEMO_001") == 1
    second_page = reader.texts["HAZ_DEMO_002"]
    assert "where it is shown in full" in second_page
    assert "✔ PASS1 case✔ PASS1 case" in second_page
    assert len(set(ReportReader(html_report(facts)).anchors)) == len(
        ReportReader(html_report(facts)).anchors
    )


def test_first_page_lists_each_hazard_with_its_worst(tmp_path: Path) -> None:
    """One failed proof of one control shows on the first page."""
    fault = next(f for f in load_faults() if f.rule == "K6" and not f.is_open)
    text = ReportReader(hazard_list(facts_of(seeded_project(fault, tmp_path)))).text
    assert "HAZ_DEMO_001" in text
    assert "0 of 1" in text


def test_matrix_reads_both_ways(clean: Facts) -> None:
    """User need, system requirement, control, unit, cases and verdict stand in one row."""
    page = matrix(clean)
    row = next(r for r in page.split("<tr ") if "<th><a href=#SRS_DEMO_002>" in r)
    for name in ("UN_DEMO_001", "SYS_DEMO_001", "RCM_DEMO_001", "UNIT_DEMO_SEGMENTER"):
        assert f"href=#{name}>" in row
    text = ReportReader("<table><tr " + row).text
    assert "B, alarm" in text
    assert "✔ PASS" in text


def test_requirement_without_parent_or_unit_is_a_row_with_holes(clean: Facts) -> None:
    """A gap is a row: the matrix never leaves one out."""
    alone = Need(
        need_id="SRS_DEMO_777",
        need_type="srs",
        title="Alone",
        fields={"kind": "data", "safety_class": "B"},
    )
    graph = Graph([*clean.needs.values(), alone], clean.project.model)
    page = matrix(facts_of(_with_graph(clean, graph)))
    row = next(r for r in page.split("<tr ") if "<th><a href=#SRS_DEMO_777>" in r)
    assert ReportReader("<table><tr " + row).text.count("∅ none") == 4
    assert "∅ MISSING" in row


def _with_graph(facts: Facts, graph: Graph) -> Project:
    """Return the project of some facts with another graph."""
    texts = {need_id: need.fingerprint for need_id, need in graph.needs.items()}
    return dataclasses.replace(facts.project, graph=graph, texts=texts)
