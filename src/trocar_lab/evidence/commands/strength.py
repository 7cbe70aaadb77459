"""Commands that record how strong the tests are: ``coverage`` and ``mutation``."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
from pathlib import Path

from trocar_lab.evidence.commands.options import Commands
from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.mutation.runner import measure
from trocar_lab.evidence.store.evidence_store import read_runs
from trocar_lab.evidence.store.strength import COVERAGE_NAME, coverage_of, coverage_text
from trocar_lab.provenance.code_identity import folder_sha256


def add_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add both commands."""
    words = "record the coverage of the newest run in the evidence folder"
    coverage = commands.add_parser("coverage", help=words, description=words)
    coverage.set_defaults(command=_coverage)
    coverage.add_argument(
        "--from",
        dest="report",
        type=Path,
        required=True,
        metavar="FILE",
        help="written by coverage json",
    )
    coverage.add_argument("--evidence", type=Path, required=True, metavar="DIR")
    coverage.add_argument("--root", type=Path, default=Path(), metavar="DIR")
    words = "put small faults into a copy of the risk controls and record which ones tests notice"
    mutation = commands.add_parser("mutation", help=words, description=words)
    mutation.set_defaults(command=_mutation)
    mutation.add_argument(
        "modules",
        nargs="*",
        metavar="MODULE",
        help="measure its functions again although they have a present result; trocar means all",
    )
    mutation.add_argument("--root", type=Path, default=Path(), metavar="DIR")


def _coverage(options: argparse.Namespace) -> int:
    """Write the coverage record and print where."""
    path = record_coverage(options.root, options.report, options.evidence)
    print(f"wrote {path}")
    return 0


def record_coverage(root: Path, report: Path, evidence: Path) -> Path:
    """Write the coverage of the newest run of this source into its evidence folder.

    Args:
        root: Repository root.
        report: JSON report of coverage.py.
        evidence: Folder with the evidence of the same run.

    Returns:
        The file.

    Raises:
        EvidenceError: There is no report, no run, or the source changed since the run began.
        RecordError: The report is not one of coverage.py with branches.
    """
    runs = read_runs(evidence)
    if not runs:
        raise EvidenceError(f"no run in {evidence}: coverage is recorded beside its run")
    device_sha256, lab_sha256 = (folder_sha256(root / "src" / n) for n in ("trocar", "trocar_lab"))
    same = [
        run.path
        for run in runs
        if run.run.identity.device_sha256 == device_sha256
        and run.run.identity.lab_sha256 == lab_sha256
    ]
    if not same:
        raise EvidenceError(
            f"the source changed since {runs[-1].path}: run the tests again, then record"
        )
    try:
        measured = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise EvidenceError(f"no coverage report in {report}: {exc}") from exc
    record = coverage_of(
        measured,
        run=same[-1],
        device_sha256=device_sha256,
        lab_sha256=lab_sha256,
        recorded=dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
    )
    path = evidence / COVERAGE_NAME
    path.write_text(coverage_text(record), encoding="utf-8")
    return path


def _mutation(options: argparse.Namespace) -> int:
    """Measure the mutants of the risk controls."""
    with tempfile.TemporaryDirectory(prefix="trocar-mutation-") as folder:
        measure(
            options.root.resolve(),
            Path(folder),
            say=lambda text: print(text, flush=True),
            again=options.modules,
        )
    return 0
