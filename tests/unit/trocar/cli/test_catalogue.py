"""The catalogue tells what this release offers, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import trocar
from trocar.cli.catalogue import UNITS, UnitEntry, find_unit, need_ids
from trocar.contracts.errors import ContractError

_COMMENT = re.compile(r"@need-ids: (.+)")


@pytest.mark.verifies("SRS_CLI_001", "UNIT_CLI_CATALOGUE", extent="partial", technique="example")
def test_every_unit_is_found_by_its_name() -> None:
    """What the list shows can be typed."""
    assert len({entry.name for entry in UNITS}) == len(UNITS) >= 1
    for entry in UNITS:
        assert find_unit(entry.name) is entry


@pytest.mark.verifies("SRS_MAINT_001", extent="partial", technique="inspection")
def test_every_unit_is_a_package_with_design_and_contracts() -> None:
    """An entry without its unit would fail at the user's desk only."""
    for entry in UNITS:
        folder = Path(trocar.__file__).parent / "units" / entry.name
        assert (folder / "unit.py").is_file()
        assert set(entry.contracts) == {"input", "finding", "withheld", "configuration"}
        assert entry.summary


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("name", ["", "polyp", "polyp-segmentation", "POLYP_SEGMENTATION", "../x"])
def test_unknown_unit_is_an_error_that_names_the_known_ones(name: str) -> None:
    """A typing error must not become a path."""
    with pytest.raises(ContractError, match="polyp_segmentation") as caught:
        find_unit(name)
    assert caught.value.advice == "type: trocar units"


@pytest.mark.verifies("SRS_MAINT_001", extent="partial", technique="requirement")
@pytest.mark.parametrize("entry", UNITS, ids=lambda entry: entry.name)
def test_ids_are_those_of_the_source(entry: UnitEntry) -> None:
    """A hand-written list would drift from the code; each id in a comment is listed once."""
    name = entry.name
    folder = Path(trocar.__file__).parent / "units" / name
    written = {
        need_id.strip()
        for path in folder.glob("*.py")
        for match in _COMMENT.finditer(path.read_text(encoding="utf-8"))
        for need_id in match[1].split(",")
    }
    found = need_ids(name)
    assert set(found["requirements"]) | set(found["risk_controls"]) == written
    assert found["requirements"] == sorted(i for i in written if i.startswith("SRS_"))
    assert found["risk_controls"] == sorted(i for i in written if i.startswith("RCM_"))
    assert found["requirements"]
    assert found["risk_controls"]


@pytest.mark.verifies("SRS_MAINT_001", extent="partial", technique="example")
def test_units_of_the_tools_share_one_pack() -> None:
    """The tracker has no model: its pack is the detector's, and says so."""
    detection, tracking = find_unit("tool_detection"), find_unit("tool_tracking")
    assert detection.pack == tracking.pack
    assert detection.pack_unit == tracking.pack_unit == "tool_detection"
    assert find_unit("polyp_segmentation").pack_unit == "polyp_segmentation"
    assert {"SRS_TOOL_001", "SRS_TOOL_004"} <= set(need_ids("tool_detection")["requirements"])
    assert {"RCM_TOOL_001", "RCM_STALE_001"} <= set(need_ids("tool_detection")["risk_controls"])
