"""Small faults put into a copy of the code: what is told of them, and that the tree stays."""

from __future__ import annotations

import ast
import datetime as dt
import json
from pathlib import Path

import pytest

from trocar_lab.evidence.__main__ import main
from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.mutation.changes import change_of
from trocar_lab.evidence.mutation.results import (
    Measurement,
    Verdicts,
    mangled,
    read_verdicts,
    results_of,
)
from trocar_lab.evidence.mutation.runner import (
    files_for,
    measure,
    members_to_measure,
    read_record,
)
from trocar_lab.evidence.selftest.demo import DEMO_FILES, write_demo
from trocar_lab.evidence.source.control_code import Member, read_control_code
from trocar_lab.evidence.source.device_source import read_device_source
from trocar_lab.evidence.source.digests_of_tests import digests_of_tests

WEAK = "tests/unit/test_demo.py::test_mask_has_size_of_frame"
RUN = "trocar.demo:Segmenter.run"
SHA = "a" * 64


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
    verdicts = read_verdicts(folder, [member], Verdicts())
    assert [name[-1] for name in verdicts.alive] == ["2", "3", "4"]
    results = results_of(folder, [member], verdicts, measurement=MEASUREMENT, root=tmp_path)
    result = results[member.name]
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
    verdicts = read_verdicts(folder, [member], Verdicts())
    with pytest.raises(EvidenceError, match="without a verdict"):
        results_of(folder, [member], verdicts, measurement=MEASUREMENT, root=tmp_path)
    (tmp_path / "mutmut-stats.json").unlink()
    with pytest.raises(EvidenceError, match=r"no mutmut-stats\.json"):
        read_verdicts(folder, [member], Verdicts())


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="example")
def test_what_the_own_tests_leave_alive_the_others_may_notice(tmp_path: Path) -> None:
    """A second run judges the survivors of the first one; its verdict counts for them."""
    write_demo(tmp_path, DEMO_FILES)
    name = "trocar.box.x__late__mutmut_"
    member = Member(name="trocar.box:_late", digest=SHA, line=40)
    first = read_verdicts(
        _mutmut_folder(tmp_path / "one", {f"{name}1": 1, f"{name}2": 0, f"{name}3": 0}),
        [member],
        Verdicts(),
    )
    assert first.alive == [f"{name}2", f"{name}3"]
    folder = _mutmut_folder(tmp_path / "two", {f"{name}1": None, f"{name}2": 1, f"{name}3": 0})
    second = read_verdicts(folder, [member], first)
    assert second.alive == [f"{name}3"]
    results = results_of(folder, [member], second, measurement=MEASUREMENT, root=tmp_path)
    assert results[member.name].killed == 2
    assert [survivor.change for survivor in results[member.name].survivors] == ["3 -> 6"]


@pytest.mark.parametrize(
    ("member", "name"),
    [("a.b:_late", "a.b.x__late"), ("a.b:Box._check", "a.b.xǁBoxǁ_check")],
)
def test_names_are_those_of_mutmut(member: str, name: str) -> None:
    """A name that mutmut does not know would be measured as nothing."""
    assert mangled(member) == name


@pytest.mark.verifies("SRS_TRACE_022", extent="partial", technique="requirement")
def test_tests_of_a_module_import_it_or_claim_its_control(tmp_path: Path) -> None:
    """A mutant is put before the tests that are about it, and not before those of the toolchain."""
    write_demo(tmp_path, DEMO_FILES)
    codes, _ = read_control_code(tmp_path, read_device_source(tmp_path).comments)
    for place in ("unit/trocar_lab", "architecture", "unit"):
        path = tmp_path / "tests" / place / "test_more.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import trocar.demo\n", encoding="utf-8")
    assert files_for(tmp_path, "trocar.demo", codes) == [
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
