"""The device's source as the rules need it: modules, classes, comments, dependencies."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from trocar_lab.evidence.graph.metamodel import Frozen, split_list
from trocar_lab.evidence.graph.scan_cache import ScanCache
from trocar_lab.evidence.graph.source_text import read_source, read_toml

_COMMENT: Final = re.compile(r"^\s*#\s*@need-ids:(?P<ids>.*)$")
_REQUIREMENT: Final = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?(?P<spec>[^;]*)")
DEVICE_EXTRAS: Final = ("cpu", "openvino")
LAB_EXTRAS: Final = frozenset({"lab", "docs", "check"})


class NeedComment(Frozen):
    """One ``# @need-ids:`` comment."""

    path: str
    line: int
    need_ids: tuple[str, ...]


class DeviceSource(Frozen):
    """What the source of the device holds.

    Attributes:
        modules: Importable module to its top-level classes; packages and ``__main__`` left out.
        lab_modules: The same for the toolchain, which may hold units but need not.
        packages: Importable packages.
        comments: Every need-id comment.
        dependencies: Normalised distribution name to specifier: base and the device's extras.
        other_dependencies: The same for further device extras, which a SOUP need may name.
        faults: Files that cannot be read.
    """

    modules: Mapping[str, frozenset[str]]
    lab_modules: Mapping[str, frozenset[str]]
    packages: frozenset[str]
    comments: tuple[NeedComment, ...]
    dependencies: Mapping[str, str]
    other_dependencies: Mapping[str, str]
    faults: tuple[str, ...] = ()

    @cached_property
    def known(self) -> Mapping[str, frozenset[str]]:
        """Return every module of device and toolchain with its top-level classes."""
        return {**self.modules, **self.lab_modules}

    def has_symbol(self, symbol: str) -> bool:
        """Return whether ``trocar.x.y`` or ``trocar.x.y:Name`` exists."""
        module, _, name = symbol.partition(":")
        if name:
            return name in self.known.get(module, frozenset())
        return module in self.known or module in self.packages


def read_device_source(root: Path) -> DeviceSource:
    """Return what ``src/trocar`` and ``pyproject.toml`` under ``root`` hold.

    Args:
        root: Repository root.
    """
    faults: list[str] = []
    modules, packages = _modules(root, "trocar", faults)
    lab_modules, _ = _modules(root, "trocar_lab", faults)
    comments = [
        comment
        for path in sorted((root / "src" / "trocar").rglob("*.py"))
        for comment in _comments(read_source(path), path.relative_to(root).as_posix())
    ]
    dependencies, other = _dependencies(root / "pyproject.toml")
    return DeviceSource(
        modules=modules,
        lab_modules=lab_modules,
        packages=packages,
        comments=tuple(comments),
        dependencies=dependencies,
        other_dependencies=other,
        faults=tuple(faults),
    )


def _modules(
    root: Path, package: str, faults: list[str]
) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    """Return the modules of a package with their classes, and its packages; faults are appended."""
    modules: dict[str, frozenset[str]] = {}
    packages: set[str] = set()
    base = root / "src"
    with ScanCache(root, f"modules-{package}", package) as cache:
        for path in sorted((base / package).rglob("*.py")):
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            text = read_source(path)
            key = hashlib.sha256(text.encode()).hexdigest()
            try:
                kept = cache.get(key)
                classes = cache.put(key, _classes(text)) if kept is None else kept
            except SyntaxError as exc:
                faults.append(f"{path.relative_to(root).as_posix()}: {exc}")
                continue
            if name.endswith(".__init__"):
                packages.add(name.removesuffix(".__init__"))
            elif not name.endswith(".__main__"):
                modules[name] = frozenset(classes)
    return modules, frozenset(packages)


def _classes(text: str) -> list[str]:
    """Return the names of the classes that a file defines at its top level.

    Raises:
        SyntaxError: It is no Python.
    """
    return [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]


def _comments(text: str, place: str) -> list[NeedComment]:
    """Return the need-id comments of one file."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _COMMENT.match(line)
        if match:
            found.append(
                NeedComment(path=place, line=number, need_ids=tuple(split_list(match["ids"])))
            )
    return found


def _dependencies(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the declared dependencies of the device and those of its other extras."""
    if not path.is_file():
        return {}, {}
    project = read_toml(path).get("project", {})
    extras: dict[str, list[str]] = project.get("optional-dependencies", {})
    device = [
        *project.get("dependencies", []),
        *(line for name in DEVICE_EXTRAS for line in extras.get(name, [])),
    ]
    other = [line for name, lines in extras.items() if name not in LAB_EXTRAS for line in lines]
    if "requires-python" in project:
        other.append(f"python{project['requires-python']}")
    return _by_name(device), _by_name(other)


def _by_name(lines: list[str]) -> dict[str, str]:
    """Return normalised name to specifier; ``==x`` becomes ``x``."""
    found: dict[str, str] = {}
    for line in lines:
        match = _REQUIREMENT.match(line.strip())
        if match:
            spec = match["spec"].replace(" ", "")
            pinned = spec.startswith("==") and "," not in spec
            found[normalised_name(match["name"])] = spec.removeprefix("==") if pinned else spec
    return found


def normalised_name(name: str) -> str:
    """Return a distribution name in the form of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
