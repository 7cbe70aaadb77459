"""``python -m trocar_lab.soup``: SOUP.md from risk/soup.toml, risk/soup.rst and pyproject.toml.

The three sources are compared in both directions first: a declared dependency without an entry, an
entry that nothing declares, and an entry whose version or scope differs from the declared one are
faults. With a fault nothing is written.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trocar_lab.generated_text import is_current, parse_mode, write_texts

__all__ = ["Entry", "SoupFiles", "declared", "faults", "main", "page", "read_files"]

_REQUIREMENT: Final = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;.*)?$")
_NEED: Final = re.compile(r"^\.\. soup:: .*\n(?:   .*\n|\n)*", re.MULTILINE)
_OPTION: Final = re.compile(r"^   :(\w+): (.*)$", re.MULTILINE)
_DEVICE_EXTRAS: Final = ("cpu", "gpu", "openvino", "openigtlink", "holoscan")
_COPIED: Final = (
    "package",
    "version",
    "supplier",
    "purpose",
    "licence",
    "anomaly_list",
    "reviewed",
)

_TOOL_SAFETY: Final = {
    "lab": "makes or measures a pack; reaches the device only as a pack, which is judged through "
    "the device (SRS_POLYP_006, SRS_PACK_004)",
    "docs": "builds the needs that the trace verdict rests on; a second reader compares "
    "(`trocar_lab.evidence`)",
    "check": "an error here can hide a fault of the device",
    "build": "packs the wheel; `tox -e wheel` installs it afresh and runs it",
}
_PLANTED: Final = {
    "import-linter": "tests/architecture/test_tool_guards.py",
    "mypy": "tests/architecture/test_tool_guards.py",
    "pytest": "tests/unit/trocar_lab/evidence/test_pytest_plugin.py",
    "ruff": "tests/architecture/test_tool_guards.py",
}
"""Check tool -> the tests that plant faults and expect it to find them."""
_OWN_SAFETY: Final = {
    "cryptography": "signs and verifies approvals and releases, makes and measures no pack; "
    "planted faults of signatures must be found (`src/trocar_lab/evidence/selftest/seeded`)",
}
"""Tool whose use is not that of its scope -> what it means for safety."""


@dataclass(frozen=True)
class Entry:
    """One package of risk/soup.toml.

    Attributes:
        is_device: Whether a user of the device installs it.
        fields: Its fields as they stand.
        asked: What is asked of it, from the words of its need; empty for a tool.
        safety: What it means for safety.
    """

    is_device: bool
    fields: Mapping[str, str]
    asked: str
    safety: str

    @property
    def package(self) -> str:
        """Normalised name."""
        return _normal(self.fields["package"])


@dataclass(frozen=True)
class SoupFiles:
    """What the page is made from.

    Attributes:
        entries: Packages with an entry, device first.
        needs: Options of each ``soup`` need of risk/soup.rst, by id.
        project: The table of pyproject.toml.
    """

    entries: tuple[Entry, ...]
    needs: Mapping[str, Mapping[str, str]]
    project: Mapping[str, Any]


def read_files(root: Path) -> SoupFiles:
    """Read the three sources of a repository."""
    words = (root / "risk" / "soup.rst").read_text(encoding="utf-8")
    blocks = {dict(_OPTION.findall(block))["id"]: block for block in _NEED.findall(words)}
    table = tomllib.loads((root / "risk" / "soup.toml").read_text(encoding="utf-8"))
    device = [_entry(row, blocks.get(row["need"], "")) for row in table.get("soup", [])]
    tools = [_entry(row, None) for row in table.get("tool", [])]
    return SoupFiles(
        entries=(*device, *tools),
        needs={need: dict(_OPTION.findall(block)) for need, block in blocks.items()},
        project=tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")),
    )


def _entry(row: Mapping[str, object], block: str | None) -> Entry:
    """Return one entry; ``block`` is the text of its need, None for a tool."""
    fields = {key: str(value) for key, value in row.items()}
    if block is None:
        scopes = [scope.strip() for scope in fields["scope"].split(",")]
        name = _normal(fields["package"])
        words = [_OWN_SAFETY.get(name) or _TOOL_SAFETY.get(scope, "not judged") for scope in scopes]
        if "check" in scopes:
            words.append(_guard(name))
        return Entry(is_device=False, fields=fields, asked="", safety="; ".join(words))
    return Entry(
        is_device=True,
        fields=fields,
        asked=_paragraph(block, "Asked of it"),
        safety=_paragraph(block, "Safety"),
    )


def _guard(package: str) -> str:
    """Return what shows, or limits, an error of a tool that checks."""
    if package in _PLANTED:
        return f"planted faults must be found (`{_PLANTED[package]}`)"
    return "no faults are planted for it; `verification/tools.rst` says what limits the damage"


def _paragraph(block: str, head: str) -> str:
    """Return the paragraph that begins with a word and a colon, as one line of Markdown."""
    for paragraph in re.split(r"\n\s*\n", block):
        line = " ".join(paragraph.split())
        if line.startswith(f"{head}: "):
            return re.sub(r":need:`([^`]+)`", r"\1", line.removeprefix(f"{head}: ")).replace(
                "``", "`"
            )
    return ""


def _normal(name: str) -> str:
    """Return a package name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(project: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return (version, scopes) of each package that pyproject.toml names.

    Args:
        project: The table of pyproject.toml.
    """
    wanted = [("wheel", text) for text in project["project"]["dependencies"]]
    for extra, texts in project["project"].get("optional-dependencies", {}).items():
        scope = f"extra {extra}" if extra in _DEVICE_EXTRAS else extra
        wanted += [(scope, text) for text in texts]
    wanted += [("build", text) for text in project["build-system"]["requires"]]
    wanted.append(("site", f"python{project['project']['requires-python']}"))
    found: dict[str, tuple[list[str], list[str]]] = {}
    for scope, text in wanted:
        match = _REQUIREMENT.match(text)
        name, version = match.groups() if match else (text, "")
        versions, scopes = found.setdefault(_normal(name), ([], []))
        versions.append(version.removeprefix("=="))
        scopes.append(scope)
    return {
        name: (" and ".join(dict.fromkeys(versions)), ", ".join(scopes))
        for name, (versions, scopes) in found.items()
    }


def faults(files: SoupFiles) -> list[str]:
    """Return what the sources say against each other, one sentence each."""
    wanted = declared(files.project)
    names = [entry.package for entry in files.entries]
    found = [f"{name}: entered twice" for name in sorted({n for n in names if names.count(n) > 1})]
    found += [
        f"{name}: declared in pyproject.toml, no entry" for name in wanted if name not in names
    ]
    for entry in files.entries:
        if entry.package not in wanted:
            found.append(f"{entry.package}: has an entry, pyproject.toml does not declare it")
            continue
        has = entry.fields["version"], entry.fields["scope"]
        if has != wanted[entry.package]:
            found.append(
                f"{entry.package}: entry says {has}, pyproject.toml {wanted[entry.package]}"
            )
    return found + _need_faults(files)


def _need_faults(files: SoupFiles) -> list[str]:
    """Compare the entries of the device with the needs of risk/soup.rst."""
    entries = {entry.fields["need"]: entry for entry in files.entries if entry.is_device}
    found = [
        f"{need}: in risk/soup.rst, not in risk/soup.toml" for need in files.needs.keys() - entries
    ]
    for need, entry in entries.items():
        options = files.needs.get(need)
        if options is None:
            found.append(f"{need}: in risk/soup.toml, not in risk/soup.rst")
            continue
        found += [
            f"{need}: {key} is {entry.fields[key]!r} in risk/soup.toml, "
            f"{options.get(key)!r} in risk/soup.rst"
            for key in _COPIED
            if entry.fields[key] != options.get(key)
        ]
        if not entry.asked or not entry.safety:
            found.append(f"{need}: risk/soup.rst lacks a paragraph 'Asked of it:' or 'Safety:'")
    return sorted(found)


def page(files: SoupFiles) -> str:
    """Return SOUP.md."""
    device = [entry for entry in files.entries if entry.is_device]
    tools = [entry for entry in files.entries if not entry.is_device]
    pending = sum(entry.fields["anomaly_review"] == "pending" for entry in files.entries)
    lines = [
        "# Software of unknown provenance",
        "",
        "Written by `python -m trocar_lab.soup --write` from `risk/soup.toml`, `risk/soup.rst` and",
        "`pyproject.toml`; do not edit.",
        "",
        "Research use only: Trocar is not a medical device.",
        "",
        f"**Review of known anomalies: pending for {pending} of {len(files.entries)} packages.**",
        "Pending means that the published list was not read; nothing is claimed about it. The",
        "date is that of the review of metadata, licence and use (`risk/soup.rst`).",
        "",
        "Listed are the packages that Trocar names itself. What they bring along is bounded by",
        "them, not pinned here; `pip` and `tox`, which start the checks, are the user's own.",
        "",
        "## Device",
        "",
        *_table(device, names=("need",)),
        "",
        "| package | asked of it | safety |",
        "|---|---|---|",
        *(_row((f"`{e.package}`", e.asked, e.safety)) for e in device),
        "",
        "## Toolchain: in no wheel, needed to build, train and check only",
        "",
        *_table(tools, names=()),
        "",
        "| package | safety |",
        "|---|---|",
        *(_row((f"`{e.package}`", e.safety)) for e in tools),
    ]
    return "\n".join(lines) + "\n"


def _table(entries: Sequence[Entry], *, names: tuple[str, ...]) -> list[str]:
    """Return a table with one line a package."""
    keys = (
        *names,
        "version",
        "scope",
        "purpose",
        "licence",
        "supplier",
        "anomaly_list",
        "reviewed",
        "anomaly_review",
    )
    heads = ("package", *(key.replace("_", " ") for key in keys))
    rows = [(f"`{entry.package}`", *(entry.fields[key] for key in keys)) for entry in entries]
    return [_row(heads), "|" + "---|" * len(heads), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check SOUP.md; return 0 when all is sound and current, else 1."""
    options = parse_mode("trocar_lab.soup", __doc__, arguments)
    files = read_files(options.root)
    found = faults(files)
    for fault in found:
        print(f"soup: {fault}")
    path, text = options.root / "SOUP.md", page(files)
    if options.write and not found:
        write_texts({path: text})
    if not is_current(path, text):
        print("SOUP.md is stale: python -m trocar_lab.soup --write")
        return 1
    print(f"SOUP.md lists {len(files.entries)} packages, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
