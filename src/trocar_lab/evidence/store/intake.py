"""Bring in evidence from another machine: checked as a whole, then copied in one step, or refused.

A bundle is a folder, ``.tar.gz`` or ``.zip`` with a sealed folder of evidence (``seal``): runs,
attachments, ``MANIFEST.json``. What is checked is a copy, and that copy is what is brought in. A
refusal names every reason and leaves the folder of evidence as it was. Nothing is approved by it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.bundle_files import Bounds, unpack
from trocar_lab.evidence.store.commit_content import (
    CommitContent,
    commit_fault,
    read_commit,
    wheel_device_sha256,
)
from trocar_lab.evidence.store.evidence_files import IMPORTED, SEAL_NAME, digest_of
from trocar_lab.evidence.store.evidence_record import EvidenceRun
from trocar_lab.evidence.store.evidence_store import (
    EvidenceStore,
    read_store,
    replay_keys,
)
from trocar_lab.evidence.store.identity import file_sha256
from trocar_lab.evidence.store.imports_log import ImportRecord, append_import, read_imports
from trocar_lab.evidence.store.latency_intake import latency_bundles, latency_findings
from trocar_lab.evidence.store.run_clocks import STEP_S_MAX, order_of, span_of
from trocar_lab.evidence.store.run_writer import sync_folder
from trocar_lab.evidence.store.seal import locked
from trocar_lab.provenance.git import git_output

NAME_LENGTH: Final = 16
BROUGHT: Final = "bundle/"


class Request(NamedTuple):
    """What is asked for.

    Attributes:
        bundle: Folder or archive from another machine.
        folder: Folder of the evidence here.
        root: Repository root.
        operator: Who brings it in.
        wheel: The wheel that ran on the other machine, where it was not the source tree.
        bounds: How much the bundle may hold.
        now: Present time.
    """

    bundle: Path
    folder: Path
    root: Path
    operator: str
    wheel: Path | None = None
    bounds: Bounds = Bounds()
    now: dt.datetime | None = None


def import_bundle(request: Request) -> list[str]:
    """Check a bundle, bring it in, and return what was found, a line each.

    Raises:
        EvidenceError: It is refused; the message names every reason.
    """
    if not request.operator.strip():
        raise EvidenceError("who brings it in must be named: --operator or TROCAR_OPERATOR")
    with _scratch(request.folder) as scratch:
        copy = unpack(request.bundle, scratch / "files", bounds=request.bounds)
        store = read_store(copy)
        faults, told = _findings(copy, store, request)
        if faults:
            lines = "\n  ".join(dict.fromkeys(faults))
            raise EvidenceError(f"{request.bundle.name} is refused:\n  {lines}")
        return [*_take_in(copy, store, request), *told]


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Give a folder beside the evidence, so that a later move is one step; take it away again.

    Raises:
        EvidenceError: The folder above the evidence is not there.
    """
    above = folder.absolute().parent
    if not above.is_dir():
        raise EvidenceError(f"{above}: no such folder")
    scratch = Path(tempfile.mkdtemp(prefix=".trocar-import-", dir=above))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch)


def _findings(copy: Path, store: EvidenceStore, request: Request) -> tuple[list[str], list[str]]:
    """Return why a bundle is refused, and what else is to be told.

    Args:
        copy: The unpacked bundle.
        store: Its runs.
        request: What is asked for.
    """
    faults = [f"{run.path}: {fault}" for run in store.runs for fault in run.faults]
    faults += [f"{name}: {why}" for name, reasons in store.faults.items() for why in reasons]
    if not (copy / SEAL_NAME).is_file():
        faults.append(f"no {SEAL_NAME}: seal the evidence on the machine that recorded it")
    if not store.runs:
        faults.append("holds no run that can be read")
    if any(copy.glob(f"{IMPORTED}*")):
        faults.append("holds what was itself imported: bring in the first bundle instead")
    known = read_store(request.folder)
    faults += _replay_faults(store, known, request.folder)
    now = request.now or dt.datetime.now(tz=dt.UTC)
    commits = _commits(store, request.root)
    for run in store.runs:
        content = commits[run.run.identity.commit]
        reasons = [content] if isinstance(content, str) else _run_faults(run, content, request, now)
        faults += [f"{run.path}: {reason}" for reason in reasons]
    faults += _order_faults(store, known)
    told: list[str] = []
    for name in latency_bundles(copy):
        found, line = latency_findings(copy / name, store.runs, commits, root=request.root)
        faults += [f"{name}: {reason}" for reason in found]
        told.append(f"{name}: {line}")
    return faults, told


def _order_faults(store: EvidenceStore, known: EvidenceStore) -> list[str]:
    """Return where the clocks of the bundle contradict those of the evidence that is here."""
    brought = [run.model_copy(update={"path": f"{BROUGHT}{run.path}"}) for run in store.runs]
    before, _ = order_of(known.runs)
    after, _ = order_of([*known.runs, *brought])
    return [
        f"{name}: {why}"
        for name, reasons in after.items()
        for why in reasons
        if why not in before.get(name, ())
    ]


