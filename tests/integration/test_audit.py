"""The audit log of whole runs: full disks, two writers, the installer, heads that are sealed."""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from simulators import audit_programs
from simulators.command_line import UNIT, CommandLine
from simulators.failing_disk import INSTALLED, FailingDisk
from simulators.media import write_clip
from simulators.trust import trust_of
from trocar.audit.log import AuditLog
from trocar.audit.report import read_log
from trocar.contracts.limits import AUDIT_HELD_COUNT_MAX
from trocar.install.audit_trail import AUDIT_NAME, AuditTrail
from trocar.install.slots import Slot
from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.evidence_store import read_store
from trocar_lab.evidence.store.seal import seal_folder

pytest_plugins = ["pytester"]

PATIENCE_S: Final = 60.0
PREFILLED_COUNT: Final = 2000
MOUNT: Final = (
    'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" -m simulators.audit_programs fill "$1"'
)


def _environment() -> dict[str, str]:
    """Return the environment without the coverage tool, which would write where nothing fits."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    path = str(Path(audit_programs.__file__).parents[1])
    return {**kept, "TROCAR_DATA": "", "PYTHONPATH": path}


def _records(path: Path, event: str) -> list[dict[str, Any]]:
    """Return the fields of each record of an event in a log that holds."""
    return [dict(one.fields) for one in read_log([path]).records if one.event == event]


def _wait_for(what: str, is_there: Callable[[], bool]) -> None:
    """Wait until something is there."""
    limit_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit_s:
        if is_there():
            return
        time.sleep(0.02)
    pytest.fail(f"no {what} within {PATIENCE_S} s")


def _prefilled(path: Path) -> int:
    """Write a log so long that a limit of its size leaves room for the other outputs."""
    disk = FailingDisk()
    disk.is_real = False
    with AuditLog(path, disk=disk) as log:
        for _ in range(PREFILLED_COUNT):
            log.append("installed", INSTALLED)
    return path.stat().st_size


def _room_for_the_begin(trocar: CommandLine, clip: Path, folder: Path) -> int:
    """Return how many bytes the records before the first frame take."""
    path = folder / "measured.jsonl"
    _prefilled(path)
    trocar.run(clip, folder / "measured", "--audit", path)
    lines = path.read_bytes().splitlines(keepends=True)[PREFILLED_COUNT + 1 :]
    return len(lines[0]) + len(lines[1])


@pytest.mark.verifies("SRS_AUDIT_007", "IFC_RUN_AUDIT", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_004")
def test_full_disk_degrades_a_run_and_the_gap_is_told(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """As its own process: results go on, health says it, and with room again nothing is missing."""
    log, record, heard = tmp_path / "audit.jsonl", tmp_path / "r.jsonl", tmp_path / "heard"
    size = _prefilled(log) + _room_for_the_begin(trocar, clip, tmp_path) + 100
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    words = [
        *("stream", UNIT, "--source", f"file:{write_clip(tmp_path / 'c.mp4', frame_count=50)}"),
        *("--loop", "1000", "--sink", f"jsonl:{record}", "--pack", trocar.pack),
        *("--trust", trust_of(trocar.pack), "--audit", log),
    ]
    with (
        heard.open("wb") as stream,
        subprocess.Popen(
            [sys.executable, "-m", "trocar", *map(str, words)],
            stdout=subprocess.DEVNULL,
            stderr=stream,
            env=_environment(),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard)),  # noqa: PLW1509 - a limit of the child only
        ) as process,
    ):
        _wait_for("degraded run", lambda: b"degraded (audit_not_written)" in heard.read_bytes())
        lines_then = len(record.read_bytes().splitlines())
        _wait_for("more results", lambda: record.read_bytes().count(b"\n") > lines_then + 10)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        _wait_for("gap", lambda: b'"event":"gap"' in log.read_bytes())
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 130, heard.read_text(encoding="utf-8")
    (gap,) = _records(log, "gap")
    assert gap["cause"] == "disk_full"
    assert 1 <= gap["held_count"] <= AUDIT_HELD_COUNT_MAX
    assert gap["lost_count"] == 0
    states = [one["state"] for one in _records(log, "health_changed")]
    assert states[:2] == ["ready", "degraded"]
    assert _records(log, "run_ended")[-1]["reason"] == "stopped"


@pytest.mark.verifies("SRS_AUDIT_007", extent="full", technique="fault_injection")
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="a disk of 64 kB is mounted in a namespace of its own, which needs root and unshare",
)
def test_log_on_a_disk_of_64_kb(tmp_path: Path) -> None:
    """Whatever the file system does with the last block, the chain holds and goes on."""
    asked = ["unshare", "--mount", "sh", "-c", MOUNT, "sh", str(tmp_path), sys.executable]
    done = subprocess.run(
        asked, capture_output=True, text=True, env=_environment(), timeout=PATIENCE_S, check=False
    )
    if "permission denied" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("this machine lets nobody mount a disk")
    assert done.returncode == 0, done.stderr
    record_count, gap_count = map(int, done.stdout.split())
    assert record_count > 60
    assert gap_count == 1


@pytest.mark.verifies("SRS_AUDIT_002", "SRS_AUDIT_004", extent="full", technique="fault_injection")
def test_killed_run_leaves_a_log_that_goes_on(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """Its begin is there, its end is not, and the next run follows it."""
    log, record = tmp_path / "audit.jsonl", tmp_path / "r.jsonl"
    words = [
        *("stream", UNIT, "--source", f"file:{clip}", "--loop", "1000", "--pack", trocar.pack),
        *("--trust", trust_of(trocar.pack), "--sink", f"jsonl:{record}", "--audit", log),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "trocar", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    ) as process:
        _wait_for("results", lambda: record.exists() and record.read_bytes().count(b"\n") > 5)
        process.kill()
    assert trocar.run(clip, tmp_path / "out", "--audit", log).code == 0
    started = [one["run_id"] for one in _records(log, "run_started")]
    ended = [one["run_id"] for one in _records(log, "run_ended")]
    assert len(set(started)) == 2
    assert ended == started[1:]


@pytest.mark.verifies("IFC_INSTALL_AUDIT", "SRS_AUDIT_009", extent="full", technique="requirement")
def test_installer_and_run_write_one_chain(trocar: CommandLine, clip: Path, tmp_path: Path) -> None:
    """What was installed and what ran stand in one order."""
    slot = Slot(
        version="0.1.0",
        sequence=7,
        floor=7,
        is_development=True,
        key_id="ab" * 32,
        manifest_sha256="cd" * 32,
        installed=dt.date(2026, 11, 21),
        inventory_sha256="ef" * 32,
    )
    trail, log = AuditTrail(tmp_path), tmp_path / AUDIT_NAME
    trail.installed(slot)
    assert trail.switched(slot, None) == ()
    assert trocar.run(clip, tmp_path / "out", "--audit", log).code == 0
    assert trail.refused("SIGNATURE", None) == ()
    assert [one.event for one in read_log([log]).records] == [
        *("log_started", "installed", "switched", "pack_verified", "run_started"),
        *("health_changed", "run_ended", "verify_refused"),
    ]
    assert _records(log, "switched")[0]["grade"] == "development"


ATTACHES: Final = """
from pathlib import Path

