"""Filters of the documentation: a name that does not exist is named, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar_lab.evidence.graph.metamodel import load_metamodel
from trocar_lab.evidence.source.filters import read_filters

ROOT = Path(__file__).resolve().parents[4]


def _faults(tmp_path: Path, text: str) -> tuple[str, ...]:
    """Return the faults of one page."""
    path = tmp_path / "docs" / "page.rst"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    (use,) = read_filters(tmp_path, load_metamodel())
    assert use.place == "docs/page.rst:1"
    return use.faults


@pytest.mark.verifies("SRS_TRACE_010", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    ("option", "fault"),
    [
        (":types: srs, swr", "no need type 'swr'"),
        (":columns: id, titel", "no field or link 'titel'"),
        (":link_types: derive", "no link 'derive'"),
        (':filter: type == "sysreq"', "type is never 'sysreq'"),
        (':filter: type in ["srs", "risk"]', "type is never 'risk'"),
        (':filter: option == "warning"', "option is never 'warning'"),
        (":filter: len(verified_back) == 0", "no field, link or function 'verified_back'"),
        (":filter: type ==", "not an expression: 'type =='"),
    ],
)
def test_unknown_name_is_a_fault(tmp_path: Path, option: str, fault: str) -> None:
    """What no need can match is named: such a table would be empty for ever."""
    assert _faults(tmp_path, f".. needtable::\n   {option}\n") == (fault,)


@pytest.mark.verifies("SRS_TRACE_010", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "option",
    [
        ":types: srs, risk_control",
        ':columns: id, title, derives_back as "Derived into", safety_class',
        ':filter: type == "srs" and len(implements_back) == 0 and not rationale',
        ":link_types: derives, realises",
    ],
)
def test_known_names_are_no_fault(tmp_path: Path, option: str) -> None:
    """Types, fields, links in both directions, and what sphinx-needs knows itself."""
    assert _faults(tmp_path, f".. needflow::\n   {option}\n") == ()


def test_count_in_a_line_is_read_too(tmp_path: Path) -> None:
    """A count of a misspelt type would print 0 with confidence."""
    assert _faults(tmp_path, 'There are :need_count:`type=="srss"`.\n') == ("type is never 'srss'",)


def test_filters_of_this_repository_hold() -> None:
    """The pages for browsing exist and name nothing unknown."""
    found = read_filters(ROOT, load_metamodel())
    assert len(found) >= 15
    assert not [use for use in found if use.faults]
