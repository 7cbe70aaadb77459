"""Which module of the device imports which other; imports inside functions count too."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from trocar_lab.evidence.graph.scan_cache import ScanCache
from trocar_lab.evidence.graph.source_text import read_source

PACKAGE: Final = "trocar"
_BY_NAME: Final = frozenset({"import_module", "__import__"})


class Import(NamedTuple):
    """One name of the device that a file of the device imports.

    Attributes:
        importer: Module of the file; a package is named without ``__init__``.
        target: Module or package that is imported.
        name: What is taken from it; empty for the module itself.
        path: File, from the repository root.
        line: Line of the statement.
    """

    importer: str
    target: str
    name: str
    path: str
    line: int


class _Statement(NamedTuple):
    """One import as it is written."""

    module: str
    level: int
    name: str
    line: int


def read_imports(root: Path) -> tuple[Import, ...]:
    """Return every import of the device by the device, in order of file and line.

    A file that is not Python has none here; rule C4 is red for it.

    Args:
        root: Repository root.
    """
    written: dict[str, tuple[str, list[_Statement]]] = {}
    packages: set[str] = set()
    base = root / "src"
    with ScanCache(root, "imports", PACKAGE) as cache:
        for path in sorted((base / PACKAGE).rglob("*.py")):
            text = read_source(path)
            key = hashlib.sha256(text.encode()).hexdigest()
            rows = cache.get(key)
            if rows is None:
                rows = cache.put(key, _statements(text))
            module = ".".join(path.relative_to(base).with_suffix("").parts)
            name = module.removesuffix(".__init__")
            if name != module:
                packages.add(name)
            written[name] = path.relative_to(root).as_posix(), [_Statement(*row) for row in rows]
    return tuple(
        Import(importer=name, target=target, name=taken, path=path, line=statement.line)
        for name, (path, statements) in written.items()
        for statement in statements
        for target, taken in _resolved(
            statement, name if name in packages else _parent(name), written
        )
    )


def _resolved(
    statement: _Statement, package: str, known: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield (module or package, name taken from it) of one statement; nothing for other packages.

    Args:
        statement: The import as it is written.
        package: Package in which it stands; a relative import begins there.
        known: Every module and package of the device.
    """
    module = statement.module
    if statement.level:
        above = package.split(".")[: max(package.count(".") + 2 - statement.level, 0)]
        module = ".".join([*above, *([module] if module else [])])
    if statement.name and f"{module}.{statement.name}" in known:
        yield f"{module}.{statement.name}", ""
    elif module in known:
        yield module, statement.name


def _parent(module: str) -> str:
    """Return the package that a module lies in."""
    return module.rpartition(".")[0]


def _statements(text: str) -> list[tuple[str, int, str, int]]:
    """Return the imports of one file that can be of the device, one row a name."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    found = {row for node in ast.walk(tree) for row in _rows(node)}
    return sorted(found, key=lambda row: (row[3], row))


def _rows(node: ast.AST) -> Iterator[tuple[str, int, str, int]]:
    """Yield (module, level, name, line) of one node; a literal of ``import_module`` counts."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if _is_own(alias.name):
                yield alias.name, 0, "", node.lineno
    elif isinstance(node, ast.ImportFrom):
        if node.level or _is_own(node.module or ""):
            for alias in node.names:
                yield node.module or "", node.level, alias.name, node.lineno
    elif isinstance(node, ast.Call) and node.args:
        called, first = node.func, node.args[0]
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        given = first.value if isinstance(first, ast.Constant) else None
        if name in _BY_NAME and isinstance(given, str) and _is_own(given):
            yield given, 0, "", node.lineno


def _is_own(module: str) -> bool:
    """Return whether an absolute name lies in the device."""
    return module == PACKAGE or module.startswith(f"{PACKAGE}.")
