"""A record is on the disk when append returns; what was changed is not continued."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pytest

from simulators.failing_disk import INSTALLED, NOW, FailingDisk
from trocar import __version__
from trocar.audit import log as log_module
from trocar.audit.chain import Head, read_part
from trocar.audit.log import AuditLog, is_disk_full
from trocar.audit.report import read_log
from trocar.contracts.errors import AuditError, InvariantError, SinkError

FULL: Final = errno.ENOSPC


def _records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a log that holds."""
    read_log([path])
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def _events(path: Path) -> list[str]:
    """Return the events of a log that holds."""
    return [one["event"] for one in _records(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the place of a log."""
    return tmp_path / "audit.jsonl"


@pytest.mark.verifies("SRS_AUDIT_001", extent="full", technique="requirement")
def test_log_begins_with_its_name_and_the_version(path: Path) -> None:
    """Two logs must not be taken for each other."""
    with AuditLog(path, wall_clock=lambda: NOW) as log:
        head = log.append("installed", INSTALLED)
    first, second = _records(path)
    assert first["event"] == "log_started"
    assert first["fields"]["version"] == __version__
    assert first["utc"] == "2026-11-21T12:00:00.250000+00:00"
    assert (first["seq"], first["previous"]) == (0, "0" * 64)
    assert second["previous"] == first["digest"]
    assert head == log.head == Head(first["fields"]["log_id"], 1, second["digest"])
    assert log.path == path
    AuditLog(path.with_name("other.jsonl"))
    assert _records(path.with_name("other.jsonl"))[0]["fields"]["log_id"] != head.log_id


@pytest.mark.verifies("SRS_AUDIT_001", extent="partial", technique="requirement")
def test_times_are_in_utc_and_may_lie_before(path: Path) -> None:
    """An event that was held has the time when it happened; its zone is not the record's."""
    with AuditLog(path) as log:
        assert log.now().tzinfo is not None
        local = NOW.astimezone(timezone(timedelta(hours=9)))
        log.append("installed", INSTALLED, at=local - timedelta(hours=1))
        with pytest.raises(InvariantError, match="zone"):
            log.append("installed", INSTALLED, at=datetime(2026, 1, 1))  # noqa: DTZ001 - the fault
    assert _records(path)[-1]["utc"] == "2026-11-21T11:00:00.250000+00:00"


@pytest.mark.verifies("SRS_AUDIT_002", extent="full", technique="requirement")
def test_every_append_waits_for_the_disk(path: Path) -> None:
    """Else "acknowledged" would mean nothing."""
    disk = FailingDisk()
    with AuditLog(path, disk=disk) as log:
        assert disk.synced_count == 1
        log.append("installed", INSTALLED)
        assert disk.synced_count == 2
    AuditLog(path, disk=disk)
    assert disk.synced_count == 2


@pytest.mark.verifies("SRS_AUDIT_002", extent="full", technique="fault_injection")
def test_every_prefix_of_a_log_is_recovered(path: Path) -> None:
    """Wherever a kill cuts the file, the whole records stay, and the log goes on behind them."""
    with AuditLog(path) as log:
        for _ in range(3):
            log.append("installed", INSTALLED)
    data = path.read_bytes()
    disk = FailingDisk()
    disk.is_real = False
    for length in range(len(data)):
        path.write_bytes(data[:length])
        part = read_part(data[:length])
        with AuditLog(path, disk=disk) as log:
            log.append("refused", {"code": "PACK", "exit_code": 66})
        found = path.read_bytes()
        assert found.startswith(data[: part.good_bytes])
        behind = _records(path)[len(part.records) :]
        begun = [] if part.records else ["log_started"]
        noted = ["log_recovered"] if part.torn_bytes else []
        assert [one["event"] for one in behind] == [*begun, *noted, "refused"]
        if noted:
            assert behind[len(begun)]["fields"] == {"cut_bytes": part.torn_bytes}


@pytest.mark.verifies("SRS_AUDIT_003", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_001")
@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines[:2], lines[1], *lines[2:]],
        lambda lines: [*lines[:2], lines[2].replace(b"0.1.0", b"0.2.0"), *lines[3:]],
        lambda lines: [*lines, b"a note\n"],
        lambda lines: lines[1:],
        lambda lines: [*lines[:-1], lines[-1].replace(b"0.1.0", b"0.2.0")],
    ],
    ids=["deleted", "swapped", "doubled", "changed", "put in", "begin gone", "last changed"],
)
def test_log_that_was_changed_is_refused_and_left_as_it_is(
    path: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    """It is the proof of the change."""
    with AuditLog(path) as log:
        for _ in range(3):
            log.append("installed", INSTALLED)
    changed = b"".join(change(path.read_bytes().splitlines(keepends=True)))
    path.write_bytes(changed)
    with pytest.raises(AuditError, match="not what was written to it"):
        AuditLog(path)
    with pytest.raises(AuditError, match="not what was written to it"):
        log.append("installed", INSTALLED)
    assert path.read_bytes() == changed


@pytest.mark.verifies("SRS_AUDIT_003", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("content", [b"a note without an end", b"a note\n", b"x" * 2_000_000])
def test_file_of_somebody_else_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    """A wrong name on the command line must not cost a file."""
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(AuditError):
        AuditLog(path)
    assert path.read_bytes() == content


@pytest.mark.verifies("SRS_AUDIT_003", "SRS_AUDIT_010", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_AUDIT_002",
    measure="logs that were cut or written anew and are opened against a head from before",
    acceptance="each of them is refused; without the head none is",
)
def test_cut_and_rewritten_logs_are_refused_against_a_known_head(path: Path) -> None:
    """Cut at each record, cut inside the last one, another log, the same log with other records."""
    with AuditLog(path) as log:
        heads = [log.append("installed", INSTALLED) for _ in range(3)]
    lines = path.read_bytes().splitlines(keepends=True)
    AuditLog(path, anchor=heads[2])
    AuditLog(path, anchor=heads[0])
    cuts = [b"".join(lines[:count]) for count in range(4)] + [b"".join(lines)[:-7]]
    path.unlink()
    AuditLog(path)
    anew = [path.read_bytes()]
    for cut in [*cuts, *anew]:
        path.write_bytes(cut)
        with pytest.raises(AuditError, match="known"):
            AuditLog(path, anchor=heads[2])
        assert path.read_bytes() == cut
        AuditLog(path)
    path.write_bytes(cuts[2])
    with AuditLog(path) as log:
        log.append("refused", {"code": "PACK", "exit_code": 66})
        log.append("refused", {"code": "PACK", "exit_code": 66})
    with pytest.raises(AuditError, match="record 3 is not the one"):
        AuditLog(path, anchor=heads[2])


@pytest.mark.verifies("SRS_AUDIT_010", extent="partial", technique="fault_injection")
def test_head_of_another_log_is_named_as_such(path: Path) -> None:
    """Whoever mixed up two files is told so."""
    with AuditLog(path) as log:
        head = log.append("installed", INSTALLED)
    other = path.with_name("other.jsonl")
    with AuditLog(other) as log:
        log.append("installed", INSTALLED)
    with pytest.raises(AuditError, match="it is another log"):
        AuditLog(other, anchor=head)


@pytest.mark.verifies("SRS_AUDIT_003", extent="full", technique="fault_injection")
@pytest.mark.parametrize("keep", [0, 1, 2])
def test_log_that_is_cut_while_it_is_open_is_refused(path: Path, keep: int) -> None:
    """What this process has written is a head that it knows."""
    with AuditLog(path) as log:
        log.append("installed", INSTALLED)
        log.append("installed", INSTALLED)
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:keep]))
        with pytest.raises(AuditError, match="known"):
            log.append("installed", INSTALLED)


