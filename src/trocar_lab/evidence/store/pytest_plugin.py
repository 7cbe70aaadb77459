"""Pytest plugin: markers checked against the needs, and append-only evidence on request.

Load it with ``-p trocar_lab.evidence.store.pytest_plugin``; with ``--evidence DIR`` it writes one
file a run.
"""

from __future__ import annotations

import ast
import datetime as dt
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from trocar_lab.evidence.errors import GraphError
from trocar_lab.evidence.graph.metamodel import Metamodel, load_metamodel
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs_source import SourceScan, scan_sources
from trocar_lab.evidence.source.python_tests import Claim, TestFile
from trocar_lab.evidence.store.evidence_record import (
    CollectedLine,
    EndLine,
    EvidenceWriter,
    OutcomeLine,
    RunLine,
    UncollectedLine,
)
from trocar_lab.evidence.store.identity import run_identity

_SIGNATURES: Final = {
    "verifies": "verifies(*ids, extent=..., technique=...): verifies SRS_, IFC_ or UNIT_ needs.",
    "controls": "controls(*ids, technique=...): verifies that the RCM_ risk control is built.",
    "proves_effect": "proves_effect(*ids, measure=..., acceptance=...): proves that RCM_ works.",
    "case": "case(id): this test implements the authored TC_ test case.",
}
_RANK: Final = ("passed", "skipped", "xfailed", "xpassed", "failed", "error")


def now() -> str:
    """Return the wall clock with its zone."""
    return dt.datetime.now(tz=dt.UTC).isoformat(timespec="microseconds")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register ``--evidence``."""
    group = parser.getgroup("trace", "trace of tests to needs")
    group.addoption(
        "--evidence", metavar="DIR", default=None, help="write run-<utc>-<pid>.jsonl into DIR"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and the two halves of the plugin."""
    for signature in _SIGNATURES.values():
        config.addinivalue_line("markers", signature)
    scan = scan_sources(config.rootpath)
    config.pluginmanager.register(MarkerCheck(scan), "trocar-marker-check")
    folder = config.getoption("--evidence")
    if folder is not None:
        recorder = EvidenceRecorder(config, Path(folder), scan)
        config.pluginmanager.register(recorder, "trocar-evidence")


