"""``python -m trocar_lab.soup``: SOUP.md from locks, risk/soup.toml, risk/soup.rst, pyproject.toml.

The sources are compared in both directions first: a declared or locked dependency without an entry,
an entry that nothing declares or locks, one whose version or scope differs, a review that is too
old, an unknown licence, a locked version that nobody reviewed and a missing support status are
faults. With a fault nothing is written. A list of anomalies that nobody read is no fault but open.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trocar_lab.generated_text import is_current, parse_mode, write_texts
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.lock_check import locks_of, register_faults
from trocar_lab.supply.lock_file import Lock
from trocar_lab.supply.register import (
    NOT_PUBLISHED,
    PENDING,
    REVIEW_DAYS_MAX,
    Register,
    read_register,
    review_faults,
)
from trocar_lab.supply.targets import TARGETS

__all__ = ["Entry", "SoupFiles", "declared", "faults", "main", "page", "read_files"]

_REQUIREMENT: Final = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;.*)?$")
_NEED: Final = re.compile(r"^\.\. soup:: .*\n(?:   .*\n|\n)*", re.MULTILINE)
_OPTION: Final = re.compile(r"^   :(\w+): (.*)$", re.MULTILINE)
_DEVICE_EXTRAS: Final = ("cpu", "gpu", "openvino", "openigtlink", "holoscan", "tensorrt")
_BROUGHT: Final = "brought by "
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
        register: What was reviewed, left out and read by a person.
        locks: Lock by the name of its target.
        root: Repository.
    """

    entries: tuple[Entry, ...]
    needs: Mapping[str, Mapping[str, str]]
    project: Mapping[str, Any]
    register: Register
    locks: Mapping[str, Lock]
    root: Path


def read_files(root: Path) -> SoupFiles:
    """Read the sources of a repository.

    Raises:
        SupplyError: A source is missing or damaged.
    """
    words = _text(root, "risk/soup.rst")
    blocks = {dict(_OPTION.findall(block))["id"]: block for block in _NEED.findall(words)}
    table = _toml(root, "risk/soup.toml")
    device = [_entry(row, blocks.get(row["need"], "")) for row in table.get("soup", [])]
    tools = [_entry(row, None) for row in table.get("tool", [])]
    return SoupFiles(
        entries=(*device, *tools),
        needs={need: dict(_OPTION.findall(block)) for need, block in blocks.items()},
        project=_toml(root, "pyproject.toml"),
        register=read_register(root),
        locks=locks_of(root),
        root=root,
    )


