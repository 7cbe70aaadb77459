"""Programs on an audit log for a process of their own: one that is killed, one on a small disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from simulators.failing_disk import INSTALLED
from trocar.audit.log import AuditLog, is_disk_full
from trocar.audit.report import read_log
from trocar.contracts.errors import SinkError

__all__: list[str] = []

BALLAST_BYTES: Final = 16 * 1024


def append(path: Path) -> None:
    """Append for ever; print the number of each record that was acknowledged."""
    log = AuditLog(path)
    while True:
        head = log.append("installed", INSTALLED)
        sys.stdout.write(f"{head.seq} {head.digest}\n")
        sys.stdout.flush()


def fill(folder: Path) -> None:
    """Append until the disk is full, make room, and append again; print what came of it."""
    ballast, path = folder / "ballast", folder / "audit.jsonl"
    ballast.write_bytes(b"\0" * BALLAST_BYTES)
    log = AuditLog(path)
    full_count = 0
    while full_count < 3:
        try:
            log.append("installed", INSTALLED)
        except SinkError as exc:
            if not is_disk_full(exc):
                raise
            full_count += 1
            assert len(read_log([path]).records) == log.head.seq + 1
    before = path.read_bytes()
    ballast.unlink()
    log.append("gap", {"cause": "disk_full", "held_count": 0, "lost_count": full_count})
    assert path.read_bytes().startswith(before)
    report = read_log([path], heads=[log.head.digest])
    sys.stdout.write(f"{len(report.records)} {report.event_counts['gap']}\n")


if __name__ == "__main__":
    {"append": append, "fill": fill}[sys.argv[1]](Path(sys.argv[2]))
