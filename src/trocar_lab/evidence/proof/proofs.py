"""Proofs: test cases joined with evidence, and the verdict of each need from all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from trocar_lab.evidence.proof.generated import TraceCase
from trocar_lab.evidence.proof.verdicts import (
    Finding,
    Present,
    Verdict,
    freshness_finding,
    outcome_finding,
    platform_finding,
    worst,
)
from trocar_lab.evidence.signed.records import ManualRecord
from trocar_lab.evidence.source.python_tests import TestFunction
from trocar_lab.evidence.store.evidence_record import CollectedLine, EvidenceRun, OutcomeLine

_Entry = tuple[EvidenceRun, CollectedLine, OutcomeLine | None]
_BAD: Final = frozenset({Verdict.FAIL, Verdict.ERROR})


class Proofs:
    """Every case with its verdict; nothing in it changes after it is built."""

    def __init__(
        self,
        cases: Sequence[TraceCase],
        runs: Sequence[EvidenceRun],
        *,
        present: Present,
        manual: Iterable[ManualRecord] = (),
    ) -> None:
        self.cases: Mapping[str, TraceCase] = {case.case_id: case for case in cases}
        self.runs = tuple(runs)
        self.present = present
        self._manual: dict[str, list[ManualRecord]] = {}
        for record in manual:
            self._manual.setdefault(record.case, []).append(record)
        self._entries: dict[tuple[str, str], dict[str, list[_Entry]]] = {}
        for run in self.runs:
            for line in run.collected.values():
                nodes = self._entries.setdefault((line.function, run.platform), {})
                nodes.setdefault(line.node, []).append((run, line, run.outcomes.get(line.node)))
        self._fresh: dict[tuple[object, ...], Finding] = {}
        self._platforms = sorted({run.platform for run in self.runs})
        self.node_findings: dict[str, dict[str, list[Finding]]] = {}
        for case in cases:
            for function in case.functions:
                if function.function not in self.node_findings:
                    self.node_findings[function.function] = self._judge_function(function)
        self.findings: Mapping[str, Finding] = {
            case.case_id: self._judge_case(case) for case in cases
        }
        self._by_claim: dict[tuple[str, str], list[TraceCase]] = {}
        for case in cases:
            for link, need_ids in case.claims.items():
                for need_id in need_ids:
                    self._by_claim.setdefault((link, need_id), []).append(case)

    def cases_for(self, need_id: str, link: str) -> list[TraceCase]:
        """Return the cases that claim ``need_id`` by ``link``."""
        return self._by_claim.get((link, need_id), [])

    def manual_for(self, case_id: str) -> list[ManualRecord]:
        """Return the signed manual records of a case."""
        return self._manual.get(case_id, [])

    def verdict(self, need_id: str, link: str, cases: Sequence[TraceCase] | None = None) -> Finding:
        """Return the worst verdict of all cases that claim ``need_id`` by ``link``.

        Args:
            need_id: The need.
            link: verifies, verifies_control or proves_effect.
            cases: The cases that count; all that claim the need when left out.
        """
        chosen = self.cases_for(need_id, link) if cases is None else cases
        return worst(
            (self.findings[case.case_id] for case in chosen),
            subject=need_id,
            empty=f"no test claims it ({link})",
        )

    def _judge_case(self, case: TraceCase) -> Finding:
        """Return the verdict of one case over functions, nodes, platforms and manual records."""
        by_platform: dict[str, list[Finding]] = {}
        for function in case.functions:
            judged = self.node_findings[function.function]
            for platform, findings in judged.items():
                by_platform.setdefault(platform, []).extend(findings)
            if not judged:
                lost = Finding(
                    verdict=Verdict.MISSING,
                    subject=function.function,
                    reason="no evidence: not run",
                )
                by_platform.setdefault("host", []).append(lost)
        for record in self.manual_for(case.case_id):
            by_platform.setdefault(record.platform, []).append(self._manual_finding(record))
        if not by_platform:
            reason = "no test function carries case() for it and no manual record is signed"
            return Finding(verdict=Verdict.MISSING, subject=case.case_id, reason=reason)
        for platform in ("host", "agx") if case.platform == "both" else (case.platform,):
            for function in case.functions:
                judged = self.node_findings[function.function]
                if platform in by_platform and judged and platform not in judged:
                    reason = f"no evidence from {platform}"
                    lost = Finding(
                        verdict=Verdict.MISSING, subject=function.function, reason=reason
                    )
                    by_platform[platform].append(lost)
        worst_of = {
            p: worst(f, subject=case.case_id, empty="no evidence") for p, f in by_platform.items()
        }
        return platform_finding(worst_of, required=case.platform, subject=case.case_id)

    def _manual_finding(self, record: ManualRecord) -> Finding:
        """Return what a signed manual record is worth now."""
        if record.outcome != "passed":
            return Finding(
                verdict=Verdict.FAIL,
                subject=record.case,
                reason=f"{record.name}: {record.observed}",
            )
        if self.present.fingerprints.get(record.case) != record.fingerprint:
            reason = f"the case changed since {record.name} signed on {record.date}"
            return Finding(verdict=Verdict.OUTDATED, subject=record.case, reason=reason)
        return Finding(
            verdict=Verdict.PASS,
            subject=record.case,
            reason=f"signed by {record.name}, {record.date}",
        )

    def _judge_function(self, function: TestFunction) -> dict[str, list[Finding]]:
        """Return platform to the finding of each node of a function."""
        judged: dict[str, list[Finding]] = {}
        for platform in self._platforms:
            nodes = self._entries.get((function.function, platform), {})
            current = {
                node: entries
                for node, entries in nodes.items()
                if any(line.digest == function.digest for _, line, _ in entries)
            }
            findings = [
                self._judge_node(function, entries) for entries in (current or nodes).values()
            ]
            findings = findings or self._uncollected(function, platform)
            if findings:
                judged[platform] = findings
        return judged

    def _judge_node(self, function: TestFunction, entries: list[_Entry]) -> Finding:
        """Return the finding of one node: its latest run, and earlier failures of the same code."""
        ran = [entry for entry in entries if not entry[1].deselected]
        node = entries[-1][1].node
        if not ran:
            return Finding(verdict=Verdict.MISSING, subject=node, reason="deselected")
        run, line, outcome = ran[-1]
        fresh = self._freshness(run, line, function)
        findings = [outcome_finding(node, outcome), fresh]
        for earlier, old_line, old_outcome in ran[:-1]:
            found = outcome_finding(node, old_outcome)
            same = self._freshness(earlier, old_line, function).verdict is Verdict.PASS
            if found.verdict in _BAD and same:
                reason = f"the same code gave {found.verdict} in {earlier.path}: {found.reason}"
                findings.append(Finding(verdict=found.verdict, subject=node, reason=reason))
        return worst(findings, subject=node, empty="no outcome")

    def _freshness(self, run: EvidenceRun, line: CollectedLine, function: TestFunction) -> Finding:
        """Return whether one collected line is about what stands in the tree now.

        The parameter sets of one function bind the same values, which the run holds once; they are
        compared once.
        """
        values = (run, line.fingerprints, line.parents, line.claims)  # held by the run, so ids stay
        key = (function.function, line.digest, *map(id, values))
        if key not in self._fresh:
            found = freshness_finding(run, line, function=function, present=self.present)
            self._fresh[key] = found
        return self._fresh[key]._replace(subject=line.node)

    def _uncollected(self, function: TestFunction, platform: str) -> list[Finding]:
        """Return the finding of a function whose file the latest run could not collect."""
        path = function.function.split("::", 1)[0]
        runs = [run for run in self.runs if run.platform == platform]
        lines = [line for line in (runs[-1].uncollected if runs else ()) if line.path == path]
        verdicts = {"skipped": Verdict.SKIPPED}
        return [
            Finding(
                verdict=verdicts.get(line.outcome, Verdict.ERROR) if line.reason else Verdict.ERROR,
                subject=function.function,
                reason=f"{path} was not collected: {line.outcome}: {line.reason or 'no reason'}",
            )
            for line in lines
        ]
