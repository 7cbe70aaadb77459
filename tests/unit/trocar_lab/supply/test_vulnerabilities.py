"""The vulnerability check: a pass needs a database that could have said otherwise."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from trocar_lab.supply.advisories import Advisory, Database
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.lock_file import Lock, LockedPackage
from trocar_lab.supply.vulnerabilities import Accepted, Policy, judge, read_policy, record_text

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
LOCKS = {"device-cpu": Lock((LockedPackage("pkg", "1.5", ()), LockedPackage("safe", "1", ())))}
CANARY = ("requests", "2.19.0")
POLICY = Policy((CANARY,), records_min=1)
CANARY_ROW = '[[canary]]\npackage = "requests"\nversion = "2.19.0"\n'
ROOT = Path(__file__).resolve().parents[4]


def _advisory(package: str, version: str, advisory_id: str = "OSV-1") -> Advisory:
    """Return a record about one version."""
    return Advisory(advisory_id, ("CVE-1",), package, frozenset([version]), (), "Overflow")


def _database(*rows: Advisory, age_days: float = 1) -> Database:
    """Return a database that knows the canary, and these."""
    known = [_advisory(*CANARY, "OSV-0"), *rows]
    return Database(
        {a.package: tuple(b for b in known if b.package == a.package) for a in known},
        NOW - dt.timedelta(days=age_days),
        len(known),
    )


def _accepted(expires: str = "2026-12-31", advisory_id: str = "CVE-1") -> Accepted:
    """Return an acceptance of the finding."""
    return Accepted(advisory_id, "pkg", "not called", "Jane Doe", dt.date.fromisoformat(expires))


@pytest.mark.verifies("SRS_SUP_009", extent="partial", technique="example")
def test_nothing_found_by_a_database_that_knows_the_canary_passes() -> None:
    """The one way to a pass."""
    outcome = judge(LOCKS, _database(), POLICY, now=NOW)
    assert (outcome.findings, outcome.compared, outcome.records) == ((), 2, 1)


@pytest.mark.verifies("SRS_SUP_009", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    ("database", "words"),
    [
        (_database(age_days=31), "31 days old; at most 30"),
        (_database(age_days=-2), "the future"),
        (Database({}, NOW, 9), "0 records of PyPI, expected at least 1"),
        (
            Database({"pkg": (_advisory("pkg", "1.5"),)}, NOW, 9),
            r"does not know requests 2\.19\.0",
        ),
    ],
)
def test_database_whose_silence_means_nothing_is_refused(database: Database, words: str) -> None:
    """Old, of the future, or of another ecosystem: no answer, which is not a pass."""
    with pytest.raises(SupplyError, match=words):
        judge(LOCKS, database, POLICY, now=NOW)


@pytest.mark.verifies("SRS_SUP_009", extent="partial", technique="boundary")
def test_database_of_canaries_and_little_else_is_refused() -> None:
    """Made for the check alone, or cut off; one record counts once, whatever it names."""
    rows = [_advisory(f"other-{number}", "1", f"OSV-{number}") for number in range(1, 1000)]
    assert judge(LOCKS, _database(*rows), Policy((CANARY,)), now=NOW).findings == ()
    twice = [*rows[:-1], _advisory("other-999", "1", "OSV-1")]
    with pytest.raises(SupplyError, match="999 records of PyPI, expected at least 1000"):
        judge(LOCKS, _database(*twice), Policy((CANARY,)), now=NOW)


@pytest.mark.verifies("SRS_SUP_009", extent="partial", technique="boundary")
def test_database_of_the_last_allowed_day_is_used() -> None:
    """30 days are allowed."""
    assert judge(LOCKS, _database(age_days=30), POLICY, now=NOW).findings == ()


@pytest.mark.verifies("SRS_SUP_009", extent="full", technique="fault_injection")
def test_locked_version_that_is_affected_is_a_finding() -> None:
    """It names package, version and record."""
    outcome = judge(LOCKS, _database(_advisory("pkg", "1.5")), POLICY, now=NOW)
    assert outcome.findings == ("pkg 1.5: OSV-1 Overflow",)


@pytest.mark.verifies("SRS_SUP_009", extent="full", technique="boundary")
@pytest.mark.parametrize(("expires", "is_accepted"), [("2026-11-21", True), ("2026-11-20", False)])
def test_acceptance_holds_until_its_last_day(expires: str, *, is_accepted: bool) -> None:
    """An alias is enough; past its day it is a finding again."""
    policy = Policy((CANARY,), (_accepted(expires),), records_min=1)
    outcome = judge(LOCKS, _database(_advisory("pkg", "1.5")), policy, now=NOW)
    assert bool(outcome.accepted) is is_accepted
    assert bool(outcome.findings) is not is_accepted


def test_acceptance_of_nothing_is_a_finding() -> None:
    """It would wait there for a vulnerability that nobody has judged."""
    policy = Policy((CANARY,), (_accepted(advisory_id="CVE-9"),), records_min=1)
    outcome = judge(LOCKS, _database(_advisory("pkg", "1.5")), policy, now=NOW)
    assert len(outcome.findings) == 2
    assert "nothing of that kind was found" in outcome.findings[1]


def test_record_is_bound_to_the_locks(tmp_path: Path) -> None:
    """A record of other locks says nothing of these."""
    (tmp_path / "pylock.device-cpu.toml").write_bytes(b"x")
    outcome = judge(LOCKS, _database(), POLICY, now=NOW)
    record = json.loads(record_text(outcome, tmp_path))
    assert list(record["locks"]) == ["pylock.device-cpu.toml"]
    assert record["database"]["records"] == 1
    assert record["findings"] == []


@pytest.mark.verifies("SRS_SUP_009", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("canary = []", "names no canary"),
        ("[[accepted]]", "lacks"),
        ("canary = [", "cannot be read"),
        ("canary = [1]", "lacks"),
        (f"records_min = 0\n{CANARY_ROW}", "above 0"),
        (f"records_min = true\n{CANARY_ROW}", "above 0"),
        (f'records_min = "9"\n{CANARY_ROW}', "above 0"),
    ],
)
def test_policy_without_a_canary_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """Without one, an empty database would pass."""
    (tmp_path / "risk").mkdir()
    (tmp_path / "risk" / "vulnerabilities.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SupplyError, match=words):
        read_policy(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('reason = "not called"', 'reason = " "'),
        ("expires = 2026-12-31", 'expires = "2026-12-31"'),
        ("expires = 2026-12-31", "expires = 2026-12-31T00:00:00Z"),
    ],
)
def test_acceptance_without_reason_or_date_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """Somebody answers for it, for a time."""
    text = (
        '[[canary]]\npackage = "requests"\nversion = "2.19.0"\n[[accepted]]\nid = "CVE-1"\n'
        'package = "pkg"\nreason = "not called"\nname = "Jane Doe"\nexpires = 2026-12-31\n'
    )
    (tmp_path / "risk").mkdir()
    path = tmp_path / "risk" / "vulnerabilities.toml"
    path.write_text(text, encoding="utf-8")
    assert read_policy(tmp_path) == Policy((CANARY,), (_accepted(),))
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(SupplyError, match="an acceptance has no"):
        read_policy(tmp_path)


def test_policy_of_this_repository_accepts_nothing() -> None:
    """Nothing was compared yet, so that there is nothing that could be accepted."""
    policy = read_policy(ROOT)
    assert policy.accepted == ()
    assert policy.records_min == 1000
    assert CANARY in policy.canaries
