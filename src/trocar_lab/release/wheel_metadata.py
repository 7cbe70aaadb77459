"""What METADATA of a wheel says, against the project table and the version in every other place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from trocar_lab.evidence.signed.release_folder import WheelFacts
from trocar_lab.evidence.source.device_source import normalised_name
from trocar_lab.evidence.source.project_files import read_project_files
from trocar_lab.evidence.source.versions import parse_requirement

__all__ = ["requirement_faults", "version_faults"]

_MODULE_VERSION: Final = re.compile(r'^__version__: Final = "([^"]+)"$', re.MULTILINE)
_MENTION: Final = re.compile(r"\btrocar(?:-|==| version | v)(\d+\.\d+\.\d+[\w.]*)", re.IGNORECASE)
_EXTRA: Final = re.compile(r"^extra == ['\"]([A-Za-z0-9_-]+)['\"]$")
_Asked = tuple[str, tuple[str, ...], str]


def requirement_faults(facts: WheelFacts, tree: Path) -> list[str]:
    """Return each requirement that wheel and project table do not share.

    Args:
        facts: What the wheel says.
        tree: Source that it was built from.
    """
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = _wanted(project)
    found = {_asked(line) for line in facts.requires}
    faults = [f"METADATA asks for {_text(one)}, pyproject.toml does not" for one in found - wanted]
    faults += [f"pyproject.toml asks for {_text(one)}, METADATA does not" for one in wanted - found]
    return sorted(faults)


def version_faults(facts: WheelFacts, tree: Path, *, tag: str) -> list[str]:
    """Return each place that names another version than the project table.

    Args:
        facts: What the wheel says.
        tree: Source that it was built from.
        tag: Tag of the commit; empty when there is none.
    """
    files = read_project_files(tree)
    said = {
        "src/trocar/__init__.py": _first(_MODULE_VERSION, tree / "src/trocar/__init__.py"),
        "CHANGELOG.md": files.headings[0][0] if files.headings else "",
        f"the name of {facts.file_name}": facts.file_version,
        "METADATA": facts.version,
    }
    if tag:
        said[f"tag {tag}"] = tag.removeprefix("v")
    places = [*said.items(), *files.mentions, *_mentions(tree)]
    faults = [f"{name}: {reason}" for name, reason in sorted(files.faults.items())]
    faults += [
        f"{place} names version {version or 'none'}, pyproject.toml {files.version or 'none'}"
        for place, version in places
        if version != files.version or not version
    ]
    return faults


def _wanted(project: Mapping[str, Any]) -> set[_Asked]:
    """Return the requirements of the project table."""
    found = {_asked(line) for line in project.get("dependencies", [])}
    for extra, lines in project.get("optional-dependencies", {}).items():
        found |= {_asked(line, extra=extra) for line in lines}
    return found


def _asked(line: str, *, extra: str = "") -> _Asked:
    """Return (name with its extras, clauses, marker) of one requirement, comparable."""
    parsed = parse_requirement(line)
    if parsed is None:
        return line, (), extra
    name, specifier, marker = parsed
    inner = re.search(r"\[([^]]*)\]", line.split(";", maxsplit=1)[0])
    extras = f"[{inner[1]}]" if inner else ""
    match = _EXTRA.match(marker)
    return (
        normalised_name(name) + extras,
        tuple(sorted(specifier.split(","))),
        normalised_name(match[1]) if match else normalised_name(extra) or marker,
    )


def _text(asked: _Asked) -> str:
    """Return one requirement as people write it."""
    name, clauses, marker = asked
    return f"{name} {','.join(clauses)}".strip() + (f" ({marker})" if marker else "")


def _first(pattern: re.Pattern[str], path: Path) -> str:
    """Return the first match in a file, or nothing."""
    match = pattern.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return match[1] if match else ""


def _mentions(tree: Path) -> Iterable[tuple[str, str]]:
    """Yield (file, version) of this product in the documentation for users."""
    for path in sorted((tree / "docs").rglob("*.rst")):
        for version in _MENTION.findall(path.read_text(encoding="utf-8")):
            yield path.relative_to(tree).as_posix(), version.rstrip(".")
