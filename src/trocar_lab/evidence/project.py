"""Everything that the rules look at, read once: needs, source, tests, evidence, records."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from trocar_lab.evidence.graph.metamodel import Metamodel
from trocar_lab.evidence.graph.need_graph import Graph, read_graph
from trocar_lab.evidence.graph.needs_source import SourceScan, scan_sources
from trocar_lab.evidence.proof.generated import trace_cases, with_inherited
from trocar_lab.evidence.proof.proofs import Proofs
from trocar_lab.evidence.proof.verdicts import Present
from trocar_lab.evidence.signed.records import Records, read_records
from trocar_lab.evidence.source.device_source import DeviceSource, read_device_source
from trocar_lab.evidence.source.python_tests import TestFunction, scan_tests
from trocar_lab.evidence.store.evidence_record import EvidenceRun, read_runs
from trocar_lab.evidence.store.identity import file_sha256
from trocar_lab.provenance.code_identity import folder_sha256


@dataclass(frozen=True)
class Project:
    """The state that one check judges.

    Attributes:
        root: Repository root.
        scan: Needs as the source files hold them.
        graph: Needs as Sphinx read them.
        device: Source tree of the device.
        functions: Marked test functions.
        test_faults: Test files that cannot be read.
        runs: Evidence, oldest first.
        records: Signed records.
        proofs: Cases joined with evidence.
        today: Day of the check.
    """

    root: Path
    scan: SourceScan
    graph: Graph
    device: DeviceSource
    functions: tuple[TestFunction, ...]
    test_faults: tuple[str, ...]
    runs: tuple[EvidenceRun, ...]
    records: Records
    proofs: Proofs
    today: dt.date

    @property
    def model(self) -> Metamodel:
        """Return the metamodel."""
        return self.graph.model


def read_project(
    root: Path,
    *,
    graph: Graph,
    evidence: Path,
    wheel: Path | None = None,
    today: dt.date | None = None,
) -> Project:
    """Return the project under ``root``.

    Args:
        root: Repository root.
        graph: The needs, from needs.json.
        evidence: Folder with evidence files.
        wheel: Wheel under release; evidence must then be about this file.
        today: Day of the check; the present one when left out.

    Raises:
        EvidenceError: An evidence file has no first line.
        RecordError: A signed record is incomplete.
    """
    functions, faults = scan_tests(root, graph.model)
    runs = read_runs(evidence)
    functions = with_inherited(root, functions, runs)
    records = read_records(root)
    present = Present(
        fingerprints={need_id: need.fingerprint for need_id, need in graph.needs.items()},
        device_sha256=folder_sha256(root / "src" / "trocar"),
        lab_sha256=folder_sha256(root / "src" / "trocar_lab"),
        lock_sha256=file_sha256(root / "pylock.toml"),
        wheel_sha256=file_sha256(wheel) if wheel is not None else "",
    )
    proofs = Proofs(trace_cases(graph, functions), runs, present=present, manual=records.manual)
    return Project(
        root=root,
        scan=scan_sources(root, graph.model),
        graph=graph,
        device=read_device_source(root),
        functions=tuple(functions),
        test_faults=tuple(faults),
        runs=tuple(runs),
        records=records,
        proofs=proofs,
        today=today or dt.datetime.now(tz=dt.UTC).date(),
    )


__all__ = ["Project", "read_graph", "read_project"]
