"""The gate fails on every seeded fault, by its own rule, and is green without one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import Outcome, run_rules
from trocar_lab.evidence.selftest import gate
from trocar_lab.evidence.selftest.faults import Fault, load_faults
from trocar_lab.evidence.selftest.gate import CLEAN, is_caught, seeded_files, seeded_project


@pytest.mark.verifies("SRS_TRACE_028", extent="partial", technique="requirement")
def test_clean_demo_is_green_for_a_release(tmp_path: Path) -> None:
    """A gate that is always red catches every fault too; each rule has looked at something."""
    outcome = run_rules(RULES, seeded_project(CLEAN, tmp_path), release=True)
    assert outcome.is_green, outcome.red
    assert all(result.population > 0 for result in outcome.results)
    assert outcome.verdict_line.startswith("TRACE VERDICT: GREEN (")


@pytest.mark.verifies("SRS_TRACE_028", extent="full", technique="fault_injection")
@pytest.mark.verifies(
    "SRS_TRACE_003", "SRS_TRACE_007", extent="partial", technique="fault_injection"
)
@pytest.mark.verifies(
    "SRS_TRACE_013", "SRS_TRACE_029", extent="partial", technique="fault_injection"
)
@pytest.mark.verifies(
    "SRS_TRACE_030", "SRS_TRACE_031", extent="partial", technique="fault_injection"
)
@pytest.mark.parametrize("fault", load_faults(), ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault_is_caught_by_its_rule(fault: Fault, tmp_path: Path) -> None:
    """The expected rule gives the expected reason, and the gate closes."""
    project = seeded_project(fault, tmp_path)
    caught, detail = is_caught(
        fault, run_rules(RULES, project), run_rules(RULES, project, release=True)
    )
    assert caught, detail
    if fault.is_open:
        assert run_rules(RULES, project).is_green


@pytest.mark.verifies("SRS_TRACE_028", extent="partial", technique="inspection")
def test_every_rule_has_a_fault() -> None:
    """A rule that no fault tests may be one that never fails; V4 is tested by itself."""
    assert {rule.rule_id for rule in RULES} - {fault.rule for fault in load_faults()} == {"V4"}


def test_unbound_evidence_is_open(tmp_path: Path) -> None:
    """V4: evidence without commit, clean tree, wheel and operator stops a release only."""
    project = seeded_project(CLEAN, tmp_path)
    run = project.runs[0].run
    absent = {"commit": "", "clean": False, "wheel_sha256": "", "operator": ""}
    identity = run.identity.model_copy(update=absent)
    bare = project.runs[0].model_copy(update={"run": run.model_copy(update={"identity": identity})})
    rule = next(rule for rule in RULES if rule.rule_id == "V4")
    assert not run_rules([rule], project).open_count
    outcome = run_rules([rule], dataclasses.replace(project, runs=(bare,)))
    assert outcome.is_green
    assert "commit, clean tree, wheel, operator" in outcome.results[0].open[0].reason
    assert not run_rules([rule], dataclasses.replace(project, runs=(bare,)), release=True).is_green


@pytest.mark.verifies("SRS_TRACE_028", extent="partial", technique="fault_injection")
def test_report_of_the_self_test_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line is what the report prints; a rule that is switched off shows."""
    few = [fault for fault in load_faults() if fault.rule in {"G2", "G3"}][:3]
    assert len(load_faults()) >= 40
    monkeypatch.setattr(gate, "load_faults", lambda: few)
    is_sound, text = gate.selftest_report()
    assert is_sound
    assert text.endswith(f"{len(few)} faults seeded, {len(few)} caught")
    _, found = gate.run_selftest(frozenset({"G2"}))
    assert [c.is_caught for c in found] == [c.fault.rule != "G2" for c in found]
    assert "G2" in {caught.fault.rule for caught in found}


def test_fault_that_cannot_be_planted_is_an_error() -> None:
    """A fault whose text is gone would be caught by nothing and prove nothing."""
    fault = Fault.model_validate({
        "name": "x",
        "rule": "G1",
        "phrase": "",
        "edits": [{"path": "risk/demo.rst", "old": "gone", "new": ""}],
    })
    with pytest.raises(ValueError, match="does not hold"):
        seeded_files(fault)


@pytest.mark.verifies("SRS_TRACE_002", extent="partial", technique="boundary")
def test_no_rule_at_all_is_not_green() -> None:
    """An empty table of rules proves nothing."""
    assert not Outcome(results=()).is_green
