"""A release of this very tree: built for real, in surroundings that differ, and attacked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from simulators.release_source import commit, git
from trocar_lab.evidence.signed.release_folder import read_wheel
from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.source_tree import unpack_source
from trocar_lab.release.wheel_build import FIRST, SECOND, Surroundings, build_wheel, check_backend
from trocar_lab.release.wheel_content import content_faults, load_allowed, read_members
from trocar_lab.release.wheel_metadata import requirement_faults, version_faults

ROOT: Final = Path(__file__).parents[2]
_SOURCE: Final = ("src", "docs", "LICENSE", "README.md", "SECURITY.md", "CHANGELOG.md")
_REST: Final = ("pyproject.toml", ".gitignore")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with one commit: what a wheel is made of, as it lies here now."""
    root = tmp_path_factory.mktemp("release") / "repository"
    root.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "_build")
    for name in (*_SOURCE, *_REST):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=ignore)
        else:
            shutil.copyfile(ROOT / name, root / name)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root)
    return root


@pytest.fixture(scope="module")
def first(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return source tree and wheel of the first build."""
    return _built(repository, tmp_path_factory.mktemp("first"), FIRST)


def _built(repository: Path, private: Path, around: Surroundings) -> tuple[Path, Path]:
    """Unpack HEAD and build it."""
    tree = private / around.folder
    tree.parent.mkdir(parents=True, exist_ok=True)
    head = git(repository, "rev-parse", "HEAD")
    unpack_source(repository, head, tree, backwards=around.backwards)
    return tree, build_wheel(tree, private / "wheel", around)


@pytest.mark.verifies("SRS_REL_004", extent="full", technique="equivalence")
def test_two_builds_give_the_same_bytes(
    repository: Path,
    first: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another umask, folder, order of files, zone, locale, seed; the caller's epoch has no say."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    _, second = _built(repository, tmp_path, SECOND)
    assert second.name == first[1].name
    assert file_sha256(second) == file_sha256(first[1])


@pytest.mark.verifies(
    "SRS_REL_001", "SRS_REL_002", "SRS_REL_003", extent="partial", technique="equivalence"
)
def test_wheel_of_this_tree_is_releasable(first: tuple[Path, Path]) -> None:
    """Device only, listed files only, each byte that of the commit, one version, below 15 MB."""
    tree, wheel = first
    assert check_backend(tree)
    facts = read_wheel(wheel).value
    assert facts is not None
    assert content_faults(wheel, tree) == []
    assert requirement_faults(facts, tree) == []
    assert version_faults(facts, tree, tag="") == []
    names = set(read_members(wheel)[0])
    assert not [name for name in names if name.startswith(("trocar_lab", "tests"))]
    assert wheel.stat().st_size <= load_allowed().bytes_max


def test_pip_builds_the_same_wheel(first: tuple[Path, Path], tmp_path: Path) -> None:
    """Whoever builds the source by hand, with the pinned backend and nothing set, gets it too."""
    tree, wheel = first
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    environment = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"}
    subprocess.run(
        [*command, "--no-cache-dir", "-w", str(tmp_path), str(tree)],
        env=environment,
        check=True,
        capture_output=True,
    )
    (found,) = tmp_path.glob("*.whl")
    assert file_sha256(found) == file_sha256(wheel)


@pytest.mark.verifies("SRS_REL_001", "SRS_REL_002", extent="partial", technique="fault_injection")
def test_stray_files_do_not_get_into_the_wheel(
    repository: Path, first: tuple[Path, Path], tmp_path: Path
) -> None:
    """A backend packs what lies there: a key is found by the list, an ignored log never comes."""
    root = tmp_path / "repository"
    shutil.copytree(repository, root, symlinks=True)
    package = root / "src" / "trocar"
    (package / "debug.log").write_text("x")
    (package / "secret.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + "*.log\n")
    commit(root)
    tree, wheel = _built(root, tmp_path / "private", FIRST)
    faults = content_faults(wheel, tree)
    assert "trocar/secret.pem is not on the list of files of the wheel" in faults
    assert "trocar/secret.pem holds a private key" in faults
    assert not any("debug.log" in name for name in read_members(wheel)[0])
    (package / "secret.pem").unlink()
    (package / "passwd.py").symlink_to("/etc/passwd")
    commit(root)
    with pytest.raises(NotReleasableError, match=r"passwd\.py is a link"):
        _built(root, tmp_path / "again", SECOND)
    assert first[1].is_file()
