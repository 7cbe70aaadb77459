"""Cards, clause tables, strength, changes, registers and identity as the report shows them."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Final

import pytest

from simulators.report_reader import SOUND, ReportReader, facts_of
from trocar_lab.evidence.graph.history import HistoryEntry
from trocar_lab.evidence.graph.needs import needs_json_of
from trocar_lab.evidence.proof.verdicts import Verdict
from trocar_lab.evidence.report import registers, rules_and_cases
from trocar_lab.evidence.report.changes_page import changes_page
from trocar_lab.evidence.report.clause_pages import MARKS as CLAUSE_MARKS
from trocar_lab.evidence.report.clause_pages import clause_pages
from trocar_lab.evidence.report.facts import Facts, suites
from trocar_lab.evidence.report.filters import Choice, coded, filter_bar
from trocar_lab.evidence.report.front_page import identity, suites_not_run
from trocar_lab.evidence.report.markup import attribute, inline, table
from trocar_lab.evidence.report.need_cards import card_entries, history_line
from trocar_lab.evidence.report.need_verdict import need_finding
from trocar_lab.evidence.report.platform_proofs import PlatformProof, merged
from trocar_lab.evidence.report.release_identity import ReleaseIdentity
from trocar_lab.evidence.report.selftest_summary import SeededFault, SelftestSummary
from trocar_lab.evidence.report.strength_page import strength_page
from trocar_lab.evidence.selftest.faults import Fault, TextEdit, load_faults
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project
from trocar_lab.evidence.store.strength import StrengthRecords

_BLANK: Final = ReleaseIdentity(
    version="0.1.0",
    commit="",
    is_clean=True,
    tag="",
    wheel_sha256="",
    lock_sha256="",
    device_sha256="",
    graph_sha256="",
    seal="",
    signature="",
    signers=(),
)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Return the facts of the demo without a fault."""
    return facts_of(seeded_project(CLEAN, tmp_path_factory.mktemp("clean")))


def _text(page: str) -> str:
    """Return the text of a part of the page."""
    return ReportReader(page).text


def test_card_holds_links_both_ways_approval_and_history(clean: Facts) -> None:
    """Who reads one need sees what it rests on, what rests on it, who approved it and when."""
    card = card_entries(clean, clean.needs["SRS_DEMO_002"])
    text = _text(f"<dl>{card}</dl>")
    for words in (
        "✔ PASS",
        "host",
        "derives fromSYS_DEMO_001",
        "realisesRCM_DEMO_001",
        "UNIT_DEMO_SEGMENTER",
        "✔ approved by Demo Reviewer",
        "test_stale_frame_is_withheld",
        clean.needs["SRS_DEMO_002"].fingerprint[:8],
    ):
        assert words in text, words
    assert "Demo Author" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [("need that nobody approved", "not approved"), ("another", "⟲ stale: another text was")],
)
def test_card_says_when_nobody_approved_this_text(tmp_path: Path, name: str, words: str) -> None:
    """An approval of another text is none."""
    stale = next(f for f in load_faults() if f.stale_approval and f.rule == "G8")
    missing = next(f for f in load_faults() if f.name == "need that nobody approved")
    fault = missing if name == missing.name else stale
    facts = facts_of(seeded_project(fault, tmp_path))
    cards = [card_entries(facts, need) for need in facts.needs.values()]
    assert sum(words in _text(f"<dl>{card}</dl>") for card in cards) == 1


def test_card_tells_what_each_platform_proves(tmp_path: Path) -> None:
    """Evidence of a host is not that of the module, and is told apart on the card."""
    fault = next(f for f in load_faults() if f.name == "host evidence for an AGX case")
    facts = facts_of(seeded_project(fault, tmp_path))
    text = _text(f"<dl>{card_entries(facts, facts.needs['TC_DEMO_01'])}</dl>")
    assert "◐ HOST ONLY" in text
    assert "host ✔ PASS 1/1" in text
    assert "agx" not in text.replace("Platformagx", "")


