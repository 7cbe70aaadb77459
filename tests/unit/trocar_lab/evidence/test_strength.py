"""Coverage of units and mutants of controls: what is recorded, and how it is judged."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path

import pytest

from trocar_lab.evidence.__main__ import main
from trocar_lab.evidence.errors import RecordError
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.rule import Outcome, run_rules
from trocar_lab.evidence.rules.strength import STRENGTH_RULES, strength_of
from trocar_lab.evidence.selftest.demo import write_demo
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project
from trocar_lab.evidence.source.control_code import read_control_code
from trocar_lab.evidence.source.device_source import read_device_source
from trocar_lab.evidence.store.strength import (
    MemberResult,
    MutationRecord,
    StrengthRecords,
    UsedTest,
    content_digest,
    coverage_of,
    coverage_text,
    mutation_text,
    read_coverage,
    read_mutation,
)

WEAK = "tests/unit/test_demo.py::test_mask_has_size_of_frame"
RUN = "trocar.demo:Segmenter.run"
SHA = "a" * 64
CODE = '''\
"""Controls."""
from functools import cache

LIMIT = 3


# @need-ids: RCM_A_001
@cache
def decorated(age: int) -> bool:
    return _late(age)


# @need-ids: SRS_A_001
def no_control() -> None:
    return _helped()


class Box:
    # @need-ids: RCM_A_002
    def put(self, age: int) -> bool:
        return self._check(age)

    def _check(self, age: int) -> bool:
        return not _late(age)

    def _unused(self) -> None:
        raise ValueError

    def inner(self, age: int) -> bool:
        if age:
            # @need-ids: RCM_A_003
            return False
        return True


# @need-ids: RCM_A_004

# A comment between the two.
class Port:
    def take(self) -> int:
        ...

    def give(self) -> int:
        """Return one."""
        return 1


def _late(age: int) -> bool:
    return age > LIMIT or _helped()


def _helped() -> bool:
    return False
'''


def _codes(root: Path, text: str) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """Return each piece of control code to its members, and the faults, of one file of a device."""
    write_demo(root, {"src/trocar/__init__.py": "", "src/trocar/box.py": text})
    codes, faults = read_control_code(root, read_device_source(root).comments)
    members = {
        code.name.partition(":")[2]: [m.name.partition(":")[2] for m in code.members]
        for code in codes
    }
    return members, faults


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="requirement")
def test_code_of_a_control_is_the_commented_body_and_the_private_code_it_calls(
    tmp_path: Path,
) -> None:
    """Limits often stand in a private function: mutants of the caller alone would show nothing."""
    members, faults = _codes(tmp_path, CODE)
    assert members == {
        "decorated": ["decorated", "_late", "_helped"],
        "Box.put": ["Box.put", "Box._check", "_late", "_helped"],
        "Box.inner": ["Box.inner"],
        "Port": ["Port.give"],
    }
    assert faults == ()
    codes, _ = read_control_code(tmp_path, read_device_source(tmp_path).comments)
    assert [m.name for code in codes for m in code.members if m.is_decorated] == [
        "trocar.box:decorated"
    ]


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("text", ["# @need-ids: RCM_A_001\n", "# @need-ids: RCM_A_001\nX = (\n"])
def test_comment_at_no_code_is_a_fault(tmp_path: Path, text: str) -> None:
    """Otherwise a control whose function was renamed away would drop out of the count."""
    members, faults = _codes(tmp_path, text)
    assert members == {}
    assert [fault.partition(":")[0] for fault in faults] == ["src/trocar/box.py"]


@pytest.mark.verifies("SRS_TRACE_007", extent="partial", technique="equivalence")
def test_digest_of_a_function_moves_with_its_meaning_only(tmp_path: Path) -> None:
    """Comments and docstrings may be mended without measuring again."""

    def digest(number: int, text: str) -> str:
        root = tmp_path / str(number)
        write_demo(root, {"src/trocar/box.py": text})
        codes, _ = read_control_code(root, read_device_source(root).comments)
        return next(m.digest for c in codes for m in c.members if m.name.endswith(":Port.give"))

    base = digest(1, CODE)
    assert digest(2, CODE.replace("Return one.", "Return 1.")) == base
    assert digest(3, CODE.replace("        return 1", "        return 2")) != base


def _result(**changed: object) -> MemberResult:
    """Return a result."""
    fields = {
        "digest": SHA,
        "date": dt.date(2026, 11, 1),
        "machine": "a machine",
        "tool": "mutmut 3",
        "tests": (UsedTest(name="tests/a.py::test_b", digest=SHA),),
        "killed": 1,
        "timeout": 0,
    }
    return MemberResult.model_validate({**fields, **changed})


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="property")
def test_mutation_record_reads_back_and_notices_a_change() -> None:
    """Each test stands in the file once, although many functions used it."""
    record = MutationRecord(functions={"a:f": _result(), "a:g": _result(killed=2)})
    text = mutation_text(record)
    read = read_mutation(text)
    assert read.functions == record.functions
    assert read.digest == content_digest(read)
    assert text.count("tests/a.py::test_b") == 1
    changed = read_mutation(text.replace('"killed": 2', '"killed": 3'))
    assert changed.digest != content_digest(changed)


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"tests": [], "functions": {"a:f": {"tests": "4"}}}']
)
def test_damaged_mutation_record_is_refused(text: str) -> None:
    """A record that cannot be read is no record of anything."""
    with pytest.raises(RecordError, match="cannot be read"):
        read_mutation(text)


def _report(name: str, *, branches: bool = True) -> dict[str, object]:
    """Return a report of coverage.py about one file."""
    numbers = {
        "num_statements": 4,
        "covered_lines": 3,
        "num_branches": 2,
        "covered_branches": 1,
    }
    meta = {"version": "7.10", "branch_coverage": branches}
    return {"meta": meta, "files": {name: {"summary": numbers}}}


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("src/trocar/demo.py", "trocar.demo"),
        ("/src/home/src/trocar/demo.py", "trocar.demo"),
        ("src/trocar/cli/__init__.py", "trocar.cli"),
    ],
)
def test_coverage_is_recorded_by_module(name: str, module: str) -> None:
    """Reports name files as the machine does that measured."""
    record = coverage_of(
        _report(name), run="run", device_sha256=SHA, lab_sha256=SHA, recorded="now"
    )
    (found,) = record.modules.values()
    assert list(record.modules) == [module]
    assert (found.statements, found.covered_statements) == (4, 3)
    assert (found.branches, found.covered_branches) == (2, 1)
    read = read_coverage(coverage_text(record))
    assert read.digest == content_digest(read)
    assert read.modules == record.modules


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "report", [_report("src/trocar/demo.py", branches=False), {}, {"meta": {}}]
)
def test_report_without_branches_is_refused(report: dict[str, object]) -> None:
    """Statement coverage alone would read as 100 % of no branches."""
    with pytest.raises(RecordError, match=r"branches|not a JSON report"):
        coverage_of(report, run="run", device_sha256=SHA, lab_sha256=SHA, recorded="now")


@pytest.mark.verifies("SRS_TRACE_007", extent="partial", technique="fault_injection")
def test_coverage_command_binds_to_the_newest_run_of_the_same_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Coverage of one source beside evidence of another would be about neither."""
    project = seeded_project(CLEAN, tmp_path)
    report, evidence = tmp_path / "report.json", tmp_path / "evidence"
    (evidence / "coverage.json").unlink()
    words = ["coverage", "--from", str(report), "--evidence", str(evidence)]
    root = ["--root", str(tmp_path)]
    assert main([*words, *root]) == 2
    assert "no coverage report" in capsys.readouterr().err
    report.write_text(json.dumps(_report("src/trocar/demo.py")), encoding="utf-8")
    assert main([*words, *root]) == 0
    record = read_coverage((evidence / "coverage.json").read_text(encoding="utf-8"))
    assert record.run == project.runs[-1].path
    assert record.device_sha256 == project.proofs.present.device_sha256
    (tmp_path / "src/trocar/demo.py").write_text("AGE_MS_MAX = 1\n", encoding="utf-8")
    assert main([*words, *root]) == 2
    assert "the source changed since" in capsys.readouterr().err
    assert main([*words[:3], "--evidence", str(tmp_path / "none"), *root]) == 2
    assert "no run in" in capsys.readouterr().err


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return the clean demo project."""
    return seeded_project(CLEAN, tmp_path)


def _judged(project: Project, **changed: object) -> Outcome:
    """Return the outcome of both rules with changed records of strength."""
    records = project.strength.model_copy(update=changed)
    return run_rules(STRENGTH_RULES, dataclasses.replace(project, strength=records))


@pytest.mark.verifies("SRS_TRACE_007", extent="partial", technique="fault_injection")
def test_coverage_of_a_run_that_is_not_in_the_evidence_is_red(project: Project) -> None:
    """Its tests may have failed: nobody could tell."""
    assert project.strength.coverage is not None
    other = project.strength.coverage.model_copy(update={"run": "run-of-another-day.jsonl"})
    (row,) = _judged(project, coverage=other).results[0].failed
    assert "not in the evidence" in row.reason


@pytest.mark.verifies("SRS_TRACE_007", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "name", [WEAK, "tests/unit/test_demo.py::test_gone", "tests/gone.py::test_a"]
)
def test_mutants_judged_by_tests_that_changed_are_open(project: Project, name: str) -> None:
    """A test that was weakened or taken away may be the one that noticed the mutants."""
    assert project.strength.mutation is not None
    result = project.strength.mutation.functions[RUN]
    older = result.model_copy(update={"tests": (UsedTest(name=name, digest=SHA),)})
    (row,) = _judged(project, mutation=MutationRecord(functions={RUN: older})).results[1].open
    assert row.need_id == f"RCM_DEMO_001 {RUN}"
    assert f"OUTDATED: 1 of its tests changed since 2026-11-01, first {name}" in row.reason


@pytest.mark.verifies("SRS_TRACE_002", extent="partial", technique="fault_injection")
def test_without_thresholds_both_rules_are_red(project: Project) -> None:
    """A limit that nobody set cannot be kept."""
    results = _judged(project, thresholds=None).results
    assert [[row.need_id for row in result.failed] for result in results] == [
        ["verification/strength.toml"]
    ] * 2
    bare = dataclasses.replace(project, strength=StrengthRecords())
    assert all(result.is_red for result in run_rules(STRENGTH_RULES, bare).results)


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="requirement")
def test_strength_of_a_unit_and_of_a_control(project: Project) -> None:
    """The report shows both beside the need, with the mutants that nobody noticed."""
    needs = project.graph.needs
    unit = strength_of(project, needs["UNIT_DEMO_SEGMENTER"]).coverage
    assert unit is not None
    assert (unit.statement_share, unit.branch_share) == (1.0, 1.0)
    assert (unit.statements_min, unit.branches_min) == (1.0, 1.0)
    (control,) = strength_of(project, needs["RCM_DEMO_001"]).controls
    assert (control.state, control.code) == ("measured", RUN)
    assert (control.killed, control.total, control.counted) == (8, 11, 10)
    assert (control.score, control.score_min) == (0.8, 0.8)
    assert [bool(listed.argued) for listed in control.survivors] == [True, False, False]
    nothing = strength_of(project, needs["SRS_DEMO_001"])
    assert (nothing.coverage, nothing.controls) == (None, ())


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="requirement")
def test_strength_is_not_known_without_records(project: Project) -> None:
    """Unknown is shown as unknown, and never as 100 %."""
    bare = dataclasses.replace(project, strength=StrengthRecords())
    needs = project.graph.needs
    assert strength_of(bare, needs["UNIT_DEMO_SEGMENTER"]).coverage is None
    (control,) = strength_of(bare, needs["RCM_DEMO_001"]).controls
    assert (control.state, control.total, control.score) == ("not measured", 0, 0.0)
