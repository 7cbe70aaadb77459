"""Pytest plugin: markers checked against the needs, and append-only evidence on request.

Load it with ``-p trocar_lab.evidence.store.pytest_plugin``; with ``--evidence DIR`` it writes one
file a run. Two fixtures let a test leave what it observed: ``record_figure`` and
``attach_evidence``.
"""

from __future__ import annotations

import ast
import datetime as dt
import math
import numbers
import os
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from trocar_lab.evidence.errors import EvidenceError, GraphError
from trocar_lab.evidence.graph.metamodel import Metamodel, load_metamodel
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs_source import SourceScan, scan_sources
from trocar_lab.evidence.source.python_tests import Claim, TestFile
from trocar_lab.evidence.store.attachments import copy_attachments
from trocar_lab.evidence.store.evidence_record import (
    OUTCOMES,
    Attachment,
    CollectedLine,
    EndLine,
    Figure,
    Line,
    OutcomeLine,
    RunLine,
    UncollectedLine,
    need_lines,
)
from trocar_lab.evidence.store.identity import run_identity
from trocar_lab.evidence.store.run_clocks import Moment, moment
from trocar_lab.evidence.store.run_writer import EvidenceWriter

_SIGNATURES: Final = {
    "verifies": "verifies(*ids, extent=..., technique=...): verifies SRS_, IFC_ or UNIT_ needs.",
    "controls": "controls(*ids, technique=...): verifies that the RCM_ risk control is built.",
    "proves_effect": "proves_effect(*ids, measure=..., acceptance=...): proves that RCM_ works.",
    "case": "case(id): this test implements the authored TC_ test case.",
}
_RECORDER: Final = "trocar-evidence"
_REASON_LENGTH: Final = 500
_TEXT_LENGTH: Final = 200
_FIGURE_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
FigureRecorder = Callable[[str, Figure], None]
Attach = Callable[[Path], None]


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
        if hasattr(config, "workerinput"):
            raise pytest.UsageError("evidence is written by one process; run without workers")
        recorder = EvidenceRecorder(config, Path(folder), scan)
        config.pluginmanager.register(recorder, _RECORDER)


@pytest.fixture
def record_figure(record_property: Callable[[str, object], None]) -> FigureRecorder:
    """Record a number or text that the test observed; a number has its unit in its name."""

    def record(name: str, value: Figure) -> None:
        """Record one figure.

        Raises:
            ValueError: The name is not in snake case.
        """
        if not _FIGURE_NAME.fullmatch(name):
            raise ValueError(f"expected a name such as latency_ms_max, got {name!r}")
        record_property(name, value)

    return record