def _text(root: Path, name: str) -> str:
    """Return the text of a source."""
    try:
        return (root / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SupplyError(f"{name} cannot be read in {root}; is it the repository? {exc}") from exc


def _toml(root: Path, name: str) -> dict[str, Any]:
    """Return the table of a source."""
    try:
        return tomllib.loads(_text(root, name))
    except tomllib.TOMLDecodeError as exc:
        raise SupplyError(f"{name} is no TOML: {exc}") from exc


def _entry(row: Mapping[str, object], block: str | None) -> Entry:
    """Return one entry; ``block`` is the text of its need, None for a tool."""
    fields = {k: "; ".join(v) if isinstance(v, list) else str(v) for k, v in row.items()}
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
    # What the wheel asks for counts; an extra of the toolchain may pin one version of that range.
    return {
        name: (
            versions[0] if scopes[0] == "wheel" else " and ".join(dict.fromkeys(versions)),
            ", ".join(scopes),
        )
        for name, (versions, scopes) in found.items()
    }


def faults(files: SoupFiles, *, today: dt.date) -> list[str]:
    """Return what the sources say against each other, one sentence each.

    Args:
        files: The sources.
        today: Day of the check.
    """
    wanted = declared(files.project)
    names = [entry.package for entry in files.entries]
    found = [f"{name}: entered twice" for name in sorted({n for n in names if names.count(n) > 1})]
    found += [
        f"{name}: declared in pyproject.toml, no entry" for name in wanted if name not in names
    ]
    for entry in files.entries:
        if entry.fields["scope"].startswith(_BROUGHT):
            found += _brought_faults(entry, files)
            continue
        if entry.package not in wanted:
            found.append(f"{entry.package}: has an entry, pyproject.toml does not declare it")
            continue
        has = entry.fields["version"], entry.fields["scope"]
        if has != wanted[entry.package]:
            found.append(
                f"{entry.package}: entry says {has}, pyproject.toml {wanted[entry.package]}"
            )
    found += [f for e in files.register.reviewed for f in review_faults(e, today=today)]
    found += register_faults(files.locks, files.register, root=files.root)
    return found + _need_faults(files)


def _brought_faults(entry: Entry, files: SoupFiles) -> list[str]:
    """Return whether a package that another brings is locked for a device, in its version."""
    names = [target.name for target in TARGETS if target.is_device]
    locked = [files.locks[name].version_of(entry.package) for name in names]
    versions = {version for version in locked if version is not None}
    if versions == {entry.fields["version"]}:
        return []
    words = " and ".join(sorted(versions)) or "in no lock of a device"
    return [f"{entry.package}: entry says {entry.fields['version']}, it is {words}"]


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
    return "\n".join([
        *_head(files),
        *_table(device, names=("need",)),
        "",
        "| package | asked of it | safety |",
        "|---|---|---|",
        *(_row((f"`{e.package}`", e.asked, e.safety)) for e in device),
        "",
        *_support(device),
        "",
        *_left_out(files),
        "",
        "## Toolchain: in no wheel, needed to build, train and check only",
        "",
        *_table(tools, names=()),
        "",
        "| package | safety |",
        "|---|---|",
        *(_row((f"`{e.package}`", e.safety)) for e in tools),
        "",
        *_support(tools),
        "",
        *_transitive(files),
        "",
    ])


def _head(files: SoupFiles) -> list[str]:
    """Return what stands above the tables."""
    pending = sum(entry.fields["anomaly_review"] == PENDING for entry in files.entries)
    partly = sum("partly_read" in entry.fields for entry in files.entries)
    return [
        "# Software of unknown provenance",
        "",
        "Written by `python -m trocar_lab.soup --write` from the locks `pylock.*.toml`,",
        "`risk/soup.toml`, `risk/soup.rst` and `pyproject.toml`; do not edit.",
        "",
        "Research use only: Trocar is not a medical device.",
        "",
        f"**Review of known anomalies: pending for {pending} of {len(files.entries)} packages.**",
        "Pending means that the published list was not read; nothing is claimed about it. For",
        f"{partly} of them single threads were read, from a stored copy; they are named below,",
        "and the review stays pending. The date is that of the review of metadata, licence and",
        f"use (`risk/soup.rst`); after {REVIEW_DAYS_MAX} days it is too old. Rule F2 of the trace",
        "keeps a pending review open. A review that is too old, a licence nobody knows, a locked",
        "version that nobody reviewed and a missing support status are red and stop the gate.",
        f'"{NOT_PUBLISHED}" means that no end of support was found; "maintained" rests on the',
        "words beside it and on no promise of a supplier.",
        "",
        "## Device",
        "",
        "Every package of `pylock.device-cpu.toml` and `pylock.device-gpu.toml` is here, with",
        "what the packages bring along, and what a site installs itself. Libraries inside the",
        "wheels are in the bill of materials, `sbom.cdx.json` of a release.",
        "",
    ]


def _support(entries: Sequence[Entry]) -> list[str]:
    """Return support status, and what was read of the lists of anomalies."""
    rows = [
        (
            f"`{entry.package}`",
            entry.fields.get("support_level", ""),
            entry.fields.get("support_basis", ""),
            entry.fields.get("end_of_support", ""),
            entry.fields.get("partly_read", "nothing"),
        )
        for entry in entries
    ]
    heads = ("package", "support", "rests on", "end of support", "threads that were read")
    return [_row(heads), "|" + "---|" * len(heads), *map(_row, rows)]


def _left_out(files: SoupFiles) -> list[str]:
    """Return what metadata ask for and a device runs without."""
    heads = ("package", "asked for by", "why a device runs without it", "test")
    rows = [
        (f"`{o.package}`", f"`{o.asked_by}`", o.reason, f"`{o.proof}`")
        for o in files.register.omitted
    ]
    if not rows:
        return ["Nothing that metadata ask for is left out of a device."]
    return [
        "Left out of a device although metadata ask for it:",
        "",
        _row(heads),
        "|" + "---|" * len(heads),
        *map(_row, rows),
    ]


def _transitive(files: SoupFiles) -> list[str]:
    """Return what the toolchain's packages bring along: listed, not reviewed."""
    named = {entry.package for entry in files.entries}
    found = {
        (package.name, package.version, package.licence): None
        for target in TARGETS
        if not target.is_device
        for package in files.locks[target.name].packages
        if package.name not in named
    }
    read = files.register.read_licences
    rows = [(f"`{name}`", version, read.get(name, what)) for name, version, what in sorted(found)]
    return [
        "Brought along by them, locked and not reviewed; the licence is what their metadata say:",
        "",
        "| package | version | licence |",
        "|---|---|---|",
        *map(_row, rows),
    ]


def _table(entries: Sequence[Entry], *, names: tuple[str, ...]) -> list[str]:
    """Return a table with one line a package."""
    keys = (
        *names,
        "version",
        "reviewed_version",
        "scope",
        "purpose",
        "licence",
        "supplier",
        "anomaly_list",
        "reviewed",
        "anomaly_review",
    )
    heads = ("package", *(key.replace("_", " ") for key in keys))
    rows = [
        (f"`{entry.package}`", *(entry.fields.get(key, "") for key in keys)) for entry in entries
    ]
    return [_row(heads), "|" + "---|" * len(heads), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check SOUP.md; return 0 when all is sound and current, else 1."""
    options = parse_mode("trocar_lab.soup", __doc__, arguments)
    try:
        files = read_files(options.root)
    except SupplyError as exc:
        print(f"soup: {exc}")
        return 1
    found = faults(files, today=dt.datetime.now(tz=dt.UTC).date())
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
