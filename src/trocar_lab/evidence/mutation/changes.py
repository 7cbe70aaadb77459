"""What one mutant changes: the smallest part of a function that differs, as text."""

from __future__ import annotations

import ast
import copy
import hashlib
from typing import Final, NamedTuple

_SHOWN_MAX: Final = 160
_AROUND: Final = 30
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_KINDS: Final = {
    ast.Compare: "comparison",
    ast.BoolOp: "and, or",
    ast.BinOp: "arithmetic",
    ast.UnaryOp: "sign, not",
    ast.IfExp: "condition",
    ast.Assign: "assignment",
    ast.AnnAssign: "assignment",
    ast.AugAssign: "assignment",
    ast.Match: "case removed",
    ast.Lambda: "lambda",
}


class Change(NamedTuple):
    """One difference.

    Attributes:
        mutant: Identifier; depends on place in the function and on both texts only.
        line: Lines after the definition's own line.
        operator: Kind of change.
        text: Code before and after.
    """

    mutant: str
    line: int
    operator: str
    text: str


def change_of(original: ast.AST, mutated: ast.AST) -> Change | None:
    """Return what differs between a function and its mutant; None when nothing does.

    Args:
        original: Definition of the function.
        mutated: Definition of the mutant, under another name.
    """
    twin = copy.copy(mutated)
    if isinstance(original, _Function) and isinstance(twin, _Function):
        twin.name = original.name
    place, before, after = _narrowed(original, twin)
    texts = ast.unparse(before), ast.unparse(after)
    if texts[0] == texts[1]:
        return None
    identity = "|".join((place, *texts))
    first: int = getattr(original, "lineno", 0)
    return Change(
        mutant=hashlib.sha256(identity.encode()).hexdigest()[:8],
        line=getattr(before, "lineno", first) - first,
        operator=_kind(before, after),
        text=_shown(*texts),
    )


def _narrowed(original: ast.AST, mutated: ast.AST) -> tuple[str, ast.AST, ast.AST]:
    """Return the place of the smallest readable pair of nodes that holds the whole difference."""
    place, pair = "", (original, mutated)
    readable = (place, *pair)
    while (step := _only_difference(*pair)) is not None:
        place, pair = f"{place}.{step[0]}", step[1:]
        if all(isinstance(node, ast.expr | ast.stmt) for node in pair):
            readable = (place, *pair)
    return readable


def _only_difference(before: ast.AST, after: ast.AST) -> tuple[str, ast.AST, ast.AST] | None:
    """Return the one child that differs, or None when it is more or something else."""
    if type(before) is not type(after):
        return None
    found: list[tuple[str, ast.AST, ast.AST]] = []
    for name in before._fields:
        mine, other = getattr(before, name, None), getattr(after, name, None)
        mine_list = mine if isinstance(mine, list) else [mine]
        other_list = other if isinstance(other, list) else [other]
        if len(mine_list) != len(other_list):
            return None
        for number, (one, two) in enumerate(zip(mine_list, other_list, strict=True)):
            if isinstance(one, ast.AST) and isinstance(two, ast.AST):
                if ast.dump(one) != ast.dump(two):
                    found.append((f"{name}{number}", one, two))
            elif one != two:
                return None
    return found[0] if len(found) == 1 else None


def _kind(before: ast.AST, after: ast.AST) -> str:
    """Return what kind of change a pair of nodes is."""
    if isinstance(after, ast.Constant) and after.value is None:
        return "replaced by None"
    if isinstance(before, ast.Constant):
        return {bool: "truth value", str: "text"}.get(type(before.value), "number")
    if isinstance(before, ast.Call):
        return "argument removed"
    return _KINDS.get(type(before), type(before).__name__.lower())


def _shown(before: str, after: str) -> str:
    """Return both texts in one line; of long ones, what differs and a few words around it."""
    one, two = (" ".join(text.split()) for text in (before, after))
    if max(len(one), len(two)) > _SHOWN_MAX:
        start = max(0, _shared(one, two) - _AROUND)
        end = max(0, _shared(one[start:][::-1], two[start:][::-1]) - _AROUND)
        one, two = (_cut(text, start, end) for text in (one, two))
    return f"{one} -> {two}"


def _shared(one: str, two: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    pairs = zip(one, two, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(two)))


def _cut(text: str, start: int, end: int) -> str:
    """Return a text without its beginning and its end, which dots stand for."""
    kept = text[start : len(text) - end]
    kept = kept if len(kept) <= _SHOWN_MAX else f"{kept[:_SHOWN_MAX]}..."
    return ("..." if start else "") + kept + ("..." if end else "")
