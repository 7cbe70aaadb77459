"""Only a plain file of this account is opened, under its lock, under the name that was asked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import NoReturn

import pytest

from trocar.audit import disk
from trocar.audit.disk import (
    CONTENT_BYTES_MAX,
    content_of,
    latest_part,
    next_place,
    opened,
    sync_folder,
)
from trocar.contracts.errors import AuditError, SinkError
from trocar.contracts.limits import AUDIT_PART_COUNT_MAX


@pytest.mark.verifies("SRS_AUDIT_009", extent="full", technique="requirement")
def test_new_file_is_for_this_account_alone(tmp_path: Path) -> None:
    """Whatever the mask of the process is."""
    before = os.umask(0)
    try:
        with opened(tmp_path / "a.jsonl", for_writing=True) as descriptor:
            assert os.fstat(descriptor).st_mode & 0o777 == 0o600
            assert not os.get_inheritable(descriptor)
    finally:
        os.umask(before)


@pytest.mark.verifies("SRS_AUDIT_009", extent="full", technique="fault_injection")
@pytest.mark.parametrize("kind", ["link", "dangling", "second name", "mode", "group"])
def test_file_that_others_can_steer_is_refused(tmp_path: Path, kind: str) -> None:
    """A planted link would let the log write into another file."""
    path, other = tmp_path / "a.jsonl", tmp_path / "other"
    other.write_bytes(b"")
    other.chmod(0o600)
    match kind:
        case "link":
            path.symlink_to(other)
        case "dangling":
            path.symlink_to(tmp_path / "nothing")
        case "second name":
            path.hardlink_to(other)
        case "mode":
            other.rename(path).chmod(0o604)
        case _:
            other.rename(path).chmod(0o660)
    with (
        pytest.raises((AuditError, SinkError), match=r"a\.jsonl"),
        opened(path, for_writing=True),
    ):
        pytest.fail("it was opened")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.verifies("SRS_AUDIT_009", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("for_writing", [True, False])
def test_pipe_and_folder_are_refused_without_waiting(tmp_path: Path, *, for_writing: bool) -> None:
    """Opening a pipe would wait for the other side for ever."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with (
            pytest.raises((AuditError, SinkError)),
            opened(tmp_path / name, for_writing=for_writing),
        ):
            pytest.fail("it was opened")


def test_device_is_refused() -> None:
    """Nothing that is written there stays."""
    with (
        pytest.raises(AuditError, match="a plain file"),
        opened(Path(os.devnull), for_writing=True),
    ):
        pytest.fail("it was opened")


@pytest.mark.verifies("SRS_AUDIT_007", extent="partial", technique="fault_injection")
def test_folder_that_is_not_there_is_an_error_with_its_number(tmp_path: Path) -> None:
    """The caller tells a full disk from another reason by it."""
    with (
        pytest.raises(SinkError, match="No such file") as caught,
        opened(tmp_path / "gone" / "a.jsonl", for_writing=True),
    ):
        pytest.fail("it was opened")
    assert caught.value.context["errno"] == errno.ENOENT


@pytest.mark.verifies("SRS_AUDIT_009", extent="full", technique="requirement")
def test_one_writer_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one waits for a bounded time; a reader waits too."""
    monkeypatch.setattr(disk, "AUDIT_LOCK_MS_MAX", 20)
    path = tmp_path / "a.jsonl"
    with opened(path, for_writing=True):
        for for_writing in (True, False):
            with (
                pytest.raises(SinkError, match="another process holds"),
                opened(path, for_writing=for_writing),
            ):
                pytest.fail("it was opened")
    with opened(path, for_writing=False), opened(path, for_writing=False):
        pass


def test_file_system_without_locks_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a lock, two processes would write over each other."""

    def refused(*_: object) -> NoReturn:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with (
        pytest.raises(SinkError, match="No locks"),
        opened(tmp_path / "a.jsonl", for_writing=True),
    ):
        pytest.fail("it was opened")


