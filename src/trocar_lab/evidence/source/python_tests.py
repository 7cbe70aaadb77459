"""Test functions as they stand in the source: what they claim, and a digest of what they do."""

from __future__ import annotations

import ast
import hashlib
from collections import ChainMap
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import Field

from trocar_lab.evidence.graph.metamodel import Frozen, Metamodel, load_metamodel
from trocar_lab.evidence.graph.scan_cache import ScanCache
from trocar_lab.evidence.graph.source_text import read_source

TEST_ROOTS: Final = ("tests", "verification")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Claim(Frozen):
    """One id in one marker of one test."""

    marker: str
    need_id: str
    keywords: Mapping[str, str] = Field(default_factory=dict)


class TestFunction(Frozen):
    """One test function that carries markers.

    Attributes:
        function: Node id without parameters: ``path::Class::name``.
        source_file: Path of the file that defines the body.
        source_name: Qualified name of the body in that file.
        line: Line of the definition.
        claims: Every id of every marker.
        digest: SHA-256 of the normalised body and what it uses in its file.
        imports: Modules that the file imports.
        faults: Why a marker cannot be read.
    """

    __test__ = False

    function: str
    source_file: str
    source_name: str
    line: int
    claims: tuple[Claim, ...]
    digest: str
    imports: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()


class _Facts(NamedTuple):
    """What a digest needs of one definition: its dump without positions, and the names in it."""

    text: str
    names: frozenset[str]


