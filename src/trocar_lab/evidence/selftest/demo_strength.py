"""Strength of the tests of the demo project: thresholds, coverage, mutants."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trocar_lab.evidence.source.control_code import read_control_code
from trocar_lab.evidence.source.device_source import read_device_source
from trocar_lab.evidence.source.digests_of_tests import digests_of_tests
from trocar_lab.evidence.store.strength import (
    COVERAGE_NAME,
    MUTATION_PATH,
    THRESHOLDS_PATH,
    MemberResult,
    MutationRecord,
    UsedTest,
    coverage_of,
    coverage_text,
    mutation_text,
)
from trocar_lab.provenance.code_identity import folder_sha256

_REPORT: Final = "out/coverage-report.json"
_MUTANTS: Final = "out/mutants.json"
_USED: Final = ("tests/unit/test_demo.py::test_stale_frame_is_withheld",)
_THRESHOLDS: Final = """\
[coverage.A]
statements = 0.8
branches = 0.7
reason = "A failure cannot contribute to harm"

[coverage.B]
statements = 1.0
branches = 1.0
reason = "No statement of the demo stays without a test"

[coverage.C]
statements = 1.0
branches = 1.0
reason = "No statement of the demo stays without a test"

[mutation]
score = 0.8
reason = "One mutant in five may change a message only"

[[equivalent]]
function = "trocar.demo:Segmenter.run"
mutant = "00000001"
reason = "Pixels are whole numbers, so above 0 and at least 1 are the same"
name = "Demo Reviewer"
date = 2026-11-01
"""
_COVERAGE: Final = {
    "meta": {"version": "7.0", "branch_coverage": True},
    "files": {
        "src/trocar/demo.py": {
            "summary": {
                "num_statements": 6,
                "covered_lines": 6,
                "num_branches": 2,
                "covered_branches": 2,
            }
        }
    },
}
_RESULTS: Final = {
    "digest": "",
    "killed": 7,
    "timeout": 1,
    "survivors": [
        {
            "mutant": f"0000000{number}",
            "line": 14,
            "operator": "comparison",
            "change": change,
            "outcome": "survived",
        }
        for number, change in enumerate(
            ("value > 0 -> value >= 1", "value > 0 -> value > 1", "AGE -> None"), start=1
        )
    ],
}
STRENGTH_FILES: Final[Mapping[str, str]] = {
    THRESHOLDS_PATH: _THRESHOLDS,
    _REPORT: json.dumps(_COVERAGE),
    _MUTANTS: json.dumps(_RESULTS),
}


def write_demo_strength(root: Path, evidence: Path, run: Path) -> None:
    """Write both records from the results in ``out``; an empty file there gives no record.

    Args:
        root: Root of the demo project, its files written.
        evidence: Its evidence folder.
        run: Evidence file of the same run.
    """
    report, mutants = (root / name for name in (_REPORT, _MUTANTS))
    if report.read_text(encoding="utf-8"):
        record = coverage_of(
            json.loads(report.read_text(encoding="utf-8")),
            run=run.name,
            device_sha256=folder_sha256(root / "src" / "trocar"),
            lab_sha256=folder_sha256(root / "src" / "trocar_lab"),
            recorded="2026-11-21T08:00:03+00:00",
        )
        (evidence / COVERAGE_NAME).write_text(coverage_text(record), encoding="utf-8")
    if mutants.read_text(encoding="utf-8"):
        path = root / MUTATION_PATH
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(mutation_text(_mutation_record(root, mutants)), encoding="utf-8")


def _mutation_record(root: Path, mutants: Path) -> MutationRecord:
    """Return the record of the results in a file, for the code and the tests as they stand."""
    results = json.loads(mutants.read_text(encoding="utf-8"))
    codes, _ = read_control_code(root, read_device_source(root).comments)
    digests = digests_of_tests(root, _USED)
    return MutationRecord(
        functions={
            member.name: MemberResult.model_validate({
                **results,
                "digest": results["digest"] or member.digest,
                "date": dt.date(2026, 11, 1),
                "machine": "Linux x86_64, Python 3.11.0",
                "tool": "mutator 1.0",
                "tests": tuple(UsedTest(name=n, digest=digests[n]) for n in _USED),
            })
            for code in codes
            for member in code.members
        }
    )
