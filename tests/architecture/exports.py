"""Rules about what the device makes public."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from architecture.tidy import Rule, Violation, assigned_names, parse, python_files

__all__ = ["EXPORT_RULES", "exported", "public_names"]


def public_names(tree: ast.Module) -> dict[str, tuple[int, bool]]:
    """Return each public name that a module defines, with its line and whether it has a docstring.

    Imported names are not the module's own. A constant's docstring is the string below it.
    """
    found: dict[str, tuple[int, bool]] = {}
    for node, below in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names, described = [node.name], ast.get_docstring(node) is not None
        else:
            names, described = assigned_names(node), _is_text(below)
        for name in names:
            if not name.startswith("_") and name not in found:
                found[name] = node.lineno, described
    return found


def _is_text(node: ast.stmt | None) -> bool:
    """Return whether a statement is a string on its own."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def exported(tree: ast.Module) -> list[str] | None:
    """Return the names in ``__all__``, or None where a module has none that can be read."""
    for node in tree.body:
        if "__all__" in assigned_names(node) and isinstance(node, ast.Assign | ast.AnnAssign):
            try:
                return list(ast.literal_eval(node.value)) if node.value else None
            except ValueError:
                return None
    return None


def all_lists(root: Path) -> list[Violation]:
    """Find modules whose ``__all__`` is not the set of their public names."""
    found = []
    for path in python_files(root, "src/trocar"):
        tree = parse(path)
        names, listed = set(public_names(tree)), exported(tree)
        if path.name == "__init__.py":
            names |= {name for name in listed or () if name in _imported(tree)}
        if listed is None and not names:
            continue
        special = {name for name in listed or () if name.startswith("__") and name.endswith("__")}
        wrong = names.symmetric_difference(set(listed or ()) - special)
        found += [
            Violation(
                rule="exports",
                path=path.relative_to(root).as_posix(),
                line=public_names(tree).get(name, (1, True))[0],
                symbol=name,
                found=f"__all__ {'lacks' if name in names else 'invents'} {name}",
                remedy="list what is public and defined here, give the rest a leading underscore",
            )
            for name in sorted(wrong)
        ]
    return found


def _imported(tree: ast.Module) -> set[str]:
    """Return the names that a module imports at its top."""
    nodes = (node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    return {alias.asname or alias.name for node in nodes for alias in node.names}


def descriptions(root: Path) -> list[Violation]:
    """Find public names without a docstring; that of a constant is the string below it."""
    return [
        Violation(
            rule="description",
            path=path.relative_to(root).as_posix(),
            line=line,
            symbol=name,
            found=f"{name} is public and not described",
            remedy="write one sentence: what it is, in which unit, and why this value",
        )
        for path in python_files(root, "src/trocar")
        for name, (line, described) in public_names(parse(path)).items()
        if not described
    ]


EXPORT_RULES: Final[Mapping[str, Rule]] = {"exports": all_lists, "description": descriptions}
