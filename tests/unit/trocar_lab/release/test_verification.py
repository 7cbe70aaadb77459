"""A release folder in the hands of somebody who changes it."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulators.release_source import VERSION, package_wheel, small_repository, wheel_of
from simulators.signing import signed, statement, throwaway_key, write_trust_folder
from trocar.statements.statement import APPROVED_PACKS_TYPE
from trocar_lab.evidence.signed.release_statement import ReleasePredicate
from trocar_lab.release.assembly import Given, write_manifest
from trocar_lab.release.build import Order, build_release
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.release_signature import sign_folder
from trocar_lab.release.verification import Verdict, verify_release
from trocar_lab.signing.keys import FileKey

TODAY = dt.date(2026, 11, 21)
WHEEL = f"trocar-{VERSION}-py3-none-any.whl"
KEY = FileKey(throwaway_key())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a release folder that was built for real; no test changes it."""
    base = tmp_path_factory.mktemp("built")
    private = base / "key.pem"
    private.write_bytes(KEY.private_pem())
    private.chmod(0o600)
    package_wheel(base / "house", "tqdm-4.70.1-py3-none-any.whl")
    order = Order(
        root=small_repository(base / "repository"),
        out=base / "release",
        given=Given(wheelhouse=base / "house"),
        environment={"TROCAR_SIGNING_KEY": str(private)},
        now=dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC),
    )
    return build_release(order).folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(built, tmp_path / "release"))


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    """Return the trust folder of a receiver."""
    return write_trust_folder(tmp_path / "keys", throwaway_key(), grade="development")


def verdict(folder: Path, trust: Path, today: dt.date = TODAY) -> Verdict:
    """Return the verdict on this day."""
    return verify_release(folder, trust, today=today)


def predicate(folder: Path, **changes: object) -> ReleasePredicate:
    """Return what is said about the built release, parts of it changed."""
    provenance = json.loads((folder / "provenance.json").read_text())
    build = provenance["predicate"]["buildDefinition"]
    value = {
        "version": VERSION,
        "sequence": 7,
        "grade": "development",
        "expires": "2027-02-19",
        "commit": build["externalParameters"]["commit"],
        "device": {"python": "3.11", "platform": "linux_x86_64"},
    }
    return ReleasePredicate.model_validate(value | changes)


def resign(folder: Path, **changes: object) -> None:
    """Sign the folder as it lies there now, with a manifest that fits."""
    write_manifest(folder)
    sign_folder(folder, KEY, predicate(folder, **changes))


