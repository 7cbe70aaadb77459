"""risk/soup.toml as values: what was reviewed of each foreign package, and what is left out."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from trocar_lab.supply.errors import SupplyError

__all__ = [
    "NOT_PUBLISHED",
    "PENDING",
    "REVIEW_DAYS_MAX",
    "SUPPORT_LEVELS",
    "LeftOutFiles",
    "Omitted",
    "Register",
    "Reviewed",
    "read_register",
    "review_faults",
]

REVIEW_DAYS_MAX: Final = 365
"""As of rule F2."""
PENDING: Final = "pending"
NOT_PUBLISHED: Final = "not published"
SUPPORT_LEVELS: Final = ("maintained", "no longer maintained", "abandoned", "unknown")
_UNKNOWN: Final = frozenset({"", "unknown", "none", "unlicensed", "see licence file"})


@dataclass(frozen=True)
class Reviewed:
    """What the register says of one package.

    Attributes:
        package: Normalised name.
        is_device: Whether a device has it.
        fields: Its fields as they stand.
    """

    package: str
    is_device: bool
    fields: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        """Return a field; empty where it is missing."""
        return self.fields.get(key, "").strip()


@dataclass(frozen=True)
class Omitted:
    """A package that metadata asks for and that a device runs without.

    Attributes:
        package: Normalised name.
        asked_by: Package whose metadata names it.
        reason: Why it is not needed.
        proof: Test that runs the device without it.
    """

    package: str
    asked_by: str
    reason: str
    proof: str


@dataclass(frozen=True)
class LeftOutFiles:
    """Files of a package that a device runs without, though the package is there.

    Attributes:
        package: Normalised name.
        patterns: Of paths relative to the folder of packages; ``*`` also stands for folders.
        reason: Why they are not needed.
        proof: Test that runs the device without them.
    """

    package: str
    patterns: tuple[str, ...]
    reason: str
    proof: str


@dataclass(frozen=True)
class Register:
    """The register.

    Attributes:
        reviewed: Packages with an entry.
        omitted: Packages that a device runs without.
        read_licences: Package whose metadata name no licence -> what a person found.
        left_out_files: Files of packages that a device runs without.
    """

    reviewed: tuple[Reviewed, ...]
    omitted: tuple[Omitted, ...]
    read_licences: Mapping[str, str]
    left_out_files: tuple[LeftOutFiles, ...] = ()

    def of(self, package: str) -> Reviewed | None:
        """Return the entry of a package; None when there is none."""
        return next((e for e in self.reviewed if e.package == package), None)


def read_register(root: Path) -> Register:
    """Return risk/soup.toml.

    Args:
        root: Repository.

    Raises:
        SupplyError: It cannot be read.
    """
    path = root / "risk" / "soup.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        rows = [(row, True) for row in table.get("soup", [])]
        rows += [(row, False) for row in table.get("tool", [])]
        return Register(
            reviewed=tuple(_reviewed(row, is_device=device) for row, device in rows),
            omitted=tuple(
                Omitted(
                    package=canonicalize_name(str(row["package"])),
                    asked_by=canonicalize_name(str(row["asked_by"])),
                    reason=str(row["reason"]),
                    proof=str(row["proof"]),
                )
                for row in table.get("omitted", [])
            ),
            left_out_files=tuple(_left_out_files(row) for row in table.get("left_out_files", [])),
            read_licences={
                canonicalize_name(str(row["package"])): str(row["licence"])
                for row in table.get("read_licence", [])
            },
        )
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as exc:
        raise SupplyError(f"risk/soup.toml cannot be read: {exc}") from exc


def _left_out_files(row: Mapping[str, Any]) -> LeftOutFiles:
    """Return one rule about files."""
    return LeftOutFiles(
        package=canonicalize_name(str(row["package"])),
        patterns=tuple(str(pattern) for pattern in row["patterns"]),
        reason=str(row["reason"]),
        proof=str(row["proof"]),
    )


def _reviewed(row: Mapping[str, Any], *, is_device: bool) -> Reviewed:
    """Return one entry."""
    fields = {key: str(value) for key, value in row.items()}
    return Reviewed(canonicalize_name(fields["package"]), is_device, fields)


def review_faults(entry: Reviewed, *, today: dt.date) -> list[str]:
    """Return what is missing or too old in an entry; a pending reading of a list is none.

    Args:
        entry: The entry.
        today: Day of the check.
    """
    found = []
    try:
        age = (today - dt.date.fromisoformat(entry["reviewed"])).days
    except ValueError:
        found.append(f"reviewed is no date: {entry['reviewed']!r}")
    else:
        if age > REVIEW_DAYS_MAX:
            found.append(f"reviewed {age} days ago; at most {REVIEW_DAYS_MAX}")
        if age < 0:
            found.append(f"reviewed on {entry['reviewed']}, in the future")
    if entry["licence"].lower() in _UNKNOWN:
        found.append("names no licence")
    if entry["support_level"] not in SUPPORT_LEVELS:
        found.append(f"support_level is none of: {', '.join(SUPPORT_LEVELS)}")
    found += [
        f"names no {key}"
        for key in ("end_of_support", "anomaly_list", "supplier")
        if not entry[key]
    ]
    if not entry["anomaly_review"]:
        found.append(f"anomaly_review is empty; {PENDING} where nobody read the list")
    return [f"{entry.package}: {fault}" for fault in found]
