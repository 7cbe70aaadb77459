"""The source of a release: what git holds for one commit, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.release_source import SOURCE, commit, git, small_repository, write_files
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.source_tree import chosen_source, unpack_source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    return small_repository(tmp_path / "repository")


def test_commit_tag_and_state_of_the_tree_are_known(root: Path) -> None:
    """HEAD without a tag, then with one, then a changed tree."""
    head = git(root, "rev-parse", "HEAD")
    plain = chosen_source(root)
    assert (plain.commit, plain.tag, plain.is_clean) == (head, "", True)
    assert plain.committed_at == int(git(root, "show", "-s", "--format=%ct", head))
    git(root, "tag", "v0.3.0")
    assert chosen_source(root).tag == "v0.3.0"
    git(root, "tag", "--annotate", "v0.3.1", "-m", "x")
    assert chosen_source(root, tag="v0.3.1").commit == head
    (root / "notes.txt").write_text("x")
    assert not chosen_source(root, commit=head[:10]).is_clean


@pytest.mark.parametrize(
    ("tag", "name", "words"),
    [("v9", "", "git knows no v9"), ("", "f" * 40, "git knows no f"), ("v9", "HEAD", "name one")],
)
def test_source_that_is_not_there_is_refused(root: Path, tag: str, name: str, words: str) -> None:
    """A mistyped name ends the build before anything is made."""
    with pytest.raises(NotReleasableError, match=words):
        chosen_source(root, tag=tag, commit=name)


def test_branch_does_not_pass_for_a_tag(root: Path) -> None:
    """A branch of the tag's name moves; only a tag counts."""
    git(root, "branch", "v0.3.0")
    with pytest.raises(NotReleasableError, match=r"git knows no v0\.3\.0"):
        chosen_source(root, tag="v0.3.0")


def test_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    """Without git there is no commit that a release could name."""
    with pytest.raises(NotReleasableError, match="git knows no HEAD"):
        chosen_source(tmp_path)


@pytest.mark.verifies("SRS_REL_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("backwards", [False, True])
def test_only_committed_files_are_unpacked(root: Path, tmp_path: Path, backwards: bool) -> None:  # noqa: FBT001 - a column of the table
    """A git-ignored log, a key that nobody committed and a changed file stay behind."""
    head = git(root, "rev-parse", "HEAD")
    (root / "src/trocar/trace.log").write_text("x")
    (root / "src/trocar/secret.pem").write_text("x")
    (root / "SOUP.md").write_text("changed")
    out = tmp_path / "out"
    unpack_source(root, head, out, backwards=backwards)
    found = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert found == {*SOURCE, "src/trocar/assets/trust/test_1.development.pem"}
    assert (out / "SOUP.md").read_text() == SOURCE["SOUP.md"]


@pytest.mark.verifies("SRS_REL_001", extent="partial", technique="fault_injection")
def test_link_in_a_commit_is_refused(root: Path, tmp_path: Path) -> None:
    """A build would follow it and pack what it shows."""
    (root / "src/trocar/passwd.py").symlink_to("/etc/passwd")
    head = commit(root)
    with pytest.raises(NotReleasableError, match=r"src/trocar/passwd\.py is a link"):
        unpack_source(root, head, tmp_path / "out")


@pytest.mark.verifies("SRS_REL_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ("src/trocar/contracts/limits.py export-ignore\n", "src/trocar/contracts/limits.py"),
        ("SECURITY.md export-subst\n", "SECURITY.md"),
        ("SECURITY.md text eol=crlf\n", "SECURITY.md"),
    ],
)
def test_archive_that_differs_from_the_commit_is_refused(
    root: Path, tmp_path: Path, attributes: str, name: str
) -> None:
    """Attributes can leave a file out, write the hash into it, or change its line ends."""
    write_files(root, {".gitattributes": attributes, "SECURITY.md": "$Format:%H$\n"})
    head = commit(root)
    with pytest.raises(NotReleasableError) as caught:
        unpack_source(root, head, tmp_path / "out")
    assert [reason.split()[0] for reason in caught.value.reasons] == [name]


def test_mode_of_a_program_is_kept_and_a_lost_commit_refused(root: Path, tmp_path: Path) -> None:
    """Programs stay programs; a hash that git does not have is an error."""
    script = root / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    unpack_source(root, commit(root), tmp_path / "out")
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o100
    assert not (tmp_path / "out/LICENSE").stat().st_mode & 0o100
    with pytest.raises(NotReleasableError, match="cannot be unpacked"):
        unpack_source(root, "f" * 40, tmp_path / "other")
