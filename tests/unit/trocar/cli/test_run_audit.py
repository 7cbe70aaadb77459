"""What a command leaves in the audit log: what ran, how it ended, and no name of a patient."""

from __future__ import annotations

import errno
import json
import signal
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
import structlog

from simulators.command_line import UNIT, CommandLine
from simulators.media import write_clip, write_picture
from trocar import __version__
from trocar.audit import disk
from trocar.cli import play, run_audit
from trocar.cli.console import Console
from trocar.cli.run_audit import RunAudit, audited
from trocar.contracts.errors import AuditError, SinkError, SourceLostError
from trocar.streaming.health_state import HealthChange, HealthState
from trocar.streaming.monitor import MonitorConfig
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamSummary


def _records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a log."""
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def _fields(path: Path, event: str) -> dict[str, Any]:
    """Return the fields of the one record of an event."""
    (found,) = [one["fields"] for one in _records(path) if one["event"] == event]
    assert isinstance(found, dict)
    return found


@pytest.mark.verifies("SRS_AUDIT_004", "SRS_AUDIT_010", extent="full", technique="requirement")
@pytest.mark.controls("RCM_AUDIT_002")
def test_run_is_recorded_from_its_pack_to_its_end(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """Who asks later finds pack, key, engine and version, and the head in the account."""
    log = tmp_path / "audit.jsonl"
    answer = trocar.run(clip, tmp_path / "out", "--audit", log)
    assert answer.code == 0, answer.err
    records = _records(log)
    assert [one["event"] for one in records] == [
        "log_started", "pack_verified", "run_started", "health_changed", "run_ended",
    ]  # fmt: skip
    account = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    started, ended = _fields(log, "run_started"), _fields(log, "run_ended")
    info = account["units"][0]
    assert (started["unit"], started["pack_id"]) == (UNIT, info["pack_id"])
    assert started["digest"] == info["pack_digest"] == _fields(log, "pack_verified")["digest"]
    assert started["key_id"] == info["pack_signature"]["key_id"]
    assert (started["grade"], started["trust"]) == (info["pack_signature"]["grade"], "site")
    assert started["engine"] == "onnxruntime-cpu"
    assert started["engine_version"] in info["backend"]["engine"]
    assert (started["precision"], started["thread_count"]) == ("fp32", 2)
    assert (started["version"], started["source_kind"]) == (__version__, "file")
    summary = account["summary"]
    assert (ended["reason"], ended["exit_code"]) == ("source_ended", 0)
    assert ended["answered_count"] == summary["answered_count"] == 12
    assert ended["run_id"] == started["run_id"]
    last = records[-1]
    assert account["audit"] == {
        "log_id": records[0]["fields"]["log_id"], "seq": 4, "head": last["digest"],
    }  # fmt: skip
    assert f"audit log: record 4, head {last['digest']}" in answer.err


@pytest.mark.verifies("SRS_AUDIT_004", extent="partial", technique="equivalence")
def test_kinds_of_source_and_several_units(trocar: CommandLine, clip: Path, tmp_path: Path) -> None:
    """Stills, a stream with its changes of health; the second run follows the first one."""
    (tmp_path / "stills").mkdir()
    write_picture(tmp_path / "stills" / "a.png")
    log = tmp_path / "audit.jsonl"
    trocar.run(tmp_path / "stills", tmp_path / "one", "--audit", log)
    assert _fields(log, "run_started")["source_kind"] == "stills"
    log.unlink()
    answer = trocar.stream(clip, "--sink", f"jsonl:{tmp_path / 'r.jsonl'}", "--audit", log)
    assert answer.code == 0
    assert _fields(log, "run_started")["source_kind"] == "file"
    assert _fields(log, "health_changed")["state"] == "ready"
    events = [one["event"] for one in _records(log)]
    assert _fields(log, "run_ended")["health_change_count"] == events.count("health_changed") == 1
    assert "s: ready" in answer.err


def test_account_of_a_run_without_a_log_says_nothing_of_one(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """An empty head could be taken for one."""
    trocar.run(clip, tmp_path / "out")
    assert "audit" not in json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))


@pytest.mark.verifies("SRS_AUDIT_004", "SRS_AUDIT_005", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_003")
def test_refusal_is_recorded_by_its_code_alone(trocar: CommandLine, tmp_path: Path) -> None:
    """The text of an error names files, and a file may be named like a patient."""
    log = tmp_path / "audit.jsonl"
    clip = tmp_path / "DOE^JANE 1.2.840.113619.2.55.mp4"
    clip.write_bytes(b"no video")
    assert trocar.run(clip, tmp_path / "DOE", "--audit", log).code == 65
    assert _fields(log, "refused") == {"code": "DECODE", "exit_code": 65}
    log.unlink()
    assert trocar("run", "DOE^JANE", clip, "-o", tmp_path / "DOE", "--audit", log).code == 65
    assert _fields(log, "refused") == {"code": "CONTRACT", "exit_code": 65}
    log.unlink()
    folder = tmp_path / "DOE^JANE"
    folder.mkdir()
    assert trocar("demo", "--pack", folder, "--audit", log).code == 66
    assert _fields(log, "refused")["exit_code"] == 66
    text = log.read_text(encoding="ascii")
    assert not any(word in text for word in ("DOE", "JANE", "113619", str(tmp_path)))


@pytest.mark.verifies("SRS_AUDIT_005", extent="full", technique="requirement")
@pytest.mark.controls("RCM_AUDIT_003")
def test_nothing_of_the_input_is_in_the_log(trocar: CommandLine, tmp_path: Path) -> None:
    """Name of the file, of the folder, of the output, and the error that ends the run."""
    log = tmp_path / "audit.jsonl"
    home = tmp_path / "DOE^JANE"
    home.mkdir()
    clip = write_clip(home / "1.2.840.113619.2.55.3.mp4")
    assert trocar.run(clip, home / "out", "--audit", log).code == 0
    failing = f"jsonl:{home / 'no' / 'r.jsonl'}"
    assert trocar.stream(clip, "--sink", failing, "--audit", log).code == 73
    text = log.read_text(encoding="ascii")
    assert not any(word in text for word in ("DOE", "JANE", "113619", "out", "jsonl", "/"))


@pytest.mark.verifies("SRS_AUDIT_004", extent="full", technique="fault_injection")
def test_run_that_fails_is_recorded_with_its_code(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """It began, so that its end is no refusal."""
    log = tmp_path / "audit.jsonl"
    assert trocar.stream(clip, "--sink", "jsonl:/dev/full", "--audit", log).code == 73
    ended = _fields(log, "run_ended")
    assert (ended["reason"], ended["code"], ended["exit_code"]) == ("failed", "SINK", 73)
    assert not [one for one in _records(log) if one["event"] == "refused"]
    assert _records(log)[-2]["fields"]["state"] == "failed"


@pytest.mark.verifies("SRS_AUDIT_004", extent="partial", technique="requirement")
def test_stop_by_the_user_is_the_end_of_a_run(
    trocar: CommandLine, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the begin: the record says so, with the exit code of the process."""
    log = tmp_path / "audit.jsonl"
    real = run_stream

    def stopped(*parts: Any, **settings: Any) -> StreamSummary:  # noqa: ANN401 - handed on as it is
        signal.raise_signal(signal.SIGINT)
        return real(*parts, **settings)

    monkeypatch.setattr(play, "run_stream", stopped)
    assert trocar.run(clip, tmp_path / "out", "--audit", log).code == 130
    ended = _fields(log, "run_ended")
    assert (ended["reason"], ended["exit_code"]) == ("stopped", 130)