def test_log_that_is_gone_while_it_is_open_is_refused(path: Path) -> None:
    """A new one would look as if nothing had been before."""
    with AuditLog(path) as log:
        path.unlink()
        with pytest.raises(AuditError, match="it is gone"):
            log.append("installed", INSTALLED)


@pytest.mark.verifies("SRS_AUDIT_009", extent="full", technique="requirement")
def test_two_writers_make_one_chain(path: Path) -> None:
    """A run and an installation at once."""
    one, two = AuditLog(path), AuditLog(path)
    for number in range(4):
        one.append("installed", INSTALLED)
        two.append("refused", {"code": "PACK", "exit_code": number})
    assert _events(path)[1:] == ["installed", "refused"] * 4
    assert two.head.seq == 8
    assert one.append("installed", INSTALLED).seq == 9


@pytest.mark.verifies("SRS_AUDIT_009", extent="partial", technique="fault_injection")
def test_torn_record_of_another_writer_is_mended_behind_the_known_one(path: Path) -> None:
    """It was killed while this process held the log open."""
    one, two = AuditLog(path), AuditLog(path)
    two.append("installed", INSTALLED)
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[1][:50])
    one.append("refused", {"code": "PACK", "exit_code": 66})
    assert _events(path) == ["log_started", "installed", "log_recovered", "refused"]
    path.write_bytes(path.read_bytes() + b"a note\n")
    with pytest.raises(AuditError, match="behind record 3"):
        one.append("installed", INSTALLED)
    path.write_bytes(path.read_bytes()[: -len(b"a note\n")] + whole.splitlines()[1][:50])
    assert one.append("refused", {"code": "PACK", "exit_code": 66}).seq == 5


