"""Load beside a run: started before it, ended after it, gone when the recorder is gone."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trocar.contracts.errors import SourceLostError
from trocar_lab.latency.child_process import command, environment
from trocar_lab.latency.settings import Arm

READY_SECONDS_MAX: Final = 180
END_SECONDS_MAX: Final = 5

# Integers only and no import beyond os: nothing here depends on what is measured.
_BUSY: Final = """
import os
parent = int(%r)
while os.getppid() == parent:
    total = 0
    for number in range(200000):
        total += number * number
"""


@contextlib.contextmanager
def load_of(arm: Arm, job_file: Path) -> Iterator[None]:
    """Keep the load of an arm running.

    Args:
        arm: The arm.
        job_file: Job that a second instance runs.

    Raises:
        SourceLostError: The load did not start.
    """
    processes: list[subprocess.Popen[bytes]] = []
    try:
        if arm is Arm.CPU_STRESS:
            busy = [sys.executable, "-c", _BUSY % str(os.getpid())]
            processes += [subprocess.Popen(busy) for _ in range(os.cpu_count() or 1)]
        elif arm is Arm.SECOND_INSTANCE:
            processes.append(_second_instance(job_file))
        yield
    finally:
        for process in processes:
            _end(process)


def _second_instance(job_file: Path) -> subprocess.Popen[bytes]:
    """Start a second instance and wait until it answers frames."""
    process = subprocess.Popen(
        command("load", job_file),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    line = b""
    if process.stdout is not None:
        readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS_MAX)
        line = process.stdout.readline() if readable else b""
    if line.strip() != b"ready":
        _end(process)
        raise SourceLostError(
            "the second instance did not start", advice="see whether memory or the engine is short"
        )
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End one process that this one started."""
    process.terminate()
    try:
        process.wait(END_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(END_SECONDS_MAX)
    if process.stdout is not None:
        process.stdout.close()
