"""Rules F4, F6 and F8: a release folder from anybody, judged without trusting it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from simulators.signing import public_pem, throwaway_key
from simulators.trace_rules import judged, opened, red
from trocar_lab.evidence.__main__ import main
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.selftest.demo import DEMO_FILES, write_demo
from trocar_lab.evidence.selftest.demo_process import (
    DEMO_COMMITS,
    RELEASE,
    RELEASE_KEY,
    VERSION,
    WHEEL,
    write_demo_release,
)
from trocar_lab.evidence.selftest.faults import Fault, TextEdit
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project
from trocar_lab.evidence.signed.release_folder import (
    AUDIT,
    DRILL,
    MANIFEST,
    REBUILD,
    SBOM,
)
from trocar_lab.evidence.source.commits import CommitLog
from trocar_lab.evidence.source.project_files import read_project_files

NAMES: Final = (WHEEL, SBOM, AUDIT, REBUILD, DRILL, MANIFEST)
SHA: Final = "a" * 64


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return the clean demo."""
    return seeded_project(CLEAN, tmp_path)


@pytest.fixture
def folder(project: Project) -> Path:
    """Return the release folder of the clean demo."""
    return project.root / RELEASE


def rewrite(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the value in a JSON file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def wheel_at(path: Path, *entries: tuple[str, str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a wheel with the given members."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, text in entries:
            archive.writestr(name, text)
    return path


METADATA: Final = "demo-1.0.0.dist-info/METADATA"


# ---------------------------------------------------------------- F4


@pytest.mark.parametrize(
    ("text", "colour", "words"),
    [
        ("## [1.0.0] - 2026-11-20\n", "green", ""),
        ("## 1.0.0\n", "green", ""),
        ("## v1.0.0 - 2026-11-20\n", "green", ""),
        ("## [1.0.0] - unreleased\n", "open", "still says unreleased"),
        ("## [Unreleased]\n\n## [0.9.0] - 2026-01-01\n", "open", "below it 0.9.0"),
        ("## Unreleased\n", "open", "below it nothing"),
        ("## [1.0.1] - 2026-11-20\n\n## [1.0.0] - 2026-11-19\n", "red", "newest heading is 1.0.1"),
        ("## [1.0.1] - unreleased\n", "red", "newest heading is 1.0.1"),
        ("# Changelog\n", "red", "has no heading"),
    ],
)
def test_newest_heading_of_the_change_log(
    project: Project, text: str, colour: str, words: str
) -> None:
    """A contradiction is red, a heading that waits for its release is open."""
    (project.root / "CHANGELOG.md").write_text(text)
    result = judged("F4", project)
    rows = {"red": red(result), "open": opened(result), "green": {"CHANGELOG.md": ""}}[colour]
    assert words in rows["CHANGELOG.md"]
    assert ("CHANGELOG.md" in red(result)) is (colour == "red")
    assert ("CHANGELOG.md" in opened(result)) is (colour == "open")


def test_tag_is_at_this_commit(project: Project) -> None:
    """No tag and a tag elsewhere are open: the version may still be raised."""
    elsewhere = DEMO_COMMITS.model_copy(update={"head": "1" * 40})
    for log, words in ((CommitLog(), "no such tag"), (elsewhere, "not this one")):
        result = judged("F4", replace(project, known_commits=log))
        assert words in opened(result)["tag v1.0.0"]
        assert not result.failed


def test_named_wheel_is_judged_beside_the_folder(project: Project, tmp_path: Path) -> None:
    """The wheel under release by option; a damaged one is red; none at all is open."""
    wrong = wheel_at(tmp_path / "demo-1.0.0-py3-none-any.whl", (METADATA, "Version: 1.0.1\n\n"))
    bare = replace(project, release_path=None)
    assert "METADATA says version 1.0.1" in red(judged("F4", replace(bare, wheel=wrong)))[WHEEL]
    wrong.write_bytes(b"no archive")
    assert "build it again" in red(judged("F4", replace(bare, wheel=wrong)))[WHEEL]
    assert "wheel" in opened(judged("F4", bare))


@pytest.mark.verifies("SRS_TRACE_031", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("text", "is_red"),
    [
        ("pip install trocar==1.0.0", False),
        ("pip install trocar-0.9.0-py3-none-any.whl", True),
        ("Trocar version 0.9.0 is the first.", True),
        ("Trocar 1.0.0.", False),
        ("Trocar needs Python 3.11.2 and numpy 2.2.0", False),
    ],
)
def test_version_in_texts_for_users(project: Project, text: str, is_red: bool) -> None:  # noqa: FBT001 - a column of the table
    """Only a version of this product counts."""
    (project.root / "README.md").write_text(text)
    assert ("README.md" in red(judged("F4", project))) is is_red


def test_project_without_a_version_is_red(project: Project) -> None:
    """Nothing can be equal to a version that is not there."""
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text().replace(f'version = "{VERSION}"\n', ""))
    assert red(judged("F4", project))["pyproject.toml"] == "names no version"
    path.write_text("[project\n")
    assert "cannot be read" in red(judged("F4", project))["pyproject.toml"]


# ---------------------------------------------------------------- F2, vulnerabilities


@pytest.mark.verifies("SRS_SUP_009", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"locks": {"pylock.device-cpu.toml": SHA}}, "is about other locks"),
        ({"database": {"newest": "2026-09-01T00:00:00Z", "records": 3}}, "days old; at most 30"),
        ({"database": {"newest": "2027-09-01T00:00:00Z", "records": 3}}, "of the future"),
        ({"findings": ["numpy 2.2.1: X-1 overflow"]}, "numpy 2.2.1: X-1 overflow"),
        ({"compared": 0}, "compared"),
    ],
)
def test_comparison_with_vulnerabilities_must_be_about_these_locks_and_fresh(
    project: Project, folder: Path, change: dict[str, object], words: str
) -> None:
    """A record of other locks, of an old database, or with a finding is red."""
    assert AUDIT not in red(judged("F2", project))
    rewrite(folder / AUDIT, lambda value: value.update(change))
    assert words in red(judged("F2", project))[AUDIT]


