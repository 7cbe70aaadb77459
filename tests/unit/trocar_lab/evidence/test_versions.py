"""Versions against specifiers."""

from __future__ import annotations

import pytest

from trocar_lab.evidence.source.versions import is_inside, parse_requirement


@pytest.mark.parametrize(
    ("version", "specifier", "expected"),
    [
        ("2.2.1", ">=2.2,<3", True),
        ("3.0", ">=2.2,<3", False),
        ("2.2", ">=2.2.0", True),
        ("2.1.9", ">=2.2", False),
        ("1.10", ">1.9", True),
        ("1.0", "==1", True),
        ("1.0.1", "==1.0.*", True),
        ("1.1", "!=1.1", False),
        ("1.1", "!=1.*", False),
        ("1.4.9", "~=1.4.2", True),
        ("1.5", "~=1.4.2", False),
        ("1.5", "~=1", None),
        ("1.0rc1", ">=1", None),
        ("1.0", ">=1.0rc1", None),
        ("1.0", "", True),
    ],
)
def test_version_against_specifier(version: str, specifier: str, expected: bool | None) -> None:  # noqa: FBT001 - a column of the table
    """Both sides of each operator; what cannot be said is not guessed."""
    assert is_inside(version, specifier) is expected


def test_requirement_lines_of_old_and_new_form() -> None:
    """Brackets of older builders, extras and markers."""
    assert parse_requirement('A.b[x,y] (>=1, <2) ; extra == "z"') == (
        "A.b",
        ">=1,<2",
        'extra == "z"',
    )
    assert parse_requirement("numpy") == ("numpy", "", "")
    assert parse_requirement("https://example.org/x.whl") is None
