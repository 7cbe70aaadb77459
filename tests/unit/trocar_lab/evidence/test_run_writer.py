"""One writer a file, and no acknowledged line is lost, killed or not."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulators.evidence_runs import lines_of, write_run
from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store import run_writer
from trocar_lab.evidence.store.evidence_record import (
    UncollectedLine,
    chain,
)
from trocar_lab.evidence.store.run_reader import read_run
from trocar_lab.evidence.store.run_writer import EvidenceWriter

HOLD = """
import sys, time
from pathlib import Path
from simulators.evidence_runs import lines_of
from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.evidence_record import OutcomeLine
from trocar_lab.evidence.store.run_writer import EvidenceWriter

count, hold = int(sys.argv[2]), sys.argv[3] == "hold"
time.sleep(max(0.0, float(sys.argv[4]) - time.time()))
try:
    writer = EvidenceWriter(Path(sys.argv[1]))
except EvidenceError as exc:
    print("refused:", exc, flush=True)
    sys.exit(3)
for line in lines_of(count)[:-1]:
    writer.write(line)
    print("written", flush=True)
while hold:
    time.sleep(60)
writer.close()
"""


def _start(path: Path, count: int, *, hold: bool, at: float = 0.0) -> subprocess.Popen[str]:
    """Start a process that writes a run."""
    words = [sys.executable, "-c", HOLD, str(path), str(count), "hold" if hold else "-", str(at)]
    places = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.verifies("SRS_TRACE_015", extent="partial", technique="fault_injection")
def test_killed_process_loses_no_acknowledged_line(tmp_path: Path) -> None:
    """SIGKILL leaves no time to tidy up; what the writer returned from is there, in order."""
    path = tmp_path / "run-killed.jsonl"
    process = _start(path, 2000, hold=True)
    assert process.stdout is not None
    for _ in range(1500):
        assert process.stdout.readline() == "written\n"
    process.kill()
    rest = process.stdout.read().count("written\n")
    assert process.wait() == -signal.SIGKILL
    run = read_run(path)
    assert run.line_count >= 1500 + rest
    assert run.faults == ()
    assert not run.finished
    kept = [run.run, *run.needs.values(), *run.collected.values(), *run.outcomes.values()]
    assert len(kept) == run.line_count
    process.stdout.close()


def test_two_processes_cannot_write_one_file(tmp_path: Path) -> None:
    """Lines of two runs in one file would be evidence of neither."""
    path = tmp_path / "run-same.jsonl"
    at = time.time() + 2.0
    both = [_start(path, 50, hold=False, at=at) for _ in range(2)]
    told = [process.communicate(timeout=60)[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 3]
    assert sum("refused" in text and "exists already" in text for text in told) == 1
    run = read_run(path)
    assert run.faults == ()
    assert run.line_count == 103
    with pytest.raises(EvidenceError, match="exists already"):
        EvidenceWriter(path)
    assert read_run(path) == run


def test_line_of_another_process_is_named(tmp_path: Path) -> None:
    """Nothing can keep a stranger from adding to a file; what he adds does not follow."""
    path = tmp_path / "run-a.jsonl"
    lines = lines_of()
    writer = EvidenceWriter(path)
    for line in lines[:6]:
        writer.write(line)
    stranger = "import sys; open(sys.argv[1], 'ab').write(sys.argv[2].encode())"
    foreign = chain(lines_of(name="other"))[6]
    subprocess.run([sys.executable, "-c", stranger, str(path), f"{foreign}\n"], check=True)
    for line in lines[6:]:
        writer.write(line)
    writer.close()
    faults = read_run(path).faults
    assert faults[0].startswith("line 7: was changed or does not follow")


def test_writer_refuses_a_link_and_what_it_closed(tmp_path: Path) -> None:
    """A link would lead the evidence elsewhere; a closed file may be sealed already."""
    (tmp_path / "run-a.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EvidenceError, match="exists already"):
        EvidenceWriter(tmp_path / "run-a.jsonl")
    assert not (tmp_path / "elsewhere").exists()
    writer = EvidenceWriter(tmp_path / "run-b.jsonl")
    assert run_writer.is_being_written(tmp_path / "run-b.jsonl")
    writer.close()
    assert not run_writer.is_being_written(tmp_path / "run-b.jsonl")
    with pytest.raises(EvidenceError, match="closed"):
        writer.write(lines_of()[0])
    with pytest.raises(EvidenceError, match="cannot be made"):
        EvidenceWriter(tmp_path / "run-b.jsonl" / "run-c.jsonl")
    with pytest.raises(EvidenceError, match="cannot be written"):
        EvidenceWriter(tmp_path / f"run-{'c' * 300}.jsonl")


def test_full_disk_ends_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line is the end: another line behind it would hide where the file broke."""
    writer = EvidenceWriter(tmp_path / "run-a.jsonl")
    writer.write(lines_of()[0])
    real = os.write

    def fill(number: int, data: bytes) -> int:
        """Take ten bytes, then none."""
        if len(data) < 400:
            raise OSError(28, "No space left on device")
        return real(number, bytes(data)[: len(data) - 300])

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(EvidenceError, match="No space left"):
        writer.write(UncollectedLine(path="x" * 600, outcome="failed"))
    monkeypatch.undo()
    with pytest.raises(EvidenceError, match="closed"):
        writer.write(lines_of()[1])
    run = read_run(tmp_path / "run-a.jsonl")
    assert (run.line_count, run.finished, run.faults) == (1, False, ())
    assert run.cut_bytes > 0


def test_disk_is_asked_once_a_second_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power failure at most the last second is gone; each line would cost too much."""
    now = [0.0]
    asked: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    writer = EvidenceWriter(tmp_path / "run-a.jsonl")
    monkeypatch.setattr(os, "fsync", lambda _number: asked.append(now[0]))
    for line in lines_of(40)[:-1]:
        writer.write(line)
        now[0] += 0.25
    assert asked == [float(second) for second in range(1, math.ceil(now[0]))]
    writer.close()
    assert asked[-1] == now[0]


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_cut_line_is_told_and_every_line_before_it_counts(tmp_path: Path, cut: int) -> None:
    """What a kill in the middle of a line leaves is neither lost nor guessed."""
    path = write_run(tmp_path, lines_of())
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    run = read_run(path)
    whole = data[:-cut].count(b"\n")
    assert (run.faults, run.finished, run.line_count) == ((), False, whole)
    assert run.cut_bytes == len(data[:-cut]) - data[:-cut].rfind(b"\n") - 1 > 0
    assert len(run.outcomes) == 3
