"""Steps on the disk: each does one thing, none writes over a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar.install.files import SystemFiles

FILES = SystemFiles()


@pytest.mark.verifies("SRS_INST_008", extent="partial", technique="requirement")
def test_rename_replaces_a_link_in_one_step(tmp_path: Path) -> None:
    """There is no moment without a link."""
    FILES.link(tmp_path / "current", "slots/a")
    FILES.link(tmp_path / "pending", "slots/b")
    FILES.rename(tmp_path / "pending", tmp_path / "current")
    assert (tmp_path / "current").readlink() == Path("slots/b")
    assert [path.name for path in tmp_path.iterdir()] == ["current"]


def test_file_is_never_written_over(tmp_path: Path) -> None:
    """What is there was put there by somebody else."""
    FILES.write(tmp_path / "a", b"1")
    with pytest.raises(FileExistsError):
        FILES.write(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"1"


def test_folder_is_made_with_those_above(tmp_path: Path) -> None:
    """A second time changes nothing."""
    FILES.make_folder(tmp_path / "a" / "b")
    FILES.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_removal_does_not_follow_links(tmp_path: Path) -> None:
    """The link goes, what it names stays; what is not there is no error."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    FILES.link(tmp_path / "link", "kept")
    FILES.remove(tmp_path / "link")
    FILES.remove(tmp_path / "nothing")
    assert (tmp_path / "kept" / "file").exists()
    FILES.remove(tmp_path / "kept")
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_can_be_flushed(tmp_path: Path) -> None:
    """Each flush ends; a link is not followed by it."""
    FILES.write(tmp_path / "a", b"1")
    FILES.link(tmp_path / "b", "a")
    FILES.sync_file(tmp_path / "a")
    FILES.sync_folder(tmp_path)
    FILES.sync_all()
    with pytest.raises(OSError, match="symbolic links"):
        FILES.sync_file(tmp_path / "b")