class TestFile:
    """One parsed test file."""

    __test__ = False

    def __init__(self, text: str, *, name: str) -> None:
        self.name = name
        self._tree = ast.parse(text)
        self._facts: dict[ast.AST, _Facts] = {}
        for node in ast.walk(self._tree):
            if isinstance(node, _Function | ast.ClassDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]

    @cached_property
    def functions(self) -> dict[str, tuple[_Function, ast.ClassDef | None]]:
        """Return qualified name to (definition, its class)."""
        found: dict[str, tuple[_Function, ast.ClassDef | None]] = {}
        for node in self._tree.body:
            if isinstance(node, _Function):
                found[node.name] = (node, None)
            elif isinstance(node, ast.ClassDef):
                members = (m for m in node.body if isinstance(m, _Function))
                found.update({f"{node.name}.{m.name}": (m, node) for m in members})
        return found

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Return the classes of the file by name."""
        return {node.name: node for node in self._tree.body if isinstance(node, ast.ClassDef)}

    @cached_property
    def imports(self) -> frozenset[str]:
        """Return the dotted names that the file imports; from-imports as module and as name."""
        names: set[str] = set()
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
        return frozenset(names)

    @cached_property
    def _definitions(self) -> dict[str, ast.stmt]:
        """Return each name that the module defines at its top level."""
        return {name: node for node in self._tree.body for name in _bound_names(node)}

    def digest(self, source_name: str) -> str | None:
        """Return the digest of one test body, or None when the file has no such function.

        Comments, docstrings and layout do not count. Decorators (parameter sets, markers), the
        class header and every definition of the same file that the body reaches by name
        (fixtures, constants, functions) do.
        """
        found = self.functions.get(source_name)
        if found is None:
            return None
        function, owner = found
        known = self._known(owner)
        parts: list[ast.AST] = [function]
        if owner is not None:
            parts += [*owner.decorator_list, *owner.bases]
        reached: set[str] = set()
        waiting = self._automatic(owner) | {n for part in parts for n in self._fact(part).names}
        while waiting:
            name = waiting.pop()
            if name in reached or name not in known or known[name] in {function, owner}:
                continue
            reached.add(name)
            waiting |= self._fact(known[name]).names
        texts = [self._fact(part).text for part in parts]
        texts += sorted(self._fact(known[name]).text for name in reached)
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()

    def _known(self, owner: ast.ClassDef | None) -> Mapping[str, ast.stmt]:
        """Return each name that a body can reach: of the module, and of its class."""
        members = {} if owner is None else {n: m for m in owner.body for n in _bound_names(m)}
        return ChainMap(members, self._definitions)

    def _automatic(self, owner: ast.ClassDef | None) -> set[str]:
        """Return the names that every body of the scope uses: marks and automatic fixtures."""
        own = {n for m in (owner.body if owner else ()) if _is_autouse(m) for n in _bound_names(m)}
        return {"pytestmark"} | self._automatic_of_module | own

    @cached_property
    def _automatic_of_module(self) -> set[str]:
        """Return the automatic fixtures that the module defines."""
        return {name for name, node in self._definitions.items() if _is_autouse(node)}

    def _fact(self, node: ast.AST) -> _Facts:
        """Return text and names of a node; each node is looked at once."""
        if node not in self._facts:
            self._facts[node] = _Facts(ast.dump(node), frozenset(_used_names(node)))
        return self._facts[node]

    def marks(self, function: _Function, owner: ast.ClassDef | None) -> list[ast.expr]:
        """Return the marker expressions on a function, on its class and on the module."""
        found = list(function.decorator_list)
        if owner is not None:
            found += [*owner.decorator_list, *_pytestmark(owner.body)]
        return found + _pytestmark(self._tree.body)

    def tests(self) -> Iterator[tuple[str, str, _Function, list[ast.expr]]]:
        """Yield (node name, source name, definition, marker expressions) of each test function."""
        for source_name, (node, owner) in self.functions.items():
            if node.name.startswith("test") and (owner is None or owner.name.startswith("Test")):
                yield source_name.replace(".", "::"), source_name, node, self.marks(node, owner)
        for name, owner in self.classes.items():
            if not name.startswith("Test"):
                continue
            own = {f"{name}.{m.name}" for m in owner.body if isinstance(m, _Function)}
            for base in self._bases(owner):
                for source_name, (node, defined_in) in self.functions.items():
                    if (
                        defined_in is base
                        and node.name.startswith("test")
                        and f"{name}.{node.name}" not in own
                    ):
                        marks = (
                            self.marks(node, base) + owner.decorator_list + _pytestmark(owner.body)
                        )
                        yield f"{name}::{node.name}", source_name, node, marks

    def _bases(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        """Return the bases of a class that this file defines, nearest first."""
        found: list[ast.ClassDef] = []
        waiting = [owner]
        while waiting:
            for base in waiting.pop(0).bases:
                node = self.classes.get(base.id) if isinstance(base, ast.Name) else None
                if node is not None and node not in found:
                    found.append(node)
                    waiting.append(node)
        return found


def scan_tests(root: Path, model: Metamodel | None = None) -> tuple[list[TestFunction], list[str]]:
    """Return every test function that carries a trace marker, and the files not readable.

    Args:
        root: Repository root.
        model: Metamodel; the package's own when left out.
    """
    table = model or load_metamodel()
    found: list[TestFunction] = []
    faults: list[str] = []
    paths = [p for folder in TEST_ROOTS for p in sorted((root / folder).rglob("test_*.py"))]
    with ScanCache(root, "tests", table.model_dump_json()) as cache:
        for path in paths:
            name, text = path.relative_to(root).as_posix(), read_source(path)
            key = hashlib.sha256(f"{name}\0{text}".encode()).hexdigest()
            kept = cache.get(key)
            if kept is not None:
                found += _from_cache(kept)
                continue
            try:
                file = TestFile(text, name=name)
            except SyntaxError as exc:
                faults.append(f"{name}: {exc}")
                continue
            functions = list(_marked_tests(file, table))
            cache.put(key, _for_cache(functions, file.imports))
            found += functions
    return found, faults


def _for_cache(functions: list[TestFunction], imports: frozenset[str]) -> dict[str, Any]:
    """Return the functions of one file as JSON values, their common imports once."""
    rows = [function.model_dump(mode="json", exclude={"imports"}) for function in functions]
    return {"imports": sorted(imports), "functions": rows}


def _from_cache(kept: dict[str, Any]) -> list[TestFunction]:
    """Return the functions of one file from their JSON values."""
    imports = frozenset(kept["imports"])
    return [TestFunction.model_validate({**row, "imports": imports}) for row in kept["functions"]]


def _marked_tests(file: TestFile, model: Metamodel) -> Iterator[TestFunction]:
    """Yield the test functions of one file that carry markers."""
    for node_name, source_name, node, marks in file.tests():
        claims: list[Claim] = []
        faults: list[str] = []
        for mark in marks:
            try:
                claims += _claims_of(mark, model)
            except ValueError as exc:
                faults.append(str(exc))
        if claims or faults:
            yield TestFunction(
                function=f"{file.name}::{node_name}",
                source_file=file.name,
                source_name=source_name,
                line=node.lineno,
                claims=tuple(claims),
                digest=file.digest(source_name) or "",
                imports=file.imports,
                faults=tuple(faults),
            )


def _claims_of(mark: ast.expr, model: Metamodel) -> list[Claim]:
    """Return the claims of one marker expression; none when it is no marker of the metamodel.

    Raises:
        ValueError: An argument of the marker is not a literal string.
    """
    call = mark.func if isinstance(mark, ast.Call) else mark
    if not (
        isinstance(call, ast.Attribute)
        and call.attr in model.marker
        and ast.unparse(call).count("mark.")
    ):
        return []
    if not isinstance(mark, ast.Call):
        raise ValueError(f"marker {call.attr} names no id")  # noqa: TRY004  (about the text)
    values = [*mark.args, *(keyword.value for keyword in mark.keywords)]
    if not all(isinstance(v, ast.Constant) and isinstance(v.value, str) for v in values):
        raise ValueError(f"the arguments of marker {call.attr} are not literal strings")
    if any(keyword.arg is None for keyword in mark.keywords) or not mark.args:
        raise ValueError(f"marker {call.attr} names no id")
    keywords = {str(k.arg): str(ast.literal_eval(k.value)) for k in mark.keywords}
    return [
        Claim(marker=call.attr, need_id=str(ast.literal_eval(a)), keywords=keywords)
        for a in mark.args
    ]


def _pytestmark(body: list[ast.stmt]) -> list[ast.expr]:
    """Return the marker expressions of a ``pytestmark`` assignment."""
    found: list[ast.expr] = []
    for node in body:
        if isinstance(node, ast.Assign) and "pytestmark" in _bound_names(node):
            value = node.value
            found += value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
    return found


def _bound_names(node: ast.stmt) -> list[str]:
    """Return the names that one statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = list(node.targets)
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]


def _used_names(node: ast.AST) -> set[str]:
    """Return every name, attribute and argument that occurs in a node."""
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
        elif isinstance(part, ast.arg):
            found.add(part.arg)
        elif (
            isinstance(part, ast.Constant)
            and isinstance(part.value, str)
            and part.value.isidentifier()
        ):
            found.add(part.value)  # usefixtures("name")
    return found


def _is_autouse(node: ast.stmt) -> bool:
    """Return whether a definition is a fixture that every test of its scope uses."""
    return isinstance(node, _Function) and any(
        "autouse=True" in ast.unparse(d) for d in node.decorator_list
    )