def test_history_line_names_commit_author_and_release() -> None:
    """A text that was taken away is in the history, too."""
    entry = HistoryEntry(
        commit="a" * 40,
        date="2026-11-01T08:00:00+00:00",
        author="<A>",
        email="",
        fingerprint="b" * 64,
        version="v1.0",
    )
    assert history_line(entry) == "bbbbbbbb 2026-11-01 aaaaaaa &lt;A&gt;, first in v1.0"
    gone = entry.model_copy(update={"fingerprint": "", "version": ""})
    assert history_line(gone).startswith("removed 2026-11-01")


def test_literals_and_roles_of_rst_are_drawn() -> None:
    """Text of a need is RST; its marks must not stand on the page as characters."""
    drawn = inline("``a < b`` of :need:`SRS_A_001`, :doc:`/x` and :need:`SRS_NONE`", {"SRS_A_001"})
    assert drawn == (
        "<code>a &lt; b</code> of <a href=#SRS_A_001>SRS_A_001</a>, <code>/x</code> and"
        " <code>SRS_NONE</code>"
    )


@pytest.mark.verifies("SRS_TRACE_021", extent="partial", technique="requirement")
def test_clause_tables_show_result_strength_and_proofs(clean: Facts) -> None:
    """Each row says how it stands, by which rules, and whether a machine or a person judges."""
    page = clause_pages(clean)
    reader = ReportReader(page)
    for found in clean.clauses:
        assert f"{found.standard}, {found.edition}" in reader.text
        assert found.note in reader.text
    row = reader.texts["clause-iec-62304-5.7.1"]
    clause = next(r for t in clean.clauses for r in t.rows if r.clause == "5.7.1")
    assert clause.words in row
    assert _text(CLAUSE_MARKS[clause.result]) in row
    assert row.rstrip().endswith(clause.strength)
    links = set(re.findall(r"href=#rule-([A-Z]\d+)", page))
    rules = {name for t in clean.clauses for r in t.rows for name in r.rule_ids} - {"*"}
    assert links == rules
    assert "the rule proves the point" in reader.text


@pytest.mark.verifies("SRS_TRACE_022", extent="full", technique="requirement")
def test_strength_shows_coverage_and_mutants(clean: Facts) -> None:
    """Coverage stands beside what the class asks for, mutants with those that lived."""
    text = _text(strength_page(clean))
    found = clean.strength["UNIT_DEMO_SEGMENTER"].coverage
    assert found is not None
    assert f"{found.covered_statements}/{found.statements}, {found.statement_share:.1%}" in text
    assert f"{found.branches_min:.0%}" in text
    controls = clean.strength["RCM_DEMO_001"].controls
    assert controls
    assert f"{controls[0].killed} of {controls[0].counted} noticed" in text
    for one in (s for c in controls for s in c.survivors):
        assert one.survivor.change in text


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="requirement")
def test_strength_that_was_not_measured_is_said(clean: Facts) -> None:
    """A figure that is not known is a word, never an empty cell or a zero."""
    project = dataclasses.replace(clean.project, strength=StrengthRecords())
    text = _text(strength_page(facts_of(project)))
    assert f"not measured: 0 of {len(clean.live('unit'))} units" in text
    assert re.search(r"not measured: 0 of \d+ pieces of code", text)


@pytest.mark.parametrize("rule", ["V8", "V9"])
@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="fault_injection")
def test_strength_below_its_limit_is_said(rule: str, tmp_path: Path) -> None:
    """What a rule turns red for strength is not shown as reached."""
    words = {"V8": "✘ below", "V9": "✘ below"}
    faults = [f for f in load_faults() if f.rule == rule and not f.is_open]
    seen = 0
    for number, fault in enumerate(faults):
        text = _text(strength_page(facts_of(seeded_project(fault, tmp_path / str(number)))))
        seen += words[rule] in text
    assert seen


