"""Coverage of units, mutants of controls: what is measured and recorded, how it is judged."""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import json
from pathlib import Path

import pytest

from trocar_lab.evidence.__main__ import main
from trocar_lab.evidence.errors import EvidenceError, RecordError
from trocar_lab.evidence.mutation.changes import change_of
from trocar_lab.evidence.mutation.results import Measurement, mangled, read_results
from trocar_lab.evidence.mutation.runner import (
    files_for,
    measure,
    members_to_measure,
    read_record,
)
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.rule import Outcome, run_rules
from trocar_lab.evidence.rules.strength import STRENGTH_RULES, strength_of
from trocar_lab.evidence.selftest.demo import DEMO_FILES, write_demo
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project
from trocar_lab.evidence.source.control_code import Member, read_control_code
from trocar_lab.evidence.source.device_source import read_device_source
from trocar_lab.evidence.source.digests_of_tests import digests_of_tests
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


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("after", "operator", "text", "line"),
    [
        ("if age >= 3:", "comparison", "age > 3 -> age >= 3", 1),
        ("if age > 4:", "number", "3 -> 4", 1),
        ("if None > 3:", "replaced by None", "age -> None", 1),
    ],
)
def test_change_is_the_smallest_part_that_differs(
    after: str, operator: str, text: str, line: int
) -> None:
    """A person who argues about a mutant must see the few characters that it is about."""
    source = "def f(age):\n    if age > 3:\n        return call(age, 'words')\n    return 0\n"
    original = ast.parse(source).body[0]
    mutated = ast.parse(source.replace("if age > 3:", after).replace("def f", "def g")).body[0]
    change = change_of(original, mutated)
    assert change is not None
    assert (change.operator, change.text, change.line) == (operator, text, line)


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="boundary")
def test_change_of_a_long_call_shows_what_differs() -> None:
    """Two texts cut at the same place would look alike."""
    words = ", ".join(f"argument_{number}=value_{number}" for number in range(20))
    original, mutated = (
        ast.parse(f"def f():\n    call({words}{last})").body[0] for last in (", last=1", "")
    )
    change = change_of(original, mutated)
    assert change is not None
    assert change.operator == "argument removed"
    assert "last=1" in change.text.partition(" -> ")[0]
    assert "last" not in change.text.partition(" -> ")[2]
    assert len(change.text) < 120
    assert change_of(original, original) is None


def _mutmut_folder(root: Path, codes: dict[str, int | None]) -> Path:
    """Write what mutmut leaves behind after it mutated two functions of ``trocar.box``."""
    source = root / "src" / "trocar"
    source.mkdir(parents=True)
    text = "def x__late__mutmut_orig(age):\n    return age > 3\n" + "".join(
        f"def x__late__mutmut_{number}(age):\n    return age > {3 + number}\n"
        for number in range(6)
    )
    (source / "box.py").write_text(text, encoding="utf-8")
    meta = {"exit_code_by_key": codes}
    (source / "box.py.meta").write_text(json.dumps(meta), encoding="utf-8")
    stats = {"tests_by_mangled_function_name": {"trocar.box.x__late": [f"{WEAK}[1]", f"{WEAK}[2]"]}}
    (root / "mutmut-stats.json").write_text(json.dumps(stats), encoding="utf-8")
    return root