def test_system(attach_evidence):
    attach_evidence(Path({account!r}))
"""


@pytest.mark.verifies("SRS_AUDIT_010", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_002")
def test_cut_or_rewritten_log_is_found_by_the_sealed_head(
    trocar: CommandLine, clip: Path, tmp_path: Path, *, pytester: pytest.Pytester
) -> None:
    """The account of a run is attached to evidence and sealed; the seal is what a release signs."""
    log = tmp_path / "audit.jsonl"
    assert trocar.run(clip, tmp_path / "out", "--audit", log).code == 0
    pytester.makepyfile(test_it=ATTACHES.format(account=str(tmp_path / "out" / "run.json")))
    plugin = ("-p", "trocar_lab.evidence.store.pytest_plugin")
    pytester.runpytest_inprocess(*plugin, "--evidence", "ev").assert_outcomes(passed=1)
    evidence = pytester.path / "ev"
    seal_folder(evidence)
    assert read_store(evidence).faults == {}
    (account,) = evidence.rglob("run.json")
    head = json.loads(account.read_text(encoding="utf-8"))["audit"]["head"]
    whole = log.read_bytes()
    assert trocar("audit", "verify", log, "--head", head).code == 0
    log.write_bytes(whole[: whole[:-1].rindex(b"\n") + 1])
    assert trocar("audit", "verify", log).code == 0
    trocar("audit", "verify", log, "--head", head).require_clean_error(78, "AUDIT")
    log.unlink()
    assert trocar.run(clip, tmp_path / "again", "--audit", log).code == 0
    trocar("audit", "verify", log, "--head", head).require_clean_error(78, "AUDIT")
    account.write_text(account.read_text(encoding="utf-8").replace(head, "0" * 64))
    with pytest.raises(EvidenceError, match=r"run\.json"):
        seal_folder(evidence)
