"""Kill the process that writes the audit log, again and again, and damage the log in every way."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from simulators import audit_programs
from simulators.failing_disk import INSTALLED
from trocar.audit.chain import read_part
from trocar.audit.log import AuditLog
from trocar.audit.report import read_log
from trocar.contracts.errors import AuditError
from trocar_lab.evidence.store.pytest_plugin import FigureRecorder

KILLS: Final = int(os.environ.get("TROCAR_AUDIT_KILLS", "12"))
CASES: Final = int(os.environ.get("TROCAR_FUZZ_CASES", "300"))
SEED: Final = 20261121


def _environment() -> dict[str, str]:
    """Return the environment for a child that is killed: without the coverage tool."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return {**kept, "PYTHONPATH": str(Path(audit_programs.__file__).parents[1])}


@pytest.mark.verifies("SRS_AUDIT_002", extent="full", technique="fault_injection")
def test_no_acknowledged_record_is_lost_to_a_kill(
    tmp_path: Path, record_figure: FigureRecorder
) -> None:
    """Killed at any moment, the process has lost nothing that it had said to be on the disk."""
    path = tmp_path / "audit.jsonl"
    chance = random.Random(SEED)  # noqa: S311 - moments of kills, not secrets
    acknowledged: dict[int, str] = {}
    torn_count = 0
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-m", "simulators.audit_programs", "append", str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 12)):
                seq, digest = process.stdout.readline().split()
                acknowledged[int(seq)] = digest
            process.kill()
            for line in process.stdout.read().splitlines(keepends=True):
                if line.endswith("\n"):
                    seq, digest = line.split()
                    acknowledged[int(seq)] = digest
        torn_count += read_part(path.read_bytes()).torn_bytes > 0
    AuditLog(path)
    report = read_log([path])
    found = {one.seq: one.digest for one in report.records}
    assert acknowledged.items() <= found.items()
    assert report.event_counts.get("log_recovered", 0) == torn_count
    assert len(acknowledged) >= KILLS
    record_figure("kill_count", KILLS)
    record_figure("torn_count", torn_count)
    record_figure("acknowledged_count", len(acknowledged))


@pytest.mark.verifies("SRS_AUDIT_003", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_AUDIT_001",
    measure="damaged logs in which a record reads otherwise than it was written",
    acceptance="0 of all damaged logs; each is refused, or cut to whole records that were written",
)
def test_damaged_log_never_reads_otherwise(tmp_path: Path) -> None:
    """Flips, cuts, holes, lines deleted, doubled, swapped: each is refused or a shorter log."""
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        for _ in range(5):
            log.append("installed", INSTALLED)
    sound = path.read_bytes()
    records = list(read_part(sound).records)
    chance = random.Random(SEED)  # noqa: S311 - places of damage, not secrets
    refused_count = 0
    for _ in range(CASES):
        damaged = _damaged(sound, chance)
        path.write_bytes(damaged)
        part = read_part(damaged)
        assert list(part.records) == records[: len(part.records)]
        try:
            AuditLog(path)
        except AuditError:
            refused_count += 1
            assert path.read_bytes() == damaged
        else:
            assert path.read_bytes().startswith(sound[: part.good_bytes])
        if damaged != sound:
            with pytest.raises(AuditError):
                AuditLog(path, anchor=log.head)
    assert refused_count > CASES // 3


def _damaged(sound: bytes, chance: random.Random) -> bytes:
    """Return a log with one fault."""
    lines = sound.splitlines(keepends=True)
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    place, size = chance.randrange(len(sound)), chance.randrange(1, 600)
    match chance.randrange(7):
        case 0:
            flipped = bytearray(sound)
            flipped[place] ^= 1 << chance.randrange(8)
            return bytes(flipped)
        case 1:
            return sound[:place]
        case 2:
            return sound[:place] + b"\0" * len(sound[place : place + size]) + sound[place + size :]
        case 3:
            return b"".join(lines[:first] + lines[first + 1 :])
        case 4:
            return b"".join([*lines[:first], lines[second], *lines[first:]])
        case 5:
            lines[first], lines[second] = lines[second], lines[first]
            return b"".join(lines)
        case _:
            return sound[:place] + chance.randbytes(size) + sound[place:]
