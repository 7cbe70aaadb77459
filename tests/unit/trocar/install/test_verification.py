"""Who signed a release, whether it is whole, and whether this device may take it."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from simulators.release_folders import PLATFORM, PYTHON, TODAY, Release, trust_folder
from simulators.signing import check_signature, throwaway_key, write_trust_folder
from trocar.contracts.errors import InstallError, SignatureError
from trocar.install import verification
from trocar.install.verification import (
    Device,
    admit,
    check_contents,
    read_release,
    refuse_beside,
    stage,
    trusted_keys,
)

DEVICE = Device(TODAY, None, PYTHON, PLATFORM)


def _read(folder: Path, release: Release | None = None) -> verification.Release:
    """Write, sign and read a release."""
    usb = (release or Release()).write(folder / "usb")
    keys = trusted_keys(trust_folder(folder / "trust"), usb)
    return read_release(usb, keys, check_signature)


@pytest.mark.verifies("SRS_INST_001", extent="partial", technique="requirement")
def test_signed_release_is_read(tmp_path: Path) -> None:
    """Facts, signer, files, and the digest that names the release."""
    found = _read(tmp_path)
    assert (found.facts.version, found.is_development) == ("0.1.0", False)
    assert set(found.sizes) == set(found.subjects)
    raw = (tmp_path / "usb" / "release.dsse.json").read_bytes()
    assert found.manifest_sha256 == hashlib.sha256(raw).hexdigest()


@pytest.mark.verifies("SRS_INST_001", extent="partial", technique="equivalence")
def test_file_that_was_not_signed_is_refused(tmp_path: Path) -> None:
    """One more is as wrong as one fewer."""
    usb = Release().write(tmp_path / "usb")
    keys = trusted_keys(trust_folder(tmp_path / "trust"), usb)
    (usb / "more").touch()
    with pytest.raises(InstallError, match="more was not signed"):
        read_release(usb, keys, check_signature)
    (usb / "more").unlink()
    (usb / "SOUP.md").unlink()
    with pytest.raises(InstallError, match=r"SOUP\.md is missing"):
        read_release(usb, keys, check_signature)


def test_key_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    """The release is sound and by a stranger."""
    with pytest.raises(SignatureError, match="signed by a trusted key"):
        _read(tmp_path, Release(key=throwaway_key(2)))


@pytest.mark.verifies("SRS_INST_013", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("grade", "key_grade", "is_development"),
    [
        ("production", "release", False),
        ("development", "release", True),
        ("development", "development", True),
    ],
)
def test_release_is_for_development_by_grade_or_key(
    tmp_path: Path, grade: str, key_grade: str, *, is_development: bool
) -> None:
    """It is refused without the flag, and taken with it."""
    usb = Release(predicate={"grade": grade}).write(tmp_path / "usb")
    trust = trust_folder(tmp_path / "trust", grade=key_grade)
    found = read_release(usb, trusted_keys(trust, usb), check_signature)
    assert found.is_development is is_development
    assert admit(found, DEVICE, allow_development=True) == ()
    if is_development:
        with pytest.raises(InstallError, match="is for development"):
            admit(found, DEVICE, allow_development=False)


def test_development_key_does_not_vouch_for_production(tmp_path: Path) -> None:
    """No flag changes that."""
    usb = Release().write(tmp_path / "usb")
    trust = trust_folder(tmp_path / "trust", grade="development")
    with pytest.raises(InstallError, match="expected a release key"):
        read_release(usb, trusted_keys(trust, usb), check_signature)


def test_trusted_keys_come_from_the_device(tmp_path: Path) -> None:
    """Neither from the medium nor from anybody."""
    usb = Release().write(tmp_path / "usb")
    with pytest.raises(InstallError, match="inside the release"):
        trusted_keys(trust_folder(usb / "trust"), usb)
    (tmp_path / "link").symlink_to(usb / "trust")
    with pytest.raises(InstallError, match="inside the release"):
        trusted_keys(tmp_path / "link", usb)
    trust = write_trust_folder(tmp_path / "trust")
    assert len(trusted_keys(trust, usb)) == 1
    key = next(trust.iterdir())
    for path, mode in ((trust, 0o777), (trust, 0o775), (key, 0o664), (key, 0o646)):
        sound = path.stat().st_mode
        path.chmod(mode)
        with pytest.raises(InstallError, match="others may change"):
            trusted_keys(trust, usb)
        path.chmod(sound)
    (trust / "other.pem").write_text("not read before its folder was judged")
    trust.chmod(0o777)
    with pytest.raises(InstallError, match="others may change"):
        trusted_keys(trust, usb)


def test_trusted_keys_of_another_account_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner could change them at any time."""
    trust = trust_folder(tmp_path / "trust")
    stranger = os.stat_result((0o040755, 1, 1, 2, 4242, 4242, 1, 1, 1, 1))
    monkeypatch.setattr(Path, "stat", lambda _, **__: stranger)
    with pytest.raises(InstallError, match="others may change"):
        trusted_keys(trust, tmp_path / "usb")


