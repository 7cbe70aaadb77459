"""The files of a release folder: what is there goes in, what is not is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from simulators.release_source import package_wheel, small_repository, wheel_of
from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.release.assembly import Assembly, Given, assemble, write_manifest
from trocar_lab.release.errors import NotReleasableError

TQDM = "tqdm-4.70.1-py3-none-any.whl"


@pytest.fixture
def made(tmp_path: Path) -> Assembly:
    """Return an empty folder beside a small source."""
    (tmp_path / "folder").mkdir()
    return Assembly(tmp_path / "folder", small_repository(tmp_path / "tree"), 0)


@pytest.fixture
def wheel(made: Assembly, tmp_path: Path) -> Path:
    """Return the wheel of that source."""
    return wheel_of(made.tree, tmp_path)


def names(folder: Path) -> set[str]:
    """Return the relative names of the files of a folder."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.verifies("SRS_REL_007", extent="full", technique="equivalence")
def test_what_is_missing_is_said_by_name(made: Assembly, wheel: Path) -> None:
    """Nothing is named beside the source: each part that lacks has its sentence."""
    (made.tree / "SOUP.md").unlink()
    assemble(made, wheel, Given())
    assert names(made.folder) == {
        wheel.name,
        "CHANGELOG.md",
        "LICENSE",
        "SECURITY.md",
        "trocar-install.pyz",
    }
    assert [text.split(":")[0] for text in made.missing] == [
        "SOUP.md",
        "pylock.*.toml",
        "wheelhouse and device.lock",
        "sbom.cdx.json",
        "sbom-lab.cdx.json",
        "vulnerabilities.json",
        "evidence/",
        "report/",
    ]


def test_named_parts_are_copied(made: Assembly, wheel: Path, tmp_path: Path) -> None:
    """Evidence, report, drill and wheelhouse; hidden files stay behind."""
    (tmp_path / "evidence" / "inner").mkdir(parents=True)
    (tmp_path / "evidence" / "inner" / "run.jsonl").write_text("{}")
    (tmp_path / "evidence" / ".cache").write_text("x")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("x")
    (tmp_path / "drill.json").write_text("{}")
    package_wheel(tmp_path / "house", TQDM)
    assemble(
        made,
        wheel,
        Given(
            wheelhouse=tmp_path / "house",
            evidence=tmp_path / "evidence",
            report=tmp_path / "report",
            drill=tmp_path / "drill.json",
        ),
    )
    assert {
        "evidence/inner/run.jsonl",
        "report/index.html",
        "restore_drill.json",
        f"wheelhouse/{TQDM}",
        "device.lock",
    } <= names(made.folder)
    assert "evidence/.cache" not in names(made.folder)
    assert any("was compared with none" in text for text in made.missing)


def test_reviewed_lock_decides_on_the_wheelhouse(
    made: Assembly, wheel: Path, tmp_path: Path
) -> None:
    """A wheel of another digest stops the release; a lock that fits goes into the folder."""
    _, digest = package_wheel(tmp_path / "house", TQDM)
    lock = made.tree / "pylock.device-cpu.toml"
    row = (
        '[[packages]]\nname = "tqdm"\nversion = "4.70.1"\n'
        'wheels = [{{ name = "x", hashes = {{ sha256 = "{}" }} }}]\n'
    )
    lock.write_text(row.format("0" * 64))
    with pytest.raises(NotReleasableError, match=r"is not a wheel that pylock\.device-cpu\.toml"):
        assemble(made, wheel, Given(wheelhouse=tmp_path / "house"))
    lock.write_text(row.format(digest))
    again = Assembly(tmp_path / "again", made.tree, 0)
    again.folder.mkdir()
    assemble(again, wheel, Given(wheelhouse=tmp_path / "house"))
    assert (again.folder / lock.name).read_text() == lock.read_text()
    assert (again.folder / "device.lock").read_text() == f"tqdm==4.70.1 --hash=sha256:{digest}\n"


def test_bill_of_materials_that_was_not_written_is_missing(
    made: Assembly, wheel: Path, tmp_path: Path
) -> None:
    """The reason is that of the command that writes it; no half of it stays."""
    package_wheel(tmp_path / "house", TQDM)
    assemble(made, wheel, Given(wheelhouse=tmp_path / "house"))
    (reason,) = (text for text in made.missing if text.startswith("sbom.cdx.json: "))
    assert "pylock.device-cpu.toml" in reason
    assert not (made.folder / "sbom.cdx.json").exists()


