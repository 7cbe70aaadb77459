"""A release folder is judged by what the file system says, and copied while it is hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from trocar.contracts import limits
from trocar.contracts.errors import InstallError
from trocar.install import release_folder
from trocar.install.release_folder import (
    check_name,
    copy_hashed,
    list_release,
    read_envelope_file,
)


@pytest.mark.verifies("SRS_INST_002", extent="partial", technique="requirement")
def test_files_are_listed_with_their_sizes(tmp_path: Path) -> None:
    """Names are relative and have forward slashes."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.whl").write_bytes(b"123")
    (tmp_path / "d").write_bytes(b"")
    assert list_release(tmp_path) == {"a/b/c.whl": 3, "d": 0}


@pytest.mark.verifies("SRS_INST_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../a", "a/../b", "a//b", ".git", "a/.b", "a\\b", "a\nb", "ä"),
        *("a b", "a.", "a:b", "-rf", "a" * 256, "a\x00b"),
    ],
)
def test_name_with_two_meanings_is_refused(name: str) -> None:
    """What leaves the folder, hides, or another file system would write otherwise."""
    with pytest.raises(InstallError, match="plain relative names"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "a/b-1.0+cpu.whl", "report/x,y=z@1~2._-", "a" * 255])
def test_plain_name_is_accepted(name: str) -> None:
    """Names of wheels, reports and evidence."""
    check_name(name)


@pytest.mark.verifies("SRS_INST_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("name", "limit", "words"),
    [
        ("RELEASE_FILE_BYTES_MAX", 2, "at most 2 bytes, "),
        ("RELEASE_BYTES_MAX", 5, "release of at most 5 bytes, got 6"),
        ("STATEMENT_SUBJECT_COUNT_MAX", 0, "at most 0 files"),
    ],
)
def test_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int, words: str
) -> None:
    """Two files of 3 bytes: within the limits as they are, beyond each one that is lowered."""
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(b"123")
    assert len(list_release(tmp_path)) == 2
    assert limit < getattr(limits, name)
    monkeypatch.setattr(release_folder, name, limit)
    with pytest.raises(InstallError, match=words):
        list_release(tmp_path)


@pytest.mark.verifies("SRS_INST_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize("kind", ["link", "pipe", "socket", "hard link", "empty", "case", "none"])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    """Each of them has another meaning for another reader, or none at all."""
    folder = tmp_path / "usb"
    folder.mkdir()
    (tmp_path / "file").touch()
    if kind == "link":
        (folder / "a").symlink_to(tmp_path / "file")
    elif kind == "pipe":
        os.mkfifo(folder / "a")
    elif kind == "socket":
        os.mknod(folder / "a", stat.S_IFSOCK | 0o600)
    elif kind == "hard link":
        (folder / "a").hardlink_to(tmp_path / "file")
    elif kind == "empty":
        (folder / "a").mkdir()
    elif kind == "case":
        (folder / "a").touch()
        (folder / "A").touch()
    else:
        folder.rmdir()
    with pytest.raises(InstallError):
        list_release(folder)


def test_list_of_files_is_read_without_following_links(tmp_path: Path) -> None:
    """A link or a pipe in its place is not read, and not waited for."""
    (tmp_path / "release.dsse.json").write_bytes(b"{}")
    assert read_envelope_file(tmp_path) == b"{}"
    (tmp_path / "release.dsse.json").unlink()
    os.mkfifo(tmp_path / "release.dsse.json")
    with pytest.raises(InstallError, match="not a plain file"):
        read_envelope_file(tmp_path)
    (tmp_path / "release.dsse.json").unlink()
    (tmp_path / "other").write_bytes(b"{}")
    for target in ("/dev/zero", "other"):
        (tmp_path / "release.dsse.json").symlink_to(target)
        with pytest.raises(InstallError, match="cannot read"):
            read_envelope_file(tmp_path)
        (tmp_path / "release.dsse.json").unlink()


@pytest.mark.verifies("SRS_INST_003", extent="partial", technique="requirement")
def test_copy_is_what_was_hashed(tmp_path: Path) -> None:
    """Digest and copy come from the same bytes; without a target only the digest is computed."""
    content = os.urandom(3 * 1024 * 1024 + 1)
    (tmp_path / "a").write_bytes(content)
    found = copy_hashed(tmp_path / "a", tmp_path / "b", size_bytes=len(content))
    assert found == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "b").read_bytes() == content
    assert copy_hashed(tmp_path / "a", None, size_bytes=len(content)) == found


@pytest.mark.verifies("SRS_INST_003", extent="partial", technique="boundary")
@pytest.mark.parametrize("size_bytes", [2, 4])
def test_file_of_another_size_is_refused(tmp_path: Path, size_bytes: int) -> None:
    """It has grown or shrunk since it was listed; one that grows is not read to its end."""
    (tmp_path / "a").write_bytes(b"123")
    with pytest.raises(InstallError, match="it changed"):
        copy_hashed(tmp_path / "a", tmp_path / "b", size_bytes=size_bytes)


def test_file_that_became_a_link_is_refused(tmp_path: Path) -> None:
    """It was a file when it was listed; the other one is outside of the medium."""
    (tmp_path / "b").write_bytes(b"123")
    (tmp_path / "a").symlink_to("b")
    with pytest.raises(InstallError, match="cannot read"):
        copy_hashed(tmp_path / "a", None, size_bytes=3)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no /proc on this system")
def test_error_of_the_medium_is_told_from_one_of_the_disk() -> None:
    """Reading at the start of this file is an error of input and output, as on a worn medium."""
    with pytest.raises(InstallError, match="cannot read /proc/self/mem: Input/output error"):
        copy_hashed(Path("/proc/self/mem"), None, size_bytes=3)


def test_folder_with_too_much_is_not_looked_at_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A medium with millions of names would keep the installer busy for hours."""
    monkeypatch.setattr(release_folder, "STATEMENT_SUBJECT_COUNT_MAX", 2)
    for name in ("a", "b", "c", "d", "e", "f"):
        (tmp_path / name).touch()
    checked: list[str] = []
    monkeypatch.setattr(release_folder, "check_name", checked.append)
    with pytest.raises(InstallError, match="at most 2 files"):
        list_release(tmp_path)
    assert len(checked) == 4


def test_copy_does_not_write_over_a_file(tmp_path: Path) -> None:
    """Two wheels of one file name in two folders would otherwise be one."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"123")
    with pytest.raises(FileExistsError):
        copy_hashed(tmp_path / "a", tmp_path / "b", size_bytes=3)


def test_file_that_has_grown_is_not_read_to_its_end(tmp_path: Path) -> None:
    """It could be without end; nothing of what is beyond its size gets onto the device."""
    (tmp_path / "a").write_bytes(b"x" * (3 * 1024 * 1024))
    with pytest.raises(InstallError, match="it changed"):
        copy_hashed(tmp_path / "a", tmp_path / "b", size_bytes=10)
    assert (tmp_path / "b").stat().st_size == 0
