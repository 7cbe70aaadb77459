"""What a report is about: version, tag, commit, wheel, signature, lock, models, platforms."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from trocar_lab.evidence.project import Project
from trocar_lab.evidence.store.evidence_files import SEAL_NAME
from trocar_lab.evidence.store.evidence_store import NOT_SEALED
from trocar_lab.provenance.git import git_output

PRODUCT: Final = "Trocar"


class ReleaseIdentity(NamedTuple):
    """Identity of what was judged; an empty text says that there is none.

    Attributes:
        version: Version in pyproject.toml.
        commit: Commit of the tree that was read.
        is_clean: The tree holds nothing that is not committed.
        tag: Release tag at that commit.
        wheel_sha256: Digest of the wheel under release.
        lock_sha256: Digest of the locks, pylock.*.toml.
        device_sha256: Digest of the device's source.
        graph_sha256: Digest over the fingerprints of every need.
        seal: State of the seal over the evidence.
        signature: State of the signature.
        signers: Who approved anything.
    """

    version: str
    commit: str
    is_clean: bool
    tag: str
    wheel_sha256: str
    lock_sha256: str
    device_sha256: str
    graph_sha256: str
    seal: str
    signature: str
    signers: tuple[str, ...]

    @property
    def line(self) -> str:
        """Return the identity in one short line, for the head of each printed page."""
        parts = [f"{PRODUCT} {self.version}".strip()]
        if self.tag:
            parts.append(f"tag {self.tag}")
        dirty = "" if self.is_clean else ", tree not clean"
        parts.append(f"commit {self.commit[:12]}{dirty}" if self.commit else "no commit")
        parts.append(f"wheel {self.wheel_sha256[:12]}" if self.wheel_sha256 else "no wheel named")
        return " · ".join(parts)


def release_identity(project: Project) -> ReleaseIdentity:
    """Return the identity of the state that a project was read from."""
    root, present = project.root, project.proofs.present
    commit = git_output(root, "rev-parse", "--verify", "HEAD") or ""
    tags = git_output(root, "tag", "--points-at", "HEAD") if commit else ""
    status = git_output(root, "status", "--porcelain") if commit else None
    return ReleaseIdentity(
        version=project.files.version,
        commit=commit,
        is_clean=status == "",
        tag=next((tag for tag in sorted((tags or "").split()) if tag.startswith("v")), ""),
        wheel_sha256=present.wheel_sha256,
        lock_sha256=present.lock_sha256,
        device_sha256=present.device_sha256,
        graph_sha256=graph_digest(project),
        seal=_seal(project),
        signature=_signature(project),
        signers=tuple(sorted({a.reviewer for a in project.approvals.last.values()})),
    )


def graph_digest(project: Project) -> str:
    """Return one digest over the fingerprints of every need."""
    lines = sorted(f"{need_id} {need.fingerprint}" for need_id, need in project.graph.needs.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _seal(project: Project) -> str:
    """Return the state of the seal over the evidence in words; rule V7 judges it."""
    store = project.store
    if not store.runs:
        return "no evidence"
    if NOT_SEALED in store.doubts.get(SEAL_NAME, ()):
        return "not sealed"
    return "a seal is there; whether it fits is what rule V7 says"


def _signature(project: Project) -> str:
    """Return the state of the release's signature in words; rule F3 judges it."""
    folder = project.release
    if folder is None:
        return "none: no release folder is named"
    if folder.envelope.fault:
        return f"damaged: {folder.envelope.fault}"
    if folder.envelope.value is None:
        return "none: the release folder holds no envelope"
    return "an envelope is there; whether it verifies is what rule F3 says"
