"""Where a release comes from, as a SLSA provenance statement.

Nobody else vouches for it: it is one of the files that the release's own signature covers. The
public path has an attestation by the service that built it instead (.github/workflows).

Source:
    SLSA 1.0, "Provenance", predicate https://slsa.dev/provenance/v1.
"""

from __future__ import annotations

import datetime as dt
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trocar.statements.statement import STATEMENT_TYPE

__all__ = ["BUILD_TYPE", "PREDICATE_TYPE", "BuildFacts", "provenance_text"]

PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:trocar:build:release:v1"
_BUILDER: Final = "urn:trocar:builder:tox-release"


@dataclass(frozen=True)
class BuildFacts:
    """What was built, from what, and how.

    Attributes:
        commit: Source.
        tag: Its tag; empty when there is none.
        grade: production or development.
        backend: Version of the build backend.
        subjects: Built file to SHA-256.
        locks: Lock file to SHA-256; what else went in.
        started: When the build began, UTC.
        finished: When it ended, UTC.
    """

    commit: str
    tag: str
    grade: str
    backend: str
    subjects: Mapping[str, str]
    locks: Mapping[str, str]
    started: dt.datetime
    finished: dt.datetime


def provenance_text(facts: BuildFacts) -> str:
    """Return the statement as JSON."""
    materials: list[dict[str, Any]] = [
        {"uri": "git+urn:trocar:repository", "digest": {"gitCommit": facts.commit}},
        {"uri": f"pkg:pypi/hatchling@{facts.backend}"},
    ]
    materials += [
        {"uri": f"file:{name}", "digest": {"sha256": digest}}
        for name, digest in sorted(facts.locks.items())
    ]
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"tag": facts.tag, "commit": facts.commit, "grade": facts.grade},
            "internalParameters": {
                "python": platform.python_version(),
                "machine": platform.machine(),
                "system": platform.system(),
                "sourceDateEpoch": "not set",
            },
            "resolvedDependencies": materials,
        },
        "runDetails": {
            "builder": {"id": _BUILDER, "version": {"hatchling": facts.backend}},
            "metadata": {
                "startedOn": facts.started.isoformat(timespec="seconds"),
                "finishedOn": facts.finished.isoformat(timespec="seconds"),
            },
        },
    }
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest}}
            for name, digest in sorted(facts.subjects.items())
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    return json.dumps(statement, indent=1, sort_keys=True) + "\n"