def test_first_release_says_that_every_need_is_new(clean: Facts) -> None:
    """Without an earlier release there is nothing to compare with, and that is said."""
    if clean.project.archived_release is None:
        assert "First release: every need is new." in changes_page(clean)


def test_changes_since_a_release_with_what_they_reach(tmp_path: Path) -> None:
    """Added, removed and changed needs stand with their parts, and what the change reaches."""
    before = seeded_project(CLEAN, tmp_path / "old")
    edit = TextEdit(
        path="requirements_spec/demo.rst", old="older than 100 ms", new="older than 90 ms"
    )
    after = seeded_project(
        Fault(name="edited", rule="", phrase="", edits=(edit,)), tmp_path / "new"
    )
    kept = [n for n in before.graph.needs.values() if n.need_id != "UN_DEMO_001"]
    gone = kept[0].model_copy(update={"need_id": "UN_DEMO_999", "need_type": "user_need"})
    archive = after.root / "verification" / "releases" / "99.0.0" / "needs.json"
    archive.parent.mkdir(parents=True)
    archive.write_text(json.dumps(needs_json_of([*kept, gone])), encoding="utf-8")
    text = _text(changes_page(facts_of(after)))
    assert "Since release 99.0.0: 1 needs added, 1 removed, 1 changed" in text
    assert "UN_DEMO_999removed" in text
    assert "older than 90 ms" in text
    assert re.search(r"RCM_DEMO_001control\d+✔ PASS", text)
    archive.write_text("{}", encoding="utf-8")
    again = dataclasses.replace(after)
    assert "cannot be read" in _text(changes_page(facts_of(again)))


def test_registers_show_what_is_pending(clean: Facts) -> None:
    """SOUP, data, problem reports and documents show what nobody has done yet."""
    soup = _text(registers.soup(clean))
    assert "NumPy developers" in soup
    anomalies = _text(registers.anomalies(clean))
    assert "ANO_DEMO_001" in anomalies
    assert "No situation depends on one pixel" in anomalies
    assert "2026-11" in anomalies
    assert "sha256:" in _text(registers.models(clean))
    assert "✔ all" in _text(registers.approvals(clean))
    bare = dataclasses.replace(
        clean, approvals=dict.fromkeys(clean.needs, "not approved"), by_type=clean.by_type
    )
    assert "○ open" in _text(registers.approvals(bare))


def test_tool_validation_names_what_was_not_caught(clean: Facts) -> None:
    """A rule without a fault of its own, and a fault that escaped, are holes of the analyser."""
    escaped = SeededFault(
        "K6", "an effect that nobody measured", is_caught=False, detail="K6 said: []"
    )
    facts = dataclasses.replace(
        clean, selftest=SelftestSummary(is_clean=True, faults=(*SOUND.faults, escaped))
    )
    text = _text(rules_and_cases.tool_validation(facts))
    assert "✔ caught test of a control fails" in text
    assert "✘ not caught an effect that nobody measured: K6 said: []" in text
    assert "∅ no fault is seeded for this rule" in text
    assert "✘ not sound, 2 faults seeded, 1 caught" in text


def test_selftest_over_nothing_is_not_sound() -> None:
    """No fault seeded proves nothing, and a demo that is red by itself proves nothing."""
    assert SOUND.is_sound
    assert not SOUND._replace(is_clean=False).is_sound
    assert not SOUND._replace(faults=()).is_sound


def test_suite_that_was_not_run_is_listed(tmp_path: Path) -> None:
    """A suite outside the evidence proves nothing there, and the first page says so."""
    project = seeded_project(CLEAN, tmp_path)
    before = {suite.folder: suite for suite in suites(project)}
    (tmp_path / "tests" / "browser").mkdir(parents=True)
    (tmp_path / "tests" / "browser" / "test_page.py").write_text("", encoding="utf-8")
    after = {suite.folder: suite for suite in suites(project)}
    assert set(after) - set(before) == {"tests/browser"}
    assert after["tests/browser"].seen == 0
    assert all(suite.seen == suite.files for suite in before.values())
    facts = dataclasses.replace(facts_of(project), suites=tuple(after.values()))
    assert "tests/browser○ not run0 of 1" in _text(suites_not_run(facts))


