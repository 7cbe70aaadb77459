"""Validation of the trace as a tool: its page names what exists, and its records agree."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from trocar_lab.evidence.__main__ import EXIT_UNUSABLE, main
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.selftest.demo import DEMO_FILES, write_demo
from trocar_lab.evidence.selftest.faults import load_faults
from trocar_lab.evidence.store.evidence_record import EvidenceRun
from trocar_lab.evidence.store.run_reader import read_run

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[4]
PAGE = ROOT / "verification" / "tool_validation.rst"
NEEDS = {name: text for name, text in DEMO_FILES.items() if name.endswith((".rst", ".toml"))}
PLUGIN = ("-p", "trocar_lab.evidence.store.pytest_plugin", "-p", "no:cacheprovider", "-q")


def _potential_errors() -> dict[str, list[str]]:
    """Return each potential error of the page to the names in its last column."""
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index(".. list-table:: Potential errors") :]
    rows = re.split(r"\n   \* - (?=PE_[0-9]{2}\n)", table)[1:]
    rows[-1] = re.split(r"\n\n", rows[-1])[0]
    return {row[:5]: re.findall(r"``(.+?)``", row.split("\n     - ")[2], re.DOTALL) for row in rows}


def test_page_names_rules_faults_and_tests_that_exist() -> None:
    """A potential error that nothing answers any more must not look answered."""
    rules = {rule.rule_id for rule in RULES}
    faults = {fault.name for fault in load_faults()}
    errors = _potential_errors()
    assert list(errors) == [f"PE_{number:02}" for number in range(1, len(errors) + 1)]
    assert len(errors) >= 20
    for error, names in errors.items():
        for name in (" ".join(name.split()) for name in names):
            file, _, function = name.partition("::")
            if function:
                text = Path(__file__).with_name(file).read_text(encoding="utf-8")
                assert f"\ndef {function}(" in text, (error, name)
            else:
                assert name in rules | faults, (error, name)
        assert any("::" in name or name in faults for name in names), error


EVERY_OUTCOME = """
import pytest

@pytest.mark.parametrize("x", [1, 0])
def test_parameters(x): assert x

@pytest.mark.skip(reason="no module here")
def test_skipped(): pass

@pytest.fixture
def broken(): raise ValueError("broken fixture")

def test_setup_error(broken): pass

@pytest.fixture
def untidy():
    yield
    raise ValueError("untidy")

def test_teardown_error(untidy): pass

@pytest.mark.xfail(reason="known")
def test_expected_failure(): assert 0

@pytest.mark.xfail(reason="known", strict=False)
def test_unexpected_pass(): pass

@pytest.mark.xfail(reason="known", strict=True)
def test_strict_unexpected_pass(): pass

class TestGroup:
    def test_member(self): pass
"""
# What a JUnit file can say about each outcome; it has no words for the two expected failures.
IN_JUNIT = {
    "passed": {"passed"},
    "failed": {"failure"},
    "error": {"error"},
    "skipped": {"skipped"},
    "xfailed": {"skipped"},
    "xpassed": {"passed", "failure"},
}


def _evidence(folder: Path) -> EvidenceRun:
    """Return the only run in a folder."""
    (path,) = folder.glob("run-*.jsonl")
    return read_run(path)


def _junit(path: Path) -> dict[str, str]:
    """Return each test case of a JUnit file to what the file says about it."""
    found: dict[str, str] = {}
    for case in ET.parse(path).getroot().iter("testcase"):  # noqa: S314 - as above
        module, *classes = str(case.get("classname")).split(".")
        node = "::".join([f"{module}.py", *classes, str(case.get("name"))])
        kinds = [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]
        found[node] = kinds[0] if kinds else "passed"
    return found


@pytest.mark.verifies("SRS_TRACE_004", "SRS_TRACE_015", extent="partial", technique="conformance")
def test_evidence_and_junit_agree_node_by_node(pytester: pytest.Pytester) -> None:
    """Two records of one run, written by different code, hold the same nodes and outcomes."""
    write_demo(pytester.path, NEEDS)
    pytester.makepyfile(test_it=EVERY_OUTCOME)
    pytester.runpytest_inprocess(*PLUGIN, "--evidence", "ev", "--junit-xml", "junit.xml")
    run, junit = _evidence(pytester.path / "ev"), _junit(pytester.path / "junit.xml")
    assert set(run.collected) == set(run.outcomes) == set(junit)
    assert len(junit) == 9
    for node, line in run.outcomes.items():
        assert junit[node] in IN_JUNIT[line.outcome], (node, line.outcome, junit[node])


KILLED = """
import os, signal

def test_first(): pass
def test_second(): pass
def test_third(): os.kill(os.getpid(), signal.SIGKILL)
def test_fourth(): pass
"""


@pytest.mark.verifies("SRS_TRACE_015", extent="full", technique="fault_injection")
def test_killed_run_loses_no_line_and_looks_unfinished(tmp_path: Path) -> None:
    """What was told before the kill is on disk and whole; the rest is missing, not passed."""
    write_demo(tmp_path, NEEDS)
    (tmp_path / "test_it.py").write_text(KILLED, encoding="utf-8")
    words = [sys.executable, "-m", "pytest", *PLUGIN, "--evidence", "ev", "--rootdir", ".", "."]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.returncode == -9
    run = _evidence(tmp_path / "ev")
    assert run.faults == ()
    assert not run.finished
    assert len(run.collected) == 4
    passed = {node for node, line in run.outcomes.items() if line.outcome == "passed"}
    assert passed == set(run.outcomes) == {"test_it.py::test_first", "test_it.py::test_second"}


UNUSABLE = {
    "verification/waivers.toml": "[[waiver]\n",
    "verification/not_applicable.toml": '[[not_applicable]]\nrule = "C9"\n',
    "needs.json": '{"versions": ',
    "verification/reviewers.toml": '[[reviewer]]\nname = "One"\n',
}


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("name", sorted(UNUSABLE))
def test_input_that_cannot_be_judged_ends_with_exit_code_2(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The input is named, there is no traceback and no green verdict."""
    write_demo(tmp_path, {**DEMO_FILES, name: UNUSABLE[name]})
    words = ["check", "--root", str(tmp_path), "--evidence", str(tmp_path / "evidence")]
    if name == "needs.json":
        words += ["--needs", str(tmp_path / name)]
    assert main(words) == EXIT_UNUSABLE
    shown = capsys.readouterr()
    assert Path(name).stem in shown.err
    assert "TRACE VERDICT: RED (the input cannot be judged" in shown.err
    assert "GREEN" not in shown.out + shown.err


@pytest.mark.verifies("SRS_TRACE_023", extent="full", technique="inspection")
def test_every_build_of_the_repository_is_fresh_and_strict() -> None:
    """No build reads what an earlier one left, and none lets a warning by."""
    written = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.rst")]
    paths = [ROOT / "tox.ini", ROOT / ".ci" / "run", *written]
    lines = [
        (path.relative_to(ROOT).as_posix(), line.split())
        for path in paths
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith(("sphinx-build ", "python -m sphinx "))
    ]
    assert {"tox.ini"} <= {name for name, _ in lines}
    assert len(lines) >= 3
    for name, words in lines:
        assert {"-E", "-W"} <= set(words), (name, words)
