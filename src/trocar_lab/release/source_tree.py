"""The source of a release: one commit, unpacked from git into a folder of its own.

What lies in the working tree, ignored or not, never reaches a release: only ``git archive`` is
read. A link in the commit is refused, because a build would follow it.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar_lab.provenance.git import GitError, git_bytes, git_output
from trocar_lab.release.errors import NotReleasableError

__all__ = ["Source", "chosen_source", "unpack_source"]

_TAG_PREFIX: Final = "v"
_FILE_MODES: Final = frozenset({"100644", "100755"})


@dataclass(frozen=True)
class Source:
    """What is released.

    Attributes:
        commit: Full hash.
        tag: ``v<version>``; empty for a build of a commit without one.
        is_clean: The working tree has no change that is not committed.
        committed_at: Time of the commit [s since 1970, UTC].
    """

    commit: str
    tag: str
    is_clean: bool
    committed_at: int


def chosen_source(root: Path, *, tag: str = "", commit: str = "") -> Source:
    """Return the source that a tag or a commit names; HEAD when neither is given.

    Args:
        root: Repository.
        tag: Name of a tag.
        commit: Anything that git takes for a commit.

    Raises:
        NotReleasableError: No such tag or commit, or both are given.
    """
    if tag and commit:
        raise NotReleasableError("both a tag and a commit are named; name one")
    name = f"refs/tags/{tag}" if tag else commit or "HEAD"
    found = git_output(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if not found:
        raise NotReleasableError(f"git knows no {tag or name}; make the commit or the tag first")
    try:
        changed = git_bytes(root, "status", "--porcelain", "--untracked-files=all").strip()
        committed_at = int(git_bytes(root, "show", "-s", "--format=%ct", found))
        tags = git_bytes(root, "tag", "--points-at", found).decode().split()
    except (GitError, ValueError) as exc:
        raise NotReleasableError(f"the repository cannot be read: {exc}") from exc
    versions = sorted(one for one in tags if one.startswith(_TAG_PREFIX))
    own = tag or (versions[-1] if versions else "")
    return Source(commit=found, tag=own, is_clean=not changed, committed_at=committed_at)


def unpack_source(root: Path, commit: str, folder: Path, *, backwards: bool = False) -> None:
    """Write the files of a commit into an empty folder, regular files only.

    Attributes and settings of git can leave a file out of an archive, or change its bytes; each
    file is therefore compared with the object that the commit names.

    Args:
        root: Repository.
        commit: Full hash.
        folder: Target; made here.
        backwards: Create the files in the opposite order.

    Raises:
        NotReleasableError: The commit holds a link or something else that is no file, or the
            archive differs from the commit.
    """
    try:
        archive = git_bytes(root, "archive", "--format=tar", commit)
        wanted = _objects(git_bytes(root, "ls-tree", "-r", "-z", "--full-tree", commit))
    except GitError as exc:
        raise NotReleasableError(f"the commit cannot be unpacked: {exc}") from exc
    strange = [name for name, (mode, _) in wanted.items() if mode not in _FILE_MODES]
    if strange:
        raise NotReleasableError(
            *(f"{name} is a link or no file; a release is made of files" for name in strange)
        )
    folder.mkdir(parents=True)
    found: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        members = [member for member in opened if not member.isdir()]
        for member in reversed(members) if backwards else members:
            stream = opened.extractfile(member)
            content = stream.read() if stream is not None else b""
            found[member.name] = _object_name(content, len(commit))
            _write(folder / member.name, content, is_program=bool(member.mode & 0o100))
    changed = [
        name
        for name in sorted({*wanted, *found})
        if found.get(name) != wanted.get(name, ("", ""))[1]
    ]
    if changed:
        raise NotReleasableError(
            *(f"{name} is not unpacked as it was committed; see .gitattributes" for name in changed)
        )


def _objects(listing: bytes) -> dict[str, tuple[str, str]]:
    """Return each path of a tree to its mode and the name of its object."""
    found = {}
    for row in filter(None, listing.split(b"\0")):
        facts, _, path = row.partition(b"\t")
        mode, _, name = facts.decode("ascii").split(" ")
        found[path.decode("utf-8")] = (mode, name)
    return found


def _object_name(content: bytes, digits: int) -> str:
    """Return how git calls a file of this content, in a repository with hashes of this length."""
    head = b"blob %d\0" % len(content)
    new = hashlib.sha256 if digits == 64 else hashlib.sha1
    return new(head + content, usedforsecurity=digits == 64).hexdigest()


def _write(path: Path, content: bytes, *, is_program: bool) -> None:
    """Write one file of the source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if is_program:
        path.chmod(path.stat().st_mode | 0o111)
