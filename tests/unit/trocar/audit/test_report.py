"""The files of a log are checked together, and a head that was kept elsewhere is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.failing_disk import INSTALLED
from trocar.audit import log as log_module
from trocar.audit.log import AuditLog
from trocar.audit.record import line_of, sealed
from trocar.audit.report import Anchored, read_log
from trocar.contracts.errors import AuditError, ContractError, SourceError


@pytest.fixture
def rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the files of a log in three parts, in their order."""
    monkeypatch.setattr(log_module, "AUDIT_FILE_BYTES_MAX", 1500)
    path = tmp_path / "a.jsonl"
    with AuditLog(path) as log:
        for _ in range(8):
            log.append("installed", INSTALLED)
    files = [path.with_name("a.jsonl.1"), path.with_name("a.jsonl.2"), path]
    assert not path.with_name("a.jsonl.3").exists()
    return files


@pytest.mark.verifies("SRS_AUDIT_008", "SRS_AUDIT_010", extent="full", technique="requirement")
def test_files_are_joined_in_their_own_order(rotated: list[Path]) -> None:
    """Whatever order the shell gives them in."""
    report = read_log([rotated[2], rotated[0], rotated[1]])
    assert [one.seq for one in report.records] == list(range(len(report.records)))
    assert (report.first_part, report.torn_bytes, report.anchored) == (1, 0, [])
    assert report.event_counts == {"installed": 8, "log_continued": 2, "log_started": 1}
    assert report.head.seq == report.records[-1].seq
    head = report.records[3]
    report = read_log(rotated, heads=[head.digest])
    assert report.anchored == [Anchored(head.digest, 3, len(report.records) - 4)]


@pytest.mark.verifies("SRS_AUDIT_008", extent="partial", technique="requirement")
def test_later_files_alone_say_where_they_begin(rotated: list[Path]) -> None:
    """Older files may lie in an archive."""
    assert read_log(rotated[1:]).first_part == 2
    first = read_log(rotated[:1]).head
    with pytest.raises(AuditError, match="or is in a file before part 2"):
        read_log(rotated[1:], heads=[first.digest])


@pytest.mark.verifies("SRS_AUDIT_008", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_001")
def test_broken_link_between_files_is_found(rotated: list[Path], tmp_path: Path) -> None:
    """A file that is missing, torn, cut or of another log."""
    with pytest.raises(AuditError, match="does not go on"):
        read_log([rotated[0], rotated[2]])
    whole = rotated[1].read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    for content in (whole[:-5], whole[:last], whole + b'{"dig'):
        rotated[1].write_bytes(content)
        with pytest.raises(AuditError, match="does not go on"):
            read_log(rotated)
    other = tmp_path / "b.jsonl"
    AuditLog(other)
    with pytest.raises(AuditError, match="does not go on"):
        read_log([rotated[0], other])


@pytest.mark.verifies("SRS_AUDIT_008", extent="partial", technique="fault_injection")
def test_file_that_leaves_out_a_number_is_found(rotated: list[Path], tmp_path: Path) -> None:
    """Its first record follows, and says that another file lies between."""
    last = read_log(rotated[:1]).head
    fields: dict[str, int | str] = {"log_id": last.log_id, "version": "0.1.0", "part": 3}
    utc = "2026-11-21T12:00:00.250000+00:00"
    record = sealed(
        seq=last.seq + 1, utc=utc, event="log_continued", fields=fields, previous=last.digest
    )
    other = tmp_path / "c.jsonl"
    other.write_bytes(line_of(record))
    with pytest.raises(AuditError, match="does not go on where part 1 ends"):
        read_log([rotated[0], other])


def test_same_file_twice_is_a_slip(rotated: list[Path]) -> None:
    """It is said as one, and not as a change of the log."""
    with pytest.raises(ContractError, match="twice"):
        read_log([rotated[0], rotated[0]])


@pytest.mark.verifies("SRS_AUDIT_010", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_002")
def test_cut_end_and_log_written_anew_are_found_by_the_head(tmp_path: Path) -> None:
    """Both agree with themselves."""
    path = tmp_path / "a.jsonl"
    with AuditLog(path) as log:
        for _ in range(4):
            log.append("installed", INSTALLED)
        head = log.head
    whole = path.read_bytes()
    path.write_bytes(whole[: whole[:-1].rindex(b"\n") + 1])
    read_log([path])
    with pytest.raises(AuditError, match="cut off or written anew"):
        read_log([path], heads=[head.digest])
    path.unlink()
    with AuditLog(path) as log:
        for _ in range(4):
            log.append("installed", INSTALLED)
    read_log([path])
    with pytest.raises(AuditError, match="cut off or written anew"):
        read_log([path], heads=[head.digest])


@pytest.mark.verifies("SRS_AUDIT_010", extent="partial", technique="boundary")
@pytest.mark.parametrize("head", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "\u0660" * 64])
def test_head_that_is_no_digest_is_a_slip(tmp_path: Path, head: str) -> None:
    """Else it would read as a log that was written anew."""
    path = tmp_path / "a.jsonl"
    AuditLog(path)
    with pytest.raises(ContractError, match="64 hexadecimal digits"):
        read_log([path], heads=[head])


@pytest.mark.verifies("SRS_AUDIT_003", extent="partial", technique="fault_injection")
def test_what_holds_no_record_or_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Nothing is no log that holds."""
    path = tmp_path / "a.jsonl"
    with pytest.raises(SourceError, match="cannot be read"):
        read_log([path])
    path.write_bytes(b"")
    with pytest.raises(AuditError, match="no whole record"):
        read_log([path])
    path.write_bytes(b"a note\n")
    with pytest.raises(AuditError, match="line 1"):
        read_log([path])


def test_reading_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is broken is no log that was changed."""
    path = tmp_path / "a.jsonl"
    AuditLog(path)

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.pread", broken)
    with pytest.raises(SourceError, match="Input/output error"):
        read_log([path])


@pytest.mark.verifies("SRS_AUDIT_002", extent="partial", technique="requirement")
def test_torn_end_is_told_and_left_alone(tmp_path: Path) -> None:
    """Looking changes nothing."""
    path = tmp_path / "a.jsonl"
    with AuditLog(path) as log:
        log.append("installed", INSTALLED)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    report = read_log([path])
    assert len(report.records) == 1
    assert report.torn_bytes == len(whole) - 9 - whole.index(b"\n") - 1
    assert path.read_bytes() == whole[:-9]
