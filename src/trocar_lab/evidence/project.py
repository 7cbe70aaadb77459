"""Everything that the rules look at, read once: needs, source, tests, evidence, records."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from trocar.statements.trust import TrustedKey
from trocar_lab.evidence.graph.history import History, HistoryEntry, read_history
from trocar_lab.evidence.graph.metamodel import Metamodel
from trocar_lab.evidence.graph.need_graph import Graph, read_graph
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.graph.needs_source import SourceScan, scan_sources
from trocar_lab.evidence.graph.releases import ArchivedRelease, last_release
from trocar_lab.evidence.proof.generated import trace_cases, with_inherited
from trocar_lab.evidence.proof.proofs import Proofs
from trocar_lab.evidence.proof.verdicts import Present
from trocar_lab.evidence.signed.approvals import ApprovalLog, Approvals, ApprovalState
from trocar_lab.evidence.signed.records import Records, read_records
from trocar_lab.evidence.signed.release_folder import (
    Part,
    ReleaseFolder,
    WheelFacts,
    read_release_folder,
    read_wheel,
)
from trocar_lab.evidence.signed.release_numbers import ReleaseNumbers, read_release_numbers
from trocar_lab.evidence.signed.release_statement import KEYS, read_release_keys
from trocar_lab.evidence.source.commits import CommitLog, read_commits
from trocar_lab.evidence.source.control_code import ControlCode, read_control_code
from trocar_lab.evidence.source.defect_classes import DefectClasses, read_defect_classes
from trocar_lab.evidence.source.device_source import DeviceSource, read_device_source
from trocar_lab.evidence.source.digests_of_tests import digests_of_tests
from trocar_lab.evidence.source.document_sections import read_document
from trocar_lab.evidence.source.filters import FilterUse, read_filters
from trocar_lab.evidence.source.item_imports import Import, read_imports
from trocar_lab.evidence.source.project_files import ProjectFiles, read_project_files
from trocar_lab.evidence.source.python_tests import TestFunction, scan_tests
from trocar_lab.evidence.store.evidence_record import EvidenceRun
from trocar_lab.evidence.store.evidence_store import EvidenceStore, read_store
from trocar_lab.evidence.store.identity import file_sha256, locks_sha256, pack_digests
from trocar_lab.evidence.store.strength import StrengthRecords, read_strength
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
        approvals: Who confirmed which text.
        texts: Fingerprint of each need as an approval binds it.
        proofs: Cases joined with evidence.
        today: Day of the check.
        store: The folder of evidence as a whole, with what does not fit between its files.
        known_history: History given by the caller instead of that of git.
        read_by_sphinx: The graph is from needs.json, and not from the source alone.
        wheel: Wheel under release, or None.
        release_path: Folder of the release, or None.
        known_commits: Commits given by the caller instead of those of git.
        strength: Coverage and mutants, and what they must reach.
    """

    root: Path
    scan: SourceScan
    graph: Graph
    device: DeviceSource
    functions: tuple[TestFunction, ...]
    test_faults: tuple[str, ...]
    runs: tuple[EvidenceRun, ...]
    records: Records
    approvals: Approvals
    texts: Mapping[str, str]
    proofs: Proofs
    today: dt.date
    store: EvidenceStore = field(default_factory=EvidenceStore)
    known_history: History | None = field(default=None, compare=False)
    read_by_sphinx: bool = True
    wheel: Path | None = None
    release_path: Path | None = None
    known_commits: CommitLog | None = field(default=None, compare=False)
    strength: StrengthRecords = field(default_factory=StrengthRecords)

    @property
    def model(self) -> Metamodel:
        """Return the metamodel."""
        return self.graph.model

    @cached_property
    def filters(self) -> tuple[FilterUse, ...]:
        """Return every table, flow and count of the documentation."""
        return read_filters(self.root, self.model)

    @cached_property
    def history(self) -> History:
        """Return every text that each need had, from git; read when it is first asked for."""
        return self.known_history or read_history(self.root, self.model)

    def history_of(self, need_id: str) -> tuple[HistoryEntry, ...]:
        """Return the texts of one need, oldest first."""
        return self.history.of(need_id)

    @cached_property
    def commits(self) -> CommitLog:
        """Return the commits since change control began, from git; read when first asked for."""
        baseline = self.records.baseline.commit if self.records.baseline else ""
        return self.known_commits or read_commits(self.root, baseline)

    @cached_property
    def files(self) -> ProjectFiles:
        """Return what the files at the root say about version, tools and locked packages."""
        return read_project_files(self.root)

    @cached_property
    def documents(self) -> Mapping[str, str | None]:
        """Return the text of each controlled document by its path; None when it cannot be read."""
        paths = {need.field("path") for need in self.graph.live("document")}
        return {path: read_document(self.root, path) for path in paths}

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Return every import of the device by the device."""
        return read_imports(self.root)

    @cached_property
    def defect_classes(self) -> DefectClasses:
        """Return the classes of defect of the technology and the tests that find each."""
        return read_defect_classes(self.root)

    @cached_property
    def archived_release(self) -> ArchivedRelease | None:
        """Return the needs of the last archived release, or None when there is none."""
        return last_release(self.root, self.model)

    @cached_property
    def release(self) -> ReleaseFolder | None:
        """Return what the release folder holds, or None when none is named."""
        return None if self.release_path is None else read_release_folder(self.release_path)

    @cached_property
    def release_keys(self) -> tuple[TrustedKey, ...]:
        """Return the public keys of releases; none when there is no folder of them.

        Raises:
            ReleaseError: A file among them is no key.
        """
        return read_release_keys(self.root / KEYS)

    @cached_property
    def release_numbers(self) -> ReleaseNumbers:
        """Return the sequence numbers of the releases."""
        return read_release_numbers(self.root)

    @cached_property
    def wheel_facts(self) -> Part[WheelFacts]:
        """Return what the wheel under release says about itself."""
        return Part() if self.wheel is None else read_wheel(self.wheel)

    @cached_property
    def control_code(self) -> tuple[tuple[ControlCode, ...], tuple[str, ...]]:
        """Return the code of each risk control, and comments that stand at no code."""
        return read_control_code(self.root, self.device.comments)

    @cached_property
    def used_test_digests(self) -> Mapping[str, str]:
        """Return the present digest of each test that was run against mutants."""
        results = self.strength.mutation.functions.values() if self.strength.mutation else ()
        names = {used.name for result in results for used in result.tests}
        own = {f"{f.source_file}::{f.source_name.replace('.', '::')}": f for f in self.functions}
        known = {name: f.digest for name, f in own.items() if name == f.function}
        return digests_of_tests(self.root, names, known)

    def approval_state(self, need: Need) -> ApprovalState:
        """Return whether the present text of a need is the approved one."""
        return self.approvals.state(need.need_id, self.texts[need.need_id])

    def stale_links(self, need: Need) -> tuple[str, ...]:
        """Return the targets that changed since the links of an approved need were confirmed."""
        return stale_links(need, self.approvals, self.texts)


def read_project(
    root: Path,
    *,
    graph: Graph,
    evidence: Path,
    wheel: Path | None = None,
    today: dt.date | None = None,
    scan: SourceScan | None = None,
    read_by_sphinx: bool = True,
    release_path: Path | None = None,
) -> Project:
    """Return the project under ``root``.

    Args:
        root: Repository root.
        graph: The needs, from needs.json.
        evidence: Folder with evidence files.
        wheel: Wheel under release; evidence must then be about this file.
        today: Day of the check; the present one when left out.
        read_by_sphinx: The graph is from needs.json, and not from the source alone.
        release_path: Folder of the release, or None.
        scan: The needs as the source holds them, when the caller has read them already.

    Raises:
        RecordError: A signed record is incomplete.
    """
    functions, faults = scan_tests(root, graph.model)
    store = read_store(evidence)
    runs = store.runs
    functions = with_inherited(root, functions, runs)
    records = read_records(root)
    approvals = ApprovalLog(root).read()
    texts = approved_texts(root, graph)
    present = Present(
        suspects=suspects(graph, approvals, texts),
        fingerprints={need_id: need.fingerprint for need_id, need in graph.needs.items()},
        device_sha256=folder_sha256(root / "src" / "trocar"),
        lab_sha256=folder_sha256(root / "src" / "trocar_lab"),
        lock_sha256=locks_sha256(root),
        packs=pack_digests(root),
        wheel_sha256=file_sha256(wheel) if wheel is not None else "",
    )
    proofs = Proofs(trace_cases(graph, functions), runs, present=present, manual=records.manual)
    return Project(
        root=root,
        scan=scan or scan_sources(root, graph.model),
        graph=graph,
        device=read_device_source(root),
        functions=tuple(functions),
        test_faults=tuple(faults),
        runs=tuple(runs),
        store=store,
        records=records,
        approvals=approvals,
        texts=texts,
        proofs=proofs,
        today=today or dt.datetime.now(tz=dt.UTC).date(),
        read_by_sphinx=read_by_sphinx,
        wheel=wheel,
        release_path=release_path,
        strength=read_strength(root, evidence),
    )


def approved_texts(root: Path, graph: Graph) -> dict[str, str]:
    """Return each need to the fingerprint that an approval binds; a document's covers its file."""
    texts = {need_id: need.fingerprint for need_id, need in graph.needs.items()}
    for need in graph.live("document"):
        digest = file_sha256(root / need.field("path"))
        texts[need.need_id] = hashlib.sha256(f"{need.fingerprint} {digest}".encode()).hexdigest()
    return texts


def stale_links(need: Need, approvals: Approvals, texts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the targets that changed since the links of an approved need were confirmed."""
    targets = {target for ids in need.links.values() for target in ids}
    return approvals.stale_links(need.need_id, {t: texts.get(t, "") for t in targets})


def suspects(graph: Graph, approvals: Approvals, texts: Mapping[str, str]) -> dict[str, str]:
    """Return each need whose approval no longer fits, to the reason; its tests cannot pass."""
    found: dict[str, str] = {}
    for need_id, approval in approvals.last.items():
        need = graph.needs.get(need_id)
        if need is None or approvals.of(need_id) is None:
            continue
        signed = f"{approval.reviewer} approved it on {approval.date}"
        if approvals.state(need_id, texts[need_id]) is ApprovalState.STALE:
            found[need_id] = f"{need_id} changed since {signed}"
        elif moved := stale_links(need, approvals, texts):
            found[need_id] = f"{', '.join(moved)} changed since {signed}: {need_id} is suspect"
    return found


__all__ = ["Project", "read_graph", "read_project"]
