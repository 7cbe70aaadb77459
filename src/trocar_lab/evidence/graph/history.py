"""History of each need, read from git: every commit that gave it another text, and by whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from trocar_lab.evidence.graph.metamodel import Frozen, Metamodel, load_metamodel
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.graph.needs_source import is_needs_file, scan_text
from trocar_lab.evidence.graph.scan_cache import ScanCache
from trocar_lab.provenance.git import GitError, git_bytes

_COMMIT: Final = "\x01"
_FORMAT: Final = f"--format={_COMMIT}%H%x00%cI%x00%an%x00%ae"


class HistoryEntry(Frozen):
    """One text that a need had.

    Attributes:
        commit: Commit that brought it.
        date: Day of the commit, with zone.
        author: Name of its author.
        email: Address of its author.
        fingerprint: Of the need from then on; empty where the commit removed it.
        version: First release tag that holds it, or empty.
    """

    commit: str
    date: str
    author: str
    email: str
    fingerprint: str
    version: str = ""


class History(Frozen):
    """Every text of every need.

    Attributes:
        entries: Id to its texts, oldest first.
        fault: Why there is no history; empty when there is.
    """

    entries: Mapping[str, tuple[HistoryEntry, ...]]
    fault: str = ""

    def of(self, need_id: str) -> tuple[HistoryEntry, ...]:
        """Return the texts of one need, oldest first."""
        return self.entries.get(need_id, ())

    def authors(self, need_id: str, fingerprint: str) -> tuple[HistoryEntry, ...]:
        """Return the entries that brought exactly this text; empty when it is not committed."""
        return tuple(e for e in self.of(need_id) if e.fingerprint == fingerprint)


class _Step(NamedTuple):
    """One commit and the files that it changed: path to blob, empty for a removed file."""

    commit: str
    date: str
    author: str
    email: str
    blobs: Mapping[str, str]


def read_history(root: Path, model: Metamodel | None = None) -> History:
    """Return the history of the needs under ``root``; without git it says why it is empty.

    Args:
        root: Repository root.
        model: Metamodel by which every older text is read.
    """
    table = model or load_metamodel()
    try:
        steps = list(_steps(root))
        versions = _versions(root)
        texts = _blob_needs(root, {b for step in steps for b in step.blobs.values() if b}, table)
    except GitError as exc:
        return History(entries={}, fault=f"no history: {exc}")
    return History(entries=_entries(steps, texts, versions))


def _entries(
    steps: list[_Step], texts: Mapping[str, Mapping[str, str]], versions: Mapping[str, str]
) -> dict[str, tuple[HistoryEntry, ...]]:
    """Return the texts of each need from the commits, oldest first."""
    files: dict[str, Mapping[str, str]] = {}
    last: dict[str, str] = {}
    found: dict[str, list[HistoryEntry]] = {}
    for step in steps:
        touched: set[str] = set()
        for path, blob in step.blobs.items():
            after = texts[blob] if blob else {}
            touched |= set(files.get(path, {})) | set(after)
            files[path] = after
        now = {need_id: value for held in files.values() for need_id, value in held.items()}
        for need_id in sorted(touched):
            value = now.get(need_id, "")
            if value != last.get(need_id, ""):
                last[need_id] = value
                entry = HistoryEntry(
                    commit=step.commit,
                    date=step.date,
                    author=step.author,
                    email=step.email,
                    fingerprint=value,
                    version=versions.get(step.commit, ""),
                )
                found.setdefault(need_id, []).append(entry)
    return {need_id: tuple(entries) for need_id, entries in found.items()}


def _versions(root: Path) -> dict[str, str]:
    """Return each commit to the first release tag at or after it, empty where there is none.

    Raises:
        GitError: There is no git, or no history.
    """
    words = ("log", "--first-parent", "--decorate-refs=refs/tags/v*", "--format=%H%x00%D")
    table: dict[str, str] = {}
    version = ""
    for line in git_bytes(root, *words).decode("utf-8", "replace").splitlines():
        commit, _, tags = line.partition("\0")
        names = [name.removeprefix("tag: ") for name in tags.split(", ") if name]
        version = min(names, default=version)
        table[commit] = version
    return table


def _steps(root: Path) -> Iterator[_Step]:
    """Yield the commits that touched files with needs, oldest first.

    Raises:
        GitError: There is no git, or no history.
    """
    words = ["log", "--reverse", "--first-parent", "--diff-merges=first-parent", "--raw"]
    output = git_bytes(root, *words, "--no-renames", "--no-abbrev", "-z", _FORMAT, "--", "*.rst")
    for block in output.decode("utf-8", "replace").split(_COMMIT)[1:]:
        commit, date, author, email, raw = [*block.split("\0", 4), ""][:5]
        words = [word.strip("\n") for word in raw.split("\0")]
        blobs = {}
        for fact, path in zip(words[0::2], words[1::2], strict=False):
            parts = fact.split(" ")
            if len(parts) == 5 and is_needs_file(path):
                blobs[path] = parts[3].strip("0") and parts[3]
        yield _Step(commit, date, author, email, blobs)


def _blob_needs(root: Path, blobs: set[str], model: Metamodel) -> dict[str, dict[str, str]]:
    """Return each blob to the fingerprints of the needs in it."""
    with ScanCache(root, "needs", model.model_dump_json()) as cache:
        known = {blob: cache.get(blob) for blob in blobs}
        missing = sorted(blob for blob, value in known.items() if value is None)
        for blob, text in _contents(root, missing):
            found = (n for n in scan_text(text, place=blob, model=model) if isinstance(n, Need))
            known[blob] = {need.need_id: need.fingerprint for need in found}
            cache.put(blob, known[blob])
    return {blob: dict(value or {}) for blob, value in known.items()}


def _contents(root: Path, blobs: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the text of each blob."""
    if not blobs:
        return
    output = git_bytes(root, "cat-file", "--batch", given="".join(f"{b}\n" for b in blobs).encode())
    start = 0
    for blob in blobs:
        end = output.index(b"\n", start)
        head = output[start:end].split()
        if len(head) != 3 or head[1] != b"blob":
            raise GitError(f"git does not hold {blob}: the clone is not complete")
        size = int(head[2])
        yield blob, output[end + 1 : end + 1 + size].decode("utf-8", "replace")
        start = end + 1 + size + 1
