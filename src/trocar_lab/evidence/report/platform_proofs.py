"""What each platform proves about a case or a need: worst verdict and counts of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.generated import TraceCase
from trocar_lab.evidence.proof.verdicts import Verdict

RANK: Final = {verdict: rank for rank, verdict in enumerate(Verdict)}


class PlatformProof(NamedTuple):
    """What one platform proves.

    Attributes:
        verdict: Worst of its nodes.
        passed: How many nodes passed.
        nodes: How many there are.
    """

    verdict: Verdict
    passed: int
    nodes: int


ByPlatform = Mapping[str, PlatformProof]


def merged(proofs: Iterable[ByPlatform]) -> dict[str, PlatformProof]:
    """Return several proofs as one: the worst verdict, summed counts."""
    found: dict[str, PlatformProof] = {}
    for by_platform in proofs:
        for platform, proof in by_platform.items():
            held = found.get(platform)
            if held is None:
                found[platform] = proof
                continue
            worse = proof.verdict if RANK[proof.verdict] > RANK[held.verdict] else held.verdict
            found[platform] = PlatformProof(
                worse, held.passed + proof.passed, held.nodes + proof.nodes
            )
    return found


def proofs_by_case(project: Project) -> dict[str, ByPlatform]:
    """Return each case to what each platform proves about it; signed records count as nodes."""
    by_function = {
        function: {
            platform: _proof([finding.verdict for finding in findings])
            for platform, findings in judged.items()
        }
        for function, judged in project.proofs.node_findings.items()
    }
    return {
        case.case_id: merged([
            *(by_function[function.function] for function in case.functions),
            *_manual(project, case),
        ])
        for case in project.proofs.cases.values()
    }


def _manual(project: Project, case: TraceCase) -> Iterable[ByPlatform]:
    """Yield one proof for each record that a person signed."""
    for record in project.proofs.manual_for(case.case_id):
        verdict = Verdict.PASS if record.outcome == "passed" else Verdict.FAIL
        if project.proofs.present.fingerprints.get(record.case) != record.fingerprint:
            verdict = max(verdict, Verdict.OUTDATED, key=RANK.__getitem__)
        yield {record.platform: _proof([verdict])}


def _proof(verdicts: list[Verdict]) -> PlatformProof:
    """Return the proof of some nodes of one platform."""
    passed = verdicts.count(Verdict.PASS)
    if verdicts and passed == len(verdicts):
        return PlatformProof(Verdict.PASS, passed, passed)
    worst = max(verdicts, key=RANK.__getitem__, default=Verdict.MISSING)
    return PlatformProof(worst, passed, len(verdicts))


def runs_by_case(project: Project) -> dict[str, tuple[int, ...]]:
    """Return each case to the places of the runs that hold its last evidence, one a platform."""
    last: dict[str, dict[str, int]] = {}
    for index, run in enumerate(project.runs):
        functions = {line.function for line in run.collected.values()}
        last.setdefault(run.platform, {}).update(dict.fromkeys(functions, index))
    found: dict[str, tuple[int, ...]] = {}
    for case in project.proofs.cases.values():
        places = {
            known[function.function]
            for function in case.functions
            for known in last.values()
            if function.function in known
        }
        found[case.case_id] = tuple(sorted(places))
    return found
