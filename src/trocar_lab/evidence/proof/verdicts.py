"""Verdicts: vocabulary, order, and how one is computed from evidence. None is ever stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import Field

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.source.python_tests import TestFunction
from trocar_lab.evidence.store.evidence_record import CollectedLine, EvidenceRun, OutcomeLine
from trocar_lab.evidence.store.identity import RunIdentity


class Verdict(StrEnum):
    """What is known about a claim, best first; the worst of several counts."""

    PASS = "PASS"  # noqa: S105
    WAIVED = "WAIVED"
    HOST_ONLY = "HOST ONLY"
    SKIPPED = "SKIPPED"
    SUSPECT = "SUSPECT"
    OUTDATED = "OUTDATED"
    MISSING = "MISSING"
    ERROR = "ERROR"
    FAIL = "FAIL"

    @property
    def rank(self) -> int:
        """Return the place in the order from best to worst."""
        return _RANKS[self]

    @property
    def is_red(self) -> bool:
        """Return whether development stops on it."""
        return self in _RED

    @property
    def is_open(self) -> bool:
        """Return whether a release stops on it, but development does not."""
        return self in _OPEN


_RANKS: Final = {verdict: rank for rank, verdict in enumerate(Verdict)}
_RED: Final = frozenset({
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.MISSING,
    Verdict.OUTDATED,
    Verdict.SUSPECT,
})
_OPEN: Final = frozenset({Verdict.SKIPPED, Verdict.HOST_ONLY})
_PHASES: Final = ("setup", "call", "teardown")


class Finding(NamedTuple):
    """A verdict with its reason.

    Attributes:
        verdict: The verdict.
        subject: Node id, test case id or need id that it is about.
        reason: Why it is not PASS, in words for the person who must act.
    """

    verdict: Verdict
    subject: str
    reason: str = ""


def worst(findings: Iterable[Finding], *, subject: str, empty: str) -> Finding:
    """Return the worst finding; over nothing the verdict is MISSING, never PASS.

    Args:
        findings: All that count.
        subject: What the result is about when there is nothing.
        empty: The reason given when there is nothing.
    """
    found = list(findings)
    if not found:
        return Finding(verdict=Verdict.MISSING, subject=subject, reason=empty)
    return max(found, key=lambda finding: finding.verdict.rank)


class Present(Frozen):
    """What evidence is compared with: the state of the tree now.

    Attributes:
        fingerprints: Need id to present fingerprint.
        device_sha256: Digest of the device's source.
        lab_sha256: Digest of the toolchain's source; counts for tests that import it.
        lock_sha256: Digest of the lock, or empty.
        packs: Folder of each model pack to the digest of its manifest.
        wheel_sha256: Digest of the wheel under release, or empty when none is named.
        suspects: Need whose approval no longer fits its text or its links, to the reason.
    """

    fingerprints: Mapping[str, str]
    suspects: Mapping[str, str] = Field(default_factory=dict)
    device_sha256: str
    lab_sha256: str = ""
    lock_sha256: str = ""
    packs: Mapping[str, str] = Field(default_factory=dict)
    wheel_sha256: str = ""


def outcome_finding(node: str, line: OutcomeLine | None) -> Finding:
    """Return what one node's outcome is worth, freshness aside.

    A node passes only when setup, call and teardown are all there and all passed. An error is not a
    pass, an expected failure is not a pass, an unexpected pass is not a pass.
    """
    if line is None:
        return Finding(
            verdict=Verdict.MISSING, subject=node, reason="collected, but no outcome was recorded"
        )
    outcomes = set(line.phases.values()) | {line.outcome}
    if "error" in outcomes:
        return Finding(
            verdict=Verdict.ERROR, subject=node, reason=line.reason or "setup or teardown failed"
        )
    for word in ("failed", "xpassed", "xfailed"):
        if word in outcomes:
            return Finding(
                verdict=Verdict.FAIL,
                subject=node,
                reason=f"{word}: {line.reason or 'no reason recorded'}",
            )
    if "skipped" in outcomes:
        if line.reason in {"", "unconditional skip"}:
            return Finding(verdict=Verdict.ERROR, subject=node, reason="skipped without a reason")
        return Finding(verdict=Verdict.SKIPPED, subject=node, reason=f"skipped: {line.reason}")
    absent = [phase for phase in _PHASES if line.phases.get(phase) != "passed"]
    if absent:
        return Finding(
            verdict=Verdict.MISSING, subject=node, reason=f"no outcome of {', '.join(absent)}"
        )
    return Finding(verdict=Verdict.PASS, subject=node)


def freshness_finding(
    run: EvidenceRun, line: CollectedLine, *, function: TestFunction, present: Present
) -> Finding:
    """Return PASS when the evidence is about what stands in the tree now, else OUTDATED or SUSPECT.

    Args:
        run: The run that holds the evidence.
        line: Collected line of the node.
        function: The test function as it stands now.
        present: Present state.
    """
    claims = frozenset(claim.need_id for claim in function.claims)
    stale: list[str] = []
    if line.digest != function.digest:
        stale.append("the test body changed since")
    if {claim.need_id for claim in line.claims} != claims:
        stale.append("the test claims other needs now")
    stale += [
        f"{need_id} changed since"
        for need_id, value in sorted(line.fingerprints.items())
        if present.fingerprints.get(need_id) != value
    ]
    stale += [
        f"{need_id} was not bound by the evidence"
        for need_id in sorted(claims - set(line.fingerprints))
    ]
    uses_lab = any(name.partition(".")[0] == "trocar_lab" for name in function.imports)
    stale += _changed_code(run.run.identity, present, uses_lab=uses_lab)
    if stale:
        return Finding(verdict=Verdict.OUTDATED, subject=line.node, reason="; ".join(stale))
    bound = {*line.fingerprints, *line.parents}
    moved = [n for n, value in sorted(line.parents.items()) if present.fingerprints.get(n) != value]
    if moved:
        reason = f"a parent changed since: {', '.join(moved)}"
        return Finding(verdict=Verdict.SUSPECT, subject=line.node, reason=reason)
    doubted = [present.suspects[n] for n in sorted(bound) if n in present.suspects]
    if doubted:
        return Finding(verdict=Verdict.SUSPECT, subject=line.node, reason="; ".join(doubted))
    return Finding(verdict=Verdict.PASS, subject=line.node)


def _changed_code(identity: RunIdentity, present: Present, *, uses_lab: bool) -> list[str]:
    """Return what of the code and the packs under test is another now."""
    packs = present.packs if identity.packs is None else identity.packs
    return [
        words
        for words, is_other in (
            ("the device source changed since", identity.device_sha256 != present.device_sha256),
            (
                "the toolchain source changed since",
                uses_lab and identity.lab_sha256 != present.lab_sha256,
            ),
            ("the evidence is about other model packs", packs != present.packs),
            ("the lock changed since", identity.lock_sha256 != present.lock_sha256),
            (
                "the evidence is about another wheel",
                bool(present.wheel_sha256) and identity.wheel_sha256 != present.wheel_sha256,
            ),
        )
        if is_other
    ]


def platform_finding(by_platform: Mapping[str, Finding], *, required: str, subject: str) -> Finding:
    """Return the verdict over platforms: agx is proven by AGX evidence only, both needs both.

    Args:
        by_platform: host and agx to the worst finding there, as far as there is evidence.
        required: host, agx or both.
        subject: Test case id.
    """
    if not by_platform:
        return Finding(verdict=Verdict.MISSING, subject=subject, reason="no evidence")
    findings = list(by_platform.values())
    if required in {"agx", "both"} and "agx" not in by_platform:
        reason = "proven on a host only; evidence from an AGX module is required"
        findings.append(Finding(verdict=Verdict.HOST_ONLY, subject=subject, reason=reason))
    if required == "both" and "host" not in by_platform:
        findings.append(
            Finding(verdict=Verdict.MISSING, subject=subject, reason="no evidence from a host")
        )
    return worst(findings, subject=subject, empty="no evidence")
