"""A short real soak: real loop, real engine, a tiny pack; and soaks that are broken off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from simulators.packs import write_tiny_pack
from simulators.trust import trust_of
from trocar.contracts.errors import SinkError, SourceLostError
from trocar_lab.latency.__main__ import main
from trocar_lab.latency.budgets import load_budgets
from trocar_lab.latency.child_process import environment
from trocar_lab.latency.reports import Verdict
from trocar_lab.latency.settings import LOG_NAME, MANIFEST_NAME
from trocar_lab.latency.soak_verify import verify_soak

INSUFFICIENT: Final = 3
WAIT_SECONDS_MAX: Final = 120.0
SMALL: Final = ["--fps", "20", "--height", "96", "--width", "128", "--threads", "1"]


def _pack(tmp_path: Path) -> list[str]:
    """Return the options that name the tiny pack, and the folder that trusts it."""
    pack = tmp_path / "pack"
    return ["--pack", str(pack), "--trust", str(trust_of(pack))]


def _words(tmp_path: Path, minutes: str = "0.05") -> list[str]:
    """Return a command that records a soak of a tiny pack."""
    write_tiny_pack(tmp_path / "pack")
    words = [
        "soak",
        *_pack(tmp_path),
        "-o",
        str(tmp_path / "soak"),
    ]
    return [*words, "--minutes", minutes, "--warm-up-minutes", "0.02", "--operator", "test", *SMALL]


@pytest.mark.verifies("SRS_LATE_005", extent="full", technique="requirement")
@pytest.mark.verifies("SRS_LATE_004", extent="partial", technique="requirement")
def test_soak_accounts_for_every_frame_and_is_judged_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows, account and record of the real device agree; three seconds prove no slope."""
    assert main(_words(tmp_path)) == INSUFFICIENT
    assert "0 not accounted for" in capsys.readouterr().out
    report = json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))
    assert report["frames"]["planned_count"] == 80
    assert report["frames"]["unaccounted_count"] == 0
    assert report["label"].startswith("surrogate: ")
    assert main(["verify-soak", str(tmp_path / "soak"), "--json"]) == INSUFFICIENT
    assert json.loads(capsys.readouterr().out) == report
    assert main(["verify-soak", str(tmp_path / "soak")]) == INSUFFICIENT
    names = ["pack", "pack.trust", "soak", "soak.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert main(_words(tmp_path)) == SinkError.exit_code


@pytest.mark.verifies("SRS_LATE_005", extent="partial", technique="fault_injection")
def test_failing_soak_stays_incomplete(tmp_path: Path) -> None:
    """Without a pack nothing runs, the log says so, and what lies there does not count."""
    words = _words(tmp_path)
    words[words.index(str(tmp_path / "pack"))] = str(tmp_path / "none")
    assert main(words) == SourceLostError.exit_code
    assert "soak_failed" in (tmp_path / "soak" / LOG_NAME).read_text(encoding="utf-8")
    report = verify_soak(tmp_path / "soak", load_budgets())
    assert report.verdict is Verdict.INVALID
    assert "incomplete" in report.reasons[0]
    assert main([*_words(tmp_path), "--fps", "0"]) == 2


@pytest.mark.verifies("SRS_LATE_007", extent="partial", technique="fault_injection")
def test_killed_soak_is_incomplete_and_ends_its_process(tmp_path: Path) -> None:
    """Kill -9 cannot leave a soak that looks whole, nor a process that goes on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trocar_lab.latency", *_words(tmp_path, "60")],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        child = _child_of(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while _is_running(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_running(child)
    assert not (tmp_path / "soak" / MANIFEST_NAME).exists()
    assert verify_soak(tmp_path / "soak", load_budgets()).verdict is Verdict.INVALID


def _child_of(process_id: int) -> int:
    """Wait until a process has started another that runs; return its id."""
    path = Path(f"/proc/{process_id}/task/{process_id}/children")
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        for word in path.read_text(encoding="ascii").split():
            if b"soak-worker" in Path(f"/proc/{word}/cmdline").read_bytes():
                return int(word)
        time.sleep(0.1)
    raise AssertionError(f"process {os.getpid()} saw no worker")


def _is_running(process_id: int) -> bool:
    """Return whether a process still computes; one that waits to be collected does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except OSError:
        return False
    return state.split()[0] != "Z"