@pytest.mark.verifies("SRS_AUDIT_009", extent="partial", technique="requirement")
def test_threads_of_one_process_make_one_chain(path: Path) -> None:
    """The begin is written by one thread, what comes then by another."""
    log = AuditLog(path)

    def write() -> None:
        for _ in range(10):
            log.append("installed", INSTALLED)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(_records(path)) == 41


@pytest.mark.verifies("SRS_AUDIT_007", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_004")
@pytest.mark.parametrize(
    ("number", "is_full"),
    [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EFBIG, True), (errno.EIO, False)],
)
def test_record_that_cannot_be_written_is_taken_back(
    path: Path, number: int, *, is_full: bool
) -> None:
    """The chain holds, and the next record follows the last one that was written."""
    disk = FailingDisk()
    log = AuditLog(path, disk=disk)
    log.append("installed", INSTALLED)
    before = path.read_bytes()
    for failure in ("write_errno", "sync_errno"):
        setattr(disk, failure, number)
        with pytest.raises(SinkError, match=os.strerror(number)) as caught:
            log.append("installed", INSTALLED)
        assert is_disk_full(caught.value) is is_full
        assert path.read_bytes() == before
        setattr(disk, failure, None)
    log.append("installed", INSTALLED)
    assert _events(path) == ["log_started", "installed", "installed"]


@pytest.mark.verifies("SRS_AUDIT_007", extent="full", technique="fault_injection")
@pytest.mark.parametrize("can_cut", [True, False])
def test_record_that_fits_in_part_is_taken_back_or_mended(path: Path, *, can_cut: bool) -> None:
    """The last block of a disk takes half a record; where it cannot be cut, the next one mends."""
    disk = FailingDisk()
    log = AuditLog(path, disk=disk)
    disk.written_bytes, disk.can_cut = 40, can_cut
    with pytest.raises(SinkError, match="No space left") as caught:
        log.append("installed", INSTALLED)
    assert is_disk_full(caught.value)
    disk.written_bytes, disk.can_cut = None, True
    log.append("installed", INSTALLED)
    mended = [] if can_cut else ["log_recovered"]
    assert _events(path) == ["log_started", *mended, "installed"]


@pytest.mark.verifies("SRS_AUDIT_007", extent="partial", technique="fault_injection")
def test_log_that_cannot_begin_is_an_error(path: Path) -> None:
    """And begins when there is room."""
    disk = FailingDisk()
    disk.write_errno = FULL
    with pytest.raises(SinkError):
        AuditLog(path, disk=disk)
    assert path.read_bytes() == b""
    AuditLog(path)
    assert _events(path) == ["log_started"]


@pytest.mark.verifies("SRS_AUDIT_005", extent="partial", technique="requirement")
@pytest.mark.parametrize("event", ["log_started", "log_continued", "log_recovered"])
def test_nobody_else_writes_what_the_log_says_of_itself(path: Path, event: str) -> None:
    """A second begin could hide a cut."""
    with pytest.raises(InvariantError, match="of itself"):
        AuditLog(path).append(event, {"cut_bytes": 1})


