"""Copy what a test leaves as evidence beside the run, with its digest."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Final

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.evidence_files import (
    ATTACHMENTS,
    SEAL_NAME,
    digest_of,
    files_below,
    path_fault,
)
from trocar_lab.evidence.store.evidence_record import Attachment
from trocar_lab.evidence.store.run_reader import open_regular

ATTACHMENT_BYTES_MAX: Final = 2 * 1024**3
_NODE_LENGTH: Final = 12


def copy_attachments(path: Path, run: Path, *, node: str) -> list[Attachment]:
    """Copy a file, or the files of a folder, beside a run and return their digests.

    Args:
        path: File or folder; its own name is kept.
        run: Evidence file of the run.
        node: Node that leaves it.

    Raises:
        EvidenceError: It is a link, not a plain file, too large, there already or empty.
    """
    short = hashlib.sha256(node.encode()).hexdigest()[:_NODE_LENGTH]
    base = f"{ATTACHMENTS}/{run.stem}/{short}/{path.name}"
    is_folder = path.is_dir() and not path.is_symlink()
    names, strays = _names(path) if is_folder else ([""], {})
    for name, reason in strays.items():
        raise EvidenceError(f"{path.name}/{name} {reason}")
    if not names:
        raise EvidenceError(f"{path.name}: holds no file to attach")
    found = []
    for name in names:
        place = f"{base}/{name}" if name else base
        fault = path_fault(place)
        if fault is not None:
            raise EvidenceError(f"{place}: {fault}")
        target = run.parent / place
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source = path / name if name else path
            with (
                open_regular(source, bytes_max=ATTACHMENT_BYTES_MAX) as stream,
                target.open("xb") as copy,
            ):
                shutil.copyfileobj(stream, copy)
        except OSError as exc:
            raise EvidenceError(f"{place}: cannot be copied: {exc.strerror}") from exc
        found.append(Attachment(place, *digest_of(target)))
    return found


def _names(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the files of a folder, one that is named like a seal included."""
    names, strays = files_below(folder)
    return ([*names, SEAL_NAME] if (folder / SEAL_NAME).is_file() else names), strays
