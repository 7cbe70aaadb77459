"""Log of what was brought in from other machines: append-only, each line linked to the last."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.store.evidence_files import IMPORTS_NAME
from trocar_lab.evidence.store.evidence_record import FIRST_LINK, LINK_PREFIX
from trocar_lab.evidence.store.line_decoder import parse_row
from trocar_lab.evidence.store.run_reader import LINE_BYTES_MAX, open_regular

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_LINK_END: Final = len(LINK_PREFIX) + len(FIRST_LINK)


class ImportRecord(Frozen):
    """One bundle that was brought in; it approves nothing.

    Attributes:
        folder: Folder below the evidence that holds it.
        source: Name of the bundle as it was given.
        source_sha256: Digest of the bundle's seal, which stands for every file of it.
        run_ids: Runs in it.
        imported_at: Wall clock with its zone.
        operator: Who brought it in.
        commit: Commit of the repository at that time.
    """

    kind: Literal["import"] = "import"
    folder: str
    source: str
    source_sha256: str
    run_ids: tuple[str, ...]
    imported_at: str
    operator: str
    commit: str


def read_imports(folder: Path) -> tuple[list[ImportRecord], list[str], str]:
    """Return the records of a folder, what is wrong with the log, and its last link.

    Args:
        folder: Folder with the evidence.

    Raises:
        EvidenceError: The log cannot be read.
    """
    path = folder / IMPORTS_NAME
    if not path.exists() and not path.is_symlink():
        return [], [], FIRST_LINK
    records: list[ImportRecord] = []
    faults: list[str] = []
    previous, number = FIRST_LINK, 0
    with open_regular(path) as stream:
        while raw := stream.readline(LINE_BYTES_MAX):
            number += 1
            try:
                record, link, follows = _decode(raw, previous)
            except EvidenceError as exc:
                faults.append(f"line {number}: {exc}")
                continue
            if not follows:
                faults.append(f"line {number}: was changed or does not follow the line before it")
            previous = link
            records.append(record)
    return records, faults, previous


def append_import(folder: Path, record: ImportRecord) -> None:
    """Append one record; the caller holds the lock of the folder.

    Raises:
        EvidenceError: The log is damaged, or the record cannot be written.
    """
    _, faults, previous = read_imports(folder)
    if faults:
        raise EvidenceError(f"{IMPORTS_NAME}: {'; '.join(faults)}")
    text = json.dumps(record.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    link = hashlib.sha256(previous.encode() + text[1:].encode()).hexdigest()
    data = f'{LINK_PREFIX}{link}",{text[1:]}\n'.encode()
    try:
        number = os.open(folder / IMPORTS_NAME, _FLAGS, 0o644)
        try:
            if os.write(number, data) != len(data):
                raise EvidenceError(f"{IMPORTS_NAME}: the disk is full")
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as exc:
        raise EvidenceError(f"{IMPORTS_NAME}: cannot be written: {exc.strerror}") from exc


def _decode(raw: bytes, previous: str) -> tuple[ImportRecord, str, bool]:
    """Return the record in one line, its link, and whether that follows ``previous``.

    Raises:
        EvidenceError: It is not a whole record.
    """
    if raw[-1:] != b"\n":
        raise EvidenceError("is cut off")
    row = parse_row(raw[:-1])
    link = row.pop("link_sha256", None)
    if not raw.startswith(LINK_PREFIX.encode()) or not isinstance(link, str):
        raise EvidenceError("has no link")
    body = raw[_LINK_END + 2 : -1]
    try:
        record = ImportRecord.model_validate_json(json.dumps(row))
    except ValidationError as exc:
        raise EvidenceError(f"not an import record: {exc.errors()[0]['msg']}") from exc
    return record, link, hashlib.sha256(previous.encode() + body).hexdigest() == link
