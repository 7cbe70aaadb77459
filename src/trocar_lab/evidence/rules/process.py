"""Rules on the process: P1 to P7. Documents, changes, problem reports, tools."""

from __future__ import annotations

from typing import Final

from trocar_lab.evidence.graph.changes import difference
from trocar_lab.evidence.graph.metamodel import split_list
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.generated import TraceCase
from trocar_lab.evidence.proof.verdicts import Finding, Verdict, outcome_finding
from trocar_lab.evidence.rules.documents import documents_are_complete
from trocar_lab.evidence.rules.rule import Rule, Tally
from trocar_lab.evidence.rules.trend import date_faults, trend_can_be_recomputed
from trocar_lab.evidence.signed.approvals import ApprovalState
from trocar_lab.evidence.source.commits import TRAILER, Commit
from trocar_lab.evidence.source.device_source import normalised_name
from trocar_lab.evidence.source.project_files import plain_specifier

CHANGE_CONTROL: Final = "verification/change_control.toml"
_STALE: Final = frozenset({Verdict.OUTDATED, Verdict.SUSPECT, Verdict.MISSING})
_REPORT_FIELDS: Final = ("problem_type", "criticality", "affected_versions", "risk_evaluation")


def commits_name_their_change(project: Project, tally: Tally) -> None:
    """P2: every commit since the baseline names a live and approved change."""
    baseline, log = project.records.baseline, project.commits
    if baseline is None:
        tally.leave_open("baseline", f"{CHANGE_CONTROL} names no baseline")
        return
    key = f"baseline {baseline.commit[:12]}"
    future = f"dated {baseline.date}, in the future" if baseline.date > project.today else None
    tally.check(key, future)
    if log.fault:
        tally.leave_open(key, f"commits since it are not known: {log.fault}")
    changes = {need.need_id: need for need in project.graph.live("change")}
    for commit in log.commits:
        _judge_commit(tally, commit, changes)
    named = {change for commit in log.commits for change in commit.changes}
    for need_id in sorted(named & set(changes)):
        tally.check(need_id)
        state = project.approval_state(changes[need_id])
        if state is ApprovalState.MISSING:
            tally.leave_open(need_id, "commits name it, but it is not approved")
        elif state is ApprovalState.STALE:
            tally.check(need_id, "commits name it, but it changed since it was approved")


def _judge_commit(tally: Tally, commit: Commit, changes: dict[str, Need]) -> None:
    """Count one commit."""
    key = f"commit {commit.short}"
    unknown = [change for change in commit.changes if change not in changes]
    words = f"{commit.subject!r} names {', '.join(unknown)}: no such live change"
    tally.check(key, words if unknown else None)
    if not commit.changes:
        tally.leave_open(key, f"{commit.subject!r} has no trailer {TRAILER}: CHG_...")


def impact_is_rerun(project: Project, tally: Tally) -> None:
    """P3: each case that a change since the last release reaches was run again after it."""
    last = project.archived_release
    reached: set[str] | None = None
    if last is not None:
        tally.check(f"release {last.version}", last.fault or None)
        if last.graph is None:
            return
        reached = set(difference(last.graph, project.graph).impact)
    for case in project.proofs.cases.values():
        claimed = {need_id for ids in case.claims.values() for need_id in ids}
        live = {n for n in claimed if n in project.graph.needs}
        if live and (reached is None or (live | {case.case_id}) & reached):
            _judge_rerun(project, tally, case, reached or set())


def _judge_rerun(project: Project, tally: Tally, case: TraceCase, reached: set[str]) -> None:
    """Count one case; what it proves is judged elsewhere, here only that it was run again."""
    key = case.case_id if case.authored else case.title
    because = sorted({n for ids in case.claims.values() for n in ids} & reached)
    tail = f" (reached by the change: {', '.join(because)})" if because else ""
    tally.check(key)
    judged = [project.proofs.node_findings.get(f.function, {}) for f in case.functions]
    findings = [found for nodes in judged for group in nodes.values() for found in group]
    for finding in (*findings, project.proofs.findings[case.case_id]):
        if finding.verdict in _STALE:
            tally.check(key, f"not run again: {finding.verdict}: {finding.reason}{tail}")


