"""The checklist: one row for each clause on release and configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.clauses import ClauseResult, clause_tables
from trocar_lab.evidence.rules.rule import run_rules
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project
from trocar_lab.release import checklist
from trocar_lab.release.checklist import PAGE, checklist_page, checklist_rows, state_lines
from trocar_lab.release.errors import NotReleasableError

ROOT = Path(__file__).parents[4]


@pytest.mark.verifies("SRS_REL_010", extent="full", technique="equivalence")
def test_page_has_a_row_for_each_clause() -> None:
    """All of 5.8 and 8, nothing else; each with its rules in words and who decides."""
    rows = checklist_rows()
    clauses = [row.clause for row in rows]
    assert clauses[:8] == [f"5.8.{number}" for number in range(1, 9)]
    assert {clause.split(".")[0] for clause in clauses[8:]} == {"8"}
    page = checklist_page()
    for row in rows:
        assert f"   * - {row.clause}\n" in page
    assert "F3: The release is signed and its wheel was rebuilt" in " ".join(page.split())
    assert "No person has signed the risk evaluation" in " ".join(page.split())
    assert max(map(len, page.splitlines())) <= 140


def test_page_of_the_repository_is_current() -> None:
    """What ``checklist --check`` looks at in every run of the checks."""
    assert (ROOT / PAGE).read_text(encoding="utf-8") == checklist_page()


@pytest.mark.verifies("SRS_REL_010", extent="partial", technique="equivalence")
def test_state_is_worked_out_from_evidence(tmp_path: Path) -> None:
    """The clean demo: rules hold, pending rows are open, what only a person can say is said so."""
    project = seeded_project(CLEAN, tmp_path)
    tables = clause_tables(project.graph, run_rules(RULES, project))
    lines = {line.split()[0]: line for line in state_lines(tables)}
    assert " done " in lines["5.8.4"]
    assert " by a person " in lines["5.8.3"]
    assert "No person has signed" in lines["5.8.3"]
    red = clause_tables(project.graph, run_rules([], project))
    assert " red " in next(line for line in state_lines(red) if line.startswith("5.8.4"))


@pytest.mark.verifies("SRS_REL_010", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("reasons", "state"),
    [
        (("P1:release: 1 of 2 OPEN, first DOC_X: not approved",), "by a person"),
        (("No person has signed it.", "G8: 1 of 1 OPEN, first DOC_X: not approved"), "by a person"),
        (("F8: 1 of 1 OPEN, first release folder: none", "DOC_X is not approved"), "open"),
    ],
)
def test_row_that_waits_for_a_person_only_says_so(
    tmp_path: Path, reasons: tuple[str, ...], state: str
) -> None:
    """As long as the machine misses something, the row is open whoever signs it in the end."""
    project = seeded_project(CLEAN, tmp_path)
    tables = clause_tables(project.graph, run_rules(RULES, project))
    first = tables[0].rows[0]
    row = first.model_copy(update={"result": ClauseResult.OPEN, "reasons": reasons})
    assert checklist._state(row, "No person has signed it.") == state


def test_clause_data_without_the_clause_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list without rows would look done."""
    monkeypatch.setattr(checklist, "load_clause_files", lambda: ())
    with pytest.raises(NotReleasableError, match=r"no clause 5\.8"):
        checklist_rows()
