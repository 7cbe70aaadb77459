"""A folder of evidence as a whole: its runs, and what does not fit between them.

``run-*.jsonl`` lie in the folder itself and in ``imported-*``, one folder for each bundle that was
brought in from another machine (``intake``). ``MANIFEST.json`` seals everything (``seal``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.store.evidence_files import (
    IMPORTED,
    IMPORTS_NAME,
    SEAL_NAME,
    digest_of,
    files_below,
    path_fault,
)
from trocar_lab.evidence.store.evidence_record import Attachment, EvidenceRun
from trocar_lab.evidence.store.imports_log import read_imports
from trocar_lab.evidence.store.line_decoder import parse_row
from trocar_lab.evidence.store.run_clocks import order_of, wall_time
from trocar_lab.evidence.store.run_reader import open_regular, read_run

NOT_SEALED: Final = "evidence is not sealed"
_RUNS: Final = "run-*.jsonl"
_REPLAY_OUTCOMES: Final = 50
_SEAL_BYTES_MAX: Final = 64 * 1024 * 1024
_EARLIEST: Final = dt.datetime.min.replace(tzinfo=dt.UTC)


class SealedFile(Frozen):
    """One file under the seal.

    Attributes:
        file: Path below the folder, with forward slashes.
        sha256: Digest of its content.
        bytes: Its size.
        head_sha256: Of a run, the link of its last line.
        outcomes: Of a run, each outcome to how many nodes had it.
    """

    file: str
    sha256: str
    bytes: int
    head_sha256: str = ""
    outcomes: dict[str, int] = Field(default_factory=dict)


class Seal(Frozen):
    """Every file of a folder of evidence; it holds no time, so that a second seal is equal."""

    schema_version: int = 1
    files: tuple[SealedFile, ...]


@dataclass(frozen=True)
class EvidenceStore:
    """A folder of evidence, read.

    Attributes:
        runs: Every run that can be read, ordered by start.
        faults: File to what cannot be so, beyond what each run says of itself.
        doubts: File to what a person must look at before a release.
    """

    runs: tuple[EvidenceRun, ...] = ()
    faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_store(folder: Path, *, with_seal: bool = True) -> EvidenceStore:
    """Return what a folder holds; damage is a value, because rule V7 shows it.

    Args:
        folder: Folder of the evidence; one that does not exist holds nothing.
        with_seal: Compare the folder with its seal.
    """
    if not folder.is_dir():
        return EvidenceStore()
    faults: dict[str, list[str]] = {}
    runs: list[EvidenceRun] = []
    for path in sorted([*folder.glob(_RUNS), *folder.glob(f"{IMPORTED}*/{_RUNS}")]):
        name = path.relative_to(folder).as_posix()
        try:
            runs.append(read_run(path, name=name))
        except EvidenceError as exc:
            faults.setdefault(name, []).append(
                str(exc).removeprefix(f"{name}: ").removeprefix(f"{path.name}: ")
            )
    runs.sort(key=lambda run: (_begin(run), run.path))
    clock_faults, doubts = order_of(runs)
    for part in (
        clock_faults,
        replays(runs),
        _attachment_faults(folder, runs),
        _import_faults(folder, runs),
    ):
        _merge(faults, part)
    if with_seal and (runs or faults):
        seal_faults = check_seal(folder, runs)
        if seal_faults is None:
            doubts[SEAL_NAME] = [NOT_SEALED]
        _merge(faults, seal_faults or {})
    return EvidenceStore(
        runs=tuple(runs),
        faults={name: tuple(reasons) for name, reasons in faults.items()},
        doubts={name: tuple(reasons) for name, reasons in doubts.items()},
    )


def read_runs(folder: Path) -> list[EvidenceRun]:
    """Return every run in a folder that can be read, oldest first."""
    return list(read_store(folder).runs)


def seal_of(folder: Path, runs: Iterable[EvidenceRun]) -> Seal:
    """Return the seal of a folder as it is now.

    Args:
        folder: Folder of the evidence.
        runs: Its runs.

    Raises:
        EvidenceError: Something in it is not a regular file.
    """
    by_path = {run.path: run for run in runs}
    names, strays = files_below(folder)
    if strays:
        name, reason = next(iter(strays.items()))
        raise EvidenceError(f"{name} {reason}")
    return Seal(files=tuple(_sealed_file(folder, name, by_path.get(name)) for name in names))


def _sealed_file(folder: Path, name: str, run: EvidenceRun | None) -> SealedFile:
    """Return one file as a seal lists it.

    Raises:
        EvidenceError: It cannot be read.
    """
    digest = digest_of(folder / name)
    if run is None:
        return SealedFile(file=name, sha256=digest.sha256, bytes=digest.bytes)
    return SealedFile(
        file=name,
        sha256=digest.sha256,
        bytes=digest.bytes,
        head_sha256=run.head_sha256,
        outcomes=dict(sorted(Counter(line.outcome for line in run.outcomes.values()).items())),
    )


def read_seal(folder: Path) -> Seal | None:
    """Return the seal in a folder, or None where there is none.

    Raises:
        EvidenceError: It cannot be read, or lists a path that is none below the folder.
    """
    path = folder / SEAL_NAME
    if not path.exists() and not path.is_symlink():
        return None
    with open_regular(path, bytes_max=_SEAL_BYTES_MAX) as stream:
        content = stream.read()
    try:
        seal = Seal.model_validate_json(json.dumps(parse_row(content.strip())))
    except ValidationError as exc:
        raise EvidenceError(f"not a seal: {exc.errors()[0]['msg']}") from exc
    names = [entry.file for entry in seal.files]
    if seal.schema_version != 1 or len(set(names)) != len(names):
        raise EvidenceError("not a seal: another version, or a file stands twice")
    for name in names:
        fault = path_fault(name)
        if fault is not None:
            raise EvidenceError(f"{name[:80]!r} {fault}")
    return seal


def check_seal(folder: Path, runs: Iterable[EvidenceRun]) -> dict[str, list[str]] | None:
    """Return where a folder differs from its seal, by file; None where there is no seal.

    Args:
        folder: Folder of the evidence.
        runs: Its runs.
    """
    try:
        seal = read_seal(folder)
        names, strays = files_below(folder)
    except EvidenceError as exc:
        return {SEAL_NAME: [str(exc)]}
    if seal is None:
        return None
    faults: dict[str, list[str]] = {}
    by_path = {run.path: run for run in runs}
    listed = {entry.file: entry for entry in seal.files}
    for name, reason in strays.items():
        faults.setdefault(name, []).append(reason)
    for name in sorted(listed.keys() - set(names) - strays.keys()):
        faults.setdefault(name, []).append("sealed, but missing")
    for name in sorted(set(names) - listed.keys()):
        faults.setdefault(name, []).append("is not in the seal; seal the evidence again")
    for name in sorted(listed.keys() & set(names)):
        try:
            present = _sealed_file(folder, name, by_path.get(name))
        except EvidenceError as exc:
            faults.setdefault(name, []).append(str(exc))
            continue
        if present != listed[name]:
            faults.setdefault(name, []).append(f"differs from the seal in {SEAL_NAME}")
    return faults


def replay_keys(run: EvidenceRun) -> list[tuple[str, ...]]:
    """Return what no two runs share: their id, their begin on one machine, their first outcomes."""
    keys: list[tuple[str, ...]] = []
    if run.run.run_id:
        boot = run.run.identity.platform.boot_id
        keys += [("id", run.run.run_id), ("begin", boot, str(run.run.monotonic_ns))]
    first = list(run.outcomes.values())[:_REPLAY_OUTCOMES]
    if first:
        text = "\n".join(f"{line.node}\0{line.started}\0{line.duration_s}" for line in first)
        keys.append(("outcomes", hashlib.sha256(text.encode()).hexdigest()))
    return keys


def replays(runs: Iterable[EvidenceRun]) -> dict[str, list[str]]:
    """Return the runs that are another run over again, by path."""
    found: dict[str, list[str]] = {}
    seen: dict[tuple[str, ...], str] = {}
    for run in runs:
        keys = replay_keys(run)
        earlier = next((seen[key] for key in keys if key in seen), None)
        if earlier is not None:
            found[run.path] = [f"replayed: it is the run in {earlier} under another name or date"]
        for key in keys:
            seen.setdefault(key, run.path)
    return found


def _attachment_faults(folder: Path, runs: Iterable[EvidenceRun]) -> dict[str, list[str]]:
    """Return the attachments that are missing or differ, by run."""
    faults: dict[str, list[str]] = {}
    for run in runs:
        base = (folder / run.path).parent
        attached = [entry for line in run.outcomes.values() for entry in line.attachments]
        found = [_attachment_fault(base, entry) for entry in attached]
        if any(found):
            faults[run.path] = [reason for reason in found if reason is not None]
    return faults


def _attachment_fault(base: Path, attached: Attachment) -> str | None:
    """Return why an attachment is not the one that the run left, or None."""
    reason = path_fault(attached.path)
    try:
        if reason is None and digest_of(base / attached.path) != attached[1:]:
            reason = "differs from its digest"
    except EvidenceError as exc:
        reason = str(exc)
    return None if reason is None else f"{attached.path[:80]}: {reason}"


def _import_faults(folder: Path, runs: Iterable[EvidenceRun]) -> dict[str, list[str]]:
    """Return where the imported folders do not fit the log of imports, by folder."""
    faults: dict[str, list[str]] = {}
    try:
        records, log_faults, _ = read_imports(folder)
    except EvidenceError as exc:
        return {IMPORTS_NAME: [str(exc)]}
    if log_faults:
        faults[IMPORTS_NAME] = log_faults
    logged = {record.folder: record.source_sha256 for record in records}
    present = {path.name for path in folder.glob(f"{IMPORTED}*")}
    for name in sorted(logged.keys() - present):
        faults.setdefault(name, []).append(f"named in {IMPORTS_NAME}, but missing")
    for name in sorted(present):
        part = folder / name
        inside = [
            run.model_copy(update={"path": run.path.removeprefix(f"{name}/")})
            for run in runs
            if run.path.startswith(f"{name}/")
        ]
        if part.is_symlink() or not part.is_dir():
            faults.setdefault(name, []).append("is not a folder")
            continue
        found = check_seal(part, inside)
        if found is None:
            faults.setdefault(name, []).append("has no seal of its own")
        elif logged.get(name) != digest_of(part / SEAL_NAME).sha256:
            faults.setdefault(name, []).append(f"{IMPORTS_NAME} does not tell of this bundle")
        _merge(faults, {f"{name}/{file}": reasons for file, reasons in (found or {}).items()})
    return faults


def _merge(faults: dict[str, list[str]], part: Mapping[str, list[str]]) -> None:
    """Add reasons by file."""
    for name, reasons in part.items():
        faults.setdefault(name, []).extend(reasons)


def _begin(run: EvidenceRun) -> dt.datetime:
    """Return when a run started; a stamp that is no time comes first, and is a fault already."""
    try:
        return wall_time(run.run.started)
    except EvidenceError:
        return _EARLIEST
