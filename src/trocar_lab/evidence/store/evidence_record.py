"""Evidence values: the lines of a run, each as one line of JSON, and a run as it was read.

Each line begins with its link: the SHA-256 over the link of the line before it and over the rest of
its own text. A line that was changed, lost, moved or put in no longer fits, the last one included.
Version 1 of the format held the digest of the line before it; its files can still be read.

The lines of which a run has thousands are named tuples and not models: reading them is most of what
a check of evidence costs (``line_decoder`` checks their shape).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from pydantic import Field, SkipValidation

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.source.python_tests import Claim
from trocar_lab.evidence.store.identity import RunIdentity

SCHEMA_VERSION: Final = 2
FIRST_LINK: Final = "0" * 64
LINK_PREFIX: Final = '{"link_sha256":"'
EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
OUTCOMES: Final = ("passed", "skipped", "xfailed", "xpassed", "failed", "error")
PHASES: Final = ("setup", "call", "teardown")

Figure = str | int | float
"""One observed value of a test: a number with its unit in its name, or a text."""


class RunLine(Frozen):
    """First line of a run: what it was made on.

    Attributes:
        schema_version: Version of the format.
        run_id: Drawn at random for this run; two files with one id are one run twice.
        started: Wall clock with its zone.
        monotonic_ns: Clock that never runs backwards, read together with ``started`` [ns].
        identity: What was under test, and where.
        arguments: Command line of pytest.
    """

    kind: Literal["run"] = "run"
    schema_version: int = SCHEMA_VERSION
    run_id: str = ""
    started: str
    monotonic_ns: int | None = None
    identity: RunIdentity
    arguments: tuple[str, ...] = ()


class NeedLine(NamedTuple):
    """One need as it stood when the tests were collected.

    Attributes:
        need_id: The need.
        fingerprint: Its fingerprint.
        binds: What a test case verifies: evidence for the case is bound to these needs too.
        parents: Every need that it rests on, near and far.
    """

    need_id: str
    fingerprint: str
    binds: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


class Attachment(NamedTuple):
    """A file beside the evidence.

    Attributes:
        path: Below the folder of the evidence, with forward slashes.
        sha256: Digest of its content.
        bytes: Its size.
    """

    path: str
    sha256: str
    bytes: int


class CollectedLine(NamedTuple):
    """One collected test node, before any test runs; without an outcome it is MISSING.

    Attributes:
        node: Node id of pytest.
        source_file: File that defines the body of the test.
        source_name: Qualified name of the body in that file.
        digest: Digest of the body and of what it uses in its file.
        params: Parameter set.
        claims: Every id of every marker.
        deselected: It was collected, but not to be run.
        fingerprints: Claimed needs, and what a claimed test case verifies, to their fingerprints.
        parents: What those needs rest on, to their fingerprints.
    """

    node: str
    source_file: str
    source_name: str
    digest: str
    params: Mapping[str, str] = EMPTY
    claims: tuple[Claim, ...] = ()
    deselected: bool = False
    fingerprints: Mapping[str, str] = EMPTY
    parents: Mapping[str, str] = EMPTY

    @property
    def function(self) -> str:
        """Return the node id without parameters."""
        return self.node.partition("[")[0]


class OutcomeLine(NamedTuple):
    """What happened to one node.

    Attributes:
        node: Node id of pytest.
        outcome: passed, failed, error, skipped, xfailed, xpassed: the worst of the phases.
        phases: Outcome of setup, call and teardown, as far as they ran.
        started: Wall clock with its zone, when the node started.
        duration_s: Over all phases [s].
        reason: Why it was skipped, or the last line of the failure.
        monotonic_ns: Clock that never runs backwards, read together with ``started`` [ns].
        properties: Figures that the test observed, by name.
        attachments: Files that the test left beside the evidence.
    """

    node: str
    outcome: str
    phases: Mapping[str, str]
    started: str
    duration_s: float
    reason: str = ""
    monotonic_ns: int | None = None
    properties: Mapping[str, Figure] = EMPTY
    attachments: tuple[Attachment, ...] = ()


class UncollectedLine(Frozen):
    """A file that pytest skipped or could not collect."""

    kind: Literal["uncollected"] = "uncollected"
    path: str
    outcome: str
    reason: str = ""


class EndLine(Frozen):
    """Last line of a run that finished."""

    kind: Literal["end"] = "end"
    finished: str
    monotonic_ns: int | None = None
    exit_status: int
    node_count: int


Line = RunLine | NeedLine | CollectedLine | OutcomeLine | UncollectedLine | EndLine


class EvidenceRun(Frozen):
    """One evidence file, read.

    Attributes:
        path: File name, below the folder of the evidence.
        run: First line.
        needs: The needs as they stood when the tests were collected.
        collected: Node to its collected line.
        outcomes: Node to its outcome line.
        uncollected: Files that were skipped or failed while collecting.
        end: The end line, or None where the run did not finish.
        line_count: Whole lines in the file.
        cut_bytes: Bytes behind the last whole line.
        head_sha256: Link of the last line, which stands for the whole file.
        faults: What cannot be so in a file that the plugin wrote and nobody touched.
        doubts: What a person must look at before a release.
    """

    path: str
    run: RunLine
    needs: SkipValidation[Mapping[str, NeedLine]] = EMPTY
    collected: SkipValidation[Mapping[str, CollectedLine]]
    outcomes: SkipValidation[Mapping[str, OutcomeLine]]
    uncollected: tuple[UncollectedLine, ...] = ()
    end: EndLine | None = None
    line_count: int = 0
    cut_bytes: int = 0
    head_sha256: str = FIRST_LINK
    faults: tuple[str, ...] = Field(default=())
    doubts: tuple[str, ...] = Field(default=())

    @property
    def finished(self) -> bool:
        """Return whether the end line is there."""
        return self.end is not None

    @property
    def platform(self) -> str:
        """Return host or agx, as the recorded facts of the machine say."""
        return self.run.identity.platform.found_class


def encode(line: Line, previous: str) -> tuple[bytes, str]:
    """Return one line of JSON without its end, and its link.

    Args:
        line: The line.
        previous: Link of the line before it.
    """
    text = json.dumps(
        _row(line), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    body = text[1:].encode("utf-8", "replace")  # half a character of a strange file name is lost
    link = hashlib.sha256(previous.encode() + body).hexdigest()
    return f'{LINK_PREFIX}{link}",'.encode() + body, link


def chain(lines: Iterable[Line]) -> list[str]:
    """Return the lines as text with their links computed anew."""
    previous, texts = FIRST_LINK, []
    for line in lines:
        data, previous = encode(line, previous)
        texts.append(data.decode())
    return texts


def need_lines(graph: Graph, need_ids: Iterable[str]) -> list[NeedLine]:
    """Return what evidence that claims ``need_ids`` rests on, in order of id.

    Args:
        graph: The needs.
        need_ids: Claimed needs; an unknown one has no line, so that nothing is bound to it.
    """
    claimed = sorted({need_id for need_id in need_ids if need_id in graph.needs})
    binds = {
        need_id: tuple(n for n in graph.bound_needs([need_id]) if n != need_id)
        for need_id in claimed
    }
    wanted = {*claimed, *(n for found in binds.values() for n in found)}
    parents = {need_id: tuple(sorted(graph.ancestors(need_id))) for need_id in wanted}
    wanted |= {n for found in parents.values() for n in found}
    return [
        NeedLine(
            need_id=need_id,
            fingerprint=graph.needs[need_id].fingerprint,
            binds=binds.get(need_id, ()),
            parents=parents.get(need_id, ()),
        )
        for need_id in sorted(wanted)
    ]


def acceptance_of(line: CollectedLine, graph: Graph) -> dict[str, str]:
    """Return the limits that a node is judged by, each by the need that it is about.

    The text of an authored case stands in the case alone; the evidence is bound to its fingerprint.

    Args:
        line: The node.
        graph: The needs.
    """
    limits: dict[str, str] = {}
    for claim in line.claims:
        need = graph.needs.get(claim.need_id)
        if claim.marker == "case" and need is not None:
            limits[claim.need_id] = need.field("acceptance")
        elif "acceptance" in claim.keywords:
            limits[claim.need_id] = claim.keywords["acceptance"]
    return limits


def _row(line: Line) -> dict[str, Any]:
    """Return one line as JSON values; what is empty is left out of the frequent kinds."""
    match line:
        case NeedLine():
            row: dict[str, Any] = {"kind": "need", **line._asdict()}
        case CollectedLine():
            row = _collected_row(line)
        case OutcomeLine():
            row = {"kind": "outcome", **line._asdict()}
            row["phases"] = [line.phases.get(phase) for phase in PHASES]
            row["properties"] = dict(line.properties)
            row["attachments"] = [attached._asdict() for attached in line.attachments]
        case _:
            return line.model_dump(mode="json")
    return {name: value for name, value in row.items() if value or value == 0}


def _collected_row(line: CollectedLine) -> dict[str, Any]:
    """Return a collected line as JSON values; what the node id says already is left out."""
    path, name = place_of(line.node)
    return {
        "kind": "collected",
        "node": line.node,
        "source_file": "" if line.source_file == path else line.source_file,
        "source_name": "" if line.source_name == name else line.source_name,
        "digest": line.digest or None,
        "params": dict(line.params),
        "claims": [_claim_row(claim) for claim in line.claims],
        "deselected": line.deselected or None,
    }


def _claim_row(claim: Claim) -> dict[str, Any]:
    """Return one claim as JSON values."""
    row: dict[str, Any] = {"marker": claim.marker, "need_id": claim.need_id}
    return {**row, "keywords": dict(claim.keywords)} if claim.keywords else row


def place_of(node: str) -> tuple[str, str]:
    """Return the file and the qualified name that a node id stands for."""
    path, _, name = node.partition("[")[0].partition("::")
    return path, name.replace("::", ".")