@pytest.fixture
def attach_evidence(request: pytest.FixtureRequest) -> Attach:
    """Copy a file or folder beside the evidence; without ``--evidence`` nothing is copied."""
    recorder = request.config.pluginmanager.get_plugin(_RECORDER)

    def attach(path: Path) -> None:
        """Attach one file or folder."""
        if isinstance(recorder, EvidenceRecorder):
            recorder.attach(request.node.nodeid, path)

    return attach


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
        self._files: dict[str, TestFile] = {}
        self._reports: dict[str, list[pytest.TestReport]] = {}
        self._started: dict[str, Moment] = {}
        self._attached: dict[str, list[Attachment]] = {}
        self._deselected: list[pytest.Item] = []
        self._count = 0
        stamp = dt.datetime.now(tz=dt.UTC).strftime("%Y%m%dT%H%M%S%fZ")
        self._path = folder / f"run-{stamp}-{os.getpid()}.jsonl"
        try:
            self._graph = Graph(scan.by_id().values(), self._model)
            self._writer = EvidenceWriter(self._path)
        except (GraphError, EvidenceError) as exc:
            raise pytest.UsageError(str(exc)) from exc
        begin = moment()
        self._write(
            RunLine(
                run_id=uuid.uuid4().hex,
                started=begin.wall,
                monotonic_ns=begin.monotonic_ns,
                identity=run_identity(self._root),
                arguments=tuple(str(argument) for argument in config.invocation_params.args),
            )
        )

    def attach(self, node: str, path: Path) -> None:
        """Copy a file or folder beside the evidence, for the outcome of a node.

        Raises:
            EvidenceError: It is a link, too large, or cannot be copied.
        """
        attached = self._attached.setdefault(node, [])
        attached += copy_attachments(path, self._path, node=node)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Remember what will not run, so that it shows as MISSING and not as absent."""
        self._deselected.extend(items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a file that was skipped or could not be collected."""
        if report.outcome != "passed":
            reason = _reason_of(report)[-_REASON_LENGTH:]
            self._write(UncollectedLine(path=report.nodeid, outcome=report.outcome, reason=reason))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record the needs that are claimed, then every node, before the first test runs."""
        claimed = {
            claim.need_id
            for item in [*session.items, *self._deselected]
            for claim in claims_of(item, self._model)
        }
        for line in need_lines(self._graph, claimed):
            self._write(line)
        for item in session.items:
            self._write(self._collected(item, deselected=False))
        for item in self._deselected:
            self._write(self._collected(item, deselected=True))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Remember when a node started; what came before it is put on the disk when due."""
        self._writer.sync_when_due()
        self._started[nodeid] = moment()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the report of one phase."""
        self._reports.setdefault(report.nodeid, []).append(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Write the outcome of a node once its phases are over."""
        reports = self._reports.pop(nodeid, [])
        phases = {str(report.when): phase_outcome(report) for report in reports}
        worst = max(phases.values(), key=OUTCOMES.index, default="error")
        telling = next((r for r in reports if phase_outcome(r) == worst), None)
        reason = "" if worst == "passed" or telling is None else _reason_of(telling)
        started = self._started.pop(nodeid, None) or moment()
        self._count += 1
        self._write(
            OutcomeLine(
                node=nodeid,
                outcome=worst,
                phases=phases,
                started=started.wall,
                duration_s=max(0.0, round(sum(report.duration for report in reports), 6)),
                reason=reason[-_REASON_LENGTH:],
                monotonic_ns=started.monotonic_ns,
                properties=figures_of(reports[-1].user_properties if reports else ()),
                attachments=tuple(self._attached.pop(nodeid, ())),
            )
        )

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the end line."""
        end = moment()
        self._write(
            EndLine(
                finished=end.wall,
                monotonic_ns=end.monotonic_ns,
                exit_status=int(exitstatus),
                node_count=self._count,
            )
        )
        self._writer.close()

    def _write(self, line: Line) -> None:
        """Write one line; evidence that cannot be written ends the run, for it would prove nothing.

        Raises:
            pytest.exit.Exception: The disk refuses.
        """
        try:
            self._writer.write(line)
        except EvidenceError as exc:
            pytest.exit(f"no evidence: {exc}", returncode=int(pytest.ExitCode.INTERNAL_ERROR))

    def _collected(self, item: pytest.Item, *, deselected: bool) -> CollectedLine:
        """Return the line of one collected node."""
        source_file, source_name = self._source(item)
        call = getattr(item, "callspec", None)
        params = {} if call is None else {n: short_text(v) for n, v in call.params.items()}
        return CollectedLine(
            node=item.nodeid,
            source_file=source_file,
            source_name=source_name,
            digest=self._digest(source_file, source_name),
            params=params,
            claims=claims_of(item, self._model),
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


def figures_of(recorded: Sequence[tuple[str, object]]) -> dict[str, Figure]:
    """Return what a test recorded, by name; a name that is used again gets a number.

    Args:
        recorded: Names and values in order; what is neither finite number nor text becomes text.
    """
    found: dict[str, Figure] = {}
    for name, value in recorded:
        key, number = str(name), 1
        while key in found:
            number += 1
            key = f"{name}_{number}"
        found[key] = _figure(value)
    return found


def _figure(value: object) -> Figure:
    """Return a finite number as it is, and anything else as text."""
    if isinstance(value, int):
        return str(value) if isinstance(value, bool) else int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    return value[:_TEXT_LENGTH] if isinstance(value, str) else short_text(value)


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
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:_TEXT_LENGTH]


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
