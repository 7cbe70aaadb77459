"""What every page of the report looks up, worked out once from the project and the outcome."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from trocar_lab.evidence.graph.metamodel import Metamodel
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.generated import TraceCase
from trocar_lab.evidence.proof.verdicts import Finding
from trocar_lab.evidence.report.markup import esc
from trocar_lab.evidence.report.need_verdict import need_finding
from trocar_lab.evidence.report.platform_proofs import (
    ByPlatform,
    merged,
    proofs_by_case,
    runs_by_case,
)
from trocar_lab.evidence.report.release_identity import ReleaseIdentity, release_identity
from trocar_lab.evidence.report.selftest_summary import SelftestSummary
from trocar_lab.evidence.rules.clauses import ClauseTable, clause_tables
from trocar_lab.evidence.rules.risk import (
    RiskEstimate,
    effect_finding,
    initial_risk,
    residual_risk,
)
from trocar_lab.evidence.rules.rule import Outcome
from trocar_lab.evidence.rules.strength import Strength, strength_of
from trocar_lab.evidence.signed.approvals import ApprovalState
from trocar_lab.evidence.source.python_tests import TEST_ROOTS

_MEASURED: Final = ("unit", "risk_control")
RED_ROW, OPEN_ROW, WAIVED_ROW = "red", "open", "waived"
_GENERATED: Final = re.compile(r"TC_.*_([0-9A-F]{8})")
Claim = tuple[str, TraceCase]


class SuiteCount(NamedTuple):
    """One folder of tests: how many of its files the evidence saw."""

    folder: str
    files: int
    seen: int


class ControlProofs(NamedTuple):
    """Both verdicts of a control: that it is built, and that it works."""

    built: Finding
    works: Finding


class Risks(NamedTuple):
    """Risk of a situation before and after control; None where a value is missing."""

    before: RiskEstimate | None
    after: RiskEstimate | None


class Labels(NamedTuple):
    """The names of fields and links as the metamodel words them, each as the head of an entry.

    Attributes:
        fields: Name of a field to its words.
        outgoing: Link name to its words from source to target.
        incoming: The same from target to source.
    """

    fields: Mapping[str, str]
    outgoing: Mapping[str, str]
    incoming: Mapping[str, str]


@dataclass(frozen=True)
class Facts:
    """Look-up tables of one report.

    Attributes:
        project: What was judged.
        needs: Every need by id.
        by_type: Type to its live needs, in order of id.
        outcome: What the rules said.
        selftest: What the self-test of the gate found.
        identity: What the report is about.
        clauses: Clause tables with their results.
        findings: Need id to its verdict; a need that no test is asked of is not in it.
        controls: Id of a live control to both of its verdicts.
        risks: Id of a live situation to its risk before and after control.
        strength: Id of a live unit or control to how strong its tests are.
        claims: Need id to the (link, case) pairs that claim it.
        platforms: Need or case id to platform to what it proves.
        runs: Case id to the places of the runs that hold its last evidence.
        incoming: Need id to link to the ids of the live needs that point at it.
        anchors: Case id to its anchor.
        approvals: Need id to the word for the state of its approval.
        labels: Names of fields and links.
        places: Need id to ``path:line``.
        comments: Need id to ``path:line`` of each comment in the device's source.
        rows: Need id to the (state, rule id) of each row that is not proven.
        digests: Evidence file to the digest of its bytes.
        suites: Folders of tests with how many of their files the evidence saw.
    """

    project: Project
    needs: Mapping[str, Need]
    by_type: Mapping[str, tuple[Need, ...]]
    outcome: Outcome
    selftest: SelftestSummary
    identity: ReleaseIdentity
    clauses: tuple[ClauseTable, ...]
    findings: Mapping[str, Finding]
    controls: Mapping[str, ControlProofs]
    risks: Mapping[str, Risks]
    strength: Mapping[str, Strength]
    claims: Mapping[str, tuple[Claim, ...]]
    platforms: Mapping[str, ByPlatform]
    runs: Mapping[str, tuple[int, ...]]
    incoming: Mapping[str, Mapping[str, tuple[str, ...]]]
    anchors: Mapping[str, str]
    approvals: Mapping[str, str]
    labels: Labels
    places: Mapping[str, str]
    comments: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, tuple[tuple[str, str], ...]]
    digests: Mapping[str, str]
    suites: tuple[SuiteCount, ...]

    def live(self, need_type: str) -> tuple[Need, ...]:
        """Return the live needs of a type, in order of id."""
        return self.by_type.get(need_type, ())

    def sources(self, need_id: str, link: str) -> tuple[str, ...]:
        """Return the ids of the live needs whose ``link`` points at ``need_id``."""
        return self.incoming.get(need_id, {}).get(link, ())

    def place(self, need: Need) -> str:
        """Return where a need is written."""
        return self.places.get(need.need_id, need.place)


def collect_facts(
    project: Project,
    outcome: Outcome,
    *,
    selftest: SelftestSummary,
    evidence: Path | None = None,
) -> Facts:
    """Return everything that the pages look up.

    Args:
        project: What was judged.
        outcome: What the rules said.
        selftest: What the self-test of the gate found.
        evidence: Folder of the evidence files, for their digests; left out, they are not told.
    """
    live = project.graph.live()
    claims = _claims(project)
    by_case = proofs_by_case(project)
    platforms = dict(by_case)
    for need_id, found in claims.items():
        if need_id not in platforms:
            platforms[need_id] = merged(by_case[case.case_id] for _, case in found)
    return Facts(
        project=project,
        needs=project.graph.needs,
        by_type=_by_type(live),
        outcome=outcome,
        selftest=selftest,
        identity=release_identity(project),
        clauses=clause_tables(project.graph, outcome),
        findings={n.need_id: f for n in live if (f := need_finding(project, n))},
        controls=_controls(project),
        risks=_risks(project),
        strength={n.need_id: strength_of(project, n) for n in live if n.need_type in _MEASURED},
        claims=claims,
        platforms=platforms,
        runs=runs_by_case(project),
        incoming=_incoming(live),
        anchors=case_anchors(project),
        approvals={
            need_id: approval_word(project, n) for need_id, n in project.graph.needs.items()
        },
        labels=_labels(project.model),
        places={need.need_id: need.place for need in project.scan.needs},
        comments=_comments(project),
        rows=_rows(project, outcome),
        digests=_digests(project, evidence),
        suites=suites(project),
    )


def case_anchors(project: Project) -> dict[str, str]:
    """Return each case to its anchor: a generated one by the digest that its id ends with."""
    found: dict[str, str] = {}
    used: set[str] = set()
    for case in project.proofs.cases.values():
        digest = None if case.authored else _GENERATED.fullmatch(case.case_id)
        name = f"case-{digest[1]}" if digest else f"case-{case.case_id}"
        if name in used:  # two digests of 32 bits may be equal
            name = f"case-{case.case_id}"
        used.add(name)
        found[case.case_id] = name
    return found


def approval_word(project: Project, need: Need) -> str:
    """Return how the approval of a need stands."""
    if not project.model.type[need.need_type].normative:
        return "not asked for"
    found = project.approval_state(need)
    return "not approved" if found is ApprovalState.MISSING else found.value


def case_name(case: TraceCase) -> str:
    """Return the name of a case for a link: the test function, or the id of an authored case."""
    return case.case_id if case.authored else case.title.rsplit("::", 1)[-1]


def suites(project: Project) -> tuple[SuiteCount, ...]:
    """Return each folder of tests with how many of its files some run collected or skipped."""
    seen: set[str] = set()
    for run in project.runs:
        seen.update(line.function.partition("::")[0] for line in run.collected.values())
        seen.update(line.path for line in run.uncollected)
    found: dict[str, list[bool]] = {}
    for folder in TEST_ROOTS:
        for path in sorted((project.root / folder).rglob("test_*.py")):
            name = path.relative_to(project.root).as_posix()
            parts = name.split("/")
            place = "/".join(parts[:2]) if len(parts) > 2 else parts[0]
            found.setdefault(place, []).append(name in seen)
    return tuple(
        SuiteCount(folder, len(flags), sum(flags)) for folder, flags in sorted(found.items())
    )


def _labels(model: Metamodel) -> Labels:
    """Return the names of fields and links."""
    return Labels(
        fields={name: f"<dt>{esc(rule.title)}<dd>" for name, rule in model.field.items()},
        outgoing={name: f"<dt>{esc(rule.outgoing)}<dd>" for name, rule in model.link.items()},
        incoming={name: f"<dt>{esc(rule.incoming)}<dd>" for name, rule in model.link.items()},
    )


def _controls(project: Project) -> dict[str, ControlProofs]:
    """Return each live control to both of its verdicts."""
    return {
        need.need_id: ControlProofs(
            project.proofs.verdict(need.need_id, "verifies_control"), effect_finding(project, need)
        )
        for need in project.graph.live("risk_control")
    }


def _risks(project: Project) -> dict[str, Risks]:
    """Return each live situation to its risk before and after control."""
    return {
        need.need_id: Risks(initial_risk(project, need), residual_risk(project, need))
        for need in project.graph.live("hazardous_situation")
    }


def _claims(project: Project) -> dict[str, tuple[Claim, ...]]:
    """Return each need to the cases that claim it, in the order of the cases."""
    found: dict[str, list[Claim]] = {}
    for case in project.proofs.cases.values():
        for link, need_ids in case.claims.items():
            for need_id in need_ids:
                found.setdefault(need_id, []).append((link, case))
    return {need_id: tuple(pairs) for need_id, pairs in found.items()}


def _by_type(needs: Iterable[Need]) -> dict[str, tuple[Need, ...]]:
    """Return each type to its needs, in the order given."""
    found: dict[str, list[Need]] = {}
    for need in needs:
        found.setdefault(need.need_type, []).append(need)
    return {name: tuple(group) for name, group in found.items()}


def _incoming(needs: Iterable[Need]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return each need to link to the live needs that point at it, in order of id."""
    found: dict[str, dict[str, list[str]]] = {}
    for need in needs:
        for link, targets in need.links.items():
            for target in targets:
                found.setdefault(target, {}).setdefault(link, []).append(need.need_id)
    return {
        target: {link: tuple(ids) for link, ids in by_link.items()}
        for target, by_link in found.items()
    }