class MarkerCheck:
    """Refuse a run whose markers name ids that the needs do not hold."""

    def __init__(self, scan: SourceScan) -> None:
        self._model = load_metamodel()
        self._scan = scan
        self._types = {need_id: need.need_type for need_id, need in scan.by_id().items()}
        self._retired = {need.need_id for need in scan.needs if need.is_retired}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Check every marker of every collected test.

        Raises:
            pytest.UsageError: A marker is wrong; the message names each one.
        """
        faults = [f"{item.nodeid}: {fault}" for item in items for fault in self._faults(item)]
        if faults:
            noted = (
                [f"(needs that could not be read: {'; '.join(self._scan.faults)})"]
                if self._scan.faults
                else []
            )
            raise pytest.UsageError(
                "wrong trace markers:\n  " + "\n  ".join(sorted(set(faults)) + noted)
            )

    def _faults(self, item: pytest.Item) -> Iterator[str]:
        """Yield what is wrong with the markers of one test."""
        for mark in item.iter_markers():
            rule = self._model.marker.get(mark.name)
            if rule is None:
                continue
            yield from self._model.keyword_faults(mark.name, dict(mark.kwargs))
            if not mark.args or (mark.name == "case" and len(mark.args) != 1):
                count = "exactly one id" if mark.name == "case" else "at least one id"
                yield f"marker {mark.name} needs {count}"
            for need_id in mark.args:
                yield from self._id_faults(mark.name, need_id)

    def _id_faults(self, marker: str, need_id: object) -> Iterator[str]:
        """Yield what is wrong with one id of a marker."""
        targets = self._model.marker_targets(marker)
        wanted = " or ".join(self._model.type[name].prefix for name in targets)
        if not isinstance(need_id, str) or self._model.type_of_id(need_id) not in targets:
            yield f"marker {marker} takes {wanted} ids, got {need_id!r}"
        elif self._types and need_id not in self._types:
            yield f"marker {marker} names {need_id}, which no source file defines"
        elif need_id in self._retired:
            yield f"marker {marker} names {need_id}, which is retired"


class EvidenceRecorder:
    """Write what was collected and what came of it."""

    def __init__(self, config: pytest.Config, folder: Path, scan: SourceScan) -> None:
        self._root = config.rootpath
        self._model = load_metamodel()
        try:
            self._graph = Graph(scan.by_id().values(), self._model)
        except GraphError as exc:
            raise pytest.UsageError(str(exc)) from exc
        stamp = dt.datetime.now(tz=dt.UTC).strftime("%Y%m%dT%H%M%S%fZ")
        self._writer = EvidenceWriter(folder / f"run-{stamp}-{os.getpid()}.jsonl")
        arguments = tuple(str(argument) for argument in config.invocation_params.args)
        self._writer.write(
            RunLine(started=now(), identity=run_identity(self._root), arguments=arguments)
        )
        self._files: dict[str, TestFile] = {}
        self._reports: dict[str, list[pytest.TestReport]] = {}
        self._started: dict[str, str] = {}
        self._deselected: list[pytest.Item] = []
        self._count = 0

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Remember what will not run, so that it shows as MISSING and not as absent."""
        self._deselected.extend(items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a file that was skipped or could not be collected."""
        if report.outcome != "passed":
            self._writer.write(
                UncollectedLine(
                    path=report.nodeid, outcome=report.outcome, reason=_reason_of(report)[-500:]
                )
            )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record every node before the first test runs."""
        for item in session.items:
            self._writer.write(self._collected(item, deselected=False))
        for item in self._deselected:
            self._writer.write(self._collected(item, deselected=True))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Remember when a node started."""
        self._started[nodeid] = now()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the report of one phase."""
        self._reports.setdefault(report.nodeid, []).append(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Write the outcome of a node once its phases are over."""
        reports = self._reports.pop(nodeid, [])
        phases = {str(report.when): phase_outcome(report) for report in reports}
        worst = max(phases.values(), key=_RANK.index, default="error")
        telling = next((r for r in reports if phase_outcome(r) == worst), None)
        reason = "" if worst == "passed" or telling is None else _reason_of(telling)
        self._count += 1
        self._writer.write(
            OutcomeLine(
                node=nodeid,
                outcome=worst,
                phases=phases,
                reason=reason[-500:],
                started=self._started.pop(nodeid, now()),
                duration_s=round(sum(report.duration for report in reports), 6),
            )
        )

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the end line."""
        self._writer.write(
            EndLine(finished=now(), exit_status=int(exitstatus), node_count=self._count)
        )
        self._writer.close()

    def _collected(self, item: pytest.Item, *, deselected: bool) -> CollectedLine:
        """Return the line of one collected node."""
        claims = claims_of(item, self._model)
        bound = self._graph.bound_needs({claim.need_id for claim in claims})
        parents: dict[str, str] = {}
        for need_id in bound:
            parents.update(self._graph.ancestors(need_id))
        source_file, source_name = self._source(item)
        call = getattr(item, "callspec", None)
        return CollectedLine(
            node=item.nodeid,
            function=item.nodeid.split("[", 1)[0],
            source_file=source_file,
            source_name=source_name,
            digest=self._digest(source_file, source_name),
            params={name: short_text(value) for name, value in call.params.items()}
            if call is not None
            else {},
            claims=claims,
            fingerprints=bound,
            parents={need_id: value for need_id, value in parents.items() if need_id not in bound},
            deselected=deselected,
        )

    def _source(self, item: pytest.Item) -> tuple[str, str]:
        """Return the file and the qualified name of the body of a test."""
        function = getattr(item, "obj", item.runtest)
        wrapped = getattr(function, "hypothesis", None)  # @given replaces the name of the body
        function = getattr(wrapped, "inner_test", function)
        module = sys.modules.get(getattr(function, "__module__", ""))
        path = Path(getattr(module, "__file__", None) or item.path)
        name = (
            path.relative_to(self._root).as_posix()
            if path.is_relative_to(self._root)
            else path.name
        )
        return name, getattr(function, "__qualname__", item.name)

    def _digest(self, source_file: str, source_name: str) -> str:
        """Return the digest of a test body; empty when it lies outside the repository."""
        if source_file not in self._files:
            path = self._root / source_file
            text = (
                path.read_text(encoding="utf-8") if path.suffix == ".py" and path.is_file() else ""
            )
            self._files[source_file] = TestFile(text, name=source_file)
        return self._files[source_file].digest(source_name) or ""


def claims_of(item: pytest.Item, model: Metamodel) -> tuple[Claim, ...]:
    """Return every id of every trace marker of a collected test."""
    return tuple(
        Claim(
            marker=mark.name,
            need_id=str(need_id),
            keywords={k: str(v) for k, v in mark.kwargs.items()},
        )
        for mark in item.iter_markers()
        if mark.name in model.marker
        for need_id in mark.args
    )


def phase_outcome(report: pytest.TestReport) -> str:
    """Return passed, failed, error, skipped, xfailed or xpassed for one phase."""
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    if report.failed and "[XPASS(strict)]" in report.longreprtext:
        return "xpassed"
    if report.failed:
        return "failed" if report.when == "call" else "error"
    return report.outcome


def short_text(value: object) -> str:
    """Return a short text of a parameter without memory addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:200]


def _reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return why a phase was skipped or what the last line of its failure says."""
    wasxfail = getattr(report, "wasxfail", None)
    if wasxfail is not None:
        return str(wasxfail)
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    text = report.longreprtext.strip()
    if report.skipped and text.startswith("("):
        return str(ast.literal_eval(text)[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message) if crash is not None else text.rsplit("\n", 1)[-1]