MEASUREMENT = Measurement(date=dt.date(2026, 11, 1), machine="a machine", tool="mutmut 3")


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="equivalence")
def test_results_count_only_what_a_test_noticed(tmp_path: Path) -> None:
    """A mutant that no test calls and one that was stopped from outside are alive, a crash not."""
    write_demo(tmp_path, DEMO_FILES)
    outcomes = (1, -11, 0, 33, -9, 36)
    codes: dict[str, int | None] = {
        f"trocar.box.x__late__mutmut_{number}": code for number, code in enumerate(outcomes)
    }
    folder = _mutmut_folder(tmp_path / "mutants", codes)
    member = Member(name="trocar.box:_late", digest=SHA, line=40)
    result = read_results(folder, [member], MEASUREMENT, root=tmp_path)[member.name]
    assert (result.killed, result.timeout) == (1, 1)  # the first mutant changes nothing
    assert {s.change: s.outcome for s in result.survivors} == {
        "3 -> 5": "survived",
        "3 -> 6": "no tests",
        "3 -> 7": "exit status -9",
    }
    assert {s.line for s in result.survivors} == {41}
    assert result.total == 5
    assert [used.name for used in result.tests] == [WEAK]
    assert result.tests[0].digest == digests_of_tests(tmp_path, [WEAK])[WEAK]
    assert (result.date, result.machine, result.tool) == MEASUREMENT


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
def test_results_without_a_verdict_are_refused(tmp_path: Path) -> None:
    """A run that was stopped half way must not leave a score."""
    folder = _mutmut_folder(tmp_path, {"trocar.box.x__late__mutmut_1": None})
    member = Member(name="trocar.box:_late", digest=SHA, line=40)
    with pytest.raises(EvidenceError, match="without a verdict"):
        read_results(folder, [member], MEASUREMENT, root=tmp_path)
    (tmp_path / "mutmut-stats.json").unlink()
    with pytest.raises(EvidenceError, match=r"no mutmut-stats\.json"):
        read_results(folder, [member], MEASUREMENT, root=tmp_path)


@pytest.mark.parametrize(
    ("member", "name"),
    [("a.b:_late", "a.b.x__late"), ("a.b:Box._check", "a.b.xǁBoxǁ_check")],
)
def test_names_are_those_of_mutmut(member: str, name: str) -> None:
    """A name that mutmut does not know would be measured as nothing."""
    assert mangled(member) == name


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


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="requirement")
def test_tests_of_a_module_import_it_or_claim_its_control(project: Project) -> None:
    """A mutant is put before the tests that are about it, and not before those of the toolchain."""
    codes, _ = project.control_code
    for place in ("unit/trocar_lab", "architecture", "unit"):
        path = project.root / "tests" / place / "test_more.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import trocar.demo\n", encoding="utf-8")
    assert files_for(project.root, "trocar.demo", codes) == [
        "tests/integration/test_demo_stream.py",
        "tests/unit/test_demo.py",
        "tests/unit/test_more.py",
    ]


_STRONG = '''
@pytest.mark.controls("RCM_DEMO_001")
@pytest.mark.parametrize(("age_ms", "mask"), [(99, [0, 1]), (100, [0, 1]), (101, None)])
def test_limit(age_ms: int, mask: list[int] | None) -> None:
    """Around the limit."""
    assert Segmenter().run([0, 1], age_ms) == mask
'''


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="fault_injection")
def test_a_weak_test_lets_mutants_live_and_a_strong_one_kills_them(tmp_path: Path) -> None:
    """The tool itself, on the demo: its verdicts follow the tests, and the tree stays as it is."""
    root = tmp_path / "tree"
    write_demo(root, DEMO_FILES)
    device = root / "src/trocar/demo.py"
    before = device.read_bytes()
    said: list[str] = []
    (tmp_path / "one").mkdir()
    measure(root, tmp_path / "one", say=said.append)
    weak = read_record(root).functions[RUN]
    alive = {survivor.change for survivor in weak.survivors}
    assert "age_ms > AGE_MS_MAX -> age_ms >= AGE_MS_MAX" in alive
    assert weak.killed > 0
    assert members_to_measure(root) == {}
    assert members_to_measure(root, ["trocar.other"]) == {}
    tests = root / "tests/unit/test_demo.py"
    tests.write_text(tests.read_text(encoding="utf-8") + _STRONG, encoding="utf-8")
    (tmp_path / "two").mkdir()
    measure(root, tmp_path / "two", say=said.append, again=["trocar."])
    strong = read_record(root).functions[RUN]
    assert (strong.total, strong.survivors) == (weak.total, ())
    assert device.read_bytes() == before
    assert said[-1].endswith(f"{strong.total} of {strong.total}")


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
def test_tests_that_fail_without_a_mutant_measure_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else each mutant would count as noticed."""
    root = tmp_path / "tree"
    write_demo(root, DEMO_FILES)
    tests = root / "tests/unit/test_demo.py"
    tests.write_text(
        tests.read_text(encoding="utf-8").replace("is None", "is not None"), encoding="utf-8"
    )
    assert main(["mutation", "--root", str(root)]) == 2
    captured = capsys.readouterr()
    assert "not measured: trocar.demo" in captured.err
    assert read_record(root).functions == {}