@pytest.mark.verifies("SRS_SUP_011", extent="partial", technique="example")
def test_list_of_left_out_files_goes_into_the_folder(
    made: Assembly, wheel: Path, tmp_path: Path
) -> None:
    """It is made from the wheels of the folder; where that fails, the reason is said."""
    package_wheel(tmp_path / "house", TQDM)
    assemble(made, wheel, Given(wheelhouse=tmp_path / "house"))
    (reason,) = (text for text in made.missing if text.startswith("device.leftout: "))
    assert "pylock.device-cpu.toml" in reason
    assert not (made.folder / "device.leftout").exists()
    lock = (
        'lock-version = "1.0"\ncreated-by = "t"\n[[packages]]\nname = "tqdm"\nversion = "4.70.1"\n'
        'wheels = [{{ name = "{}", path = "wheelhouse/{}", hashes = {{ sha256 = "{}" }} }}]\n'
    )
    digest = file_sha256(tmp_path / "house" / TQDM)
    (made.tree / "pylock.device-cpu.toml").write_text(lock.format(TQDM, TQDM, digest))
    (made.tree / "risk").mkdir()
    (made.tree / "risk" / "soup.toml").write_text("")
    again = Assembly(tmp_path / "again", made.tree, 0)
    again.folder.mkdir()
    assemble(again, wheel, Given(wheelhouse=tmp_path / "house"))
    assert (again.folder / "device.leftout").read_bytes() == b""


def test_comparison_that_cannot_be_made_is_missing(
    made: Assembly, wheel: Path, tmp_path: Path
) -> None:
    """A database that is not there is no comparison without findings."""
    assemble(made, wheel, Given(advisories=tmp_path / "absent"))
    (reason,) = (text for text in made.missing if text.startswith("vulnerabilities.json: "))
    assert "no database of vulnerabilities was named" not in reason
    assert not (made.folder / "vulnerabilities.json").exists()


def test_named_part_that_is_not_sound_stops_the_release(
    made: Assembly, wheel: Path, tmp_path: Path
) -> None:
    """A folder that is not there, a link, a pipe."""
    folder = tmp_path / "evidence"
    (folder / "links").mkdir(parents=True)
    (folder / "links" / "odd").symlink_to("/etc/passwd")
    (folder / "pipes").mkdir()
    os.mkfifo(folder / "pipes" / "odd")
    for number, (name, words) in enumerate((
        ("absent", "no folder at"),
        ("links", "is a link or a device"),
        ("pipes", "is a link or a device"),
    )):
        again = Assembly(tmp_path / str(number), made.tree, 0)
        again.folder.mkdir()
        with pytest.raises(NotReleasableError, match=words):
            assemble(again, wheel, Given(evidence=folder / name))


def test_pack_that_is_not_approved_is_left_out_or_refused(
    made: Assembly, wheel: Path, tmp_path: Path
) -> None:
    """One of the source is said to be missing; one that the caller names stops the release."""
    (made.tree / "src/trocar/assets/packs/mine").mkdir(parents=True)
    assemble(made, wheel, Given())
    assert [text for text in made.missing if text.startswith("pack mine: ")]
    (made.folder / "trocar-install.pyz").unlink()
    with pytest.raises(NotReleasableError, match="pack "):
        assemble(made, wheel, Given(packs=(tmp_path / "other",)))


def test_manifest_lists_every_file_but_what_comes_after_it(tmp_path: Path) -> None:
    """Name, size and digest, in folders too."""
    (tmp_path / "inner").mkdir()
    for name in ("a.txt", "inner/b.txt", "release.dsse.json", "restore_drill.json"):
        (tmp_path / name).write_text(name)
    write_manifest(tmp_path)
    rows = json.loads((tmp_path / "manifest.json").read_text())["deliverables"]
    assert rows == [
        {"name": name, "sha256": file_sha256(tmp_path / name), "bytes": len(name)}
        for name in ("a.txt", "inner/b.txt")
    ]
