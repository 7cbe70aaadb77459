"""A small real recording: real scheduler, real engine, a tiny pack, every arm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulators.packs import write_tiny_pack
from simulators.trust import trust_of
from trocar.apps.endoscopy import SHIPPED_PACK
from trocar.contracts.errors import SinkError, SourceLostError
from trocar_lab.latency.__main__ import main
from trocar_lab.latency.budgets import load_budgets
from trocar_lab.latency.bundle import read_bundle
from trocar_lab.latency.child_process import environment
from trocar_lab.latency.record import record_bundle
from trocar_lab.latency.reports import Verdict
from trocar_lab.latency.settings import Arm, RecordSettings
from trocar_lab.latency.verify import verify_bundle

pytestmark = pytest.mark.verifies("SRS_LATENCY_001", extent="full", technique="requirement")

SMALL = ["--frames", "30", "--fps", "60", "--height", "96", "--width", "128", "--runs", "1"]
SMALL += ["--warm-up-frames", "5", "--warm-up-block", "5", "--warm-up-blocks-max", "3"]
WAIT_SECONDS_MAX = 120.0


def _pack(tmp_path: Path) -> list[str]:
    """Return the options that name the tiny pack, and the folder that trusts it."""
    pack = tmp_path / "pack"
    return ["--pack", str(pack), "--trust", str(trust_of(pack))]


def test_every_arm_leaves_a_bundle_that_verifies(tmp_path: Path) -> None:
    """Each planned run is there, each frame once, and the verdict is that of too few frames."""
    write_tiny_pack(tmp_path / "pack")
    settings = RecordSettings(
        frame_count=30,
        fps=60,
        height_px=96,
        width_px=128,
        run_count=1,
        warm_up_frame_count=5,
        warm_up_block=5,
        warm_up_block_count_max=3,
        gap_s=1,
        stretch=10,
    )
    told: list[str] = []
    digest = record_bundle(
        tmp_path / "bundle",
        settings,
        pack=tmp_path / "pack",
        trust=trust_of(tmp_path / "pack"),
        operator="test",
        wheel=None,
        tell=told.append,
    )
    report = verify_bundle(tmp_path / "bundle", load_budgets())
    assert report.verdict is Verdict.INSUFFICIENT, report
    assert report.bundle_sha256 == digest
    assert report.label.startswith("surrogate: ")
    assert {arm.arm for arm in report.arms} == set(Arm)
    assert len(told) == len(Arm)
    for arm in report.arms:
        assert arm.misses is not None
        assert arm.misses.frame_count == 30
        assert len(arm.runs) == 1
    gap = next(arm for arm in report.arms if arm.arm is Arm.IDLE_GAP)
    assert (
        gap.shape is None
        or gap.shape.output_gap_max_ms is None
        or gap.shape.output_gap_max_ms < 1000
    )


def test_command_line_records_verifies_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The three commands, with the exit code of the verdict."""
    write_tiny_pack(tmp_path / "pack")
    bundle = str(tmp_path / "bundle")
    common = [
        "record",
        *_pack(tmp_path),
        "--arms",
        "idle",
        "-o",
        bundle,
        *SMALL,
    ]
    assert main(common) == 0
    capsys.readouterr()
    assert main(["verify", bundle, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["verdict"] == "INSUFFICIENT"
    assert main(["report", bundle, "-o", str(tmp_path / "page.html")]) == 3
    assert (tmp_path / "page.html").stat().st_size > 2000
    assert main(common) == SinkError.exit_code
    assert main(["record", "-o", bundle, "--arms", "none"]) == 2


@pytest.mark.verifies("SRS_LATE_002", extent="full", technique="requirement")
def test_two_units_on_one_stream_are_one_row_a_frame(tmp_path: Path) -> None:
    """Both are named, both answered each frame, and their limits are looked up together."""
    if not (SHIPPED_PACK / "manifest.json").is_file():
        pytest.skip("this build ships no pack")
    write_tiny_pack(tmp_path / "pack")
    settings = RecordSettings(
        unit="polyp_segmentation",
        units_beside=("polyp_segmentation",),
        thread_count=1,
        frame_count=20,
        fps=10,
        height_px=96,
        width_px=128,
        arms=(Arm.IDLE,),
        run_count=1,
        warm_up_frame_count=2,
        warm_up_block=2,
        warm_up_block_count_max=3,
    )
    record_bundle(
        tmp_path / "bundle",
        settings,
        pack=tmp_path / "pack",
        trust=trust_of(tmp_path / "pack"),
        operator="test",
        wheel=None,
        tell=lambda _: None,
    )
    bundle = read_bundle(tmp_path / "bundle")
    assert bundle.faults == ()
    rows = bundle.runs[0].rows
    assert [row.frame_index for row in rows] == list(range(20))
    kinds = {row.outcome for row in rows if not row.is_dropped}
    assert kinds <= {"polyp_mask+polyp_mask", "polyp_mask+withheld:stale_frame"}
    report = verify_bundle(tmp_path / "bundle", load_budgets())
    assert report.unit.startswith("polyp_segmentation+polyp_segmentation ")
    assert "no budget for polyp_segmentation+polyp_segmentation" in report.arms[0].reasons[0]


def test_failing_run_leaves_an_incomplete_bundle(tmp_path: Path) -> None:
    """Without a pack no run succeeds, and what lies there does not count."""
    settings = RecordSettings(arms=(Arm.IDLE,), run_count=1)
    with pytest.raises(SourceLostError, match="idle-01"):
        record_bundle(
            tmp_path / "b",
            settings,
            pack=tmp_path / "none",
            operator="test",
            wheel=None,
            tell=print,
        )
    assert verify_bundle(tmp_path / "b", load_budgets()).verdict is Verdict.INVALID


@pytest.mark.verifies("SRS_LATENCY_001", extent="full", technique="fault_injection")
def test_killed_recording_is_incomplete_and_ends_its_worker(tmp_path: Path) -> None:
    """Kill -9 cannot leave a bundle that looks whole, nor a process that goes on."""
    write_tiny_pack(tmp_path / "pack")
    bundle = tmp_path / "bundle"
    words = [
        "record",
        *_pack(tmp_path),
        "--arms",
        "cpu-stress",
        "-o",
        str(bundle),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "trocar_lab.latency", *words, *SMALL, "--frames", "100000"],
        env=environment(),
        stderr=subprocess.DEVNULL,
    )
    try:
        children = _wait_for_children(process.pid, 1 + (os.cpu_count() or 1))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert "incomplete" in verify_bundle(bundle, load_budgets()).reasons[0]
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while any(_is_running(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [child for child in children if _is_running(child)]


def _wait_for_children(process_id: int, count: int) -> list[int]:
    """Wait until a process has started others; return their ids."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    path = Path(f"/proc/{process_id}/task/{process_id}/children")
    found: list[int] = []
    while len(found) < count and time.monotonic() < deadline:
        found = [int(word) for word in path.read_text(encoding="ascii").split()]
        time.sleep(0.1)
    assert len(found) == count
    return found


def _is_running(process_id: int) -> bool:
    """Return whether a process still computes; one that waits to be collected does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except OSError:
        return False
    return state.split()[0] != "Z"