def _comments(project: Project) -> dict[str, tuple[str, ...]]:
    """Return each need to the places of the comments that name it."""
    found: dict[str, list[str]] = {}
    for comment in project.device.comments:
        for need_id in comment.need_ids:
            found.setdefault(need_id, []).append(f"{comment.path}:{comment.line}")
    return {need_id: tuple(places) for need_id, places in found.items()}


def _rows(project: Project, outcome: Outcome) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return each need to the rules that it is not proven by; a key may begin with its id."""
    needs = project.graph.needs
    found: dict[str, dict[tuple[str, str], None]] = {}
    for result in outcome.results:
        for word, rows in (
            (RED_ROW, result.failed),
            (OPEN_ROW, result.open),
            (WAIVED_ROW, result.waived),
        ):
            for row in rows:
                need_id = row.need_id.partition(" ")[0]
                if need_id in needs:
                    found.setdefault(need_id, {})[word, result.rule_id] = None
    return {need_id: tuple(pairs) for need_id, pairs in found.items()}


def _digests(project: Project, evidence: Path | None) -> dict[str, str]:
    """Return each evidence file to the SHA-256 of its bytes."""
    if evidence is None:
        return {}
    return {
        run.path: hashlib.sha256((evidence / run.path).read_bytes()).hexdigest()
        for run in project.runs
        if (evidence / run.path).is_file()
    }
