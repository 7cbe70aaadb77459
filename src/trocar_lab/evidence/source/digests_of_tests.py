"""Digests of single tests, marked or not, as they stand in the source now."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

from trocar_lab.evidence.source.control_code import code_digest
from trocar_lab.evidence.source.python_tests import TestFile


def digests_of_tests(
    root: Path, names: Iterable[str], known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return each test to the digest of what it does; empty for a test that is not there.

    A test that a class inherits from another file has the digest of its whole own file.

    Args:
        root: Repository root.
        names: Node ids without parameters: ``path::Class::name``.
        known: Digests that were computed before.
    """
    found = {}
    files: dict[str, tuple[TestFile, str] | None] = {}
    for name in sorted(names):
        if known and name in known:
            found[name] = known[name]
            continue
        path, _, rest = name.partition("::")
        if path not in files:
            files[path] = _parsed(root / path)
        file = files[path]
        if file is None:
            found[name] = ""
            continue
        owner, _, _ = rest.rpartition("::")
        whole = file[1] if owner in file[0].classes else ""
        found[name] = file[0].digest(rest.replace("::", ".")) or whole
    return found


def _parsed(path: Path) -> tuple[TestFile, str] | None:
    """Return a test file and the digest of all of it; None when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        return TestFile(text, name=path.name), code_digest(ast.parse(text))
    except (OSError, SyntaxError):
        return None
