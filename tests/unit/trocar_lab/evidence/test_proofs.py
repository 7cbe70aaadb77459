"""Verdicts over several runs, signed manual records and waivers."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest

from trocar_lab.evidence.errors import RecordError
from trocar_lab.evidence.project import Project, read_project
from trocar_lab.evidence.proof.verdicts import Verdict
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import Rule, RuleResult, run_rule
from trocar_lab.evidence.selftest.demo import demo_lines, write_evidence
from trocar_lab.evidence.selftest.faults import Fault, HostEdit, TextEdit
from trocar_lab.evidence.selftest.gate import CLEAN, TODAY, seeded_project
from trocar_lab.evidence.signed.records import ManualRecord, Waiver, read_records
from trocar_lab.evidence.store.evidence_record import Line, RunLine

FAIL = HostEdit(do="outcome", node="[1]", outcome="failed")


def _rule(rule_id: str) -> Rule:
    """Return one rule."""
    return next(rule for rule in RULES if rule.rule_id == rule_id)


def _with_runs(root: Path, *runs: list[Line]) -> Project:
    """Return the clean demo with these runs, oldest first."""
    graph = seeded_project(CLEAN, root).graph
    for path in (root / "evidence").glob("*"):
        path.unlink()
    for index, lines in enumerate(runs):
        started = f"2026-11-21T0{index}:00:00+00:00"
        first = _first(lines).model_copy(update={"started": started})
        write_evidence(root / "evidence", [first, *lines[1:]], name=f"run-{index}.jsonl")
    return read_project(root, graph=graph, evidence=root / "evidence", today=TODAY)


def _lines(root: Path, edit: HostEdit | None = None, platform: str = "host") -> list[Line]:
    """Return the lines of one run of the clean demo."""
    graph = seeded_project(CLEAN, root).graph
    lines = demo_lines(root, graph, platform=platform)
    return edit.apply(lines) if edit else lines


@pytest.mark.verifies("SRS_TRACE_001", extent="partial", technique="fault_injection")
def _first(lines: list[Line]) -> RunLine:
    """Return the first line of a run."""
    first = lines[0]
    assert isinstance(first, RunLine)
    return first


def test_rerun_of_the_same_code_does_not_wash_out_a_failure(tmp_path: Path) -> None:
    """Running until it passes proves nothing."""
    good, bad = _lines(tmp_path), _lines(tmp_path, FAIL)
    project = _with_runs(tmp_path, bad, good)
    finding = project.proofs.verdict("SRS_DEMO_001", "verifies")
    assert finding.verdict is Verdict.FAIL
    assert "the same code gave FAIL in run-0.jsonl" in finding.reason


def test_failure_of_other_code_is_history(tmp_path: Path) -> None:
    """A test that was red before its body was mended is green after."""
    good, bad = _lines(tmp_path), _lines(tmp_path, FAIL)
    identity = _first(bad).identity.model_copy(update={"device_sha256": "other"})
    bad[0] = _first(bad).model_copy(update={"identity": identity})
    project = _with_runs(tmp_path, bad, good)
    assert project.proofs.verdict("SRS_DEMO_001", "verifies").verdict is Verdict.PASS


@pytest.mark.verifies("SRS_TRACE_001", extent="partial", technique="fault_injection")
def test_newest_run_decides_when_it_is_the_worse_one(tmp_path: Path) -> None:
    """An old pass is no excuse."""
    project = _with_runs(tmp_path, _lines(tmp_path), _lines(tmp_path, FAIL))
    assert project.proofs.verdict("SRS_DEMO_001", "verifies").verdict is Verdict.FAIL


@pytest.mark.verifies(
    "SRS_TRACE_001", "SRS_TRACE_008", extent="partial", technique="fault_injection"
)
def test_failure_on_one_platform_is_not_hidden_by_the_other(tmp_path: Path) -> None:
    """The worst platform counts."""
    project = _with_runs(tmp_path, _lines(tmp_path, FAIL), _lines(tmp_path, platform="agx"))
    assert project.proofs.verdict("SRS_DEMO_001", "verifies").verdict is Verdict.FAIL


@pytest.mark.verifies("SRS_TRACE_007", extent="partial", technique="requirement")
@pytest.mark.parametrize(
    ("outcome", "is_present", "verdict"),
    [
        ("passed", True, Verdict.PASS),
        ("passed", False, Verdict.OUTDATED),
        ("failed", True, Verdict.FAIL),
    ],
)
def test_manual_record_is_bound_to_the_text_of_its_case(
    tmp_path: Path, outcome: str, *, is_present: bool, verdict: Verdict
) -> None:
    """Who signs, signs this text; a changed case is to be carried out again."""
    edit = TextEdit(
        path="tests/integration/test_demo_stream.py",
        old='@pytest.mark.case("TC_DEMO_01")\n',
        new="",
    )
    project = seeded_project(Fault(name="manual", rule="V2", phrase="", edits=(edit,)), tmp_path)
    fingerprint = project.graph.needs["TC_DEMO_01"].fingerprint if is_present else "0" * 64
    path = tmp_path / "verification" / "manual_records.toml"
    path.write_text(
        f'[[record]]\ncase = "TC_DEMO_01"\noutcome = "{outcome}"\nplatform = "agx"\n'
        f'fingerprint = "{fingerprint}"\nobserved = "p99 age 41 ms over 10 000 frames"\n'
        'name = "Demo Tester"\ndate = 2026-11-20\n',
        encoding="utf-8",
    )
    evidence = tmp_path / "evidence"
    again = read_project(tmp_path, graph=project.graph, evidence=evidence, today=TODAY)
    assert again.proofs.findings["TC_DEMO_01"].verdict is verdict
    assert isinstance(again.records.manual[0], ManualRecord)


def _waived(project: Project, rule_id: str, need: str, *, expires: dt.date) -> RuleResult:
    """Return the result of one rule with one waiver."""
    waiver = Waiver(
        rule=rule_id,
        need=need,
        reason="Known and accepted for this demo",
        name="Demo Reviewer",
        date=dt.date(2026, 11, 1),
        expires=expires,
    )
    records = project.records.model_copy(update={"waivers": (waiver,)})
    return run_rule(_rule(rule_id), dataclasses.replace(project, records=records))


@pytest.mark.verifies("SRS_TRACE_009", extent="full", technique="boundary")
def test_waiver_covers_one_row_of_one_rule_until_its_day(tmp_path: Path) -> None:
    """An expired waiver covers nothing; some rules cannot be waived."""
    seed = HostEdit(do="outcome", node="[1]", outcome="failed")
    project = seeded_project(Fault(name="x", rule="C5", phrase="", host=seed), tmp_path)
    future, past = dt.date(2027, 1, 1), dt.date(2026, 11, 20)
    covered = _waived(project, "C5", "SRS_DEMO_001", expires=future)
    assert (len(covered.failed), len(covered.waived)) == (0, 1)
    assert "Demo Reviewer" in covered.waived[0].reason
    assert len(_waived(project, "C5", "SRS_DEMO_001", expires=past).failed) == 1
    assert len(_waived(project, "C5", "SRS_DEMO_002", expires=future).failed) == 1
    edit = TextEdit(
        path="requirements_spec/demo.rst", old=":derives: UN_DEMO_001", new=":derives: UN_X_1"
    )
    broken = seeded_project(Fault(name="x", rule="G2", phrase="", edits=(edit,)), tmp_path / "b")
    assert len(_waived(broken, "G2", "SYS_DEMO_001", expires=future).failed) == 1


@pytest.mark.verifies(
    "SRS_TRACE_009", "SRS_TRACE_017", extent="partial", technique="fault_injection"
)
@pytest.mark.parametrize(
    "text",
    [
        '[[waiver]]\nrule = "C5"\nneed = "X"\n',
        '[[waivers]]\nrule = "C5"\n',
        "not toml",
        (
            '[[waiver]]\nrule = "C5"\nneed = "X"\nreason = "short"\nname = "A B"\n'
            "date = 2026-11-01\nexpires = 2027-01-01\n"
        ),
    ],
)
def test_record_without_name_date_or_reason_is_refused(tmp_path: Path, text: str) -> None:
    """A waiver that nobody signed is none."""
    (tmp_path / "verification").mkdir()
    (tmp_path / "verification" / "waivers.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError):
        read_records(tmp_path)