@pytest.mark.verifies("SRS_SUP_009", extent="partial", technique="fault_injection")
def test_release_without_a_comparison_is_open(project: Project, folder: Path) -> None:
    """Where there was no database the row stays open; nothing passes by silence."""
    (folder / AUDIT).unlink()
    result = judged("F2", project)
    assert not result.failed
    assert "no database" in opened(result)[AUDIT]


# ---------------------------------------------------------------- F6


def component(value: dict[str, object]) -> dict[str, object]:
    """Return the one component of the demo's bill of materials."""
    components = value["components"]
    assert isinstance(components, list)
    found = components[0]
    assert isinstance(found, dict)
    return found


@pytest.mark.verifies("SRS_TRACE_031", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": ""}, "names no version"),
        ({"supplier": {}}, "names no supplier"),
        ({"hashes": []}, "names no SHA-256"),
        ({"hashes": [{"alg": "MD5", "content": SHA}]}, "names no SHA-256"),
        ({"hashes": [{"alg": "SHA-256", "content": SHA}]}, "does not hold"),
        ({"properties": []}, "names no trocar:support_level; names no trocar:end_of_support"),
        ({"name": "scipy"}, ""),
    ],
)
def test_component_must_be_complete(
    project: Project, folder: Path, change: dict[str, object], words: str
) -> None:
    """Minimum fields of a bill of materials, and the digest is one of the lock."""
    rewrite(folder / SBOM, lambda value: component(value).update(change))
    rows = red(judged("F6", project))
    if "name" in change:
        assert rows["scipy"] == "in the bill of materials, but not in pylock.device-cpu.toml"
        assert "in pylock.device-cpu.toml, but not" in rows["numpy"]
        assert "the wheel asks for it" in rows["numpy"]
    else:
        assert words in rows["numpy"]


