"""Rules about what the device imports, wherever the import stands and however it is written."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from architecture.tidy import Rule, Violation, parse, python_files

__all__ = ["IMPORT_RULES", "imports"]

TOOLCHAIN: Final = frozenset({
    *("airflow", "cv2", "matplotlib", "mlflow", "onnx", "pandas", "scipy", "skimage", "sklearn"),
    *("sphinx", "sphinx_needs", "torch", "torchvision", "trocar_lab", "tests"),
})
UNSAFE: Final = frozenset({
    *("aiohttp", "asyncore", "cloudpickle", "dill", "ftplib", "http", "httpx", "joblib", "marshal"),
    *("multiprocessing", "pickle", "requests", "shelve", "smtplib", "socket", "socketserver"),
    *("ssl", "subprocess", "telnetlib", "urllib", "urllib3", "xmlrpc"),
})
READS_TEXT_ONLY: Final = frozenset({"urllib.parse"})
"""Parts of an unsafe package that do neither."""

_IMPORT_CALLS: Final = frozenset({"__import__", "import_module", "find_spec"})


def imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield (module, line) of each import of a file, also inside functions and by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
        elif isinstance(node, ast.Call):
            name = _called(node.func)
            if name in _IMPORT_CALLS and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value), node.lineno


def _called(function: ast.expr) -> str:
    """Return the last part of the name of what is called."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _found(root: Path, rule: str, banned: frozenset[str], remedy: str) -> list[Violation]:
    """Return each import of the device whose first part is banned."""
    return [
        Violation(
            rule=rule,
            path=path.relative_to(root).as_posix(),
            line=line,
            symbol=module,
            found=f"the device imports {module}",
            remedy=remedy,
        )
        for path in python_files(root, "src/trocar")
        for module, line in imports(parse(path))
        if module.partition(".")[0] in banned and module not in READS_TEXT_ONLY
    ]


def toolchain_imports(root: Path) -> list[Violation]:
    """Find imports of the toolchain, of training frameworks and of large libraries."""
    return _found(root, "toolchain-import", TOOLCHAIN, "move the code to trocar_lab, or do without")


def unsafe_imports(root: Path) -> list[Violation]:
    """Find imports that can run foreign code from data, start programs or open the network."""
    return _found(root, "unsafe-import", UNSAFE, "sockets belong to the network modules alone")


IMPORT_RULES: Final[Mapping[str, Rule]] = {
    "toolchain-import": toolchain_imports,
    "unsafe-import": unsafe_imports,
}