@pytest.mark.parametrize("kind", ["loop", "none", "file"])
def test_trust_folder_that_cannot_be_looked_at_is_an_error(tmp_path: Path, kind: str) -> None:
    """A link to itself, nothing, a file: each with what to do."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    with pytest.raises(InstallError) as caught:
        trusted_keys(tmp_path / kind, tmp_path / "usb")
    assert "trust folder" in caught.value.advice


def test_trusted_keys_beside_the_release_are_refused(tmp_path: Path) -> None:
    """As a maker puts them on a medium; a device for development may take them."""
    trust = trust_folder(tmp_path / "release.trust")
    with pytest.raises(InstallError, match="beside the release"):
        refuse_beside(trust, tmp_path / "release", allow_development=False)
    refuse_beside(trust, tmp_path / "release", allow_development=True)
    refuse_beside(tmp_path / "etc" / "trust", tmp_path / "release", allow_development=False)


@pytest.mark.verifies("SRS_INST_013", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("sequence", "highest", "words"),
    [
        (7, 7, "installed already"),
        (6, 7, "older than one"),
        (8, 7, ""),
        (1007, 7, "999 releases in between"),
        (1008, 7, "up to 1007"),
        (5000, None, ""),
    ],
)
def test_sequence_number_grows_by_a_bounded_step(
    tmp_path: Path, sequence: int, highest: int | None, words: str
) -> None:
    """A gap is said; a jump is refused, since nothing below could be installed afterwards."""
    found = _read(tmp_path, Release(sequence=sequence))
    device = replace(DEVICE, sequence_highest=highest)
    if not words or "between" in words:
        assert words in "".join(admit(found, device, allow_development=False))
    else:
        with pytest.raises(InstallError, match=words):
            admit(found, device, allow_development=False)


@pytest.mark.verifies("SRS_INST_013", extent="partial", technique="boundary")
def test_last_day_is_the_last_one(tmp_path: Path) -> None:
    """On the day itself it is taken, a day later it is not."""
    found = _read(tmp_path, Release(predicate={"expires": "2026-11-21"}))
    assert admit(found, DEVICE, allow_development=False) == ()
    later = replace(DEVICE, today=TODAY + dt.timedelta(days=1))
    with pytest.raises(InstallError, match="expired on 2026-11-21"):
        admit(found, later, allow_development=False)


@pytest.mark.verifies("SRS_INST_013", extent="partial", technique="equivalence")
@pytest.mark.parametrize("change", [{"python": "3.12"}, {"platform": "linux_aarch64"}])
def test_release_for_another_device_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    """Wheels of another interpreter or machine would not load."""
    found = _read(tmp_path)
    device = Device(TODAY, None, **{"python": PYTHON, "platform": PLATFORM, **change})
    with pytest.raises(InstallError, match="expected a release for Python"):
        admit(found, device, allow_development=False)


@pytest.mark.verifies("SRS_INST_003", extent="partial", technique="requirement")
def test_staging_holds_what_is_installed_and_what_is_kept(tmp_path: Path) -> None:
    """Wheels of the lock, packs, records for people; the report is only checked."""
    found = _read(tmp_path)
    staging = tmp_path / "staging"
    staging.mkdir()
    wheels = stage(found, staging)
    assert [wheel.name for wheel in wheels] == ["tiny-part", "trocar"]
    names = {path.relative_to(staging).as_posix() for path in staging.rglob("*") if path.is_file()}
    assert names == {
        "packs/tiny-0.1.0.trocarpack",
        "records/SOUP.md",
        "records/device.lock",
        "records/release.dsse.json",
        "wheels/tiny_part-2.0-py3-none-any.whl",
        "wheels/trocar-0.1.0-py3-none-any.whl",
    }


@pytest.mark.verifies("SRS_INST_001", extent="partial", technique="requirement")
@pytest.mark.parametrize("name", ["report/index.html", "device.lock", "SOUP.md"])
def test_each_file_is_checked(tmp_path: Path, name: str) -> None:
    """Also what is not installed: people decide by it."""
    found = _read(tmp_path)
    check_contents(found)
    path = tmp_path / "usb" / name
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1, *path.read_bytes()[1:]]))
    staging = tmp_path / "staging"
    staging.mkdir()
    with pytest.raises(InstallError, match="its content differs"):
        stage(found, staging)
    with pytest.raises(InstallError, match="its content differs"):
        check_contents(found)


def test_release_without_a_lock_is_refused(tmp_path: Path) -> None:
    """Nothing would say which wheels belong on the device."""
    usb = Release().write(tmp_path / "usb")
    (usb / "device.lock").unlink()
    Release().sign(usb)
    keys = trusted_keys(trust_folder(tmp_path / "trust"), usb)
    found = read_release(usb, keys, check_signature)
    staging = tmp_path / "staging"
    staging.mkdir()
    with pytest.raises(InstallError, match=r"expected device\.lock"):
        check_contents(found)
    with pytest.raises(InstallError, match=r"expected device\.lock"):
        stage(found, staging)


def test_lock_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Signed, and still no lock."""
    found = _read(tmp_path, Release(files={"device.lock": b"\xff"}))
    staging = tmp_path / "staging"
    staging.mkdir()
    with pytest.raises(InstallError, match="plain text"):
        stage(found, staging)
    with pytest.raises(InstallError, match="plain text"):
        check_contents(found)


@pytest.mark.verifies("SRS_INST_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("device.lock", b"--index-url http://evil\n", "name==version"),
        ("device.leftout", b"../../etc/passwd\n", "plain relative names"),
        ("device.lock", b"x" * 200, "at most 100 bytes"),
    ],
)
def test_lists_that_do_not_install_do_not_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, words: str
) -> None:
    """Both commands read them with the same code; nothing is staged by then."""
    found = _read(tmp_path, Release(files={name: content}))
    if "100" in words:
        monkeypatch.setattr(verification, "INSTALL_RECORD_BYTES_MAX", 100)
    staging = tmp_path / "staging"
    staging.mkdir()
    for act in (lambda: check_contents(found), lambda: stage(found, staging)):
        with pytest.raises(InstallError, match=words):
            act()
    assert list(staging.iterdir()) == []
