"""Answers of git, read with a bound on time; nothing here changes a repository."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

_SECONDS_MAX: Final = 120


class GitError(Exception):
    """Git is missing, fails or takes too long."""


def git_bytes(folder: Path, *words: str, given: bytes = b"") -> bytes:
    """Return what one git command writes.

    Args:
        folder: Where it runs.
        words: The command without ``git``.
        given: What it reads.

    Raises:
        GitError: It failed, or there is no git.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            input=given,
            capture_output=True,
            check=True,
            timeout=_SECONDS_MAX,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise GitError(f"git {words[0]}: {exc}") from exc
    return done.stdout


def git_output(folder: Path, *words: str) -> str | None:
    """Return the text of one git command, or None where it fails or git is missing."""
    try:
        return git_bytes(folder, *words).decode("utf-8", "replace").strip()
    except GitError:
        return None
