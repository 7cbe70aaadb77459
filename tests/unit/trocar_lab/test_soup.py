"""SOUP.md is as good as the comparison behind it: each kind of gap must be found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from simulators.supply_sites import edit, write_site
from trocar_lab import soup

ROOT: Final = Path(__file__).resolve().parents[3]
TABLE: Final = "risk/soup.toml"
WORDS: Final = "risk/soup.rst"
PROJECT: Final = "pyproject.toml"


@pytest.mark.verifies("SRS_SUP_006", extent="full", technique="example")
def test_sources_that_agree_give_a_page_that_stays_current(tmp_path: Path) -> None:
    """What was written must be found current by the next check, or the gate is red for ever."""
    root = write_site(tmp_path)
    assert soup.main(["--check", "--root", str(root)]) == 1
    assert soup.main(["--write", "--root", str(root)]) == 0
    assert soup.main(["--check", "--root", str(root)]) == 0
    text = (root / "SOUP.md").read_text(encoding="utf-8")
    assert "pending for 9 of 9 packages" in text
    assert "| `some-array` | SOUP_ARRAY | >=2,<3 | 2.5 | wheel | a \\| b | MIT | S |" in text
    assert "| `min` works (SRS_X). | it computes. |" in text
    assert "| `array-core` | maintained | newest | not published | nothing |" in text
    assert "| `reporter` | `engine` | reports use | `tests/test_without.py::test_it` |" in text
    assert "| `reporter` | 3 | MIT |" in text


@pytest.mark.verifies("SRS_SUP_006", extent="partial", technique="example")
def test_threads_that_were_read_are_named_and_the_review_stays_pending(tmp_path: Path) -> None:
    """Reading a few threads of a list is not reading the list."""
    root = write_site(tmp_path)
    read = 'anomaly_review = "pending"\npartly_read = ["o/r#1 (open): wrong", "o/r#2: slow"]'
    path = root / TABLE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('anomaly_review = "pending"', read, 1), encoding="utf-8")
    assert soup.main(["--write", "--root", str(root)]) == 0
    page = (root / "SOUP.md").read_text(encoding="utf-8")
    assert "pending for 9 of 9 packages" in page
    assert "1 of them single threads were read" in page
    assert "| o/r#1 (open): wrong; o/r#2: slow |" in page


def test_page_says_so_where_nothing_is_left_out(tmp_path: Path) -> None:
    """An empty table could be taken for a forgotten one."""
    root = write_site(tmp_path)
    files = soup.read_files(root)
    empty = soup.SoupFiles(**{
        **files.__dict__,
        "register": type(files.register)(files.register.reviewed, (), {}),
    })
    assert "Nothing that metadata ask for is left out of a device." in soup.page(empty)


@pytest.mark.verifies("SRS_SUP_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (PROJECT, 'cpu = ["', 'cpu = ["other==1", "', "other: declared"),
        (PROJECT, 'cpu = ["engine==1.2"]', "cpu = []", "engine: has an entry"),
        (PROJECT, "engine==1.2", "engine==1.3", "engine: entry says"),
        (TABLE, '"extra cpu"', '"wheel"', "engine: entry says"),
        (TABLE, 'package = "hatchling"', 'package = "torch"', "torch: entered twice"),
        (TABLE, '"brought by some-array"', '"brought by another"', ""),
        (TABLE, 'version = "7"\nscope', 'version = "8"\nscope', "array-core: entry says 8, it"),
        (TABLE, '"extra openvino"', '"brought by x"', ""),
        (TABLE, '"site"', '"brought by x"', "python: entry says >=3.11, it is in no lock"),
        (TABLE, 'reviewed_version = "7"', 'reviewed_version = "6"', "array-core: 7 is locked"),
        (TABLE, 'end_of_support = "not published"', "", "some-array: names no end_of_support"),
        (TABLE, "reviewed = 2026-11-01", "reviewed = 2020-11-01", "some-array: reviewed"),
        (WORDS, "version: 1.2\n", "version: 1.1\n", "SOUP_ENGINE: version"),
        (WORDS, ":id: SOUP_PYTHON", ":id: SOUP_SNAKE", "SOUP_PYTHON: in risk/soup.toml"),
        (WORDS, ":id: SOUP_PYTHON", ":id: SOUP_SNAKE", "SOUP_SNAKE: in risk/soup.rst"),
        (WORDS, "Safety:", "Note:", "SOUP_ARRAY: risk/soup.rst lacks"),
        ("pylock.lab-cpu.toml", "lock-version", "version", "pylock.lab-cpu.toml is no valid lock"),
    ],
)
def test_each_gap_is_found(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    old: str,
    new: str,
    expected: str,
) -> None:
    """A gap in either direction is red and nothing is written over it."""
    root = write_site(tmp_path)
    edit(root / file, old, new)
    code = soup.main(["--write", "--root", str(root)])
    assert (code == 1) is bool(expected)
    assert not expected or f"soup: {expected}" in capsys.readouterr().out
    assert (root / "SOUP.md").exists() is not bool(expected)


@pytest.mark.verifies("SRS_SUP_005", extent="partial", technique="fault_injection")
def test_source_that_is_missing_or_damaged_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty folder, and a project file that is none: words and exit code 1, no traceback."""
    assert soup.main(["--check", "--root", str(tmp_path)]) == 1
    assert "soup: risk/soup.rst cannot be read in" in capsys.readouterr().out
    root = write_site(tmp_path / "site")
    (root / PROJECT).write_text("[project\n", encoding="utf-8")
    assert soup.main(["--check", "--root", str(root)]) == 1
    assert "soup: pyproject.toml is no TOML" in capsys.readouterr().out


def test_this_repository_is_current() -> None:
    """A dependency that changes without its review must not pass unnoticed."""
    assert soup.main(["--check", "--root", str(ROOT)]) == 0


def test_page_claims_planted_faults_only_where_a_test_plants_them() -> None:
    """A guard that is claimed for every tool would be believed for those that have none."""
    table = (ROOT / "SOUP.md").read_text(encoding="utf-8").partition("## Toolchain")[2]
    rows = [line for line in table.splitlines() if "hide a fault of the device" in line]
    guarded = {row.split("`")[1]: re.findall(r"must be found \(`(.+?)`\)", row) for row in rows}
    assert {name for name, paths in guarded.items() if paths} == {
        "import-linter",
        "mypy",
        "pytest",
        "ruff",
    }
    for name, paths in guarded.items():
        for path in paths:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert name.replace("-", "_") in text.lower().replace("-", "_")
        assert paths or any(name in row and "no faults are planted" in row for row in rows)