def test_identity_says_what_is_missing(clean: Facts) -> None:
    """No wheel, no tag, no signature: each is a word on the first page."""
    text = _text(identity(clean))
    assert "Wheel, SHA-256none named" in text
    assert "none: this is not a release" in text
    assert "host: 1 run" in text
    facts = dataclasses.replace(clean, identity=_BLANK._replace(signature="none"))
    assert "signed by: nobody yet" in _text(identity(facts))


@pytest.mark.parametrize(
    ("about", "line"),
    [
        (_BLANK, "Trocar 0.1.0 · no commit · no wheel named"),
        (
            _BLANK._replace(commit="a" * 40, is_clean=False, tag="v0.1.0", wheel_sha256="b" * 64),
            "Trocar 0.1.0 · tag v0.1.0 · commit aaaaaaaaaaaa, tree not clean · wheel bbbbbbbbbbbb",
        ),
    ],
)
def test_identity_line_of_printed_pages(about: ReleaseIdentity, line: str) -> None:
    """Each sheet of paper says what it is about."""
    assert about.line == line


def test_class_a_unit_without_tests_is_not_asked_for(clean: Facts) -> None:
    """A verdict MISSING where no rule asks for tests would be a false alarm."""
    unit = clean.needs["UNIT_DEMO_SEGMENTER"]
    assert need_finding(clean.project, unit) is not None
    lone = unit.model_copy(
        update={
            "need_id": "UNIT_DEMO_LONE",
            "links": {},
            "fields": {**unit.fields, "safety_class": "A"},
        }
    )
    assert need_finding(clean.project, lone) is None
    harder = lone.model_copy(update={"fields": {**unit.fields, "safety_class": "B"}})
    found = need_finding(clean.project, harder)
    assert found is not None
    assert found.verdict is Verdict.MISSING


def test_proofs_merge_to_the_worst_with_all_nodes() -> None:
    """The worst node of any case is the verdict of its platform."""
    good = {"host": PlatformProof(Verdict.PASS, 2, 2)}
    bad = {"host": PlatformProof(Verdict.FAIL, 1, 3), "agx": PlatformProof(Verdict.PASS, 1, 1)}
    assert merged([good, bad]) == merged([bad, good])
    assert merged([good, bad])["host"] == PlatformProof(Verdict.FAIL, 3, 5)
    assert merged([]) == {}


def test_filter_codes_are_places_in_the_choices() -> None:
    """The script compares places; a value that is no choice matches none."""
    choices = (Choice("Type", {"srs": "Requirement", "unit": "Unit"}), Choice("Class", {"A": "A"}))
    codes = [choice.codes() for choice in choices]
    assert coded(("unit", "A"), codes) == "10"
    assert coded(("unit", "C"), codes) == "1-"
    bar = filter_bar("matrix", "rows", choices, 1234)
    assert "1,234 rows" in bar
    assert "<form" not in bar


def test_attribute_is_quoted_where_it_must_be() -> None:
    """An unquoted value ends at a blank, a quoted one at a quote."""
    assert attribute("a-b.c") == "a-b.c"
    assert attribute('a "b" <c>') == '"a &quot;b&quot; &lt;c&gt;"'
    assert attribute("") == '""'


def test_empty_table_says_so() -> None:
    """A table without rows keeps its head and says that there are none."""
    text = _text(table("Caption", ("A", "B"), [], empty="0 <rows>", widths=(50, 50), wide=True))
    assert text == "CaptionAB0 <rows>"
