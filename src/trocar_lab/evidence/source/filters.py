"""Tables and flows in the documentation: every name in them is a name of the metamodel.

A filter that names a type which does not exist finds nothing for ever, and a page that is meant to
be empty stays so.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from trocar_lab.evidence.graph.metamodel import Frozen, Metamodel, split_list
from trocar_lab.evidence.graph.needs_source import source_files
from trocar_lab.evidence.graph.source_text import read_source

_DIRECTIVE: Final = re.compile(r"^\.\. (?P<name>need(table|list|flow|pie|bar|extract|gantt))::")
_COUNT: Final = re.compile(r":need_count:`(?P<text>[^`]*)`")
_OPTION: Final = re.compile(r"^   :(?P<name>[a-z_]+):\s*(?P<value>.*)$")
# What sphinx-needs itself knows of a need.
_BUILT_IN: Final = frozenset({"id", "title", "type", "type_name", "status", "content", "docname"})
_FUNCTIONS: Final = frozenset({"len", "any", "all", "search"})


class FilterUse(Frozen):
    """One table, flow or count.

    Attributes:
        place: ``path:line``.
        faults: Names in it that the metamodel does not know.
    """

    place: str
    faults: tuple[str, ...] = ()


def read_filters(root: Path, model: Metamodel) -> tuple[FilterUse, ...]:
    """Return every filter in the RST files under ``root``.

    Args:
        root: Repository root.
        model: Metamodel.
    """
    found: list[FilterUse] = []
    for path in source_files(root):
        name, lines = path.relative_to(root).as_posix(), read_source(path).splitlines()
        for number, line in enumerate(lines, start=1):
            place = f"{name}:{number}"
            if _DIRECTIVE.match(line):
                faults = _option_faults(dict(_options(lines[number:])), model)
                found.append(FilterUse(place=place, faults=tuple(faults)))
            found += [
                FilterUse(place=place, faults=tuple(_expression_faults(match["text"], model)))
                for match in _COUNT.finditer(line)
            ]
    return tuple(found)


def _options(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the options that follow a directive."""
    for line in lines:
        match = _OPTION.match(line)
        if match is None:
            return
        yield match["name"], match["value"]


def _option_faults(options: Mapping[str, str], model: Metamodel) -> Iterator[str]:
    """Yield the unknown names in the options of one directive."""
    for name in split_list(options.get("types", "")):
        if name not in model.type:
            yield f"no need type {name!r}"
    for name in split_list(options.get("link_types", "")):
        if name not in model.link:
            yield f"no link {name!r}"
    for column in split_list(options.get("columns", "")):
        name = column.split(" as ", 1)[0].strip()
        if name not in _names(model):
            yield f"no field or link {name!r}"
    if "filter" in options:
        yield from _expression_faults(options["filter"], model)


def _names(model: Metamodel) -> frozenset[str]:
    """Return every name that a filter may use."""
    back = {f"{link}_back" for link in model.link}
    return _BUILT_IN | set(model.field) | set(model.link) | back


def _expression_faults(text: str, model: Metamodel) -> Iterator[str]:
    """Yield the unknown names, and the values that a field or the type never has."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        yield f"not an expression: {text!r}"
        return
    known = _names(model) | _FUNCTIONS
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in known:
            yield f"no field, link or function {node.id!r}"
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Name):
            allowed = _allowed(node.left.id, model)
            for value in _literals(node.comparators):
                if allowed and value not in allowed:
                    yield f"{node.left.id} is never {value!r}"


def _allowed(name: str, model: Metamodel) -> tuple[str, ...]:
    """Return the values that a field may have; empty where it is free."""
    if name == "type":
        return tuple(model.type)
    rule = model.field.get(name)
    return model.vocabulary[rule.vocabulary] if rule is not None and rule.vocabulary else ()


def _literals(nodes: list[ast.expr]) -> Iterator[str]:
    """Yield the texts that a field is compared with."""
    for node in nodes:
        parts = node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else [node]
        yield from (
            part.value
            for part in parts
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        )
