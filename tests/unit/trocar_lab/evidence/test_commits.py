"""Commits since the baseline: what git knows, and what it cannot say."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from trocar_lab.evidence.source import commits
from trocar_lab.evidence.source.commits import read_commits


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a git repository with four commits after a baseline."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "Baseline")
    commit(root, "One change\n\nWords.\n\nChange: CHG_A_001\nReviewed-by: Somebody")
    commit(root, "Two changes\n\nChange: CHG_A_001\nChange: CHG_A_002, CHG_A_003")
    commit(root, "Says Change: CHG_A_004 in its subject only")
    commit(root, "Line\u2028break in the subject\n\nChange: CHG_A_005")
    git(root, "tag", "light")
    git(root, "tag", "--annotate", "--message=x", "v1.0.0")
    return root


def git(root: Path, *words: str) -> str:
    """Run git without the settings of this machine and return what it printed."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    names = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Demo Author"), ("EMAIL", "author@example.org"))
    }
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), **settings, **names}
    done = subprocess.run(
        ["git", "-C", str(root), *words], env=environment, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def commit(root: Path, message: str) -> None:
    """Make an empty commit."""
    git(root, "commit", "--quiet", "--allow-empty", "--message", message)


def test_commits_and_their_trailers_are_read(repository: Path) -> None:
    """Only trailers count, not the subject; annotated tags are followed to their commit."""
    baseline = git(repository, "rev-list", "--max-parents=0", "HEAD")
    log = read_commits(repository, baseline)
    assert log.fault == ""
    assert [entry.changes for entry in log.commits] == [
        ("CHG_A_005",),
        (),
        ("CHG_A_001", "CHG_A_002", "CHG_A_003"),
        ("CHG_A_001",),
    ]
    assert log.head == git(repository, "rev-parse", "HEAD")
    assert log.tags == {"light": log.head, "v1.0.0": log.head}
    assert log.commits[3].subject == "One change"


def test_commits_that_cannot_be_known_are_a_fault(repository: Path, tmp_path: Path) -> None:
    """No git, no baseline, a baseline elsewhere, a shallow clone: each says why."""
    baseline = git(repository, "rev-list", "--max-parents=0", "HEAD")
    git(repository, "switch", "--quiet", "--orphan", "other")
    commit(repository, "Elsewhere")
    assert "not an ancestor" in read_commits(repository, baseline).fault
    git(repository, "switch", "--quiet", "main")
    assert "no baseline" in read_commits(repository, "").fault
    assert "does not hold" in read_commits(repository, "f" * 40).fault
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{repository}", str(shallow))
    assert "shallow" in read_commits(shallow, baseline).fault
    inner = repository / "folder"
    inner.mkdir()
    for folder in (tmp_path, inner):
        assert "not the root of a git repository" in read_commits(folder, baseline).fault


def test_commit_message_that_is_no_text_is_a_fault(repository: Path) -> None:
    """Bytes in a message must not end the whole check."""
    message = repository / "message"
    message.write_bytes(b"\xff\xfe bytes\n")
    git(repository, "commit", "--quiet", "--allow-empty", f"--file={message}")
    baseline = git(repository, "rev-list", "--max-parents=0", "HEAD")
    log = read_commits(repository, baseline)
    assert (log.fault, len(log.commits), log.commits[0].changes) == ("", 5, ())


def test_text_that_is_not_utf8_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Older git hands bytes through as they are."""

    def bytes_only(*_words: object) -> str:
        return b"\xff".decode("utf-8")

    monkeypatch.setattr(commits, "git_output", bytes_only)
    assert "not UTF-8" in read_commits(tmp_path, "f" * 40).fault
