"""The change log of a version: its news fragments, and the anomalies that are known to stay."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from trocar_lab.evidence.graph.metamodel import load_metamodel
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.graph.needs_source import scan_text
from trocar_lab.release.errors import NotReleasableError

__all__ = [
    "KINDS",
    "Fragment",
    "known_anomalies",
    "read_fragments",
    "release_changelog",
    "with_release",
]

KINDS: Final[Mapping[str, str]] = {
    "safety": "Safety",
    "added": "Added",
    "changed": "Changed",
    "fixed": "Fixed",
    "removed": "Removed",
    "soup": "Software of others",
}
"""Kind of a fragment -> heading, in the order in which a reader needs them."""

FOLDER: Final = "changelog.d"
CHANGELOG: Final = "CHANGELOG.md"
ANOMALIES: Final = "risk/anomalies.rst"
_NAME: Final = re.compile(r"(?P<what>[a-z0-9][a-z0-9_-]*)\.(?P<kind>[a-z]+)\.md")
_ANOMALY_ID: Final = re.compile(r"\bANO_[A-Z0-9_]+\b")
_HEADING: Final = re.compile(
    r"^## \[(?P<version>[^\]]+)\](?: - (?P<when>\S+))?[ ]*\n(?P<body>(?:(?!^## ).*\n?)*)",
    re.MULTILINE,
)
_WIDTH: Final = re.compile(r"\s+")


class Fragment(NamedTuple):
    """One news fragment."""

    name: str
    kind: str
    text: str


def read_fragments(root: Path) -> tuple[tuple[Fragment, ...], tuple[str, ...]]:
    """Return the fragments by name, and what is wrong with them, one sentence each.

    Args:
        root: Repository.

    Raises:
        NotReleasableError: The known anomalies cannot be read.
    """
    found, faults = list[Fragment](), list[str]()
    if not (root / FOLDER).is_dir():
        faults.append(f"there is no {FOLDER} in {root}; is it the repository?")
    known = {need.need_id for need in _anomalies(root)}
    for path in sorted((root / FOLDER).glob("*")):
        if path.name == "README.md":
            continue
        match = _NAME.fullmatch(path.name)
        text = _WIDTH.sub(" ", path.read_text(encoding="utf-8")).strip()
        if match is None or match["kind"] not in KINDS:
            faults.append(f"{path.name}: the name is not <what>.<kind>.md with a known kind")
            continue
        if not text.endswith("."):
            faults.append(f"{path.name}: is not a sentence with a full stop")
        named = set(_ANOMALY_ID.findall(text))
        if match["kind"] == "fixed" and not named:
            faults.append(f"{path.name}: names no ANO_ id of the problem report that it solves")
        faults += [f"{path.name}: there is no {one}" for one in sorted(named - known)]
        found.append(Fragment(path.name, match["kind"], text))
    return tuple(found), tuple(faults)


def known_anomalies(root: Path) -> tuple[str, ...]:
    """Return each open anomaly in words for users, the gravest first.

    Args:
        root: Repository.

    Raises:
        NotReleasableError: They cannot be read.
    """
    order = ("critical", "major", "minor", "negligible")
    live = [need for need in _anomalies(root) if need.field("anomaly_state") != "closed"]
    live.sort(key=lambda need: (order.index(need.field("criticality")), need.need_id))
    return tuple(
        f"**{need.title}** ({need.field('criticality')}, {need.need_id}): {need.field('impact')}."
        for need in live
    )


def with_release(
    text: str, *, version: str, day: dt.date, fragments: Sequence[Fragment], known: Sequence[str]
) -> str:
    """Return the change log with a dated section in the place of its unreleased heading.

    Args:
        text: The change log.
        version: Version to release.
        day: Day of the release.
        fragments: What changed.
        known: Anomalies that stay.

    Raises:
        NotReleasableError: The newest heading is not the unreleased one of this version.
    """
    match = _HEADING.search(text)
    if match is None or match["version"] != version or match["when"] != "unreleased":
        raise NotReleasableError(
            f"the newest heading of {CHANGELOG} must be '## [{version}] - unreleased'"
        )
    lines = [f"## [{version}] - {day.isoformat()}", ""]
    for kind, title in KINDS.items():
        texts = [one.text for one in fragments if one.kind == kind]
        if texts:
            lines += [f"### {title}", "", *(f"* {one}" for one in texts), ""]
    lines += ["### Known anomalies", ""]
    lines += [f"* {one}" for one in known] or ["None is known."]
    return f"{text[: match.start()]}{chr(10).join(lines)}\n\n{text[match.end() :]}".rstrip() + "\n"


def release_changelog(root: Path, *, version: str, day: dt.date) -> tuple[str, ...]:
    """Write the section of a version and remove the fragments that it holds; return their names.

    Args:
        root: Repository.
        version: Version to release.
        day: Day of the release.

    Raises:
        NotReleasableError: A fragment is not in order, or there is none; nothing is written.
    """
    fragments, faults = read_fragments(root)
    if faults or not fragments:
        raise NotReleasableError(*faults, *([] if fragments else [f"{FOLDER} holds no fragment"]))
    path = root / CHANGELOG
    text = with_release(
        path.read_text(encoding="utf-8"),
        version=version,
        day=day,
        fragments=fragments,
        known=known_anomalies(root),
    )
    path.write_text(text, encoding="utf-8")
    for fragment in fragments:
        (root / FOLDER / fragment.name).unlink()
    return tuple(fragment.name for fragment in fragments)


def _anomalies(root: Path) -> list[Need]:
    """Return the problem reports of the risk file.

    Raises:
        NotReleasableError: There is no such file, or a report in it cannot be read.
    """
    path = root / ANOMALIES
    if not path.is_file():
        raise NotReleasableError(f"there is no {ANOMALIES} in {root}: what stays is not known")
    text = path.read_text(encoding="utf-8")
    found: list[Need] = []
    for one in scan_text(text, place=ANOMALIES, model=load_metamodel()):
        if not isinstance(one, Need):
            raise NotReleasableError(str(one))
        if one.need_type == "anomaly":
            found.append(one)
    return found
