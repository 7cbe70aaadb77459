"""What a commit of this repository holds, as the checks of foreign evidence compare it."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import re
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.identity import (
    PACKS,
    file_sha256,
    locks_sha256,
    pack_digests,
)
from trocar_lab.provenance.code_identity import folder_sha256
from trocar_lab.provenance.git import GitError, git_bytes, git_output

_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DEVICE: Final = "trocar"


class CommitContent(NamedTuple):
    """Digests of one commit.

    Attributes:
        device_sha256: Digest of the device's source.
        lab_sha256: Digest of the toolchain's source.
        lock_sha256: Digest of the lock; empty without one.
        packs: Folder of each model pack to the digest of its manifest.
        pack_files: Digest of every file of every pack.
        committed_at: When it was committed.
    """

    device_sha256: str
    lab_sha256: str
    lock_sha256: str
    packs: dict[str, str]
    pack_files: frozenset[str]
    committed_at: dt.datetime


def commit_fault(root: Path, commit: str) -> str | None:
    """Return why a commit is none of the present history, or None.

    Args:
        root: Repository root.
        commit: As the evidence names it.
    """
    if not _COMMIT.fullmatch(commit):
        return f"commit {commit[:80]!r} is none"
    if git_output(root, "merge-base", "--is-ancestor", commit, "HEAD") is None:
        return f"commit {commit} is not in the history of this repository"
    return None


def read_commit(root: Path, commit: str) -> CommitContent:
    """Return the digests of a commit, from an archive that git makes of it.

    Args:
        root: Repository root.
        commit: A commit of its history.

    Raises:
        EvidenceError: Git cannot make the archive.
    """
    try:
        content = git_bytes(root, "archive", "--format=tar", commit)
        stamp = git_output(root, "show", "--no-patch", "--format=%cI", commit) or ""
        committed_at = dt.datetime.fromisoformat(stamp.splitlines()[-1])
    except (GitError, ValueError, IndexError) as exc:
        raise EvidenceError(f"git cannot give the content of commit {commit}: {exc}") from exc
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(tree, filter="data")
        files = (path for path in (tree / PACKS).rglob("*") if path.is_file())
        return CommitContent(
            device_sha256=folder_sha256(tree / "src" / "trocar"),
            lab_sha256=folder_sha256(tree / "src" / "trocar_lab"),
            lock_sha256=locks_sha256(tree),
            packs=pack_digests(tree),
            pack_files=frozenset(file_sha256(path) for path in files),
            committed_at=committed_at,
        )


def wheel_device_sha256(wheel: Path) -> str:
    """Return the digest of the device in a wheel, as an installed one is digested.

    Args:
        wheel: The wheel; one of the user's own.

    Raises:
        EvidenceError: It is not a wheel.
    """
    total = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            paths = (PurePosixPath(name) for name in archive.namelist() if not name.endswith("/"))
            for path in sorted(path for path in paths if path.is_relative_to(_DEVICE)):
                digest = hashlib.sha256(archive.read(str(path))).hexdigest()
                total.update(f"{path.relative_to(_DEVICE)}\0{digest}\n".encode())
    except (OSError, zipfile.BadZipFile, KeyError) as exc:
        raise EvidenceError(f"{wheel.name}: not a wheel: {exc}") from exc
    return total.hexdigest()
