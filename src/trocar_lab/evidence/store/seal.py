"""Seal a folder of evidence: one list of digests, whose own digest stands for all of it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.evidence_files import (
    IMPORTS_NAME,
    SEAL_DRAFT,
    SEAL_NAME,
    digest_of,
)
from trocar_lab.evidence.store.evidence_store import (
    EvidenceStore,
    Seal,
    read_seal,
    read_store,
    seal_of,
)
from trocar_lab.evidence.store.run_reader import FAULTS_SHOWN
from trocar_lab.evidence.store.run_writer import is_being_written, sync_folder


def seal_folder(folder: Path) -> str:
    """Write the seal of a folder of evidence and return its digest.

    A run that did not finish is sealed as it is. A seal that is there may grow, never change.

    Args:
        folder: Folder of the evidence.

    Raises:
        EvidenceError: There is no run, a run is being written, something does not hold, or a file
            is no longer what an earlier seal says.
    """
    if not folder.is_dir():
        raise EvidenceError(f"{folder}: no such folder")
    with locked(folder):
        store = read_store(folder, with_seal=False)
        if not store.runs:
            raise EvidenceError(f"{folder}: holds no run, so that there is nothing to seal")
        for run in store.runs:
            if is_being_written(folder / run.path):
                raise EvidenceError(f"{run.path}: is being written; seal when the run is over")
        _refuse_changes(folder)
        faults = [f"{run.path}: {fault}" for run in store.runs for fault in run.faults]
        faults += [f"{name}: {why}" for name, reasons in store.faults.items() for why in reasons]
        if faults:
            raise EvidenceError(f"not sealed: {'; '.join(faults[:FAULTS_SHOWN])}")
        return write_seal(folder, store)


def write_seal(folder: Path, store: EvidenceStore) -> str:
    """Write the seal of a folder as it is, whatever is wrong with it, and return its digest.

    Args:
        folder: Folder of the evidence.
        store: What was read of it.

    Raises:
        EvidenceError: Something in it is not a regular file.
    """
    content = _text(seal_of(folder, store.runs)).encode()
    draft = folder / SEAL_DRAFT
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(folder / SEAL_NAME)
    sync_folder(folder)
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder of evidence: one command at a time changes it.

    Raises:
        EvidenceError: Another command holds it.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as exc:
        raise EvidenceError(f"{folder}: another command is changing it") from exc
    finally:
        os.close(number)


def _refuse_changes(folder: Path) -> None:
    """Refuse to seal anew what an earlier seal says otherwise; the log of imports may have grown.

    Raises:
        EvidenceError: A sealed file is missing or was changed.
    """
    earlier = read_seal(folder)
    for entry in earlier.files if earlier is not None else ():
        prefix = entry.bytes if entry.file == IMPORTS_NAME else None
        if digest_of(folder / entry.file, prefix_bytes=prefix) != (entry.sha256, entry.bytes):
            raise EvidenceError(f"{entry.file}: differs from the seal in {SEAL_NAME}")


def _text(seal: Seal) -> str:
    """Return a seal as text that a person can read; one file a line."""
    rows = [
        json.dumps(entry.model_dump(exclude_defaults=True), sort_keys=True, separators=(", ", ": "))
        for entry in seal.files
    ]
    files = ",\n  ".join(rows)
    return f'{{"schema_version": {seal.schema_version}, "files": [\n  {files}\n]}}\n'
