"""A run that is stopped or runs out of disk, as its own process: the outputs so far are intact."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from simulators.command_line import UNIT, lines_of
from simulators.media import decoded, write_clip
from simulators.trust import trust_of
from trocar import RESEARCH_NOTICE

PATIENCE_S: Final = 60.0
FILE_BYTES: Final = 20_000


def _environment() -> dict[str, str]:
    """Return the environment without the coverage tool, which would write where nothing fits."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return {**kept, "TROCAR_DATA": ""}


def _start(
    words: list[object], *, before: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    """Start ``trocar`` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "trocar", *(str(word) for word in words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
        preexec_fn=before,  # noqa: PLW1509 - sets a limit of the child only; no threads here
    )


def _wait_for_lines(path: Path, count: int) -> None:
    """Wait until the record holds so many lines."""
    limit_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit_s:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.02)
    pytest.fail(f"no {count} lines in {path} within {PATIENCE_S} s")


def _streaming(pack: Path, folder: Path, *words: object) -> list[object]:
    """Return the words of a long live run with record, overlay and latency report."""
    clip = write_clip(folder / "clip.mp4", frame_count=50)
    out = folder / "out"
    out.mkdir()
    return [
        *("stream", UNIT, "--source", f"file:{clip}", "--loop", 1000, "--pack", pack),
        f"--trust={trust_of(pack)}",
        *("--sink", f"jsonl:{out / 'r.jsonl'}", "--sink", f"mp4:{out / 'o.mp4'}"),
        *("--sink", f"latency:{out}", *words),
    ]


@pytest.mark.verifies("SRS_STREAM_007", "SRS_CLI_002", extent="full", technique="requirement")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_stopped_stream_ends_with_whole_outputs(
    tiny_pack: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C and a service that is stopped: exit code 130, whole lines, a video that plays."""
    process = _start(_streaming(tiny_pack, tmp_path, "--json"))
    out = tmp_path / "out"
    _wait_for_lines(out / "r.jsonl", 30)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=15)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert RESEARCH_NOTICE in stderr
    summary = json.loads(stdout)["runs"][0]["summary"]
    lines = lines_of(out / "r.jsonl")
    assert summary["ended_because"] == "stopped"
    assert summary["answered_count"] == len(lines) >= 30
    counts = ("answered_count", "displaced_count", "undelivered_count")
    assert summary["received_count"] == sum(summary[name] for name in counts)
    assert len(decoded(out / "o.mp4")) > 0
    assert json.loads((out / "latency.json").read_text(encoding="utf-8"))


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="fault_injection")
def test_second_stop_does_not_tear_the_outputs(tiny_pack: Path, tmp_path: Path) -> None:
    """An impatient user presses Ctrl-C again and again."""
    process = _start(_streaming(tiny_pack, tmp_path))
    _wait_for_lines(tmp_path / "out" / "r.jsonl", 10)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=15)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert lines_of(tmp_path / "out" / "r.jsonl")
    assert decoded(tmp_path / "out" / "o.mp4")


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="fault_injection")
def test_killed_run_leaves_whole_lines(tiny_pack: Path, tmp_path: Path) -> None:
    """Power off: nothing can be closed, yet each line that is there is whole, and video plays."""
    process = _start(_streaming(tiny_pack, tmp_path))
    _wait_for_lines(tmp_path / "out" / "r.jsonl", 80)
    process.kill()
    process.communicate(timeout=15)
    assert len(lines_of(tmp_path / "out" / "r.jsonl")) >= 80
    assert decoded(tmp_path / "out" / "o.mp4")


def _small_files() -> None:
    """Let the child's files grow to a few kilobytes only, as a disk that fills up does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))


@pytest.mark.verifies("SRS_SINK_004", extent="full", technique="fault_injection")
def test_disk_that_fills_up_leaves_whole_lines(tiny_pack: Path, tmp_path: Path) -> None:
    """The write that no longer fits is taken back; the run ends and says what to do."""
    clip = write_clip(tmp_path / "clip.mp4", frame_count=50)
    record = tmp_path / "r.jsonl"
    process = _start(
        [
            *("stream", UNIT, "--source", f"file:{clip}", "--pack", tiny_pack),
            f"--trust={trust_of(tiny_pack)}",
            *("--sink", f"jsonl:{record}", "--as-fast-as-possible"),
        ],
        before=_small_files,
    )
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 73, stderr
    assert "error SINK: " in stderr
    assert "what to do: " in stderr
    assert "Traceback" not in stderr
    assert stdout == ""
    lines = lines_of(record)
    assert [line["frame_index"] for line in lines] == list(range(len(lines)))
    assert 10 < len(lines) < 50
    assert record.stat().st_size <= FILE_BYTES


@pytest.mark.verifies(
    "SRS_SINK_004", "SRS_ERROR_001", extent="partial", technique="fault_injection"
)
@pytest.mark.parametrize("sink", ["jsonl:/dev/full", "mp4:/dev/full"])
def test_full_device_is_an_error_with_advice(
    tiny_pack: Path, clip: Path, tmp_path: Path, sink: str
) -> None:
    """The disk was full from the begin: exit code 73, and the other output is still written."""
    record = tmp_path / "other.jsonl"
    process = _start([
        *("stream", UNIT, "--source", f"file:{clip}", "--pack", tiny_pack),
        f"--trust={trust_of(tiny_pack)}",
        *("--sink", sink, "--sink", f"jsonl:{record}", "--as-fast-as-possible"),
    ])
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 73, stderr
    assert "what to do: " in stderr
    assert "Traceback" not in stderr
    assert len(lines_of(record)) >= 1


@pytest.mark.verifies("SRS_ERROR_001", "SRS_CLI_002", extent="partial", technique="example")
def test_result_into_a_full_device_is_an_error() -> None:
    """``trocar units > FULL_DISK`` must not end with 0."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = subprocess.run(
            [sys.executable, "-m", "trocar", "units", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env=_environment(),
        )
    assert process.returncode == 73
    assert "error SINK: " in process.stderr
    assert "Traceback" not in process.stderr
