"""The backend: the pinned one, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.release_source import small_repository, write_files
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.wheel_build import FIRST, SECOND, build_wheel, check_backend


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    return small_repository(tmp_path / "repository")


def test_surroundings_differ_in_all_that_must_not_matter() -> None:
    """Each variable of one build has another value in the other; neither names a time."""
    assert FIRST.umask != SECOND.umask
    assert FIRST.backwards != SECOND.backwards
    assert len(FIRST.folder) != len(SECOND.folder)
    assert FIRST.variables.keys() == SECOND.variables.keys()
    assert all(FIRST.variables[name] != SECOND.variables[name] for name in FIRST.variables)
    assert "SOURCE_DATE_EPOCH" not in FIRST.variables


def test_pinned_backend_is_the_one_that_runs(root: Path) -> None:
    """The version of this environment, another one, and none."""
    assert check_backend(root) == "1.33.0"
    assert check_backend(root, installed="1.33.0") == "1.33.0"
    with pytest.raises(NotReleasableError, match=r"needs hatchling==1\.33\.0, installed is 1\.27"):
        check_backend(root, installed="1.27.0")


@pytest.mark.parametrize(
    "requires",
    ['["hatchling>=1.33"]', '["setuptools==84"]', '["hatchling==1.33.0", "x==1"]', "[]"],
)
def test_backend_that_is_not_pinned_is_refused(root: Path, requires: str) -> None:
    """A range, another backend, a second package, none."""
    write_files(root, {"pyproject.toml": f"[build-system]\nrequires = {requires}\n"})
    with pytest.raises(NotReleasableError, match="must require hatchling==VERSION"):
        check_backend(root)


def test_build_that_fails_says_why(root: Path, tmp_path: Path) -> None:
    """The last line of the backend's error; no wheel is taken for one."""
    write_files(root, {"pyproject.toml": "[project]\nname = 3\n"})
    with pytest.raises(NotReleasableError, match="the wheel was not built: ValueError: Field"):
        build_wheel(root, tmp_path / "out", FIRST)
    with pytest.raises(NotReleasableError, match="the wheel was not built"):
        build_wheel(tmp_path / "absent", tmp_path / "other", FIRST)
