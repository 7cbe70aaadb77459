"""Clause files: what cannot be judged does not load, and no clause of a table is lost."""

from __future__ import annotations

import datetime as dt
from typing import Final

import pytest

from trocar_lab.evidence.errors import ClauseError
from trocar_lab.evidence.rules import clause_data
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.clause_data import (
    ClauseFile,
    clause_faults,
    load_clause_files,
    parse_clause_file,
)

HEAD: Final = 'standard = "Standard"\nedition = "1"\nnote = "Words that the report prints above."\n'
WORDS: Final = "What is shown for this clause."
# Reference list of IEC 62304 with amendment 1: 94 lines, of which 4.4, 5.2.2 and 6.2.1 stand for
# 5, 12 and 3 clauses; 111 clauses in all.
IEC_62304: Final = {
    "ABC": """4.1 4.2 4.3 4.4.1 4.4.2 4.4.3 4.4.4 4.4.5 5.1.1 5.1.2 5.1.3 5.1.6 5.1.7 5.1.8 5.1.9
        5.2.1 5.2.2_a 5.2.2_b 5.2.2_c 5.2.2_d 5.2.2_e 5.2.2_f 5.2.2_g 5.2.2_h 5.2.2_i 5.2.2_j
        5.2.2_k 5.2.2_l 5.2.4 5.2.5 5.2.6 5.5.1 5.7.1 5.7.2 5.7.3 5.7.4 5.7.5 5.8.1 5.8.2 5.8.4
        5.8.7 5.8.8 6.1 6.2.1.1 6.2.1.2 6.2.1.3 6.2.2 6.2.3 6.2.4 6.2.5 6.3.1 6.3.2 7.4.1 8.1.1
        8.1.2 8.1.3 8.2.1 8.2.2 8.2.3 8.2.4 8.3 9.1 9.2 9.3 9.4 9.5 9.6 9.7 9.8""",
    "BC": """5.1.5 5.1.10 5.1.11 5.1.12 5.2.3 5.3.1 5.3.2 5.3.3 5.3.4 5.3.6 5.4.1 5.5.2 5.5.3 5.5.5
        5.6.1 5.6.2 5.6.3 5.6.4 5.6.5 5.6.6 5.6.7 5.6.8 5.8.3 5.8.5 5.8.6 7.1.1 7.1.2 7.1.3 7.1.4
        7.2.1 7.2.2 7.3.1 7.3.3 7.4.2 7.4.3""",
    "C": "5.1.4 5.3.5 5.4.2 5.4.3 5.4.4 5.5.4",
    "": "7.3.2",
}
ROWS_IN_FILE: Final = {
    "bs_aami_34971_tr_24029.toml": 11,
    "eu_ai_act_2024_1689.toml": 7,
    "fda_cybersecurity_524b.toml": 13,
    "fda_device_software_2023.toml": 17,
    "gmlp_2025.toml": 10,
    "iec_62304_2006_a1_2015.toml": 111,
    "iec_62366_1_2015_a1_2020.toml": 13,
    "iec_81001_5_1_2021.toml": 14,
    "imdrf_samd.toml": 11,
    "iso_14971_2019.toml": 23,
}


def _text(*rows: str) -> str:
    """Return a clause file with the given rows."""
    bodies = (f'[[row]]\nwords = "{WORDS}"\n{row}\n' for row in rows)
    return HEAD + "\n".join(bodies)


def _row(line: str, *, clause: str = "1", strength: str = "M") -> str:
    """Return the lines of one row."""
    return f'clause = "{clause}"\nstrength = "{strength}"\n{line}'


