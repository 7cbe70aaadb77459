"""Commits since change control began, and the change that each names; read from git once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field

from trocar_lab.evidence.graph.metamodel import Frozen, split_list
from trocar_lab.provenance.git import git_output

TRAILER: Final = "Change"
_FORMAT: Final = f"--format=%H%x00%h%x00%s%x00%(trailers:key={TRAILER},valueonly,separator=%x2C)"
_LOG: Final = ("-c", "log.showSignature=false", "log", "--no-color", _FORMAT)


class Commit(Frozen):
    """One commit.

    Attributes:
        commit: Full hash.
        short: Hash as people quote it.
        subject: First line of the message.
        changes: Ids in its ``Change:`` trailers.
    """

    commit: str
    short: str
    subject: str
    changes: tuple[str, ...] = ()


class CommitLog(Frozen):
    """What git knows about the tree.

    Attributes:
        commits: Since the baseline, newest first; the baseline itself is not in it.
        head: Commit of the tree.
        tags: Tag to the commit that it names.
        fault: Why the commits are not known; empty when they are.
    """

    commits: tuple[Commit, ...] = ()
    head: str = ""
    tags: Mapping[str, str] = Field(default_factory=dict)
    fault: str = ""


def read_commits(root: Path, baseline: str) -> CommitLog:
    """Return the commits after ``baseline``; what cannot be known is a fault, not a guess.

    Args:
        root: Repository root.
        baseline: Full hash of the last commit before change control; empty when none is named.
    """
    try:
        return _read(root, baseline)
    except UnicodeDecodeError as exc:
        return CommitLog(fault=f"git gave text that is not UTF-8 ({exc.reason})")


def _read(root: Path, baseline: str) -> CommitLog:
    """Return the commits after ``baseline``."""
    top = git_output(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():
        return CommitLog(fault="this folder is not the root of a git repository")
    head = git_output(root, "rev-parse", "--verify", "HEAD") or ""
    known = CommitLog(head=head, tags=_tags(root))
    fault = _baseline_fault(root, baseline)
    listing = None if fault else git_output(root, *_LOG, f"{baseline}..HEAD", "--")
    if listing is None:
        return known.model_copy(update={"fault": fault or "git log gave nothing"})
    commits = tuple(_commit(line) for line in listing.split("\n") if line)
    return known.model_copy(update={"commits": commits})


def _baseline_fault(root: Path, baseline: str) -> str:
    """Return why the commits since the baseline cannot be listed, or nothing."""
    if not baseline:
        return "no baseline is named"
    if git_output(root, "rev-parse", "--verify", "--quiet", f"{baseline}^{{commit}}") is None:
        return f"the history does not hold the baseline {baseline[:12]}: squashed or shallow"
    if git_output(root, "merge-base", "--is-ancestor", baseline, "HEAD") is None:
        return f"the baseline {baseline[:12]} is not an ancestor of this commit"
    return ""


def _commit(line: str) -> Commit:
    """Return one commit from one line of the log."""
    commit, short, subject, trailers = line.split("\0", 3)
    changes = tuple(split_list(trailers))
    return Commit(commit=commit, short=short, subject=subject, changes=changes)


def _tags(root: Path) -> dict[str, str]:
    """Return each tag to the commit that it names, through annotated tags."""
    form = "--format=%(refname:short)%00%(objectname)%00%(*objectname)"
    rows = (git_output(root, "for-each-ref", "refs/tags", form) or "").split("\n")
    parts = [row.split("\0") for row in rows if row.count("\0") == 2]
    return {name: inner or outer for name, outer, inner in parts}
