"""Rules on evidence (V1 to V7) and on what a release is made of (F1, F2, F5, F7)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from trocar_lab.evidence.project import Project
from trocar_lab.evidence.proof.verdicts import Finding, Verdict
from trocar_lab.evidence.rules.bill_of_materials import locks_were_compared
from trocar_lab.evidence.rules.rule import Rule, Tally
from trocar_lab.evidence.source.device_source import normalised_name
from trocar_lab.evidence.source.versions import is_inside
from trocar_lab.evidence.store.run_clocks import future_fault

REVIEW_DAYS_MAX: Final = 365
PENDING: Final = "pending"
_STALE: Final = frozenset({Verdict.OUTDATED, Verdict.SUSPECT})


def marker_ids_exist(project: Project, tally: Tally) -> None:
    """V1: every id in a marker or need-id comment exists, is live and has the right type."""
    needs = project.graph.needs
    for fault in project.test_faults:
        tally.check(*fault.split(": ", 1))
    for function in project.functions:
        tally.check(function.function, *function.faults)
        for claim in function.claims:
            need, targets = needs.get(claim.need_id), project.model.marker_targets(claim.marker)
            reason = None
            if need is None:
                reason = f"{claim.marker} names {claim.need_id}, which does not exist"
            elif need.need_type not in targets:
                wrong = f"{claim.need_id}, a {need.need_type}"
                reason = f"{claim.marker} names {wrong}; allowed: {', '.join(targets)}"
            elif need.is_retired:
                reason = f"{claim.marker} names {claim.need_id}, which is retired"
            keywords: dict[str, object] = dict(claim.keywords)
            tally.check(
                function.function, reason, *project.model.keyword_faults(claim.marker, keywords)
            )
    for comment in project.device.comments:
        strays = [
            n
            for n in comment.need_ids
            if n not in needs or needs[n].need_type not in {"srs", "risk_control"}
        ]
        reason = f"names {', '.join(strays)}: no such SRS_ or RCM_" if strays else None
        tally.check(
            f"{comment.path}:{comment.line}", reason, None if comment.need_ids else "names no id"
        )


def cases_are_run(project: Project, tally: Tally) -> None:
    """V2: every test case has a collected test node or a signed manual record."""
    proofs = project.proofs
    for case in proofs.cases.values():
        nodes = [
            f
            for fn in case.functions
            for found in proofs.node_findings[fn.function].values()
            for f in found
        ]
        something = nodes or proofs.manual_for(case.case_id)
        tally.check(
            case.case_id if case.authored else case.title,
            None if something else "not run and not signed",
        )


def nodes_pass(project: Project, tally: Tally) -> None:
    """V3: every node and every parameter set of every claimed test passes."""
    for function in project.functions:
        judged = project.proofs.node_findings.get(function.function, {})
        if not judged:
            lost = Finding(
                verdict=Verdict.MISSING, subject=function.function, reason="no evidence: not run"
            )
            tally.judge(function.function, lost)
        for platform, findings in judged.items():
            for finding in findings:
                tally.judge(f"{finding.subject} ({platform})", finding)


def evidence_is_bound(project: Project, tally: Tally) -> None:
    """V4: evidence names commit, clean tree, wheel, lock, operator, packs, machine; else open."""
    for run in project.runs:
        identity = run.run.identity
        absent = {
            "commit": identity.commit,
            "clean tree": identity.clean,
            "wheel": identity.wheel_sha256,
            "lock": identity.lock_sha256,
            "operator": identity.operator or identity.ci,
            "model packs": identity.packs is not None,
            "facts of the machine": identity.platform.facts,
        }
        names = [name for name, value in absent.items() if not value]
        if names:
            tally.leave_open(run.path, f"not bound to {', '.join(names)}")
        else:
            tally.check(run.path)


def platforms_are_met(project: Project, tally: Tally) -> None:
    """V5: a case marked agx or both has evidence from an AGX module."""
    for case in project.proofs.cases.values():
        if case.platform in {"agx", "both"}:
            tally.judge(case.case_id, project.proofs.findings[case.case_id])


def evidence_is_fresh(project: Project, tally: Tally) -> None:
    """V6: evidence is about the needs, test body, device source and lock of the tree now."""
    for function, judged in project.proofs.node_findings.items():
        tally.check(function)
        for findings in judged.values():
            for finding in findings:
                if finding.verdict in _STALE:
                    tally.judge(function, finding)


def chains_hold(project: Project, tally: Tally) -> None:
    """V7: every file of evidence is whole, in order, sealed, and its own; damage is red.

    A run that did not finish, one that overlaps another, and a folder without a seal are open.
    """
    for run in project.runs:
        tally.check(run.path, *run.faults, future_fault(run, project.today))
        for doubt in run.doubts:
            tally.leave_open(run.path, doubt)
        if not run.finished:
            cut = f", then {run.cut_bytes} bytes of a line that is cut off" if run.cut_bytes else ""
            tally.leave_open(run.path, f"the run did not finish: {run.line_count} lines{cut}")
    for path, faults in project.store.faults.items():
        tally.check(path, *faults)
    for path, doubts in project.store.doubts.items():
        for doubt in doubts:
            tally.leave_open(path, doubt)


def soup_equals_dependencies(project: Project, tally: Tally) -> None:
    """F1: SOUP needs are what is declared and locked for a device, both ways, version by version.

    A package that another brings along is not declared; its need has the version of the locks.
    """
    declared = {**project.device.other_dependencies, **project.device.dependencies}
    locked = _locked_versions(project)
    by_package: dict[str, list[str]] = {}
    for need in project.graph.live("soup"):
        package = normalised_name(need.field("package"))
        by_package.setdefault(package, []).append(need.need_id)
        spec, place = declared.get(package), "pyproject.toml"
        if spec is None and package in locked:
            spec, place = " and ".join(sorted(locked[package])), "the locks"
        version = need.field("version").replace(" ", "").removeprefix("==")
        unknown = f"{package} is neither declared in pyproject.toml nor locked"
        tally.check(
            need.need_id,
            unknown if spec is None else None,
            f"version {version} differs from {spec} in {place}"
            if spec not in {None, version}
            else None,
        )
    for package in sorted({*project.device.dependencies, *locked}):
        ids = by_package.get(package, [])
        tally.check(package, None if len(ids) == 1 else f"{len(ids)} SOUP needs for it")
    _judge_ranges(tally, declared, locked)


def _locked_versions(project: Project) -> dict[str, set[str]]:
    """Return the versions that the locks of the device hold of each package."""
    found: dict[str, set[str]] = {}
    for packages in project.files.locks.values():
        for package in packages:
            found.setdefault(package.name, set()).add(package.version)
    return found


def _judge_ranges(
    tally: Tally, declared: Mapping[str, str], locked: Mapping[str, set[str]]
) -> None:
    """Count each locked version that is outside of what pyproject.toml declares."""
    for package in sorted(set(declared) & set(locked)):
        spec = declared[package]
        specifier = spec if spec[:1] in {"<", ">", "=", "~", "!"} else f"=={spec}"
        for version in sorted(locked[package]):
            inside = is_inside(version, specifier)
            tally.check(
                package,
                None if inside else f"locked is {version}, which is not known to be in {spec}",
            )


def soup_is_reviewed(project: Project, tally: Tally) -> None:
    """F2: the known anomalies of each SOUP were reviewed, not longer ago than a year.

    Known vulnerabilities are looked up in a database in addition, where there is one.
    """
    locks_were_compared(project, tally)
    for need in project.graph.live("soup"):
        try:
            age = (project.today - dt.date.fromisoformat(need.field("reviewed"))).days
        except ValueError:
            tally.check(need.need_id, f"reviewed is no date: {need.field('reviewed')!r}")
            continue
        tally.check(
            need.need_id,
            f"reviewed {age} days ago; at most {REVIEW_DAYS_MAX}"
            if age > REVIEW_DAYS_MAX
            else None,
            "reviewed in the future" if age < 0 else None,
        )
        if need.field("anomaly_review") == PENDING:
            tally.leave_open(need.need_id, "the published list of anomalies was not read yet")


def anomalies_are_rated(project: Project, tally: Tally) -> None:
    """F5: every open anomaly has criticality, affected needs, evaluation, rationale, owner."""
    for need in project.graph.live("anomaly"):
        if need.field("anomaly_state") == "closed":
            tally.check(need.need_id)
            continue
        empty = [
            n for n in ("criticality", "risk_evaluation", "rationale", "owner") if not need.field(n)
        ]
        unassessed = need.field("criticality") in {"major", "critical"} and not need.targets(
            "assessed_in"
        )
        tally.check(
            need.need_id,
            f"{', '.join(empty)} missing" if empty else None,
            None if need.targets("affects") else "affects nothing",
            "major or critical, but assessed in no hazardous situation" if unassessed else None,
        )


def digests_are_known(project: Project, tally: Tally) -> None:
    """F7: every model and dataset names its digest; a pending one is open."""
    for need in project.graph.live("model", "dataset"):
        if need.field("digest").startswith("pending"):
            tally.leave_open(need.need_id, f"digest {need.field('digest')}")
        else:
            tally.check(need.need_id, None if need.field("digest") else "no digest")


EVIDENCE_RULES = (
    Rule(
        "V1", "Ids in markers and need-id comments exist and have the right type", marker_ids_exist
    ),
    Rule("V2", "Every test case was run or signed", cases_are_run),
    Rule("V3", "Every node and parameter set passes", nodes_pass),
    Rule("V4", "Evidence is bound to commit, wheel, lock, operator and machine", evidence_is_bound),
    Rule("V5", "Cases for AGX have AGX evidence", platforms_are_met),
    Rule("V6", "Evidence is about the present needs, tests and source", evidence_is_fresh),
    Rule("V7", "Evidence is whole, in order and sealed", chains_hold),
    Rule("F1", "SOUP needs are the declared dependencies", soup_equals_dependencies),
    Rule("F2", "SOUP anomaly lists were reviewed within a year", soup_is_reviewed),
    Rule("F5", "Anomalies are rated, owned and assessed", anomalies_are_rated),
    Rule("F7", "Models and datasets name their digest", digests_are_known),
)
