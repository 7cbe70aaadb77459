"""Files below a folder of evidence: regular ones only, digested without following a link."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.run_reader import open_regular

SEAL_NAME: Final = "MANIFEST.json"
SEAL_DRAFT: Final = ".MANIFEST.json.draft"
IMPORTS_NAME: Final = "imports.jsonl"
IMPORTED: Final = "imported-"
ATTACHMENTS: Final = "attachments"
FILE_COUNT_MAX: Final = 100_000
FILE_BYTES_MAX: Final = 4 * 1024**3
NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
DEPTH_MAX: Final = 8


class FileDigest(NamedTuple):
    """Digest and size of one file."""

    sha256: str
    bytes: int


def digest_of(path: Path, *, prefix_bytes: int | None = None) -> FileDigest:
    """Return digest and size of a regular file.

    Args:
        path: The file.
        prefix_bytes: Digest only so many bytes of its beginning.

    Raises:
        EvidenceError: It is not a regular file, or cannot be read.
    """
    total, left = hashlib.sha256(), FILE_BYTES_MAX if prefix_bytes is None else prefix_bytes
    count = 0
    with open_regular(path, bytes_max=FILE_BYTES_MAX) as stream:
        try:
            while left and (data := stream.read(min(left, 1024 * 1024))):
                total.update(data)
                count += len(data)
                left -= len(data)
        except OSError as exc:
            raise EvidenceError(f"{path.name}: cannot be read: {exc.strerror}") from exc
    return FileDigest(total.hexdigest(), count)


def files_below(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the regular files below a folder, and what else is there with why it may not be.

    Args:
        folder: Its own seal is left out.

    Raises:
        EvidenceError: A folder cannot be read.
    """
    found: list[str] = []
    faults: dict[str, str] = {}
    for path, kind in _entries(folder):
        name = path.relative_to(folder).as_posix()
        if len(found) + len(faults) >= FILE_COUNT_MAX:
            faults[name] = f"more than {FILE_COUNT_MAX} files"
            break
        if name in {SEAL_NAME, SEAL_DRAFT} and stat.S_ISREG(kind):
            continue
        fault = "is a link" if stat.S_ISLNK(kind) else path_fault(name)
        if fault is None and not stat.S_ISREG(kind):
            fault = "is not a regular file"
        if fault is None:
            found.append(name)
        else:
            faults[name] = fault
    return sorted(found), faults


def _entries(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield everything below a folder that is not a folder, with its kind; no link is followed.

    Raises:
        EvidenceError: A folder cannot be read.
    """
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                found = sorted((e.name, e.stat(follow_symlinks=False).st_mode) for e in entries)
        except OSError as exc:
            raise EvidenceError(f"{place.name}: cannot be read: {exc.strerror}") from exc
        for name, kind in found:
            if stat.S_ISDIR(kind):
                waiting.append(place / name)
            else:
                yield place / name, kind


def path_fault(name: str) -> str | None:
    """Return why a path from a file is not one below the folder, or None."""
    parts = name.split("/")
    if len(parts) > DEPTH_MAX:
        return f"lies more than {DEPTH_MAX} folders deep"
    if not all(NAME_PATTERN.fullmatch(part) and not part.endswith(".") for part in parts):
        return "is not a plain path below the folder"
    return None
