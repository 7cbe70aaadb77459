"""Classes of defect of the technology, the tests that find each, and the page that lists them."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.needs import collapse

FILE: Final = "verification/defect_classes.toml"
_LABEL: Final = re.compile(r"^\.\. _([a-z0-9-]+):[ ]*$", re.MULTILINE)
_FIRST_CELL: Final = re.compile(r"^ +\* - (.*(?:\n ++(?![*-] )\S.*)*)", re.MULTILINE)
_DEFINITION: Final = re.compile(r"^ *(?:async )?def (\w+)\(", re.MULTILINE)
_Words = Annotated[str, Field(min_length=10)]


class DefectClass(Frozen):
    """One class of defect.

    Attributes:
        name: As the page lists it.
        what: How such a defect would show.
        tests: Node ids without parameters of tests that find it.
    """

    name: _Words
    what: _Words
    tests: tuple[str, ...] = ()


class DefectClasses(Frozen):
    """Every class of defect.

    Attributes:
        classes: In the order of the file.
        fault: Why the file cannot be read; empty when it can.
        defined: The named tests whose file defines a function of that name.
    """

    classes: tuple[DefectClass, ...] = Field(default=(), alias="class")
    fault: str = ""
    defined: frozenset[str] = frozenset()


def read_defect_classes(root: Path) -> DefectClasses:
    """Return the classes under ``root``; a file that cannot be read is a fault.

    Args:
        root: Repository root.
    """
    try:
        table = tomllib.loads((root / FILE).read_text(encoding="utf-8"))
        if set(table) - {"class"}:
            return DefectClasses(fault=f"only class tables, got {', '.join(sorted(table))}")
        found = DefectClasses.model_validate(table)
    except ValidationError as exc:
        fault = exc.errors()[0]
        return DefectClasses(fault=f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")
    except (OSError, ValueError) as exc:
        return DefectClasses(fault=f"cannot be read: {exc}")
    tests = {test for entry in found.classes for test in entry.tests}
    return found.model_copy(update={"defined": _defined(root, tests)})


def _defined(root: Path, tests: set[str]) -> frozenset[str]:
    """Return the tests whose file holds a definition of their last name."""
    names: dict[str, set[str]] = {}
    for path in {test.partition("::")[0] for test in tests}:
        file = root / path
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        names[path] = set(_DEFINITION.findall(text))
    return frozenset(
        test for test in tests if test.rpartition("::")[2] in names[test.partition("::")[0]]
    )


def first_column(text: str, label: str) -> tuple[str, ...]:
    """Return the first column of the tables in a labelled section, each without its heading row.

    Args:
        text: Content of an RST file.
        label: Label in column 0; the section ends at the next one.
    """
    marks = [(m[1], m.end()) for m in _LABEL.finditer(text)] + [("", len(text))]
    found: list[str] = []
    for (name, start), (_, end) in pairwise(marks):
        if name == label:
            tables = text[start:end].split(".. list-table::")[1:]
            found += [collapse(c) for table in tables for c in _FIRST_CELL.findall(table)[1:]]
    return tuple(found)
