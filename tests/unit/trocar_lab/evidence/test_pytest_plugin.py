"""The pytest plugin: markers are checked at collection, evidence is complete and chained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trocar_lab.evidence.selftest.demo import DEMO_FILES, write_demo
from trocar_lab.evidence.source.python_tests import TestFile
from trocar_lab.evidence.store.evidence_record import EvidenceRun, read_run

pytest_plugins = ["pytester"]
NEEDS = {k: v for k, v in DEMO_FILES.items() if k.endswith((".rst", ".toml"))}
PLUGIN = (
    "-p",
    "trocar_lab.evidence.store.pytest_plugin",
    "-p",
    "no:cacheprovider",
    "-q",
    "--strict-markers",
)


def _run(pytester: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    """Run one test file beside the needs of the demo."""
    write_demo(pytester.path, NEEDS)
    pytester.makepyfile(test_it=test)
    return pytester.runpytest_inprocess(*PLUGIN, *arguments)


def _evidence(pytester: pytest.Pytester) -> EvidenceRun:
    """Return the only run in the evidence folder."""
    (path,) = (pytester.path / "ev").glob("run-*.jsonl")
    return read_run(path)


WRONG = {
    'verifies("SRS_DEMO_099")': "names SRS_DEMO_099, which no source file defines",
    'verifies("RCM_DEMO_001")': "verifies takes SRS_ or IFC_ or UNIT_ ids",
    'controls("SRS_DEMO_001")': "controls takes RCM_ ids",
    'verifies("SRS_DEMO_001", extend="full")': "no keyword 'extend'",
    'verifies("SRS_DEMO_001", extent="half")': "allowed: full, partial",
    'proves_effect("RCM_DEMO_001", measure="x")': "needs acceptance=",
    "verifies()": "at least one id",
    'case("TC_DEMO_01", "TC_DEMO_02")': "exactly one id",
    "case(5)": "case takes TC_ ids",
    'verifies("SRS_DEMO_002")': "names SRS_DEMO_002, which is retired",
}


def test_wrong_markers_stop_the_run(pytester: pytest.Pytester) -> None:
    """A typing error in a marker would else be a proof of nothing; each one is named."""
    tests = [
        f"@pytest.mark.{marker}\ndef test_{index}(): pass\n" for index, marker in enumerate(WRONG)
    ]
    text = DEMO_FILES["requirements_spec/demo.rst"]
    retired = text.replace(":id: SRS_DEMO_002", ":id: SRS_DEMO_002\n   :status: retired")
    write_demo(pytester.path, {**NEEDS, "requirements_spec/demo.rst": retired})
    pytester.makepyfile(test_it="import pytest\n\n" + "\n".join(tests))
    result = pytester.runpytest_inprocess(*PLUGIN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + result.stderr.str()
    for index, phrase in enumerate(WRONG.values()):
        lines = [line for line in text.splitlines() if f"::test_{index}:" in line]
        assert any(phrase in line for line in lines), (phrase, text)


def test_markers_are_taken_when_no_need_exists_yet(pytester: pytest.Pytester) -> None:
    """The first tests of a repository come before its first needs; form is still checked."""
    pytester.makepyfile(
        test_it='import pytest\n\n@pytest.mark.verifies("SRS_NEW_001")\ndef test_a(): pass\n'
    )
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_no_evidence_without_the_option(pytester: pytest.Pytester) -> None:
    """A normal run leaves no file."""
    before = set(pytester.path.rglob("*.jsonl"))
    _run(pytester, "def test_a(): pass\n").assert_outcomes(passed=1)
    assert set(pytester.path.rglob("*.jsonl")) == before


ALL_OUTCOMES = """
import hypothesis
import pytest

@pytest.mark.parametrize("x", [1, 0])
@pytest.mark.verifies("SRS_DEMO_001", extent="full")
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

def test_skip_inside(): pytest.skip("only with a camera")

@hypothesis.settings(max_examples=2, database=None)
@hypothesis.given(hypothesis.strategies.integers())
def test_property(x): pass
"""


def test_every_outcome_is_recorded_as_what_it_is(pytester: pytest.Pytester) -> None:
    """JUnit cannot tell these apart; the evidence must."""
    _run(pytester, ALL_OUTCOMES, "--evidence", "ev")
    run = _evidence(pytester)
    outcomes = {
        node.split("::")[1]: (line.outcome, line.reason) for node, line in run.outcomes.items()
    }
    assert {node: outcome for node, (outcome, _) in outcomes.items()} == {
        "test_parameters[1]": "passed",
        "test_parameters[0]": "failed",
        "test_skipped": "skipped",
        "test_setup_error": "error",
        "test_teardown_error": "error",
        "test_expected_failure": "xfailed",
        "test_unexpected_pass": "xpassed",
        "test_strict_unexpected_pass": "xpassed",
        "test_skip_inside": "skipped",
        "test_property": "passed",
    }
    assert outcomes["test_skipped"][1] == "no module here"
    assert outcomes["test_skip_inside"][1] == "only with a camera"
    assert run.finished
    assert run.faults == ()
    _check_claims(run)
    source = TestFile((pytester.path / "test_it.py").read_text(encoding="utf-8"), name="test_it.py")
    for line in run.collected.values():
        assert line.digest == source.digest(line.source_name), line.node
    _check_chain(pytester.path / "ev")


def _check_claims(run: EvidenceRun) -> None:
    """Claims carry the fingerprints of needs and parents: else nobody can tell another text."""
    line = run.collected["test_it.py::test_parameters[0]"]
    assert line.params == {"x": "0"}
    assert set(line.fingerprints) == {"SRS_DEMO_001"}
    assert set(line.parents) == {"SYS_DEMO_001", "UN_DEMO_001"}
    assert len(line.digest) == 64
    assert line.source_name == "test_parameters"


def _check_chain(folder: Path) -> None:
    """Each line names the line before it: one that is changed, lost or moved breaks the chain."""
    (path,) = folder.glob("run-*.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all("prev_sha256" in json.loads(line) for line in lines)
    for changed in (lines[:3] + lines[4:], [*lines[:3], lines[4], lines[3], *lines[5:]]):
        other = Path(path.parent / "run-other.jsonl")
        other.write_text("\n".join(changed) + "\n", encoding="utf-8")
        assert any("does not follow" in fault for fault in read_run(other).faults)


def test_deselected_nodes_are_recorded(pytester: pytest.Pytester) -> None:
    """What was left out must show as MISSING."""
    _run(pytester, ALL_OUTCOMES, "--evidence", "ev", "-k", "skipped")
    run = _evidence(pytester)
    assert run.collected["test_it.py::test_parameters[0]"].deselected
    assert not run.collected["test_it.py::test_skipped"].deselected
    assert set(run.outcomes) == {"test_it.py::test_skipped"}


def test_file_that_cannot_be_collected_is_recorded(pytester: pytest.Pytester) -> None:
    """A skipped file has a reason, a broken one an error."""
    _run(
        pytester,
        "import pytest\npytest.skip('no engine', allow_module_level=True)\n",
        "--evidence",
        "ev",
    )
    (line,) = _evidence(pytester).uncollected
    assert (line.path, line.outcome, line.reason) == ("test_it.py", "skipped", "no engine")
