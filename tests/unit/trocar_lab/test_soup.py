"""SOUP.md is as good as the comparison behind it: each kind of gap must be found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from trocar_lab import soup

ROOT: Final = Path(__file__).resolve().parents[3]

PROJECT: Final = """[build-system]
requires = ["hatchling==1.0"]
[project]
requires-python = ">=3.11"
dependencies = ["Some_Array[fast]>=2,<3"]
[project.optional-dependencies]
cpu = ["engine==1.2"]
"""
TABLE: Final = """[[soup]]
need = "SOUP_ARRAY"
package = "some-array"
version = ">=2,<3"
scope = "wheel"
{shared}
[[soup]]
need = "SOUP_ENGINE"
package = "engine"
version = "1.2"
scope = "extra cpu"
{shared}
[[soup]]
need = "SOUP_PYTHON"
package = "python"
version = ">=3.11"
scope = "site"
{shared}
[[tool]]
package = "hatchling"
version = "1.0"
scope = "build"
{shared}
""".format(
    shared='supplier = "S"\npurpose = "a | b"\nlicence = "MIT"\nanomaly_list = "https://example.org"\n'
    'reviewed = 2026-01-02\nreviewer = "R"\nanomaly_review = "pending"'
)
NEED: Final = """.. soup:: {need}
   :id: {need}
   :package: {package}
   :version: {version}
   :supplier: S
   :purpose: a | b
   :anomaly_list: https://example.org
   :reviewed: 2026-01-02
   :licence: MIT

   Asked of it: ``min`` works
   (:need:`SRS_X`).

   Safety: it computes.

"""
WORDS: Final = "".join(
    NEED.format(need=need, package=package, version=version)
    for need, package, version in (
        ("SOUP_ARRAY", "some-array", ">=2,<3"),
        ("SOUP_ENGINE", "engine", "1.2"),
        ("SOUP_PYTHON", "python", ">=3.11"),
    )
)


def _repository(
    root: Path, *, project: str = PROJECT, table: str = TABLE, words: str = WORDS
) -> Path:
    """Write the three sources."""
    (root / "risk").mkdir()
    (root / "pyproject.toml").write_text(project, encoding="utf-8")
    (root / "risk" / "soup.toml").write_text(table, encoding="utf-8")
    (root / "risk" / "soup.rst").write_text(words, encoding="utf-8")
    return root


def test_sources_that_agree_give_a_page_that_stays_current(tmp_path: Path) -> None:
    """What was written must be found current by the next check, or the gate is red for ever."""
    root = _repository(tmp_path)
    assert soup.main(["--check", "--root", str(root)]) == 1
    assert soup.main(["--write", "--root", str(root)]) == 0
    assert soup.main(["--check", "--root", str(root)]) == 0
    text = (root / "SOUP.md").read_text(encoding="utf-8")
    assert "pending for 4 of 4 packages" in text
    assert "| `some-array` | SOUP_ARRAY | >=2,<3 | wheel | a \\| b | MIT | S |" in text
    assert "| `min` works (SRS_X). | it computes. |" in text


@pytest.mark.parametrize(
    ("project", "table", "words", "expected"),
    [
        (PROJECT.replace('cpu = ["', 'cpu = ["other==1", "'), TABLE, WORDS, "other: declared"),
        (PROJECT.replace('cpu = ["engine==1.2"]', ""), TABLE, WORDS, "engine: has an entry"),
        (PROJECT.replace("==1.2", "==1.3"), TABLE, WORDS, "engine: entry says"),
        (PROJECT, TABLE.replace('"extra cpu"', '"wheel"'), WORDS, "engine: entry says"),
        (PROJECT, TABLE + TABLE[TABLE.index("[[tool]]") :], WORDS, "hatchling: entered twice"),
        (PROJECT, TABLE, WORDS.replace("version: 1.2", "version: 1.1"), "SOUP_ENGINE: version"),
        (PROJECT, TABLE, WORDS[: WORDS.rindex(".. soup::")], "SOUP_PYTHON: in risk/soup.toml"),
        (
            PROJECT,
            TABLE,
            WORDS + NEED.format(need="SOUP_Z", package="z", version="1"),
            "SOUP_Z: in",
        ),
        (PROJECT, TABLE, WORDS.replace("Safety:", "Note:", 1), "SOUP_ARRAY: risk/soup.rst lacks"),
    ],
)
def test_each_gap_is_found(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    project: str,
    table: str,
    words: str,
    expected: str,
) -> None:
    """A gap in either direction is red and nothing is written over it."""
    root = _repository(tmp_path, project=project, table=table, words=words)
    assert soup.main(["--write", "--root", str(root)]) == 1
    assert f"soup: {expected}" in capsys.readouterr().out
    assert not (root / "SOUP.md").exists()


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
