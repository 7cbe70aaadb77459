"""Which code enforces a risk control: the commented body, and what it calls in its own file."""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.scan_cache import ScanCache
from trocar_lab.evidence.graph.source_text import read_source
from trocar_lab.evidence.source.device_source import NeedComment

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Member(Frozen):
    """One function or method that belongs to the code of a control.

    Attributes:
        name: ``module:function`` or ``module:Class.method``.
        digest: SHA-256 of the normalised definition; layout, comments and docstrings do not count.
        line: Line of the definition.
        is_decorated: Whether it carries a decorator other than staticmethod or classmethod.
    """

    name: str
    digest: str
    line: int
    is_decorated: bool = False


class ControlCode(Frozen):
    """One function or class whose comment says that it enforces risk controls.

    Attributes:
        name: ``module:name`` of the commented definition.
        path: File, from the repository root.
        line: Line of the comment.
        controls: The risk controls.
        members: The definition itself, the methods of a commented class, and the functions and
            methods of the same file that these call, directly or through each other.
    """

    name: str
    path: str
    line: int
    controls: tuple[str, ...]
    members: tuple[Member, ...]


class _Module:
    """One parsed file of the device."""

    def __init__(self, text: str, *, module: str) -> None:
        self._module = module
        self._lines = text.splitlines()
        self._tree = ast.parse(text)

    @cached_property
    def definitions(self) -> Mapping[str, _Function | ast.ClassDef]:
        """Return qualified name to definition: functions, classes and methods."""
        found: dict[str, _Function | ast.ClassDef] = {}
        for node in self._tree.body:
            if isinstance(node, _Function | ast.ClassDef):
                found[node.name] = node
            if isinstance(node, ast.ClassDef):
                methods = (m for m in node.body if isinstance(m, _Function))
                found.update({f"{node.name}.{m.name}": m for m in methods})
        return found

    def at(self, comment_line: int) -> str | None:
        """Return the definition that a comment is about, or None.

        That is the one that begins on the next line of code; else the innermost one around it.
        """
        code = (
            number
            for number in range(comment_line + 1, len(self._lines) + 1)
            if self._lines[number - 1].strip()
            and not self._lines[number - 1].strip().startswith("#")
        )
        following = next(code, 0)
        around = []
        for name, node in self.definitions.items():
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == following:
                return name
            if first < comment_line <= (node.end_lineno or 0):
                around.append((first, name))
        return max(around)[1] if around else None

    def reach(self, name: str) -> list[str]:
        """Return the functions and methods of the code of one definition, in order of the file."""
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current in reached:
                continue
            reached.add(current)
            node = self.definitions[current]
            if isinstance(node, ast.ClassDef):
                methods = (m.name for m in node.body if isinstance(m, _Function))
                waiting += [f"{current}.{method}" for method in methods]
            else:
                waiting += self._named(node, owner=current.rpartition(".")[0])
        return [n for n, node in self.definitions.items() if n in reached and _does_something(node)]

    def _named(self, node: _Function, *, owner: str) -> Iterator[str]:
        """Yield the functions of this file that a function calls, or names where they are private.

        A public name that is not called may be a local variable of the same name.
        """
        called = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                name, own = part.id, part.id
            elif isinstance(part, ast.Attribute):
                name, own = f"{owner}.{part.attr}", part.attr
            else:
                continue
            is_function = isinstance(self.definitions.get(name), _Function)
            if is_function and (own.startswith("_") or id(part) in called):
                yield name

    def member(self, name: str) -> Member:
        """Return one function or method as a member."""
        node = self.definitions[name]
        plain = {"staticmethod", "classmethod"}
        others = [d for d in node.decorator_list if ast.unparse(d) not in plain]
        return Member(
            name=f"{self._module}:{name}",
            digest=code_digest(node),
            line=node.lineno,
            is_decorated=bool(others),
        )


def read_control_code(
    root: Path, comments: tuple[NeedComment, ...]
) -> tuple[tuple[ControlCode, ...], tuple[str, ...]]:
    """Return the code of every control, and the comments that stand at no definition.

    Args:
        root: Repository root.
        comments: Every need-id comment of the device.
    """
    by_path: dict[str, list[NeedComment]] = {}
    for comment in comments:
        if _controls(comment):
            by_path.setdefault(comment.path, []).append(comment)
    found: list[ControlCode] = []
    faults: list[str] = []
    with ScanCache(root, "controls", "") as cache:
        for path, own in by_path.items():
            text = read_source(root / path)
            key = hashlib.sha256(f"{path}\0{text}".encode()).hexdigest()
            kept = cache.get(key) or cache.put(key, _file_code(path, text, own))
            found += [ControlCode.model_validate(row) for row in kept["code"]]
            faults += kept["faults"]
    return tuple(found), tuple(faults)


def _controls(comment: NeedComment) -> tuple[str, ...]:
    """Return the risk controls that a comment names."""
    return tuple(need_id for need_id in comment.need_ids if need_id.startswith("RCM_"))


def _file_code(path: str, text: str, comments: list[NeedComment]) -> dict[str, Any]:
    """Return the code of the controls in one file, and its faults, as JSON values."""
    try:
        module = _Module(text, module=module_name(path))
    except SyntaxError:  # rule C4 says why
        module = None
    found: dict[str, ControlCode] = {}
    faults: list[str] = []
    for comment in comments:
        name = module.at(comment.line) if module else None
        if module is None or name is None:
            faults.append(f"{path}:{comment.line}: names a control and stands at no code")
            continue
        key = f"{module_name(path)}:{name}"
        known = found.get(key)
        found[key] = ControlCode(
            name=key,
            path=path,
            line=known.line if known else comment.line,
            controls=tuple(sorted({*_controls(comment), *(known.controls if known else ())})),
            members=tuple(module.member(n) for n in module.reach(name)),
        )
    return {"code": [code.model_dump(mode="json") for code in found.values()], "faults": faults}


def _does_something(node: _Function | ast.ClassDef) -> bool:
    """Return whether a definition is a function with more in it than words or three dots."""
    if isinstance(node, ast.ClassDef):
        return False
    return any(
        not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in node.body
    )


def code_digest(node: ast.AST) -> str:
    """Return the digest of a definition without positions, comments and docstrings."""
    bare = copy.deepcopy(node)
    for part in ast.walk(bare):
        if isinstance(part, _Function | ast.ClassDef) and ast.get_docstring(part) is not None:
            part.body = part.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(bare).encode()).hexdigest()


def module_name(path: str) -> str:
    """Return the module of a file under ``src``."""
    return path.removeprefix("src/").removesuffix(".py").replace("/", ".")
