"""The commands on a log say what holds, what does not, and what a log that holds does not prove."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.command_line import CommandLine
from simulators.failing_disk import INSTALLED
from trocar.audit import log as log_module
from trocar.audit.log import AuditLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a log with two events."""
    place = tmp_path / "audit.jsonl"
    with AuditLog(place) as log:
        log.append("installed", INSTALLED)
        log.append("refused", {"code": "SIGNATURE", "exit_code": 66})
    return place


@pytest.mark.verifies("SRS_AUDIT_003", "SRS_AUDIT_010", extent="full", technique="requirement")
@pytest.mark.verifies("UNIT_CLI_COMMANDS_AUDIT", extent="full", technique="requirement")
def test_log_that_holds(trocar: CommandLine, path: Path) -> None:
    """For people and for machines; without a head it says what was not seen."""
    answer = trocar("audit", "verify", path, "--json")
    found = answer.fields["audit"]
    assert answer.code == 0
    assert (found["is_sound"], found["record_count"], found["torn_bytes"]) == (True, 3, 0)
    assert found["events"] == {"installed": 1, "log_started": 1, "refused": 1}
    assert (found["seq"], found["first_part"], found["anchored"]) == (2, 1, [])
    told = trocar("audit", "verify", path).out
    assert f"sound: log {found['log_id']}, records 0 to 2" in told
    assert "without --head: a cut end, or a log written anew, would not be seen" in told
    anchored = trocar("audit", "verify", path, "--head", found["head"], "--json").fields["audit"]
    assert anchored["anchored"] == [{"head": found["head"], "seq": 2, "later_count": 0}]
    told = trocar("audit", "verify", path, "--head", found["head"]).out
    assert "anchored up to record 2; 0 later records are not" in told
    assert "without --head" not in told


@pytest.mark.verifies("SRS_AUDIT_003", "SRS_AUDIT_010", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_002")
def test_log_that_was_cut_is_found_by_its_head(trocar: CommandLine, path: Path) -> None:
    """And without the head it is not: the command says so itself."""
    head = trocar("audit", "verify", path, "--json").fields["audit"]["head"]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert trocar("audit", "verify", path).code == 0
    trocar("audit", "verify", path, "--head", head).require_clean_error(78, "AUDIT")
    trocar("audit", "verify", path, "--head", "jane").require_clean_error(65, "CONTRACT")
    trocar("audit", "verify", path.with_name("gone")).require_clean_error(74, "SOURCE")


@pytest.mark.verifies("SRS_AUDIT_002", extent="partial", technique="requirement")
@pytest.mark.parametrize("command", ["verify", "show"])
def test_torn_end_has_a_code_of_its_own(trocar: CommandLine, path: Path, command: str) -> None:
    """It is no change, and not all of it could be read."""
    path.write_bytes(path.read_bytes()[:-5])
    answer = trocar("audit", command, path)
    assert answer.code == 3
    assert "not written to its end" in answer.out


@pytest.mark.verifies("SRS_AUDIT_008", extent="partial", technique="requirement")
def test_several_files_and_the_later_ones_alone(
    trocar: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not looked at is said."""
    monkeypatch.setattr(log_module, "AUDIT_FILE_BYTES_MAX", 1500)
    path = tmp_path / "b.jsonl"
    with AuditLog(path) as log:
        for _ in range(5):
            log.append("installed", INSTALLED)
    first = path.with_name("b.jsonl.1")
    assert "records 0 to 6" in trocar("audit", "verify", path, first).out
    assert "not looked at: the files before part 2" in trocar("audit", "verify", path).out


@pytest.mark.verifies("SRS_AUDIT_003", extent="partial", technique="requirement")
def test_records_are_listed(trocar: CommandLine, path: Path) -> None:
    """One line a record, and nothing of a log that does not hold."""
    shown = trocar("audit", "show", path).out.splitlines()
    assert [line.split()[2] for line in shown[:3]] == ["log_started", "installed", "refused"]
    assert shown[2].endswith("code=SIGNATURE exit_code=66")
    records = trocar("audit", "show", path, "--json").fields["audit"]["records"]
    assert [one["seq"] for one in records] == [0, 1, 2]
    assert records[1]["fields"] == INSTALLED
    path.write_bytes(path.read_bytes().replace(b"0.1.0", b"0.2.0"))
    trocar("audit", "show", path).require_clean_error(78, "AUDIT")


def test_lists_of_reasons_are_shown_in_words(trocar: CommandLine, tmp_path: Path) -> None:
    """Brackets and quotes of a program help nobody."""
    path = tmp_path / "c.jsonl"
    fields = {"run_id": "0" * 32, "state": "degraded", "after_ms": 5}
    AuditLog(path).append("health_changed", {**fields, "reasons": ["loop_stalled", "SINK"]})
    assert "reasons=SINK" not in trocar("audit", "show", path).out
    assert "reasons=loop_stalled,SINK" in trocar("audit", "show", path).out
