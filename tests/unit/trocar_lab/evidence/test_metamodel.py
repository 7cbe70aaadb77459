"""The metamodel table: consistent by construction, risk levels computed, values checked."""

from __future__ import annotations

from importlib import resources

import pytest

from trocar_lab.evidence.errors import MetamodelError
from trocar_lab.evidence.graph.metamodel import load_metamodel, parse_metamodel, split_list

TEXT = (
    resources
    .files("trocar_lab.evidence.graph")
    .joinpath("metamodel.toml")
    .read_text(encoding="utf-8")
)


@pytest.mark.verifies("SRS_TRACE_010", extent="partial", technique="requirement")
def test_table_holds_the_types_with_their_prefixes() -> None:
    """A type that vanished would make every rule about it pass over nothing."""
    prefixes = {rule.prefix for rule in load_metamodel().type.values()}
    words = [
        "UN",
        "SYS",
        "SRS",
        "ITEM",
        "IFC",
        "UNIT",
        "HAZ",
        "HARM",
        "HSIT",
        "RCM",
        "THR",
        "TC",
        "SOUP",
        "MDL",
        "DATA",
        "ANO",
        "CHG",
        "MIS",
        "CHAR",
        "USE",
        "DOC",
        "TOOL",
    ]
    assert prefixes == {f"{word}_" for word in words}


@pytest.mark.verifies(
    "SRS_TRACE_010", "SRS_TRACE_017", extent="partial", technique="fault_injection"
)
@pytest.mark.parametrize(
    ("old", "new", "phrase"),
    [
        ('to = ["user_need"]', 'to = ["user_needs"]', "unknown type"),
        ('vocabulary = "status"', 'vocabulary = "statuses"', "unknown vocabulary"),
        ('pattern = "url"', 'pattern = "uri"', "unknown pattern"),
        ('family = "derivation"', 'family = "derived"', "unknown family"),
        ('required = ["kind", "safety_class"]', 'required = ["kin"]', "unknown field"),
        ('prefix = "SYS_"', 'prefix = "SRS_"', "share an id prefix"),
        ("[1, 1, 1, 2, 2]", "[1, 1, 1, 2, 1]", "probability matrix falls"),
        ('["low", "low", "low", "low", "medium"]', '["low", "low"]', "not 5 by 5"),
        ('acceptable = "low"', 'acceptable = "none"', "unknown level"),
        ("schema_version = 1", "schema_version = ", "metamodel.toml"),
    ],
)
def test_table_that_contradicts_itself_is_refused(old: str, new: str, phrase: str) -> None:
    """A filter or rule with a name that does not exist finds nothing for ever."""
    assert old in TEXT
    with pytest.raises(MetamodelError, match=phrase):
        parse_metamodel(TEXT.replace(old, new, 1))


@pytest.mark.verifies("SRS_TRACE_029", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    ("severity", "p1", "p2", "level"),
    [
        (1, 1, 1, "low"),
        (5, 1, 1, "medium"),
        (4, 4, 3, "medium"),
        (4, 5, 4, "high"),
        (5, 5, 5, "high"),
    ],
)
def test_risk_level_is_computed_from_the_matrices(
    severity: int, p1: int, p2: int, level: str
) -> None:
    """The level is never typed, so its computation must be right at corners and inside."""
    risk = load_metamodel().risk
    assert risk.level_of(severity=severity, p1=p1, p2=p2) == level
    assert risk.is_acceptable(level) is (level == "low")


@pytest.mark.verifies("SRS_TRACE_029", extent="partial", technique="boundary")
@pytest.mark.parametrize("values", [(0, 1, 1), (1, 6, 1), (1, 1, 0)])
def test_value_outside_its_scale_is_refused(values: tuple[int, int, int]) -> None:
    """Index 0 or -1 of a matrix would give a level that looks right."""
    severity, p1, p2 = values
    with pytest.raises(MetamodelError, match="1 to 5"):
        load_metamodel().risk.level_of(severity=severity, p1=p1, p2=p2)


@pytest.mark.verifies("SRS_TRACE_010", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("name", "value", "is_good"),
    [
        ("safety_class", "B", True),
        ("safety_class", "b", False),
        ("acts_on", "p1, severity", True),
        ("acts_on", "p3", False),
        ("acts_on", " , ", False),
        ("digest", "sha256:" + "0" * 64, True),
        ("digest", "sha256:0", False),
        ("digest", "pending: not trained yet", True),
        ("symbol", "trocar.units.polyp.unit:Unit", True),
        ("symbol", "other.x", False),
        ("reviewed", "21.11.2026", False),
    ],
)
def test_field_values_are_checked(name: str, value: str, *, is_good: bool) -> None:
    """Each vocabulary and pattern has a value that it takes and one that it refuses."""
    assert (load_metamodel().field_fault(name, value) is None) is is_good


@pytest.mark.parametrize(
    ("need_id", "need_type"),
    [
        ("SRS_POLYP_004", "srs"),
        ("SYS_A", "sys_req"),
        ("SRS_a", None),
        ("XYZ_ABC", None),
        ("UN_1", None),
    ],
)
def test_prefix_tells_the_type(need_id: str, need_type: str | None) -> None:
    """An id of the wrong form has no type."""
    assert load_metamodel().type_of_id(need_id) == need_type


def test_list_values_lose_white_space_and_empty_parts() -> None:
    """A trailing comma names no id."""
    assert split_list(" A,B ,, C,") == ["A", "B", "C"]