@pytest.fixture
def short_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file be full after a few records."""
    monkeypatch.setattr(log_module, "AUDIT_FILE_BYTES_MAX", 1500)


@pytest.mark.verifies("SRS_AUDIT_008", extent="full", technique="requirement")
@pytest.mark.usefixtures("short_files")
def test_full_file_gets_its_number_and_the_next_one_goes_on(path: Path) -> None:
    """The chain runs through all of them, for each writer."""
    one, two = AuditLog(path), AuditLog(path)
    for _ in range(5):
        one.append("installed", INSTALLED)
        two.append("installed", INSTALLED)
    files = [path.with_name(f"{path.name}.{number}") for number in (1, 2, 3)]
    assert [file.exists() for file in files] == [True, True, True]
    assert all(file.stat().st_size <= 1500 for file in [*files, path])
    report = read_log([*files, path])
    assert report.event_counts == {"installed": 10, "log_continued": 3, "log_started": 1}
    first = _records_of_file(path)[0]
    assert first["event"] == "log_continued"
    assert first["fields"] == {"log_id": report.log_id, "version": __version__, "part": 4}
    assert first["previous"] == _records_of_file(files[2])[-1]["digest"]


def _records_of_file(path: Path) -> list[dict[str, Any]]:
    """Return the records of one file of a log."""
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


@pytest.mark.verifies("SRS_AUDIT_008", extent="full", technique="fault_injection")
@pytest.mark.usefixtures("short_files")
def test_kill_between_two_files_is_recovered(path: Path) -> None:
    """The full file has its number and the next one is not there, is empty, or is torn."""
    with AuditLog(path) as log:
        for _ in range(3):
            log.append("installed", INSTALLED)
    full = path.with_name(f"{path.name}.1")
    path.rename(full)
    for torn in (None, b"", b'{"digest":"00'):
        path.unlink(missing_ok=True)
        if torn is not None:
            path.write_bytes(torn)
            path.chmod(0o600)
        AuditLog(path, anchor=log.head)
        report = read_log([full, path])
        assert [one.event for one in report.records[4:]] == [
            "log_continued", *(["log_recovered"] if torn else []),
        ]  # fmt: skip


@pytest.mark.verifies("SRS_AUDIT_008", "SRS_AUDIT_003", extent="full", technique="fault_injection")
@pytest.mark.usefixtures("short_files")
def test_file_before_that_does_not_hold_stops_the_next_one(path: Path) -> None:
    """The next file must not begin behind a cut."""
    with AuditLog(path) as log:
        for _ in range(3):
            log.append("installed", INSTALLED)
    full = path.with_name(f"{path.name}.1")
    path.rename(full)
    whole = full.read_bytes()
    for content in (whole[:-4], whole.replace(b"0.1.0", b"0.2.0"), b""):
        full.write_bytes(content)
        with pytest.raises(AuditError, match="is not whole"):
            AuditLog(path)
        assert path.read_bytes() == b""
    full.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    with pytest.raises(AuditError, match="it ends before record 3"):
        AuditLog(path, anchor=log.head)


@pytest.mark.verifies("SRS_AUDIT_008", extent="partial", technique="boundary")
@pytest.mark.usefixtures("short_files")
def test_head_of_an_earlier_file_is_not_looked_for(path: Path) -> None:
    """Older files may lie in an archive; the report looks at all of them."""
    with AuditLog(path) as log:
        head = log.append("installed", INSTALLED)
        for _ in range(4):
            log.append("installed", INSTALLED)
    assert path.with_name(f"{path.name}.1").exists()
    AuditLog(path, anchor=head)


@pytest.mark.verifies("SRS_AUDIT_008", extent="full", technique="boundary")
@pytest.mark.parametrize(("short_by", "is_rotated"), [(0, False), (1, True)])
def test_file_is_full_when_the_next_record_does_not_fit(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, short_by: int, is_rotated: bool
) -> None:
    """To the byte."""
    log = AuditLog(path)
    before = path.stat().st_size
    log.append("installed", INSTALLED)
    size = path.stat().st_size
    monkeypatch.setattr(log_module, "AUDIT_FILE_BYTES_MAX", 2 * size - before - short_by)
    log.append("installed", INSTALLED)
    assert path.with_name(f"{path.name}.1").exists() is is_rotated


@pytest.mark.verifies("SRS_AUDIT_008", extent="partial", technique="boundary")
def test_file_that_is_full_again_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process fills each new file at once: there is an end to trying."""
    monkeypatch.setattr(log_module, "AUDIT_FILE_BYTES_MAX", 10)
    log = AuditLog(path)
    with pytest.raises(SinkError, match="full again"):
        log.append("installed", INSTALLED)


@pytest.mark.verifies("SRS_AUDIT_008", extent="partial", technique="fault_injection")
@pytest.mark.usefixtures("short_files")
def test_full_file_whose_place_is_taken_is_an_error(path: Path) -> None:
    """Nothing is replaced, and nothing is lost."""
    with AuditLog(path) as log:
        path.with_name(f"{path.name}.1").touch()
        for _ in range(3):
            log.append("installed", INSTALLED)
        before = path.read_bytes()
        with pytest.raises(SinkError, match="free place"):
            log.append("installed", INSTALLED)
        assert path.read_bytes() == before
