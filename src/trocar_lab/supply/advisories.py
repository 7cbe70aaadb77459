"""A database of known vulnerabilities in the OSV format, read from a folder or an archive, offline.

A database that says nothing is worth nothing: it has to be there, to be fresh by what its own
records say, and to know versions that are known to be bad.
"""

from __future__ import annotations

import datetime as dt
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from trocar_lab.supply.errors import SupplyError

__all__ = ["ECOSYSTEM", "Advisory", "Database", "read_database"]

ECOSYSTEM: Final = "PyPI"
_RECORD_BYTES_MAX: Final = 4_000_000
_RECORDS_MAX: Final = 2_000_000


@dataclass(frozen=True)
class Advisory:
    """What one record says of one package.

    Attributes:
        advisory_id: Its id.
        aliases: Other ids of the same vulnerability.
        package: Normalised name.
        versions: Versions that it lists.
        ranges: Events of each range, as they stand.
        summary: Its title.
    """

    advisory_id: str
    aliases: tuple[str, ...]
    package: str
    versions: frozenset[str]
    ranges: tuple[tuple[tuple[str, str], ...], ...]
    summary: str

    def affects(self, version: str) -> bool:
        """Return whether a version is affected; a range that cannot be read affects every one.

        Args:
            version: As pinned; a local part, such as ``+cpu``, is of no account.
        """
        wanted = Version(version.partition("+")[0])
        if version in self.versions or str(wanted) in self.versions:
            return True
        return any(_is_in_range(wanted, events) for events in self.ranges)


def _is_in_range(version: Version, events: Iterable[tuple[str, str]]) -> bool:
    """Return whether a version is inside a range of events; one that is odd affects all."""
    try:
        rows = [(Version(text), kind) for kind, text in events if kind != "limit"]
    except InvalidVersion:
        return True
    if any(kind not in {"introduced", "fixed", "last_affected"} for _, kind in rows):
        return True
    inside = False
    for at, kind in sorted(rows):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


@dataclass(frozen=True)
class Database:
    """The records of one ecosystem.

    Attributes:
        advisories: By normalised name of the package.
        newest: When the newest record was changed.
        record_count: How many records were read.
    """

    advisories: Mapping[str, tuple[Advisory, ...]]
    newest: dt.datetime
    record_count: int

    def hits(self, package: str, version: str) -> list[Advisory]:
        """Return what affects a version of a package.

        Args:
            package: Normalised name.
            version: As pinned.
        """
        return [a for a in self.advisories.get(package, ()) if a.affects(version)]


def read_database(path: Path) -> Database:
    """Return a database.

    Args:
        path: Folder with records (``*.json``), or an archive of such files (``*.zip``).

    Raises:
        SupplyError: It is missing, empty, or a record of it is damaged.
    """
    found: dict[str, list[Advisory]] = {}
    newest, count = dt.datetime.min.replace(tzinfo=dt.UTC), 0
    for name, content in _records(path):
        count += 1
        record = _parsed(name, content)
        newest = max(newest, _time(name, record))
        if "withdrawn" not in record:
            for advisory in _advisories(name, record):
                found.setdefault(advisory.package, []).append(advisory)
    if not count:
        raise SupplyError(f"{path} holds no record; the database is missing")
    return Database({name: tuple(rows) for name, rows in found.items()}, newest, count)


def _records(path: Path) -> Iterator[tuple[str, bytes]]:
    """Return name and bytes of each record, in the order of names."""
    if path.is_dir():
        for number, file in enumerate(sorted(path.rglob("*.json"))):
            _bounded(file.name, number, file.stat().st_size)
            yield file.name, file.read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as archive:
            rows = sorted(archive.infolist(), key=lambda info: info.filename)
            members = [info for info in rows if info.filename.endswith(".json")]
            for number, info in enumerate(members):
                _bounded(info.filename, number, info.file_size)
                yield info.filename, archive.read(info)
    except FileNotFoundError as exc:
        raise SupplyError(f"no database at {path}; nothing was compared") from exc
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as exc:
        raise SupplyError(f"{path} cannot be read: {exc}; nothing was compared") from exc


def _bounded(name: str, number: int, size: int) -> None:
    """Refuse a record that is too large, and too many of them."""
    if size > _RECORD_BYTES_MAX or number >= _RECORDS_MAX:
        raise SupplyError(f"{name}: the database is larger than any that is known")


def _parsed(name: str, content: bytes) -> Mapping[str, Any]:
    """Return one record."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise SupplyError(f"{name} is no JSON; the database is damaged") from exc
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        raise SupplyError(f"{name} has no id; this is no database in the OSV format")
    return record


def _time(name: str, record: Mapping[str, Any]) -> dt.datetime:
    """Return when a record was changed."""
    try:
        time = dt.datetime.fromisoformat(str(record["modified"]))
    except (KeyError, ValueError) as exc:
        raise SupplyError(f"{name} does not say when it was changed") from exc
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _advisories(name: str, record: Mapping[str, Any]) -> Iterator[Advisory]:
    """Return what a record says of packages of the ecosystem."""
    try:
        for row in record.get("affected", []):
            package = row.get("package", {})
            if str(package.get("ecosystem", "")).partition(":")[0] != ECOSYSTEM:
                continue
            yield Advisory(
                advisory_id=record["id"],
                aliases=tuple(map(str, record.get("aliases", ()))),
                package=canonicalize_name(str(package["name"])),
                versions=frozenset(map(str, row.get("versions", ()))),
                ranges=tuple(
                    tuple((str(k), str(v)) for event in r["events"] for k, v in event.items())
                    for r in row.get("ranges", ())
                    if r.get("type") != "GIT"
                ),
                summary=str(record.get("summary", "")),
            )
    except (AttributeError, KeyError, TypeError) as exc:
        raise SupplyError(f"{name} is not in the OSV format: {exc!r}") from exc