@pytest.mark.verifies("SRS_AUDIT_008", extent="partial", technique="fault_injection")
def test_file_that_got_another_name_meanwhile_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has rotated the log while this one waited for the lock."""
    path = tmp_path / "a.jsonl"
    calls = []
    lock = fcntl.flock

    def late(descriptor: int, kind: int) -> None:
        lock(descriptor, kind)
        calls.append(kind)
        if len(calls) == 1:
            path.rename(tmp_path / "a.jsonl.1")

    monkeypatch.setattr(fcntl, "flock", late)
    with opened(path, for_writing=True) as descriptor:
        assert os.fstat(descriptor).st_ino == path.stat().st_ino
    assert len(calls) == 2


def test_name_that_is_replaced_for_ever_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop without an end would hang the run before it begins."""
    monkeypatch.setattr(disk, "_is_still", lambda *_: False)
    monkeypatch.setattr(disk, "AUDIT_LOCK_MS_MAX", 20)
    with (
        pytest.raises(SinkError, match="replaced again and again"),
        opened(tmp_path / "a.jsonl", for_writing=True),
    ):
        pytest.fail("it was opened")


def test_name_that_is_gone_is_not_the_open_file(tmp_path: Path) -> None:
    """It was taken away right after it was opened."""
    with opened(tmp_path / "a.jsonl", for_writing=True) as descriptor:
        (tmp_path / "a.jsonl").unlink()
        assert not disk._is_still(tmp_path / "a.jsonl", descriptor)


@pytest.mark.verifies("SRS_AUDIT_003", extent="partial", technique="boundary")
def test_content_is_bounded(tmp_path: Path) -> None:
    """A sparse file of terabytes is refused before it is read."""
    path = tmp_path / "a.jsonl"
    with opened(path, for_writing=True) as descriptor:
        os.ftruncate(descriptor, CONTENT_BYTES_MAX)
        assert len(content_of(path, descriptor)) == CONTENT_BYTES_MAX
        assert content_of(path, descriptor, begin_bytes=CONTENT_BYTES_MAX - 2) == b"\0\0"
        os.ftruncate(descriptor, 2**40)
        with pytest.raises(AuditError, match="at most"):
            content_of(path, descriptor)


def test_file_that_grows_while_it_is_read_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size was looked at before."""
    path = tmp_path / "a.jsonl"
    monkeypatch.setattr(os, "pread", lambda *_: b"x" * (CONTENT_BYTES_MAX + 1))
    with opened(path, for_writing=True) as descriptor:
        assert len(content_of(path, descriptor)) == CONTENT_BYTES_MAX + 1


@pytest.mark.verifies("SRS_AUDIT_008", extent="partial", technique="boundary")
def test_latest_part_is_the_highest_number(tmp_path: Path) -> None:
    """Numbers are compared as numbers, and other names are none of the log's."""
    path = tmp_path / "a.jsonl"
    assert latest_part(path) is None
    for name in ("a.jsonl.9", "a.jsonl.10", "a.jsonl.011", "a.jsonl.12345", "a.jsonl.bak", "b.11"):
        (tmp_path / name).touch()
    assert latest_part(path) == tmp_path / "a.jsonl.10"


@pytest.mark.verifies("SRS_AUDIT_008", extent="partial", technique="boundary")
def test_full_file_replaces_nothing(tmp_path: Path) -> None:
    """What lies in its place may be the only copy of older records."""
    path = tmp_path / "a.jsonl"
    assert next_place(path, 2) == tmp_path / "a.jsonl.2"
    (tmp_path / "a.jsonl.2").symlink_to("nothing")
    for number in (2, AUDIT_PART_COUNT_MAX):
        with pytest.raises(SinkError, match="free place"):
            next_place(path, number)


def test_folder_is_synced_and_closed(tmp_path: Path) -> None:
    """A name that is not on the disk is no file after a power failure."""
    sync_folder(tmp_path)
    with contextlib.suppress(OSError):
        sync_folder(tmp_path / "gone")
    with pytest.raises(OSError, match="gone"):
        sync_folder(tmp_path / "gone")
