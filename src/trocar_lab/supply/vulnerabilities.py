"""Locked versions against a database of known vulnerabilities: a pass is never by silence."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.supply.advisories import ECOSYSTEM, Advisory, Database
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.lock_file import Lock

__all__ = [
    "AGE_DAYS_MAX",
    "RECORDS_MIN",
    "Accepted",
    "Outcome",
    "Policy",
    "judge",
    "read_policy",
    "record_text",
]

AGE_DAYS_MAX: Final = 30
RECORDS_MIN: Final = 1000
"""Records of the ecosystem that a database has at least, where the policy says nothing else."""

POLICY: Final = "risk/vulnerabilities.toml"


@dataclass(frozen=True)
class Accepted:
    """A finding that a person accepted for a time.

    Attributes:
        advisory_id: Id or alias.
        package: Normalised name.
        reason: Why it does no harm here.
        name: Who accepted it.
        expires: Last day.
    """

    advisory_id: str
    package: str
    reason: str
    name: str
    expires: dt.date


@dataclass(frozen=True)
class Policy:
    """What the database has to know, and what is accepted.

    Attributes:
        canaries: (package, version) that are known to be bad.
        accepted: Accepted findings.
        records_min: Records of the ecosystem that the database has at least.
    """

    canaries: tuple[tuple[str, str], ...]
    accepted: tuple[Accepted, ...] = ()
    records_min: int = RECORDS_MIN


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        findings: Unaccepted findings, and acceptances that do not hold, one sentence each.
        accepted: Findings that are accepted, one sentence each.
        compared: How many pinned versions were compared.
        newest: When the newest record of the database was changed.
        records: How many records it has.
    """

    compared: int
    newest: dt.datetime
    records: int
    findings: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    locks: Mapping[str, int] = field(default_factory=dict)


def read_policy(root: Path) -> Policy:
    """Return risk/vulnerabilities.toml.

    Args:
        root: Repository.

    Raises:
        SupplyError: It cannot be read, names no canary or no number of records that means
            something, or an acceptance lacks a field.
    """
    try:
        table = tomllib.loads((root / POLICY).read_text(encoding="utf-8"))
        canaries = [(canonicalize_name(r["package"]), r["version"]) for r in table["canary"]]
        accepted = [_accepted(row) for row in table.get("accepted", [])]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SupplyError(f"{POLICY} cannot be read: {exc}") from exc
    except (KeyError, TypeError) as exc:
        raise SupplyError(f"{POLICY} lacks {exc}") from exc
    if not canaries:
        raise SupplyError(f"{POLICY} names no canary; silence would pass")
    records_min = table.get("records_min", RECORDS_MIN)
    if type(records_min) is not int or records_min < 1:
        raise SupplyError(f"{POLICY}: records_min must be a whole number above 0")
    return Policy(tuple(canaries), tuple(accepted), records_min)


def _accepted(row: Mapping[str, Any]) -> Accepted:
    """Return one acceptance; each field has to be filled."""
    empty = [key for key in ("id", "package", "reason", "name") if not str(row[key]).strip()]
    if empty or type(row["expires"]) is not dt.date:
        raise SupplyError(f"{POLICY}: an acceptance has no {', '.join(empty) or 'date of expiry'}")
    return Accepted(
        advisory_id=str(row["id"]),
        package=canonicalize_name(str(row["package"])),
        reason=str(row["reason"]),
        name=str(row["name"]),
        expires=row["expires"],
    )


def judge(
    locks: Mapping[str, Lock],
    database: Database,
    policy: Policy,
    *,
    now: dt.datetime,
    age_days_max: int = AGE_DAYS_MAX,
) -> Outcome:
    """Return what came out.

    Args:
        locks: Lock by name.
        database: Known vulnerabilities.
        policy: Canaries and acceptances.
        now: Time of the check, with zone.
        age_days_max: Largest age of the newest record [days].

    Raises:
        SupplyError: The database is too old, of the future, too small, or does not know a canary.
    """
    _require_usable(database, policy, now=now, age_days_max=age_days_max)
    pinned = sorted({(p.name, p.version) for lock in locks.values() for p in lock.packages})
    hits = [
        (name, version, hit) for name, version in pinned for hit in database.hits(name, version)
    ]
    findings, accepted, used = list[str](), list[str](), set[Accepted]()
    for name, version, hit in hits:
        words = f"{name} {version}: {hit.advisory_id} {hit.summary}".rstrip()
        row = next((a for a in policy.accepted if _is_about(a, name, hit)), None)
        if row is None:
            findings.append(words)
            continue
        used.add(row)
        if now.date() > row.expires:
            findings.append(f"{words}: {row.name} accepted it until {row.expires} only")
        else:
            accepted.append(f"{words}: accepted by {row.name} until {row.expires}: {row.reason}")
    findings += [
        f"{row.package}: {row.advisory_id} is accepted, but nothing of that kind was found"
        for row in policy.accepted
        if row not in used
    ]
    return Outcome(
        compared=len(pinned),
        newest=database.newest,
        records=database.record_count,
        findings=tuple(findings),
        accepted=tuple(accepted),
        locks={name: len(lock.packages) for name, lock in locks.items()},
    )


def record_text(outcome: Outcome, root: Path) -> str:
    """Return the record of an outcome, bound to the locks that were compared.

    Args:
        outcome: What came out.
        root: Repository.
    """
    digests = {p.name: file_sha256(p) for p in sorted(root.glob("pylock.*.toml"))}
    record = {
        "locks": digests,
        "database": {
            "newest": outcome.newest.isoformat(timespec="seconds"),
            "records": outcome.records,
        },
        "compared": outcome.compared,
        "accepted": list(outcome.accepted),
        "findings": list(outcome.findings),
    }
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def _require_usable(
    database: Database, policy: Policy, *, now: dt.datetime, age_days_max: int
) -> None:
    """Refuse a database whose silence would mean nothing."""
    age = now - database.newest
    if age > dt.timedelta(days=age_days_max):
        raise SupplyError(
            f"the newest record of the database is {age.days} days old; at most {age_days_max}"
        )
    if age < dt.timedelta(days=-1):
        raise SupplyError(f"the newest record of the database is of {database.newest}, the future")
    known = len({row.advisory_id for rows in database.advisories.values() for row in rows})
    if known < policy.records_min:
        raise SupplyError(
            f"the database has {known} records of {ECOSYSTEM}, expected at least "
            f"{policy.records_min}; a part of a database finds little"
        )
    blind = [f"{name} {version}" for name, version in _unknown(database, policy.canaries)]
    if blind:
        raise SupplyError(
            f"the database does not know {', '.join(blind)}, which is bad; it does not cover "
            f"{ECOSYSTEM}"
        )


def _unknown(database: Database, canaries: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the canaries that the database does not find."""
    return [(name, version) for name, version in canaries if not database.hits(name, version)]


def _is_about(accepted: Accepted, package: str, hit: Advisory) -> bool:
    """Return whether an acceptance is about a finding."""
    ids = {hit.advisory_id, *hit.aliases}
    return accepted.package == package and accepted.advisory_id in ids