def test_component_may_be_written_another_way(project: Project, folder: Path) -> None:
    """Names are compared as the index compares them, digests without case."""
    rewrite(folder / SBOM, lambda value: component(value).update({"name": "NumPy"}))
    assert not judged("F6", project).failed
    again = {"name": "numpy", "version": "2.2.1"}
    rewrite(folder / SBOM, lambda value: value.update(components=[component(value), again]))
    assert "named twice" in red(judged("F6", project))["numpy"]


def test_empty_or_foreign_bill_of_materials_is_red(project: Project, folder: Path) -> None:
    """No component, another format."""
    rewrite(folder / SBOM, lambda value: value.update(components=[]))
    assert red(judged("F6", project))[SBOM] == "names no component"
    rewrite(folder / SBOM, lambda value: value.update(bomFormat="SPDX"))
    assert "bomFormat" in red(judged("F6", project))[SBOM]


def test_bill_of_a_lock_that_is_not_there_is_red(project: Project, folder: Path) -> None:
    """A bill of materials says which lock it is of; another one cannot be compared."""
    rewrite(folder / SBOM, lambda value: value.update(metadata={}))
    assert "of no name" in red(judged("F6", project))[SBOM]


def test_package_of_a_choice_may_be_absent_from_the_bill(project: Project) -> None:
    """An extra that an installation did not ask for is in the lock and not in the bill."""
    lock = project.root / "pylock.device-cpu.toml"
    row = '[[packages]]\nname = "scipy"\nversion = "1"\nmarker = "\'more\' in extras"\n'
    lock.write_text(lock.read_text() + row)
    assert not judged("F6", project).failed


def test_lock_that_is_missing_is_open_and_a_damaged_one_red(project: Project) -> None:
    """Without a lock there is nothing that the bill of materials could be equal to."""
    lock = project.root / "pylock.device-cpu.toml"
    lock.write_text("[[packages]\n")
    assert "cannot be read" in red(judged("F6", project))["pylock.device-cpu.toml"]
    lock.unlink()
    result = judged("F6", project)
    assert not result.failed
    assert opened(result)["pylock.device-*.toml"] == "there is no lock yet"


def test_lock_is_read_with_all_digests_of_a_package(tmp_path: Path) -> None:
    """Wheels and source archive; the project itself, which has no version, is not a package."""
    (tmp_path / "pylock.device-cpu.toml").write_text(
        '[[packages]]\nname = "A_b"\nversion = "1"\nsdist = { hashes = { sha256 = "s" } }\n'
        'wheels = [{ hashes = { sha256 = "w" } }, { hashes = { md5 = "m" } }]\n\n'
        '[[packages]]\nname = "demo"\ndirectory = { path = "." }\n'
    )
    locked = read_project_files(tmp_path).locks["pylock.device-cpu.toml"]
    assert [(p.name, p.version, p.sha256) for p in locked] == [("a-b", "1", frozenset("sw"))]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("scipy>=1", "the wheel asks for it"),
        ('scipy>=1; extra == "cpu"', ""),
        ('scipy>=1; python_version < "3.12"', "the wheel asks for it"),
        ('numpy>=3; extra == "cpu"', "is outside"),
        ("numpy===2.2.1", "cannot be compared"),
        ("???", "not a requirement"),
    ],
)
def test_wheel_asks_for_what_the_bill_of_materials_holds(
    project: Project, folder: Path, line: str, words: str
) -> None:
    """A requirement of an extra may be absent; any other must be there in a fitting version."""
    text = f"Name: demo\nVersion: {VERSION}\nRequires-Dist: {line}\n\n"
    wheel_at(folder / WHEEL, (METADATA, text))
    rows = red(judged("F6", project))
    assert bool(rows) is bool(words)
    assert any(words in reason for reason in rows.values()) or not words


def test_folder_without_a_wheel_is_open(project: Project, folder: Path) -> None:
    """What the wheel asks for is then not known."""
    (folder / WHEEL).unlink()
    assert "wheel" in opened(judged("F6", project))
    (folder / WHEEL).write_bytes(b"x")
    assert WHEEL in red(judged("F6", project))


