"""A database of vulnerabilities: ranges by PEP 440, and nothing that could be silent by damage."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from trocar_lab.supply import advisories
from trocar_lab.supply.advisories import Database, read_database
from trocar_lab.supply.errors import SupplyError


def _record(**changes: object) -> dict[str, object]:
    """Return a record that affects pkg from 1.0 until before 2.0."""
    return {
        "id": "OSV-1",
        "modified": "2026-11-20T10:00:00Z",
        "aliases": ["CVE-1"],
        "summary": "Overflow",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "Pkg"},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "1.0"}, {"fixed": "2.0"}]}
                ],
            }
        ],
        **changes,
    }


def _database(folder: Path, *records: object) -> Database:
    """Write records into a folder and read it."""
    for number, record in enumerate(records):
        (folder / f"{number}.json").write_text(json.dumps(record), encoding="utf-8")
    return read_database(folder)


def _affected(*ranges: dict[str, object], versions: list[str] | None = None) -> dict[str, object]:
    """Return a record with these ranges."""
    package = {"ecosystem": "PyPI", "name": "pkg"}
    row = {"package": package, "ranges": list(ranges), "versions": versions or []}
    return _record(affected=[row])


@pytest.mark.verifies("SRS_SUP_009", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.9", False),
        ("1.0", True),
        ("1.0rc1", False),
        ("1.9.9", True),
        ("1.9+cpu", True),
        ("2.0rc1", True),
        ("2.0", False),
        ("2.0.post1", False),
    ],
)
def test_range_is_compared_as_of_pep_440(tmp_path: Path, *, version: str, expected: bool) -> None:
    """From the first version on, until before the one that fixes it."""
    found = _database(tmp_path, _record()).hits("pkg", version)
    assert bool(found) is expected


@pytest.mark.verifies("SRS_SUP_009", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("ranges", "version", "expected"),
    [
        ([{"type": "SEMVER", "events": [{"introduced": "0"}]}], "5", True),
        (
            [{"type": "SEMVER", "events": [{"introduced": "0"}, {"last_affected": "3"}]}],
            "3",
            True,
        ),
        (
            [{"type": "SEMVER", "events": [{"introduced": "0"}, {"last_affected": "3"}]}],
            "3.0.1",
            False,
        ),
        (
            [
                {
                    "type": "ECOSYSTEM",
                    "events": [
                        {"introduced": "0"},
                        {"fixed": "2"},
                        {"introduced": "4"},
                        {"fixed": "5"},
                    ],
                }
            ],
            "4.5",
            True,
        ),
        (
            [
                {
                    "type": "ECOSYSTEM",
                    "events": [{"introduced": "0"}, {"fixed": "2"}, {"limit": "*"}],
                }
            ],
            "3",
            False,
        ),
        ([{"type": "GIT", "events": [{"introduced": "deadbeef"}]}], "3", False),
        ([{"type": "ECOSYSTEM", "events": [{"introduced": "when?"}]}], "3", True),
        ([{"type": "ECOSYSTEM", "events": [{"vanished": "9"}]}], "3", True),
    ],
)
def test_each_kind_of_range(
    tmp_path: Path, ranges: list[dict[str, object]], version: str, *, expected: bool
) -> None:
    """What cannot be understood affects every version; that is looked at, not passed over."""
    assert bool(_database(tmp_path, _affected(*ranges)).hits("pkg", version)) is expected


def test_listed_version_is_affected(tmp_path: Path) -> None:
    """Some records list versions and no range."""
    database = _database(tmp_path, _affected(versions=["1.2.0"]))
    assert database.hits("pkg", "1.2.0")
    assert not database.hits("pkg", "1.2.1")


def test_withdrawn_record_and_other_ecosystems_say_nothing(tmp_path: Path) -> None:
    """A package of the same name elsewhere is another package."""
    other = _record(
        affected=[
            {"package": {"ecosystem": "npm", "name": "pkg"}, "versions": ["1.5"]},
            {"versions": ["1.5"]},
        ]
    )
    database = _database(tmp_path, _record(withdrawn="2026-01-01T00:00:00Z"), other)
    assert not database.hits("pkg", "1.5")
    assert database.record_count == 2


def test_newest_record_dates_the_database(tmp_path: Path) -> None:
    """Not the date of the file, which a copy makes new."""
    database = _database(tmp_path, _record(), _record(modified="2026-11-21T00:00:00"))
    assert database.newest.isoformat() == "2026-11-21T00:00:00+00:00"


def test_archive_is_read_as_a_folder_is(tmp_path: Path) -> None:
    """The public export is one archive an ecosystem."""
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("OSV-1.json", json.dumps(_record()))
        archive.writestr("readme.txt", "not a record")
    assert [a.advisory_id for a in read_database(path).hits("pkg", "1.5")] == ["OSV-1"]


@pytest.mark.verifies("SRS_SUP_009", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "has no id"),
        ('{"id": 3}', "has no id"),
        ('{"id": "X"}', "when it was changed"),
        ('{"id": "X", "modified": "lately"}', "when it was changed"),
        ('{"id": "X", "modified": "2026-01-01", "affected": ["x"]}', "not in the OSV format"),
        (
            '{"id": "X", "modified": "2026-01-01", "affected":[{"package":{"ecosystem":"PyPI"}}]}',
            "not in the OSV format",
        ),
    ],
)
def test_damaged_record_stops_the_check(tmp_path: Path, content: str, words: str) -> None:
    """A record that is skipped would be a vulnerability that is not seen."""
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    with pytest.raises(SupplyError, match=words):
        read_database(tmp_path)


@pytest.mark.verifies("SRS_SUP_009", extent="partial", technique="fault_injection")
def test_missing_empty_or_damaged_database_is_no_database(tmp_path: Path) -> None:
    """Each of them would let everything pass."""
    with pytest.raises(SupplyError, match="no database at"):
        read_database(tmp_path / "nowhere")
    with pytest.raises(SupplyError, match="holds no record"):
        read_database(tmp_path)
    (tmp_path / "all.zip").write_bytes(b"no archive")
    with pytest.raises(SupplyError, match="cannot be read"):
        read_database(tmp_path / "all.zip")


def test_record_beyond_the_bounds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that unpacks to the whole memory is an attack."""
    monkeypatch.setattr(advisories, "_RECORD_BYTES_MAX", 10)
    with pytest.raises(SupplyError, match="larger than any"):
        _database(tmp_path, _record())
