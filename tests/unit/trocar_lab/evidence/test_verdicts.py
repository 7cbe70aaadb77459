"""Verdict semantics as a table: only one way leads to PASS."""

from __future__ import annotations

import pytest

from trocar_lab.evidence.proof.verdicts import (
    Finding,
    Verdict,
    outcome_finding,
    platform_finding,
    worst,
)
from trocar_lab.evidence.store.evidence_record import OutcomeLine

GOOD = {"setup": "passed", "call": "passed", "teardown": "passed"}


def _line(outcome: str, phases: dict[str, str], reason: str = "because") -> OutcomeLine:
    """Return an outcome line."""
    return OutcomeLine(
        node="n", outcome=outcome, phases=phases, reason=reason, started="t", duration_s=0.0
    )


@pytest.mark.verifies("SRS_TRACE_004", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (_line("passed", GOOD), Verdict.PASS),
        (None, Verdict.MISSING),
        (_line("passed", {"setup": "passed", "call": "passed"}), Verdict.MISSING),
        (_line("passed", {}), Verdict.MISSING),
        (_line("failed", {**GOOD, "call": "failed"}), Verdict.FAIL),
        (_line("passed", {**GOOD, "call": "failed"}), Verdict.FAIL),
        (_line("failed", GOOD), Verdict.FAIL),
        (_line("error", {"setup": "error", "teardown": "passed"}), Verdict.ERROR),
        (_line("error", {**GOOD, "teardown": "error"}), Verdict.ERROR),
        (_line("xfailed", {**GOOD, "call": "xfailed"}), Verdict.FAIL),
        (_line("xpassed", {**GOOD, "call": "xpassed"}), Verdict.FAIL),
        (_line("skipped", {"setup": "skipped", "teardown": "passed"}), Verdict.SKIPPED),
        (_line("skipped", {"setup": "skipped", "teardown": "passed"}, ""), Verdict.ERROR),
        (_line("skipped", {"setup": "skipped"}, "unconditional skip"), Verdict.ERROR),
    ],
)
def test_outcome_of_a_node(line: OutcomeLine | None, verdict: Verdict) -> None:
    """A node passes only when all three phases are there and passed."""
    assert outcome_finding("n", line).verdict is verdict


@pytest.mark.verifies("SRS_TRACE_008", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("platforms", "required", "verdict"),
    [
        ({"host": Verdict.PASS}, "host", Verdict.PASS),
        ({"agx": Verdict.PASS}, "host", Verdict.PASS),
        ({"host": Verdict.PASS}, "agx", Verdict.HOST_ONLY),
        ({"host": Verdict.FAIL}, "agx", Verdict.FAIL),
        ({"agx": Verdict.PASS}, "agx", Verdict.PASS),
        ({"agx": Verdict.PASS, "host": Verdict.FAIL}, "agx", Verdict.FAIL),
        ({"host": Verdict.PASS}, "both", Verdict.HOST_ONLY),
        ({"agx": Verdict.PASS}, "both", Verdict.MISSING),
        ({"agx": Verdict.PASS, "host": Verdict.PASS}, "both", Verdict.PASS),
        ({}, "host", Verdict.MISSING),
    ],
)
def test_platform(platforms: dict[str, Verdict], required: str, verdict: Verdict) -> None:
    """Host evidence never proves an AGX case."""
    found = {name: Finding(verdict=v, subject="c") for name, v in platforms.items()}
    assert platform_finding(found, required=required, subject="c").verdict is verdict


@pytest.mark.verifies("SRS_TRACE_003", extent="partial", technique="boundary")
def test_worst_of_nothing_is_missing() -> None:
    """The empty set is never PASS."""
    assert worst([], subject="s", empty="nothing").verdict is Verdict.MISSING


@pytest.mark.verifies("SRS_TRACE_001", extent="full", technique="property")
@pytest.mark.parametrize("bad", [v for v in Verdict if v is not Verdict.PASS])
def test_any_other_verdict_beats_pass(bad: Verdict) -> None:
    """However many tests pass, one that does not decides."""
    found = [Finding(verdict=v, subject="s") for v in (Verdict.PASS, bad, Verdict.PASS)]
    assert worst(found, subject="s", empty="").verdict is bad


@pytest.mark.verifies("SRS_TRACE_001", extent="partial", technique="property")
def test_each_verdict_is_green_open_or_red_and_never_two() -> None:
    """Development stops on red, a release also on open."""
    red = {v for v in Verdict if v.is_red}
    opened = {v for v in Verdict if v.is_open}
    assert red == {Verdict.FAIL, Verdict.ERROR, Verdict.MISSING, Verdict.OUTDATED, Verdict.SUSPECT}
    assert opened == {Verdict.SKIPPED, Verdict.HOST_ONLY}
