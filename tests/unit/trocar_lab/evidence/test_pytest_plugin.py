"""The pytest plugin: markers are checked at collection, evidence is complete and chained."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.graph.needs_source import source_graph
from trocar_lab.evidence.selftest.demo import DEMO_FILES, write_demo
from trocar_lab.evidence.source.python_tests import TestFile
from trocar_lab.evidence.store import pytest_plugin
from trocar_lab.evidence.store.evidence_record import EvidenceRun, acceptance_of
from trocar_lab.evidence.store.evidence_store import read_store
from trocar_lab.evidence.store.run_reader import read_run
from trocar_lab.evidence.store.run_writer import EvidenceWriter
from trocar_lab.provenance.platform_record import read_platform

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
    links = [json.loads(line)["link_sha256"] for line in lines]
    assert len(set(links)) == len(lines)
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


FIGURES = """
import math
import numpy as np
import pytest

@pytest.mark.case("TC_DEMO_01")
@pytest.mark.proves_effect("RCM_DEMO_001", measure="stale masks", acceptance="0 of 1 000 frames")
def test_figures(record_property, record_figure):
    record_figure("median_ms", 38.25)
    record_figure("frames", 300)
    record_figure("engine", "cpu")
    record_property("lower", np.float64(0.5))
    record_property("half", np.float32(0.5))
    record_property("count", np.int64(7))
    record_property("ratio", math.nan)
    record_property("is_warm", True)
    record_property("frames", 301)
    record_property("long", "x" * 500)

def test_wrong_name(record_figure):
    record_figure("Median [ms]", 38.25)
"""


@pytest.mark.verifies("SRS_TRACE_015", extent="partial", technique="requirement")
def test_figures_are_recorded_beside_their_limits(pytester: pytest.Pytester) -> None:
    """What a test observed must be there when nobody can run it again; no figure is lost."""
    _run(pytester, FIGURES, "--evidence", "ev")
    run = _evidence(pytester)
    line = run.outcomes["test_it.py::test_figures"]
    assert line.outcome == "passed"
    assert line.properties == {
        "median_ms": 38.25,
        "frames": 300,
        "engine": "cpu",
        "lower": 0.5,
        "half": 0.5,
        "count": 7,
        "ratio": "nan",
        "is_warm": "True",
        "frames_2": 301,
        "long": "x" * 200,
    }
    assert run.outcomes["test_it.py::test_wrong_name"].outcome == "failed"
    graph = source_graph(pytester.path)
    assert acceptance_of(run.collected["test_it.py::test_figures"], graph) == {
        "TC_DEMO_01": "p99 age at most 100 ms over 10 000 frames",
        "RCM_DEMO_001": "0 of 1 000 frames",
    }
    assert acceptance_of(run.collected["test_it.py::test_wrong_name"], graph) == {}


ATTACHES = """
def test_attaches(tmp_path, attach_evidence):
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "frames.csv").write_text("1", encoding="utf-8")
    attach_evidence(folder)
    attach_evidence(folder / "frames.csv")

def test_fails_after_it_attached(tmp_path, attach_evidence):
    (tmp_path / "log.txt").write_text("why", encoding="utf-8")
    attach_evidence(tmp_path / "log.txt")
    attach_evidence(tmp_path / "missing")
"""


def test_attachments_are_copied_with_their_digests(pytester: pytest.Pytester) -> None:
    """A bundle that a test recorded is gone with its temporary folder; a failed test's log too."""
    _run(pytester, ATTACHES, "--evidence", "ev")
    run = _evidence(pytester)
    attached = run.outcomes["test_it.py::test_attaches"].attachments
    assert [entry.path.rsplit("/", 2)[1:] for entry in attached[:1]] == [["bundle", "frames.csv"]]
    assert [entry.bytes for entry in attached] == [1, 1]
    failed = run.outcomes["test_it.py::test_fails_after_it_attached"]
    assert failed.outcome == "failed"
    assert [entry.path.rsplit("/", 1)[1] for entry in failed.attachments] == ["log.txt"]
    store = read_store(pytester.path / "ev")
    assert (store.faults, len(store.runs)) == ({}, 1)
    _run(pytester, ATTACHES.split("def test_fails", maxsplit=1)[0]).assert_outcomes(passed=1)


def test_identity_names_what_was_under_test_and_where(pytester: pytest.Pytester) -> None:
    """Evidence of another model, commit or machine must be told apart from this."""
    pack = pytester.path / "src" / "trocar" / "assets" / "packs" / "demo" / "manifest.json"
    pack.parent.mkdir(parents=True)
    pack.write_text("{}", encoding="utf-8")
    _run(pytester, "def test_a(): pass\n", "--evidence", "ev")
    run = _evidence(pytester)
    identity = run.run.identity
    assert identity.packs == {"demo": hashlib.sha256(b"{}").hexdigest()}
    assert identity.platform.facts == read_platform()
    assert identity.platform.contradiction is None
    assert len(run.run.run_id) == 32
    assert run.run.monotonic_ns is not None
    (line,) = run.outcomes.values()
    assert line.monotonic_ns is not None
    assert run.end is not None
    assert run.run.monotonic_ns < line.monotonic_ns < (run.end.monotonic_ns or 0)


def test_only_needs_that_are_claimed_are_bound(pytester: pytest.Pytester) -> None:
    """Each once a run, with what it rests on; an authored case binds what it verifies too."""
    test = "import pytest\n\n@pytest.mark.case('TC_DEMO_01')\ndef test_a(): pass\n"
    _run(pytester, test, "--evidence", "ev")
    run = _evidence(pytester)
    graph = source_graph(pytester.path)
    line = run.collected["test_it.py::test_a"]
    bound = {n: graph.needs[n].fingerprint for n in ("TC_DEMO_01", "SRS_DEMO_002")}
    assert line.fingerprints == bound
    parents = {*graph.ancestors("SRS_DEMO_002"), *graph.ancestors("TC_DEMO_01")} - bound.keys()
    assert set(line.parents) == parents
    assert set(run.needs) == {*bound, *parents}


def test_evidence_that_cannot_be_written_stops_the_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run without its evidence would be repeated anyway; it says so at once, in one line."""
    (pytester.path / "taken").write_text("", encoding="utf-8")
    result = _run(pytester, "def test_a(): pass\n", "--evidence", "taken")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "taken: cannot be made" in result.stderr.str()
    monkeypatch.setattr(EvidenceWriter, "write", _refuse)
    result = _run(pytester, "def test_a(): pass\n", "--evidence", "ev")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert "no evidence: the disk is full" in result.stdout.str() + result.stderr.str()


def _refuse(_writer: object, _line: object) -> None:
    """Be a full disk."""
    raise EvidenceError("the disk is full")


def test_workers_are_refused(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes would each write a part, and none of the parts would be the run."""
    config = pytester.parseconfig(*PLUGIN, "--evidence", "ev")
    monkeypatch.setattr(config, "workerinput", {}, raising=False)  # as pytest-xdist does
    with pytest.raises(pytest.UsageError, match="run without workers"):
        pytest_plugin.pytest_configure(config)
