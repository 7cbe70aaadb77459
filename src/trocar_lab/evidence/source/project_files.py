"""What the files at the root say about version, tools and locked packages."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.source.device_source import LAB_EXTRAS, normalised_name

UNRELEASED: Final = "unreleased"
_REQUIREMENT: Final = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*([^;]*)")
_HEADING: Final = re.compile(
    r"^## +\[?v?(?P<version>[^\]\s]+)\]?(?: +-? *(?P<rest>.*))?$", re.MULTILINE
)
_MENTION: Final = re.compile(r"\btrocar(?: |-|==| version | v)(\d+\.\d+\.\d+[\w.]*)", re.IGNORECASE)
_STARTED: Final = re.compile(r"(?<![\w./-])(git|pip|python|tox)(?:\d[\d.]*)?(?![\w-])")


class LockedPackage(Frozen):
    """One package of a lock.

    Attributes:
        name: Normalised name.
        version: Exact version.
        sha256: Digests of its files.
        is_optional: Whether only some installations have it.
    """

    name: str
    version: str
    sha256: frozenset[str] = frozenset()
    is_optional: bool = False


class ProjectFiles(Frozen):
    """What a release must say in one voice.

    Attributes:
        version: Of pyproject.toml; empty when it names none.
        tools: Package of the toolchain to the specifiers that it is declared with.
        process_tools: Further packages that the process starts: named in tox.ini or .ci/run.
        headings: (version, rest of the line) of CHANGELOG.md, newest first.
        mentions: (file, version) of this product in README.md and SECURITY.md.
        locks: Packages of each lock of a device, by file name.
        faults: File to the reason why it cannot be read.
    """

    version: str = ""
    tools: Mapping[str, frozenset[str]] = Field(default_factory=dict)
    process_tools: frozenset[str] = frozenset()
    headings: tuple[tuple[str, str], ...] = ()
    mentions: tuple[tuple[str, str], ...] = ()
    locks: Mapping[str, tuple[LockedPackage, ...]] = Field(default_factory=dict)
    faults: Mapping[str, str] = Field(default_factory=dict)


def read_project_files(root: Path) -> ProjectFiles:
    """Return what the files under ``root`` say; a missing file says nothing.

    Args:
        root: Repository root.
    """
    faults: dict[str, str] = {}
    project = _toml(root, "pyproject.toml", faults)
    changelog = _text(root, "CHANGELOG.md", faults)
    mentions = [
        (name, version.rstrip("."))
        for name in ("README.md", "SECURITY.md")
        for version in _MENTION.findall(_text(root, name, faults))
    ]
    return ProjectFiles(
        version=str(_table(project, "project").get("version", "")),
        tools=_tools(project),
        process_tools=_process_tools(root, faults),
        headings=tuple((m["version"], m["rest"] or "") for m in _HEADING.finditer(changelog)),
        mentions=tuple(mentions),
        locks={
            path.name: _locked(_toml(root, path.name, faults))
            for path in sorted(root.glob("pylock.device-*.toml"))
        },
        faults=faults,
    )


def specifiers(lines: Iterable[object]) -> dict[str, frozenset[str]]:
    """Return normalised package name to its specifiers without blanks; ``==x`` becomes ``x``."""
    found: dict[str, frozenset[str]] = {}
    for line in lines:
        match = _REQUIREMENT.match(str(line))
        if match:
            name = normalised_name(match[1])
            found[name] = found.get(name, frozenset()) | {plain_specifier(match[2])}
    return found


def plain_specifier(text: str) -> str:
    """Return a version specifier without blanks; an exact one without its ``==``."""
    spec = "".join(text.split())
    return spec if "," in spec else spec.removeprefix("==")


def _tools(project: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Return the packages of the toolchain's extras and of the build backend."""
    extras = _table(_table(project, "project"), "optional-dependencies")
    lines = [line for name in sorted(LAB_EXTRAS) for line in extras.get(name, [])]
    return specifiers([*lines, *_table(project, "build-system").get("requires", [])])


def _process_tools(root: Path, faults: dict[str, str]) -> frozenset[str]:
    """Return tox and what it requires, and the programs that .ci/run starts."""
    found = {match[1] for match in _STARTED.finditer(_text(root, ".ci/run", faults))}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_text(root, "tox.ini", faults))
    except configparser.Error as exc:
        faults["tox.ini"] = str(exc).splitlines()[0]
        return frozenset(found)
    if parser.has_section("tox"):
        found |= {"tox", *specifiers(parser.get("tox", "requires", fallback="").split("\n"))}
    return frozenset(found)


def _locked(lock: Mapping[str, Any]) -> tuple[LockedPackage, ...]:
    """Return the packages of a lock that have a version; the project itself has none."""
    found = []
    for row in lock.get("packages", []):
        if not isinstance(row, Mapping) or "version" not in row:
            continue
        files = [*row.get("wheels", []), *([row["sdist"]] if "sdist" in row else [])]
        digests = {str(_table(file, "hashes").get("sha256", "")) for file in files} - {""}
        found.append(
            LockedPackage(
                name=normalised_name(str(row.get("name", ""))),
                version=str(row["version"]),
                sha256=frozenset(digests),
                is_optional="marker" in row,
            )
        )
    return tuple(found)


def _table(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the table under a key; an empty one when there is none."""
    found = holder.get(key, {})
    return found if isinstance(found, Mapping) else {}


def _toml(root: Path, name: str, faults: dict[str, str]) -> Mapping[str, Any]:
    """Return a TOML file; an empty table when it is missing or damaged."""
    try:
        return tomllib.loads(_text(root, name, faults))
    except tomllib.TOMLDecodeError as exc:
        faults[name] = str(exc)
        return {}


def _text(root: Path, name: str, faults: dict[str, str]) -> str:
    """Return the text of a file; nothing when it is missing or no UTF-8."""
    try:
        return (root / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as exc:
        faults[name] = str(exc)
        return ""