def rewrite(path: Path, change: Callable[[Any], object]) -> None:
    """Change the value in a JSON file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.verifies("SRS_REL_008", extent="partial", technique="equivalence")
def test_release_as_built_is_sound(folder: Path, trust: Path) -> None:
    """The folder with which each attack begins; its grade is said all the same."""
    found = verdict(folder, trust)
    assert found.faults == ()
    assert found.signed is not None
    assert any("development grade" in note for note in found.notes)


@pytest.mark.verifies("SRS_REL_008", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (lambda f: (f / WHEEL).write_bytes((f / WHEEL).read_bytes()[:-1]), f"{WHEEL} is not the"),
        (lambda f: (f / "SOUP.md").unlink(), "SOUP.md was signed, but is not in"),
        (lambda f: (f / "more.txt").write_text("x"), "more.txt is in the folder, but was not"),
        (lambda f: (f / "SOUP.md").rename(f / "soup.md"), "soup.md is in the folder, but was"),
        (lambda f: (f / "device.lock").write_text("x"), "device.lock is not the file"),
        (lambda f: (f / "link").symlink_to("/etc/passwd"), "link is a link"),
        (lambda f: os.mkfifo(f / "pipe"), "pipe is a link, a pipe"),
        (lambda f: os.link(f / "SOUP.md", f / "hard"), "hard links"),
        (lambda f: (f / ".hidden").write_text("x"), "plain relative names"),
        (lambda f: (f / "release.dsse.json").unlink(), "there is no release.dsse.json"),
        (lambda f: (f / "release.dsse.json").write_text(""), "strict JSON"),
        (lambda f: (f / "release.dsse.json").write_text("{}"), "payload, payloadType"),
    ],
)
def test_changed_folder_is_not_sound(
    folder: Path, trust: Path, attack: Callable[[Path], object], words: str
) -> None:
    """Without the key nothing can be changed, added, removed or renamed."""
    attack(folder)
    assert any(words in fault for fault in verdict(folder, trust).faults)


@pytest.mark.verifies("SRS_REL_008", extent="partial", technique="fault_injection")
def test_every_bit_of_the_signature_file_counts(folder: Path, trust: Path) -> None:
    """200 single-bit changes spread over the file: none leaves another release that is sound."""
    path = folder / "release.dsse.json"
    original = path.read_bytes()
    first = verdict(folder, trust).signed
    for step in range(200):
        changed = bytearray(original)
        changed[step * len(original) // 200] ^= 1 << (step % 8)
        path.write_bytes(bytes(changed))
        found = verdict(folder, trust)
        assert found.faults or found.signed == first, step


@pytest.mark.verifies("SRS_REL_005", "SRS_REL_008", extent="partial", technique="fault_injection")
def test_keys_decide_who_is_believed(folder: Path, tmp_path: Path) -> None:
    """Another key, none, a folder that is none; a statement of another kind by the right key."""
    other = write_trust_folder(tmp_path / "other", throwaway_key(2))
    assert "signed by a trusted key" in verdict(folder, other).faults[0]
    assert "no public key in" in verdict(folder, tmp_path / "absent").faults[0]
    (other / "x.txt").write_text("x")
    with pytest.raises(NotReleasableError, match="expected only"):
        verdict(folder, other)
    mine = write_trust_folder(tmp_path / "mine", throwaway_key())
    raw = signed(statement({WHEEL: "0" * 64}, APPROVED_PACKS_TYPE, {"version": VERSION}))
    (folder / "release.dsse.json").write_bytes(raw)
    assert "another kind of statement" in verdict(folder, mine).faults[0]


@pytest.mark.verifies("SRS_REL_008", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "0.4.0"}, "signed is 0.4.0"),
        ({"commit": "1" * 40}, "is about commit"),
        ({"grade": "production"}, "a development key signed it"),
        ({"grade": "production"}, "a production release trusts trocar/assets/trust/test_1"),
        ({"grade": "production"}, "provenance.json is about another commit or grade"),
        ({"expires": "2026-11-20"}, "it expired on 2026-11-20"),
    ],
)
def test_signed_words_are_compared_with_the_files(
    folder: Path, trust: Path, changes: dict[str, object], words: str
) -> None:
    """Whoever holds the key and signs something else than what was built is found out."""
    resign(folder, **changes)
    assert any(words in fault for fault in verdict(folder, trust).faults)


@pytest.mark.parametrize(("day", "is_sound"), [(19, True), (20, False)])
def test_last_day_is_included(folder: Path, trust: Path, day: int, is_sound: bool) -> None:  # noqa: FBT001 - a column of the table
    """Both sides of it."""
    assert (not verdict(folder, trust, dt.date(2027, 2, day)).faults) is is_sound


@pytest.mark.verifies("SRS_REL_008", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("rebuild.json", lambda v: v.update(rebuilt_sha256="0" * 64), "was built twice alike"),
        ("rebuild.json", lambda v: v.update(wheel="other.whl"), "was built twice alike"),
        ("rebuild.json", lambda v: v.update(date="x"), "rebuild.json"),
        ("provenance.json", lambda v: v["subject"][0].update(name="x"), "is about another x"),
        ("provenance.json", lambda v: v.pop("subject"), "provenance.json cannot be read"),
        (
            "provenance.json",
            lambda v: v.update(predicateType="x"),
            "provenance.json is of type 'x'",
        ),
        ("provenance.json", lambda v: v["subject"][0].update(name="x"), f"not name {WHEEL}"),
    ],
)
def test_record_that_contradicts_the_files_is_a_fault(
    folder: Path, trust: Path, name: str, change: Callable[[Any], object], words: str
) -> None:
    """Signed again each time, so that the signature alone would let it pass."""
    rewrite(folder / name, change)
    resign(folder)
    assert any(words in fault for fault in verdict(folder, trust).faults)


@pytest.mark.verifies("SRS_REL_008", extent="partial", technique="fault_injection")
def test_manifest_and_missing_records_are_faults(folder: Path, trust: Path) -> None:
    """A manifest of another release, none, and no provenance."""
    rewrite(folder / "manifest.json", lambda v: v["deliverables"].pop())
    said = predicate(folder)
    sign_folder(folder, KEY, said)
    assert any("manifest.json does not fit" in fault for fault in verdict(folder, trust).faults)
    (folder / "manifest.json").unlink()
    (folder / "provenance.json").unlink()
    sign_folder(folder, KEY, said)
    faults = verdict(folder, trust).faults
    assert "there is no manifest.json" in faults
    assert "there is no provenance.json" in faults


@pytest.mark.verifies("SRS_REL_008", extent="partial", technique="fault_injection")
def test_wheel_that_holds_more_is_a_fault(folder: Path, trust: Path, tmp_path: Path) -> None:
    """Two wheels, none, one that is no wheel, one with a file that is on no list."""
    other = folder / "other-1-py3-none-any.whl"
    shutil.copyfile(folder / WHEEL, other)
    resign(folder)
    assert any("got 2 wheels" in fault for fault in verdict(folder, trust).faults)
    other.unlink()
    (folder / WHEEL).write_bytes(b"x")
    resign(folder)
    assert any("no wheel that can be read" in fault for fault in verdict(folder, trust).faults)
    source = small_repository(tmp_path / "repository")
    shutil.copyfile(wheel_of(source, tmp_path, {"evil.pth": b"import x"}), folder / WHEEL)
    resign(folder)
    faults = verdict(folder, trust).faults
    assert "evil.pth in the wheel is not on the list" in faults


@pytest.mark.verifies("SRS_REL_008", extent="partial", technique="fault_injection")
def test_wheel_that_was_not_signed_is_not_unpacked(
    folder: Path, trust: Path, tmp_path: Path
) -> None:
    """Whoever has no key must not choose what the check reads; the signed one says the rest."""
    source = small_repository(tmp_path / "repository")
    shutil.copyfile(wheel_of(source, tmp_path, {"evil.pth": b"import x"}), folder / WHEEL)
    faults = verdict(folder, trust).faults
    assert f"{WHEEL} is not the file that was signed" in faults
    assert not any("evil.pth" in fault for fault in faults)


@pytest.mark.verifies("SRS_REL_008", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"numpy==2.4.6 --hash=sha256:" + b"0" * 64 + b"\n", "the installer refuses it"),
        (b"numpy>=2\n", "the installer refuses it"),
        (b"\xff", "device.lock is no text"),
    ],
)
def test_lock_that_the_installer_would_refuse_is_a_fault(
    folder: Path, trust: Path, content: bytes, words: str
) -> None:
    """A wheel that is not there, a range instead of a version, no text."""
    (folder / "device.lock").write_bytes(content)
    resign(folder)
    assert any(words in fault for fault in verdict(folder, trust).faults)


@pytest.mark.verifies("SRS_REL_008", extent="partial", technique="fault_injection")
def test_what_is_derived_from_the_wheel_is_compared_with_it(folder: Path, trust: Path) -> None:
    """An installer of other sources, none, and a pack that the wheel does not approve."""
    installer = folder / "trocar-install.pyz"
    installer.write_bytes(installer.read_bytes() + b"x")
    resign(folder)
    assert verdict(folder, trust).faults == (
        "trocar-install.pyz is not made of the sources in the wheel",
    )
    installer.unlink()
    (folder / "packs").mkdir()
    (folder / "packs" / "polyps-0.1.0.trocarpack").write_bytes(b"x")
    resign(folder)
    faults = verdict(folder, trust).faults
    assert faults[0].startswith("packs/polyps-0.1.0.trocarpack: ")
    assert faults[1].startswith("trocar-install.pyz cannot be compared with the wheel: ")


def test_release_without_a_wheelhouse_says_so(folder: Path, trust: Path) -> None:
    """Sound, but nothing that a device could install."""
    shutil.rmtree(folder / "wheelhouse")
    (folder / "device.lock").unlink()
    resign(folder)
    found = verdict(folder, trust)
    assert found.faults == ()
    assert any("cannot be installed offline" in note for note in found.notes)
