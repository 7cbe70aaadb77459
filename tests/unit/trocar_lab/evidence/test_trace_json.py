"""trace.json: valid by its schema, complete, and the same for the same state."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from simulators.report_reader import facts_of
from simulators.trace_graphs import write_trace
from trocar_lab.evidence.project import read_project
from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.html_report import html_report
from trocar_lab.evidence.report.trace_json import SCHEMA, trace_json
from trocar_lab.evidence.selftest.faults import load_faults
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project


def _schema() -> dict[str, Any]:
    """Return the schema that ships beside the report."""
    path = resources.files("trocar_lab.evidence.report").joinpath(SCHEMA)
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _faults(document: object) -> list[str]:
    """Return what the schema says against a document."""
    errors = jsonschema_rs.validator_for(_schema()).iter_errors(document)
    return [f"{list(error.instance_path)}: {error.message}" for error in errors]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Return the facts of the demo without a fault."""
    return facts_of(seeded_project(CLEAN, tmp_path_factory.mktemp("clean")))


def test_demo_is_valid_by_the_schema(clean: Facts) -> None:
    """Who reads the file by machine can rely on its form."""
    assert _faults(json.loads(trace_json(clean))) == []


@pytest.mark.parametrize("rule", ["C5", "K6", "V7", "G8", "F7"])
def test_faulty_states_are_valid_too(rule: str, tmp_path: Path) -> None:
    """A red state has the same form as a green one."""
    fault = next(fault for fault in load_faults() if fault.rule == rule)
    assert _faults(json.loads(trace_json(facts_of(seeded_project(fault, tmp_path))))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 1),
        (("statement",), "cleared"),
        (("rules",), {}),
        (("verdict", "line"), "GREEN"),
        (("needs", "SRS_DEMO_001", "fingerprint"), "short"),
        (("needs", "SRS_DEMO_001", "finding", "verdict"), "GOOD"),
        (("needs", "SRS_DEMO_001", "extra"), 1),
        (("cases", "TC_DEMO_01", "platform"), "moon"),
        (("identity", "commit"), "main"),
    ],
)
def test_schema_refuses_what_is_wrong(clean: Facts, path: tuple[str, ...], value: object) -> None:
    """A schema that lets everything pass would prove nothing."""
    document = json.loads(trace_json(clean))
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert _faults(document)


def test_document_holds_each_row_case_and_link(clean: Facts) -> None:
    """What the page only counts is listed here."""
    document = json.loads(trace_json(clean))
    assert set(document["needs"]) == set(clean.needs)
    assert set(document["cases"]) == set(clean.project.proofs.cases)
    for result in clean.outcome.results:
        rows = document["rules"][result.rule_id]
        assert [row["need_id"] for row in rows["open"]] == [row.need_id for row in result.open]
        assert rows["population"] == result.population
    need = document["needs"]["SRS_DEMO_002"]
    assert need["fingerprint"] == clean.needs["SRS_DEMO_002"].fingerprint
    assert need["links"]["realises"] == ["RCM_DEMO_001"]
    assert "UNIT_DEMO_SEGMENTER" in need["incoming"]["implements"]
    assert need["platforms"]["host"]["verdict"] == "PASS"
    assert need["approval"]["reviewer"]
    assert need["history"]
    assert document["needs"]["UNIT_DEMO_SEGMENTER"]["strength"]["coverage"]
    clauses = sum(len(table.rows) for table in clean.clauses)
    assert len(document["clauses"]) == clauses


def test_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    """Two reports of one state can be compared by their digests."""
    made = write_trace(tmp_path, 50)
    texts = set()
    for _ in range(2):
        facts = facts_of(read_project(made.root, graph=made.graph, evidence=made.evidence))
        texts.add((trace_json(facts), html_report(facts)))
    assert len(texts) == 1
    assert _faults(json.loads(texts.pop()[0])) == []


def test_one_line_a_need(clean: Facts) -> None:
    """A difference of two files is readable line by line."""
    lines = trace_json(clean).split("\n")
    assert sum(line.startswith('"SRS_DEMO_001":{') for line in lines) == 1
