"""The register: what is missing or too old is a fault, what nobody read is not hidden."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from simulators.supply_sites import edit, write_site
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.register import read_register, review_faults

TODAY = dt.date(2026, 11, 21)


def _faults(root: Path, today: dt.date = TODAY) -> list[str]:
    """Return what is wrong with the entry of the array package."""
    entry = read_register(root).of("some-array")
    assert entry is not None
    return review_faults(entry, today=today)


@pytest.mark.verifies("SRS_SUP_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("reviewed = 2026-11-01", "reviewed = 2025-11-20", "reviewed 366 days ago; at most 365"),
        ("reviewed = 2026-11-01", "reviewed = 2027-11-20", "in the future"),
        ("reviewed = 2026-11-01", 'reviewed = "soon"', "is no date"),
        ('licence = "MIT"', 'licence = "unknown"', "names no licence"),
        ('support_level = "maintained"', 'support_level = "yes"', "support_level is none of"),
        ('support_level = "maintained"\n', "", "support_level is none of"),
        ('end_of_support = "not published"\n', "", "names no end_of_support"),
        ('supplier = "S"', 'supplier = " "', "names no supplier"),
        ('anomaly_review = "pending"', 'anomaly_review = ""', "anomaly_review is empty"),
    ],
)
def test_each_gap_of_an_entry_is_found(tmp_path: Path, old: str, new: str, words: str) -> None:
    """An entry says all that is asked of it, and not too long ago."""
    root = write_site(tmp_path)
    assert _faults(root) == []
    edit(root / "risk" / "soup.toml", old, new)
    assert [fault for fault in _faults(root) if words in fault]


def test_review_of_the_last_allowed_day_is_sound(tmp_path: Path) -> None:
    """365 days are allowed, 366 are not."""
    root = write_site(tmp_path)
    assert _faults(root, dt.date(2027, 11, 1)) == []
    assert _faults(root, dt.date(2027, 11, 2)) == ["some-array: reviewed 366 days ago; at most 365"]


def test_package_without_an_entry_is_none(tmp_path: Path) -> None:
    """Absence is said, not guessed."""
    assert read_register(write_site(tmp_path)).of("numpy") is None


@pytest.mark.parametrize(("old", "new"), [("[[tool]]", "[[tool"), ('asked_by = "engine"', "")])
def test_damaged_register_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """A register that cannot be read reviews nothing."""
    root = write_site(tmp_path)
    edit(root / "risk" / "soup.toml", old, new)
    with pytest.raises(SupplyError, match=r"soup\.toml cannot be read"):
        read_register(root)
