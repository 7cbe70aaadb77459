"""The provenance statement: from what, how, what."""

from __future__ import annotations

import datetime as dt
import json

from trocar_lab.release.provenance import BuildFacts, provenance_text

_TIME = dt.datetime(2026, 11, 21, 8, 0, tzinfo=dt.UTC)


def test_statement_names_source_locks_and_results() -> None:
    """The fields that SLSA 1.0 asks for, sorted, and the same text for the same facts."""
    facts = BuildFacts(
        commit="c" * 40,
        tag="v1.0.0",
        grade="development",
        backend="1.33.0",
        subjects={"b.whl": "b" * 64, "a.whl": "a" * 64},
        locks={"device.lock": "d" * 64},
        started=_TIME,
        finished=_TIME + dt.timedelta(seconds=3),
    )
    text = provenance_text(facts)
    assert text == provenance_text(facts)
    value = json.loads(text)
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [row["name"] for row in value["subject"]] == ["a.whl", "b.whl"]
    build, run = (value["predicate"][key] for key in ("buildDefinition", "runDetails"))
    assert build["externalParameters"] == {
        "commit": "c" * 40,
        "grade": "development",
        "tag": "v1.0.0",
    }
    materials = {row["uri"]: row.get("digest") for row in build["resolvedDependencies"]}
    assert materials["git+urn:trocar:repository"] == {"gitCommit": "c" * 40}
    assert materials["file:device.lock"] == {"sha256": "d" * 64}
    assert "pkg:pypi/hatchling@1.33.0" in materials
    assert run["metadata"]["finishedOn"] == "2026-11-21T08:00:03+00:00"
    assert run["builder"]["id"]
