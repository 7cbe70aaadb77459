"""Versions of plain release numbers against the specifiers that packages declare."""

from __future__ import annotations

import re
from typing import Final

_RELEASE: Final = re.compile(r"v?\d+(\.\d+)*")
_CLAUSE: Final = re.compile(
    r"(?P<operator>==|!=|<=|>=|<|>|~=)(?P<version>v?\d+(\.\d+)*)(?P<star>\.\*)?"
)
_REQUIREMENT: Final = re.compile(
    r"^\s*(?P<name>[A-Za-z0-9._-]+)\s*(\[[^]]*\])?\s*\(?(?P<spec>[<>=!~][^;)]*)?\)?\s*(;(?P<marker>.*))?$"
)


def parse_requirement(line: str) -> tuple[str, str, str] | None:
    """Return (name, specifier, marker) of a requirement line; None when it is none.

    Args:
        line: Text such as ``numpy>=2,<3; extra == "cpu"``.
    """
    match = _REQUIREMENT.match(line)
    if match is None:
        return None
    return match["name"], "".join((match["spec"] or "").split()), (match["marker"] or "").strip()


def is_inside(version: str, specifier: str) -> bool | None:
    """Return whether a version is one that a specifier allows; None when that cannot be said.

    Only plain release numbers are compared: a pre-release or a local version cannot be said.

    Args:
        version: Release number.
        specifier: Comma-separated clauses; nothing allows every version.
    """
    if _RELEASE.fullmatch(version) is None:
        return None
    found = [_allows(version, clause) for clause in specifier.split(",") if clause]
    if None in found:
        return None
    return all(found)


def _allows(version: str, clause: str) -> bool | None:
    """Return whether one clause allows a version; None when it is not of a known form."""
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        return None
    wanted = _numbers(match["version"])
    operator = match["operator"]
    if match["star"]:
        equal = _numbers(version, len(wanted))[: len(wanted)] == wanted
        return {"==": equal, "!=": not equal}.get(operator)
    width = max(len(wanted), len(_numbers(version)))
    left, right = _numbers(version, width), _numbers(match["version"], width)
    if operator == "~=":
        return None if len(wanted) < 2 else left >= right and left[: len(wanted) - 1] == wanted[:-1]
    return {
        "==": left == right,
        "!=": left != right,
        "<=": left <= right,
        ">=": left >= right,
        "<": left < right,
        ">": left > right,
    }[operator]


def _numbers(version: str, width: int = 0) -> tuple[int, ...]:
    """Return the numbers of a version, filled with zeros up to a width."""
    numbers = tuple(int(part) for part in version.removeprefix("v").split("."))
    return numbers + (0,) * (width - len(numbers))