@pytest.mark.verifies("SRS_AUDIT_003", "SRS_AUDIT_007", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_004")
@pytest.mark.parametrize("at", [0, 1, 2])
def test_run_that_cannot_be_recorded_does_not_begin(
    trocar: CommandLine,
    clip: Path,
    tmp_path: Path,
    *,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    """At the opening of the log, at the pack, or at the begin of the run: no frame is answered."""
    log = tmp_path / "audit.jsonl"
    real, calls = disk.Disk.write, []

    def full(self: disk.Disk, descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) > at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, descriptor, data)

    monkeypatch.setattr(disk.Disk, "write", full)
    answer = trocar.stream(clip, "--sink", f"jsonl:{tmp_path / 'r.jsonl'}", "--audit", log)
    answer.require_clean_error(73, "SINK")
    record = tmp_path / "r.jsonl"
    assert not record.exists() or record.read_bytes() == b""
    assert len(log.read_bytes().splitlines()) == at


@pytest.mark.verifies("SRS_AUDIT_007", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_004")
def test_disk_that_fills_up_during_a_run_leaves_the_results(
    trocar: CommandLine, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every frame has its record; the exit code and the account say what is missing."""
    log = tmp_path / "audit.jsonl"
    real, calls = disk.Disk.write, []

    def full(self: disk.Disk, descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, descriptor, data)

    monkeypatch.setattr(disk.Disk, "write", full)
    answer = trocar.run(clip, tmp_path / "out", "--audit", log)
    assert answer.code == 73
    assert "events are missing in the audit log" in answer.err
    assert "12 answered" in answer.out
    assert len((tmp_path / "out" / "results.jsonl").read_bytes().splitlines()) == 12
    account = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert account["audit"] is None
    assert len(log.read_bytes().splitlines()) == 3


@pytest.mark.verifies("SRS_AUDIT_003", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_001")
def test_changed_log_stops_the_run_before_it_begins(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """Nothing is appended, and nothing is written beside it."""
    log = tmp_path / "audit.jsonl"
    trocar.run(clip, tmp_path / "one", "--audit", log)
    changed = log.read_bytes().replace(b'"exit_code":0', b'"exit_code":9')
    log.write_bytes(changed)
    answer = trocar.run(clip, tmp_path / "two", "--audit", log)
    answer.require_clean_error(78, "AUDIT")
    assert log.read_bytes() == changed
    assert not (tmp_path / "two").exists()


def test_first_error_stays_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log fails behind it: that is told in the log of the program."""
    path = tmp_path / "audit.jsonl"

    class Broken:
        """A log that was changed meanwhile."""

        def append(self, *_: object, **__: object) -> NoReturn:
            raise AuditError("changed", advice="look")

    class Failing:
        """A writer with events left."""

        def close(self) -> NoReturn:
            raise SinkError("2 events are missing", advice="make room")

    audit = RunAudit(Broken(), Failing())  # type: ignore[arg-type]  # two that fail at all they do
    monkeypatch.setattr(run_audit, "_opened", lambda _: audit)
    with (
        structlog.testing.capture_logs() as logged,
        pytest.raises(SourceLostError),
        audited(path, Console(as_json=False)),
    ):
        raise SourceLostError("gone", advice="wait")
    assert [(one["event"], one["code"]) for one in logged] == [
        ("refusal_not_in_audit_log", "AUDIT"),
        ("error_after_the_first", "SINK"),
    ]


@pytest.mark.parametrize(
    ("raised", "events"),
    [
        (KeyboardInterrupt(), ["log_started"]),
        (ZeroDivisionError("DOE^JANE"), ["log_started", "refused"]),
    ],
)
def test_stop_by_the_user_is_no_refusal_and_a_fault_of_ours_is(
    tmp_path: Path, raised: BaseException, events: list[str]
) -> None:
    """Whatever a foreign error says, its text stays out."""
    path = tmp_path / "audit.jsonl"
    with pytest.raises(type(raised)), audited(path, Console(as_json=False)):
        raise raised
    assert [one["event"] for one in _records(path)] == events
    if len(events) > 1:
        assert _fields(path, "refused") == {"code": "INVARIANT", "exit_code": 70}


@pytest.mark.verifies("SRS_AUDIT_004", extent="partial", technique="boundary")
def test_changes_of_health_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera with a loose plug must not fill the disk, nor crowd out what ran."""
    monkeypatch.setattr(run_audit, "HEALTH_CHANGE_COUNT_MAX", 4)
    path = tmp_path / "audit.jsonl"
    heard: list[HealthChange] = []
    with audited(path, Console(as_json=False)) as audit:
        audit._run_id = "0" * 32
        config = audit.watching(MonitorConfig(on_change=heard.append))
        assert config is not None
        assert config.on_change is not None
        for number in range(9):
            change = HealthChange(after_ms=number + 0.5, state=HealthState.DEGRADED, reasons=())
            config.on_change(change)
            assert audit._writer is not None
            audit._writer.flush()
    events = [one["event"] for one in _records(path)]
    assert events.count("health_changed") == 4
    assert len(heard) == 9


@pytest.mark.verifies("SRS_AUDIT_004", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("engine", "version"),
    [
        ("onnxruntime 1.31.1", "1.31.1"),
        ("openvino 2026.4.1-22982-e213a147257-releases/2026/4", "2026.4.1"),
        ("tensorrt 10.13.3.9", "10.13.3"),
        ("memory 1.0", None),
        ("memory", None),
        ("memory a.b.c", None),
    ],
)
def test_version_of_an_engine_is_its_three_numbers(engine: str, version: str | None) -> None:
    """What an engine calls itself may hold more, and the log takes no free text."""
    assert run_audit._numbers_of(engine) == version


@pytest.mark.verifies("SRS_AUDIT_004", extent="partial", technique="boundary")
def test_end_of_a_run_without_a_log_is_told_nowhere() -> None:
    """No log was asked for: there is no head, and the summary is not even looked at."""
    assert RunAudit().ended(cast("StreamSummary", object())) is None
