"""The key that signs a release, and where its grade comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulators.signing import throwaway_key, write_trust_folder
from trocar.statements.dsse import read_envelope
from trocar.statements.trust import KeyGrade, read_trusted_keys
from trocar_lab.evidence.selftest.demo_process import DEMO_PREDICATE
from trocar_lab.evidence.signed.release_statement import signed_release
from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.release_signature import known_keys, release_key, sign_folder, write_trust
from trocar_lab.signing.errors import SigningError
from trocar_lab.signing.keys import FileKey, key_id_of, write_new_key


class _EmptyToken:
    """A token that has been pulled out."""

    @property
    def public_pem(self) -> bytes:
        """Return nothing."""
        return b""

    def sign(self, message: bytes) -> bytes:
        """Sign nothing."""
        raise SigningError(f"no token for {len(message)} bytes")


@pytest.mark.verifies("SRS_REL_006", extent="partial", technique="equivalence")
def test_grade_of_a_key_is_that_of_the_trust_folder(tmp_path: Path) -> None:
    """Unknown key: development; known as release key: release; no variable says otherwise."""
    path = tmp_path / "key.pem"
    public = write_new_key(path).public_pem
    environment = {"TROCAR_SIGNING_KEY": str(path), "XDG_CONFIG_HOME": str(tmp_path)}
    unknown = release_key(environment, ())
    assert (unknown.grade, unknown.key_id) == (KeyGrade.DEVELOPMENT, key_id_of(public))
    trust = tmp_path / "keys"
    trust.mkdir()
    (trust / "one.release.pem").write_bytes(public)
    assert release_key(environment, known_keys(trust)).grade is KeyGrade.RELEASE
    (trust / "one.release.pem").rename(trust / "one.development.pem")
    assert release_key(environment, known_keys(trust)).grade is KeyGrade.DEVELOPMENT


def test_without_a_key_one_is_made_and_thrown_away(tmp_path: Path) -> None:
    """Two builds, two keys; the user's own key is taken where there is one."""
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    first, second = (release_key(environment, ()) for _ in range(2))
    assert first.key_id != second.key_id
    assert "thrown away" in first.origin
    assert not list(tmp_path.iterdir())
    own = write_new_key(tmp_path / "trocar" / "development.pem")
    found = release_key(environment, ())
    assert (found.key_id, found.origin) == (key_id_of(own.public_pem), "of this user")


def test_named_key_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """A mistyped path never leads to a throwaway key."""
    with pytest.raises(NotReleasableError, match="cannot read the signing key"):
        release_key({"TROCAR_SIGNING_KEY": str(tmp_path / "absent.pem")}, ())


def test_trust_folder_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is another thing than one with a file that is no key."""
    assert known_keys(tmp_path / "absent") == ()
    (tmp_path / "a.release.pem").write_text("x")
    with pytest.raises(NotReleasableError, match="ECDSA over P-256"):
        known_keys(tmp_path)


@pytest.mark.verifies("SRS_REL_005", extent="full", technique="equivalence")
def test_every_file_but_the_signature_is_signed(tmp_path: Path) -> None:
    """Files in folders too; signed again, the old signature is not signed along."""
    folder, key = tmp_path / "folder", FileKey(throwaway_key())
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "inner" / "b.txt").write_text("b")
    keys = read_trusted_keys(write_trust_folder(tmp_path / "keys"))
    for _ in range(2):
        sign_folder(folder, key, DEMO_PREDICATE)
        raw = (folder / "release.dsse.json").read_bytes()
        found = signed_release(read_envelope(raw, what="x"), keys)
        assert found.subjects == {
            "a.txt": file_sha256(folder / "a.txt"),
            "inner/b.txt": file_sha256(folder / "inner" / "b.txt"),
        }
    assert len(json.loads((folder / "release.dsse.json").read_text())["signatures"]) == 1


def test_token_that_does_not_sign_ends_the_build(tmp_path: Path) -> None:
    """No file is left that looks like a signature."""
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(NotReleasableError, match="no token for"):
        sign_folder(tmp_path, _EmptyToken(), DEMO_PREDICATE)
    assert not (tmp_path / "release.dsse.json").exists()


def test_public_half_of_a_development_key_is_written_as_one(tmp_path: Path) -> None:
    """Its name gives its grade; the private half is nowhere."""
    key = FileKey(throwaway_key())
    path = write_trust(tmp_path / "r.trust", key)
    (found,) = read_trusted_keys(path.parent)
    assert (found.grade, found.pem) == (KeyGrade.DEVELOPMENT, key.public_pem)
    assert b"PRIVATE" not in path.read_bytes()