# ---------------------------------------------------------------- F8


@pytest.mark.verifies("SRS_TRACE_031", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"sha256": SHA}, SBOM, "is not the listed"),
        ({"bytes": 1}, SBOM, "listed with 1"),
        ({"name": "../pyproject.toml"}, "../pyproject.toml", "not in the folder"),
        ({"bytes": -1}, MANIFEST, "bytes"),
        ({"remark": ""}, MANIFEST, "remark"),
    ],
)
def test_manifest_is_compared_with_the_folder(
    project: Project, folder: Path, change: dict[str, object], key: str, words: str
) -> None:
    """Digest and size recompute; no name in it is opened."""

    def edit(value: dict[str, object]) -> None:
        rows = value["deliverables"]
        assert isinstance(rows, list)
        next(row for row in rows if row["name"] == SBOM).update(change)

    rewrite(folder / MANIFEST, edit)
    assert words in red(judged("F8", project))[key]


def test_manifest_lists_each_file_once(project: Project, folder: Path) -> None:
    """A file twice could hide that another is missing."""
    rewrite(folder / MANIFEST, lambda v: v.update(deliverables=[*_rows(v), _rows(v)[0]]))
    assert "lists a file twice" in red(judged("F8", project))[MANIFEST]
    rewrite(folder / MANIFEST, lambda v: v.update(deliverables=_rows(v)[1:-1]))
    assert "not listed" in red(judged("F8", project))[WHEEL]


def _rows(value: dict[str, object]) -> list[object]:
    """Return the deliverables of a manifest."""
    rows = value["deliverables"]
    assert isinstance(rows, list)
    return rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"date": "2025-11-21"}, ""),
        ({"date": "2025-11-20"}, "366 days ago"),
        ({"date": "2026-11-21"}, ""),
        ({"date": "2026-11-22"}, "in the future"),
        ({"result": "failed"}, "could not restore"),
        ({"result": "nearly"}, "result"),
        ({"name": "Somebody"}, "name"),
    ],
)
def test_restore_drill_is_recent_and_worked(
    project: Project, folder: Path, change: dict[str, object], words: str
) -> None:
    """Both sides of the year; a drill that failed is a record, but no proof."""
    rewrite(folder / DRILL, lambda value: value.update(change))
    rows = red(judged("F8", project))
    assert bool(rows) is bool(words)
    assert words in rows.get(DRILL, "")


def test_archive_that_does_not_exist_is_open(project: Project, folder: Path) -> None:
    """No manifest and no drill yet."""
    for name in (MANIFEST, DRILL):
        (folder / name).unlink()
    result = judged("F8", project)
    assert not result.failed
    assert set(opened(result)) == {MANIFEST, DRILL}


# ---------------------------------------------------------------- demo


def test_demo_release_is_signed_with_a_key_of_its_own(tmp_path: Path) -> None:
    """The private key lives in memory only; a planted public key is left alone."""
    write_demo(tmp_path, DEMO_FILES)
    write_demo_release(tmp_path)
    first = (tmp_path / RELEASE_KEY).read_bytes()
    write_demo_release(tmp_path)
    assert (tmp_path / RELEASE_KEY).read_bytes() == first
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"PRIVATE" in p.read_bytes()]
    planted = public_pem(throwaway_key(2)).decode()
    edit = TextEdit(path=RELEASE_KEY, old="", new=planted)
    fault = Fault(name="x", rule="F3", phrase="", edits=(edit,))
    project = seeded_project(fault, tmp_path / "planted")
    assert [key.pem.decode() for key in project.release_keys] == [planted]


def test_folder_that_is_named_but_absent_ends_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped option is an input that cannot be judged: exit status 2, and it is named."""
    write_demo(tmp_path, DEMO_FILES)
    words = ["check", "--root", str(tmp_path), "--evidence", str(tmp_path / "evidence")]
    assert main([*words, "--release-folder", str(tmp_path / "absent")]) == 2
    assert "no release folder at" in capsys.readouterr().err
