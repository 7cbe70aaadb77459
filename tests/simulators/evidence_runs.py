"""Small runs of evidence with times, outcomes and machines of choice."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from trocar_lab.evidence.selftest.demo import machine_facts, write_evidence
from trocar_lab.evidence.source.python_tests import Claim
from trocar_lab.evidence.store.evidence_record import (
    FIRST_LINK,
    CollectedLine,
    EndLine,
    Line,
    NeedLine,
    OutcomeLine,
    RunLine,
)
from trocar_lab.evidence.store.identity import PlatformRecord, RunIdentity

BEGIN: Final = dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)
NS_PER_S: Final = 1_000_000_000
ALL_PASSED: Final[Mapping[str, str]] = {
    "setup": "passed",
    "call": "passed",
    "teardown": "passed",
}


def digest(text: str) -> str:
    """Return the digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def identity_of(platform: str = "host", **changes: object) -> RunIdentity:
    """Return the identity of a run on a machine of one platform, with some fields changed."""
    facts = machine_facts(platform)
    machine: dict[str, object] = {
        "host_class": platform,
        "system": "Linux",
        "release": "6",
        "machine": facts.machine,
        "cpu_count": 2,
        "machine_sha256": digest(f"machine of {platform}"),
        "boot_id": f"boot of {platform}",
        "facts": facts,
    }
    values: dict[str, object] = {
        "commit": "0" * 40,
        "clean": True,
        "device_sha256": digest("device"),
        "lab_sha256": digest("lab"),
        "wheel_sha256": digest("wheel"),
        "lock_sha256": digest("lock"),
        "packs": {"demo": digest("pack")},
        "platform": PlatformRecord.model_validate(machine),
        "python": "3.11.0",
        "operator": "Demo Operator",
    }
    return RunIdentity.model_validate({**values, **changes})


def lines_of(
    count: int = 3,
    *,
    name: str = "one",
    begin_s: float = 0.0,
    identity: RunIdentity | None = None,
    outcome: str = "passed",
) -> list[Line]:
    """Return the lines of a run whose nodes start one second after the other.

    Args:
        count: How many nodes.
        name: Runs of another name have another id.
        begin_s: Begin after eight o'clock, on both clocks [s].
        identity: What the run was made on; the host when left out.
        outcome: Outcome of the first node; all others pass.
    """
    nodes = [f"tests/unit/test_a.py::test_{number}" for number in range(count)]
    begin_ns = 100 * NS_PER_S + int(begin_s * NS_PER_S)
    outcomes = [outcome, *["passed"] * count][:count]
    return [
        RunLine(
            run_id=digest(name)[:32],
            started=stamp(begin_s),
            monotonic_ns=begin_ns,
            identity=identity or identity_of(),
        ),
        NeedLine("SRS_DEMO_001", digest("text"), (), ("SYS_DEMO_001",)),
        NeedLine("SYS_DEMO_001", digest("parent")),
        *(
            CollectedLine(
                node,
                "tests/unit/test_a.py",
                node.partition("::")[2],
                digest(node),
                claims=(Claim(marker="verifies", need_id="SRS_DEMO_001"),),
            )
            for node in nodes
        ),
        *(
            OutcomeLine(
                node,
                found,
                {**ALL_PASSED, "call": found},
                stamp(begin_s + 1 + number),
                0.25,
                reason="" if found == "passed" else "because",
                monotonic_ns=begin_ns + (1 + number) * NS_PER_S,
            )
            for number, (node, found) in enumerate(zip(nodes, outcomes, strict=True))
        ),
        EndLine(
            finished=stamp(begin_s + count + 1),
            monotonic_ns=begin_ns + (count + 1) * NS_PER_S,
            exit_status=0 if outcome == "passed" else 1,
            node_count=count,
        ),
    ]


def stamp(after_s: float) -> str:
    """Return the wall clock so long after eight o'clock."""
    return (BEGIN + dt.timedelta(seconds=after_s)).isoformat(timespec="microseconds")


def write_run(folder: Path, lines: list[Line], name: str = "one") -> Path:
    """Write one run with a sound chain and return its path."""
    return write_evidence(folder, lines, name=f"run-{name}.jsonl")


def rechain(path: Path, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the rows of a file and link them anew, as a careful forger would.

    Args:
        path: Evidence file.
        edit: Changes the rows in place.
    """
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    edit(rows)
    previous, data = FIRST_LINK, b""
    for row in rows:
        row.pop("link_sha256", None)
        body = json.dumps(row, sort_keys=True, separators=(",", ":"))[1:].encode()
        previous = hashlib.sha256(previous.encode() + body).hexdigest()
        data += b'{"link_sha256":"' + previous.encode() + b'",' + body + b"\n"
    path.write_bytes(data)