@pytest.mark.verifies("SRS_TRACE_021", technique="fault_injection")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_text(_row("", clause="7.1")), "x.toml 7.1: .*neither rule nor document nor pending"),
        (_text(_row('rules = ["P1"]'), _row('rules = ["P1"]')), "x.toml 1: stands there twice"),
        (_text(_row('rules = ["P1", "P1"]')), "x.toml 1: .*one thing twice"),
        (_text(_row('rules = ["P1:"]')), "x.toml 1: rules"),
        (_text(_row('rules = ["P"]')), "x.toml 1: rules"),
        (_text(_row('documents = ["PLAN"]')), "x.toml 1: documents"),
        (_text(_row('rules = ["P1"]', strength="X")), "x.toml 1: strength"),
        (_text(_row('classes = "AC"\nrules = ["P1"]')), "x.toml 1: classes"),
        (_text(_row('rules = ["P1"]\nresult = "HOLDS"')), "x.toml 1: result"),
        (_text(_row('rules = ["P1"]\npending = "soon"')), "x.toml 1: pending"),
        (_text(_row('rules = ["P1"]\nreserved = "not used in this edition"')), "reserved"),
        (
            _text(_row('not_applicable = { reason = "There is no older product." }')),
            "x.toml 1: not",
        ),
        (_text('rules = ["P1"]\nstrength = "M"'), "x.toml row 1: clause"),
        (HEAD, "x.toml: rows"),
        (_text(_row('rules = ["P1"]')).replace("note =", "nota ="), "x.toml: "),
        ("row = [", "x.toml: "),
    ],
)
def test_table_that_cannot_be_judged_does_not_load(text: str, words: str) -> None:
    """A row that nothing can turn red, a result that is typed, a table without rows: an error."""
    with pytest.raises(ClauseError, match=words):
        parse_clause_file("x.toml", text)


@pytest.mark.verifies("SRS_TRACE_021", technique="fault_injection")
def test_files_that_do_not_load_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the data reports a broken file instead of skipping it."""

    def broken() -> tuple[ClauseFile, ...]:
        """Fail as a broken file does."""
        raise ClauseError("x.toml 7.1: broken")

    monkeypatch.setattr(clause_data, "load_clause_files", broken)
    assert clause_faults({"P1"}) == {"clauses": ("x.toml 7.1: broken",)}


@pytest.mark.verifies("SRS_TRACE_021", technique="inspection")
def test_shipped_files_load_with_their_number_of_rows() -> None:
    """A row that is lost in an edit would leave a clause that nobody looks at."""
    files = load_clause_files()
    assert {file.file: len(file.rows) for file in files} == ROWS_IN_FILE
    assert sum(ROWS_IN_FILE.values()) == 230


@pytest.mark.verifies("SRS_TRACE_021", technique="inspection")
def test_every_clause_of_iec_62304_is_there_with_its_class() -> None:
    """111 clauses from 4.1 to 9.8, each once, with the class letters of the reference list."""
    expected = {
        name.replace("_", " "): letters
        for letters, names in IEC_62304.items()
        for name in names.split()
    }
    assert len(expected) == 111
    file = _shipped("iec_62304_2006_a1_2015.toml")
    assert {row.clause: row.classes for row in file.rows} == expected
    assert "must confirm each letter" in file.note
    assert [row.clause for row in file.rows if row.reserved] == ["7.3.2"]


def _shipped(name: str) -> ClauseFile:
    """Return one of the files that ship."""
    return next(file for file in load_clause_files() if file.file == name)


@pytest.mark.verifies("SRS_TRACE_021", technique="inspection")
def test_shipped_rows_name_rules_that_exist() -> None:
    """A rule that is renamed must be renamed here too."""
    known = {rule.rule_id for rule in RULES}
    faults = clause_faults(known, today=dt.date(2026, 11, 21))
    assert {name: found for name, found in faults.items() if found} == {}
    assert set(faults) == set(ROWS_IN_FILE)


@pytest.mark.verifies("SRS_TRACE_021", technique="inspection")
def test_shipped_rows_for_a_persons_judgement_ask_for_a_person() -> None:
    """Strength P and H: an approval, a review or a pending reason, never a count of links alone."""
    asks_person = {"P1", "P2", "G8", "K10", "F2"}
    bare = [
        f"{file.file} {row.clause}"
        for file in load_clause_files()
        for row in file.rows
        if row.strength != "M" and not (row.pending or row.documents)
        if not asks_person & {reference.rule_id for reference in row.references}
    ]
    assert bare == []


@pytest.mark.verifies("SRS_TRACE_021", technique="inspection")
def test_nobody_has_signed_for_a_shipped_row_and_only_one_is_reserved() -> None:
    """Neither a name nor an unused number may take a clause out of the table unseen."""
    rows = [(file.file, row) for file in load_clause_files() for row in file.rows]
    assert [name for name, row in rows if row.not_applicable is not None] == []
    assert [row.clause for _, row in rows if row.reserved] == ["7.3.2"]
