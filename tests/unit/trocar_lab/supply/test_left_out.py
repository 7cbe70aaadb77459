"""The list of left out files comes from the wheels' records, and a rule of no use is refused."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from simulators.supply_sites import write_wheel
from trocar.install.left_out import left_out_names
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.left_out import left_out_text, matching, recorded_files
from trocar_lab.supply.lock_file import LockedPackage, LockedWheel
from trocar_lab.supply.register import LeftOutFiles

NAME = "engine-1.2-cp311-cp311-manylinux_2_28_x86_64.whl"
FILES = ("engine/__init__.py", "engine/a.h", "engine/tools/deep/x.py", "engine/tools/y.py")


def _rule(*patterns: str, package: str = "engine") -> LeftOutFiles:
    """Return a rule."""
    return LeftOutFiles(package, patterns, "not loaded", "tests/x.py::test")


def _wheel(folder: Path, *, record: bytes | None = None, records: int = 1) -> LockedWheel:
    """Write a wheel with its records."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"").digest()).decode().rstrip("=")
    rows = "".join(f"{name},sha256={digest},0\n" for name in FILES)
    content = record if record is not None else rows.encode()
    files = dict.fromkeys(FILES, b"")
    files |= {f"engine-1.{n}.dist-info/RECORD": content for n in range(records)}
    return LockedWheel(NAME, write_wheel(folder, NAME, files), "")


@pytest.mark.verifies("SRS_SUP_011", extent="full", technique="requirement")
def test_list_names_what_the_rules_match_in_the_record(tmp_path: Path) -> None:
    """Sorted, once each, for packages that are installed; and the installer reads it."""
    package = LockedPackage("engine", "1.2", (_wheel(tmp_path),))
    rules = [
        _rule("engine/tools/*", "engine/*.h"),
        _rule("engine/*.h"),
        _rule("gpu/*", package="engine-gpu"),
    ]
    text = left_out_text([package], rules, platform="linux_x86_64", folder=tmp_path)
    assert text == "engine/a.h\nengine/tools/deep/x.py\nengine/tools/y.py\n"
    assert "\n".join(left_out_names(text.encode())) + "\n" == text


def test_without_rules_the_list_is_empty(tmp_path: Path) -> None:
    """No wheel is opened then."""
    package = LockedPackage("engine", "1.2", (LockedWheel(NAME, "0" * 64, ""),))
    assert left_out_text([package], [], platform="linux_x86_64", folder=tmp_path) == ""


@pytest.mark.verifies("SRS_SUP_011", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("engine/gone/*", "no file is called"),
        ("engine-*", "has to stay"),
        ("trocar/*", "has to stay"),
        ("*", "has to stay"),
        ("../*", "has to stay"),
        ("/*", "has to stay"),
    ],
)
def test_rule_of_no_use_is_refused(pattern: str, words: str) -> None:
    """A pattern that matches nothing is out of date; one that matches too much is a mistake."""
    names = [*FILES, "engine-1.dist-info/RECORD", "trocar/a.py", "../../../bin/engine", "/a"]
    with pytest.raises(SupplyError, match=words):
        matching(_rule("engine/a.h", pattern), names)


@pytest.mark.parametrize("fault", ["no record", "two records", "no text", "no archive", "other"])
def test_wheel_that_says_nothing_is_refused(tmp_path: Path, fault: str) -> None:
    """Without a sound record nobody knows what would be left out."""
    wheel = _wheel(
        tmp_path,
        records={"no record": 0, "two records": 2}.get(fault, 1),
        record=b"\xff" if fault == "no text" else None,
    )
    if fault in {"no archive", "other"}:
        (tmp_path / NAME).write_bytes(b"x")
    if fault == "no archive":
        wheel = LockedWheel(NAME, hashlib.sha256(b"x").hexdigest(), "")
    with pytest.raises(SupplyError, match=NAME):
        recorded_files(tmp_path, wheel)
