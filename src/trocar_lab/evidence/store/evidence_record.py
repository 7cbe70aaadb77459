"""Append-only evidence: one JSON line an event, each with the SHA-256 of the line before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, TextIO

from pydantic import Field, TypeAdapter, ValidationError

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.source.python_tests import Claim
from trocar_lab.evidence.store.identity import RunIdentity

FIRST_LINK: Final = "0" * 64


class RunLine(Frozen):
    """First line of a run: what it was made on."""

    kind: Literal["run"] = "run"
    prev_sha256: str = FIRST_LINK
    schema_version: int = 1
    started: str
    identity: RunIdentity
    arguments: tuple[str, ...] = ()


class CollectedLine(Frozen):
    """One collected test node, before any test runs; without an outcome it is MISSING."""

    kind: Literal["collected"] = "collected"
    prev_sha256: str = FIRST_LINK
    node: str
    function: str
    source_file: str
    source_name: str
    digest: str
    params: dict[str, str] = Field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    fingerprints: dict[str, str] = Field(default_factory=dict)
    parents: dict[str, str] = Field(default_factory=dict)
    deselected: bool = False


class OutcomeLine(Frozen):
    """What happened to one node.

    Attributes:
        outcome: passed, failed, error, skipped, xfailed, xpassed: the worst of the phases.
        phases: Outcome of setup, call and teardown, as far as they ran.
        reason: Why it was skipped, or the last line of the failure.
    """

    kind: Literal["outcome"] = "outcome"
    prev_sha256: str = FIRST_LINK
    node: str
    outcome: str
    phases: dict[str, str]
    reason: str = ""
    started: str
    duration_s: float


class UncollectedLine(Frozen):
    """A file that pytest skipped or could not collect."""

    kind: Literal["uncollected"] = "uncollected"
    prev_sha256: str = FIRST_LINK
    path: str
    outcome: str
    reason: str = ""


class EndLine(Frozen):
    """Last line of a run that finished."""

    kind: Literal["end"] = "end"
    prev_sha256: str = FIRST_LINK
    finished: str
    exit_status: int
    node_count: int


Line = RunLine | CollectedLine | OutcomeLine | UncollectedLine | EndLine
_ADAPTER: Final[TypeAdapter[Line]] = TypeAdapter(Line)


class EvidenceRun(Frozen):
    """One evidence file, read.

    Attributes:
        path: File name.
        run: First line.
        collected: Node to its collected line.
        outcomes: Node to its outcome line.
        uncollected: Files that were skipped or failed while collecting.
        finished: The end line is there.
        faults: Broken chain, cut line, repeated node.
    """

    path: str
    run: RunLine
    collected: dict[str, CollectedLine]
    outcomes: dict[str, OutcomeLine]
    uncollected: tuple[UncollectedLine, ...] = ()
    finished: bool = False
    faults: tuple[str, ...] = ()

    @property
    def platform(self) -> str:
        """Return host or agx."""
        return self.run.identity.platform.host_class


class EvidenceWriter:
    """Append lines to one new file; each is flushed, so that a killed run loses at most one."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream: TextIO = path.open("x", encoding="utf-8", newline="\n")
        self._previous = FIRST_LINK

    def write(self, line: Line) -> None:
        """Append one line, linked to the line before it."""
        text = encode(line.model_copy(update={"prev_sha256": self._previous}))
        self._stream.write(text + "\n")
        self._stream.flush()
        self._previous = hashlib.sha256(text.encode()).hexdigest()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def encode(line: Line) -> str:
    """Return one line as canonical JSON."""
    return json.dumps(
        line.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )


def chain(lines: Iterable[Line]) -> list[str]:
    """Return the lines as text with their links computed anew."""
    previous, texts = FIRST_LINK, []
    for line in lines:
        texts.append(encode(line.model_copy(update={"prev_sha256": previous})))
        previous = hashlib.sha256(texts[-1].encode()).hexdigest()
    return texts


def decode(text: str) -> Line:
    """Return the line in one line of text.

    Raises:
        EvidenceError: It is not a line of this schema.
    """
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as exc:
        raise EvidenceError(f"not an evidence line: {exc.errors()[0]['msg']}") from exc


def read_run(path: Path) -> EvidenceRun:
    """Return one evidence file; faults of its chain are values, because rule V7 shows them.

    Raises:
        EvidenceError: The file does not begin with a run line.
    """
    texts = path.read_text(encoding="utf-8").split("\n")
    faults: list[str] = []
    lines: list[Line] = []
    previous = FIRST_LINK
    if texts.pop():
        faults.append("the last line is cut off")
    for number, text in enumerate(texts, start=1):
        try:
            line = decode(text)
        except EvidenceError as exc:
            faults.append(f"line {number}: {exc}")
            continue
        if line.prev_sha256 != previous:
            faults.append(f"line {number}: does not follow the line before it")
        previous = hashlib.sha256(text.encode()).hexdigest()
        lines.append(line)
    if not lines or not isinstance(lines[0], RunLine):
        raise EvidenceError(f"{path.name}: does not begin with a run line")
    return _sorted_run(path.name, lines[0], lines[1:], faults)


def _sorted_run(name: str, run: RunLine, lines: list[Line], faults: list[str]) -> EvidenceRun:
    """Return the run with its lines sorted by kind."""
    collected: dict[str, CollectedLine] = {}
    outcomes: dict[str, OutcomeLine] = {}
    uncollected: list[UncollectedLine] = []
    finished = False
    for line in lines:
        if finished:
            faults.append("lines after the end line")
        match line:
            case CollectedLine():
                if line.node in collected:
                    faults.append(f"{line.node} is collected twice")
                collected[line.node] = line
            case OutcomeLine():
                if line.node in outcomes or line.node not in collected:
                    faults.append(f"{line.node} has an outcome twice or was not collected")
                outcomes.setdefault(line.node, line)
            case UncollectedLine():
                uncollected.append(line)
            case EndLine():
                finished = True
            case RunLine():
                faults.append("a second run line")
    return EvidenceRun(
        path=name,
        run=run,
        collected=collected,
        outcomes=outcomes,
        uncollected=tuple(uncollected),
        finished=finished,
        faults=tuple(faults),
    )


def read_runs(folder: Path) -> list[EvidenceRun]:
    """Return every run in a folder, oldest first.

    Raises:
        EvidenceError: A file does not begin with a run line.
    """
    runs = (
        [read_run(path) for path in sorted(folder.glob("run-*.jsonl"))] if folder.is_dir() else []
    )
    return sorted(runs, key=lambda run: (run.run.started, run.path))