def _commits(store: EvidenceStore, root: Path) -> dict[str, CommitContent | str]:
    """Return each commit that the runs name with its content, or why it counts for nothing."""
    found: dict[str, CommitContent | str] = {}
    for commit in sorted({run.run.identity.commit for run in store.runs}):
        fault = commit_fault(root, commit)
        if fault is not None:
            found[commit] = fault
            continue
        try:
            found[commit] = read_commit(root, commit)
        except EvidenceError as exc:
            found[commit] = str(exc)
    return found


def _run_faults(
    run: EvidenceRun, content: CommitContent, request: Request, now: dt.datetime
) -> list[str]:
    """Return why one run is not evidence about a commit of this repository.

    Args:
        run: The run.
        content: What its commit holds.
        request: What is asked for.
        now: Present time.
    """
    identity = run.run.identity
    faults = []
    if run.run.schema_version == 1:
        faults.append("version 1 of the format does not say which machine it was")
    if not identity.clean:
        faults.append("the tree was not clean")
    device_sha256, wheel_sha256 = content.device_sha256, identity.wheel_sha256
    if request.wheel is not None:
        device_sha256 = wheel_device_sha256(request.wheel)
        wheel_sha256 = file_sha256(request.wheel)
    for what, was, wanted in (
        ("device", identity.device_sha256, device_sha256),
        ("wheel", identity.wheel_sha256, wheel_sha256),
        ("toolchain", identity.lab_sha256, content.lab_sha256),
        ("lock", identity.lock_sha256, content.lock_sha256),
        ("model packs", identity.packs or {}, content.packs),
    ):
        if was != wanted:
            faults.append(f"the {what} under test is not that of the commit or the named wheel")
    return faults + _date_faults(run, content, now)


def _date_faults(run: EvidenceRun, content: CommitContent, now: dt.datetime) -> list[str]:
    """Return why a run cannot have been when it says."""
    try:
        begin, end = span_of(run)
    except EvidenceError as exc:
        return [str(exc)]
    faults = []
    slack = dt.timedelta(seconds=STEP_S_MAX)
    if begin + slack < content.committed_at:
        faults.append(f"started {begin}, before its commit was made at {content.committed_at}")
    if end > now + slack:
        faults.append(f"ended {end}, in the future")
    return faults


def _replay_faults(store: EvidenceStore, known: EvidenceStore, folder: Path) -> list[str]:
    """Return which runs are in the evidence already, or were.

    Args:
        store: Runs of the bundle.
        known: What the evidence holds.
        folder: Folder of the evidence.
    """
    keys = {key: run.path for run in known.runs for key in replay_keys(run)}
    heads = {run.head_sha256: run.path for run in known.runs}
    faults = []
    for run in store.runs:
        here = [keys[key] for key in replay_keys(run) if key in keys]
        here += [heads[run.head_sha256]] if run.head_sha256 in heads else []
        if here:
            faults.append(f"{run.path}: replayed: it is here already as {here[0]}")
    records, log_faults, _ = read_imports(folder) if folder.is_dir() else ([], [], "")
    faults += [f"imports.jsonl here is damaged: {fault}" for fault in log_faults]
    ids = {run_id: record.folder for record in records for run_id in record.run_ids}
    for run in store.runs:
        if run.run.run_id in ids:
            faults.append(f"{run.path}: replayed: imported before as {ids[run.run.run_id]}")
    return faults


def _take_in(copy: Path, store: EvidenceStore, request: Request) -> list[str]:
    """Move a checked copy into the evidence and note it; return what was done.

    Raises:
        EvidenceError: The same bundle came in meanwhile, or the disk refuses.
    """
    digest = digest_of(copy / SEAL_NAME).sha256
    record = ImportRecord(
        folder=f"{IMPORTED}{digest[:NAME_LENGTH]}",
        source=request.bundle.name,
        source_sha256=digest,
        run_ids=tuple(run.run.run_id for run in store.runs),
        imported_at=(request.now or dt.datetime.now(tz=dt.UTC)).isoformat(timespec="seconds"),
        operator=request.operator,
        commit=git_output(request.root, "rev-parse", "--verify", "HEAD") or "",
    )
    target = request.folder / record.folder
    try:
        request.folder.mkdir(exist_ok=True)
        with locked(request.folder):
            faults = _replay_faults(store, read_store(request.folder), request.folder)
            if faults or target.exists():
                raise EvidenceError(f"{request.bundle.name} is refused: {'; '.join(faults)}")
            copy.rename(target)
            append_import(request.folder, record)
            sync_folder(request.folder)
    except OSError as exc:
        raise EvidenceError(f"{target}: cannot be written: {exc.strerror}") from exc
    return _told(store.runs, record)


def _told(runs: Sequence[EvidenceRun], record: ImportRecord) -> list[str]:
    """Return what was brought in, a line each."""
    lines = [f"imported {record.source} as {record.folder}, seal {record.source_sha256}"]
    lines += [
        f"{run.path}: {run.platform}, {len(run.outcomes)} of {len(run.collected)} nodes,"
        f" {'finished' if run.finished else 'not finished'}"
        for run in runs
    ]
    return lines
