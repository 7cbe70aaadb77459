"""The table of faults names tests that exist, and that claim what the table says."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "explanation" / "faults_and_guarantees.rst"
ROW: Final = re.compile(
    r"^   \* - (?P<fault>.+)\n     - (?P<guarantee>.+)\n"
    r"     - (?P<needs>.+)\n     - ``(?P<test>\S+)``$",
    re.MULTILINE,
)
NEED: Final = re.compile(r":need:`([A-Z0-9_]+)`")


def _rows() -> list[re.Match[str]]:
    """Return the rows of the table but its head."""
    return list(ROW.finditer(PAGE.read_text(encoding="utf-8")))


def _claims_of(path: str, name: str) -> set[str]:
    """Return the ids that the markers of a test, or of all tests of a file, name."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    chosen = [node for node in tests if node.name == name or (not name and "test" in node.name)]
    assert chosen, f"{path} has no test {name!r}"
    texts = [ast.unparse(decorator) for node in chosen for decorator in node.decorator_list]
    return set(re.findall(r"['\"]([A-Z0-9_]{5,})['\"]", " ".join(texts)))


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["fault"])
def test_each_fault_has_a_test_that_claims_its_requirement_or_control(row: re.Match[str]) -> None:
    """A row that points at nothing would be believed."""
    path, _, name = row["test"].partition("::")
    needs = set(NEED.findall(row["needs"]))
    assert needs
    assert needs & _claims_of(path, name), (row["fault"], sorted(_claims_of(path, name)))


def test_table_is_as_long_as_it_is_meant_to_be() -> None:
    """A row that the pattern does not read would go unchecked."""
    text = PAGE.read_text(encoding="utf-8")
    assert len(_rows()) == text.count("   * - ") - 1 >= 20