def reports_are_complete(project: Project, tally: Tally) -> None:
    """P4: every problem report has type, scope, criticality, versions, date and evaluation."""
    for need in project.graph.live("anomaly"):
        empty = [name for name in _REPORT_FIELDS if not need.field(name)]
        dates = [f for f in date_faults(need, today=project.today) if f.startswith("reported")]
        tally.check(
            need.need_id,
            f"{', '.join(empty)} missing" if empty else None,
            None if need.targets("affects") else "names no scope: affects nothing",
            *dates,
        )


def closed_reports_are_solved(project: Project, tally: Tally) -> None:
    """P5: a closed problem report names its change, and a regression test that passes now."""
    for need in project.graph.live("anomaly"):
        if need.field("anomaly_state") != "closed":
            continue
        changes = [n for n in project.graph.targets(need, "resolved_by") if not n.is_retired]
        tests = split_list(need.field("regression_test"))
        tally.check(
            need.need_id,
            *date_faults(need, today=project.today),
            None if changes else "closed, but no live change resolves it",
            None if tests else "closed without a regression test",
        )
        for test in tests:
            for finding in newest_findings(project, test):
                tally.judge(need.need_id, finding)


def newest_findings(project: Project, function: str) -> list[Finding]:
    """Return what the newest evidence says about each node of a test function.

    Args:
        project: What is judged.
        function: Node id without parameters.
    """
    judged = project.proofs.node_findings.get(function, {})
    findings = [finding for group in judged.values() for finding in group]
    if findings:
        return findings
    for run in reversed(project.runs):
        lines = [line for line in run.collected.values() if line.function == function]
        if lines:
            return [
                outcome_finding(line.node, None if line.deselected else run.outcomes.get(line.node))
                for line in lines
            ]
    lost = f"no evidence has collected {function}"
    return [Finding(verdict=Verdict.MISSING, subject=function, reason=lost)]


def tools_are_listed(project: Project, tally: Tally) -> None:
    """P6: tools of the toolchain and TOOL_ needs are the same, with equal versions.

    A need may also name a program that the process starts without installing it: tox and what it
    requires by tox.ini, and git, pip, python and tox where .ci/run starts them.
    """
    declared = project.files.tools
    for name in ("pyproject.toml", "tox.ini", ".ci/run"):
        if name in project.files.faults:
            tally.check(name, f"cannot be read: {project.files.faults[name]}")
    by_package: dict[str, list[str]] = {}
    for need in project.graph.live("tool"):
        package = normalised_name(need.field("package"))
        by_package.setdefault(package, []).append(need.need_id)
        known = package in declared or package in project.files.process_tools
        version, wanted = plain_specifier(need.field("version")), declared.get(package)
        differs = f"version {version} differs from {_words(wanted)} in pyproject.toml"
        tally.check(
            need.need_id,
            None if known else f"{package} is neither in pyproject.toml nor started by the process",
            differs if wanted and wanted != {version} else None,
        )
    for package in declared:
        ids = by_package.get(package, [])
        tally.check(
            f"package {package}",
            None if len(ids) == 1 else f"{len(ids)} TOOL_ needs for it, expected one",
        )
    for package, ids in by_package.items():
        if len(ids) > 1 and package not in declared:
            tally.check(ids[-1], f"{package} has {len(ids)} TOOL_ needs: {', '.join(ids)}")


def _words(wanted: frozenset[str] | None) -> str:
    """Return declared specifiers in words."""
    return " and ".join(sorted(wanted or ()))


PROCESS_RULES = (
    Rule("P1", "Documents exist, hold their sections and are approved", documents_are_complete),
    Rule("P2", "Every commit names an approved change", commits_name_their_change),
    Rule("P3", "What a change reaches was run again", impact_is_rerun),
    Rule("P4", "Problem reports are complete", reports_are_complete),
    Rule(
        "P5",
        "Closed problems have a change and a passing regression test",
        closed_reports_are_solved,
    ),
    Rule("P6", "Tools are listed with the version in use", tools_are_listed),
    Rule("P7", "The trend of problem reports can be recomputed", trend_can_be_recomputed),
)
