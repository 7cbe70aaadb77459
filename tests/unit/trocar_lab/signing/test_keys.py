"""Keys: made once, kept where only their owner reads them, of one kind."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from trocar.packs.signature_check import check_p256
from trocar.statements.trust import read_trusted_keys
from trocar_lab.signing.errors import SigningError
from trocar_lab.signing.keys import (
    KEY_VARIABLE,
    FileKey,
    default_key_path,
    key_id_of,
    new_file_key,
    open_signing_key,
    read_file_key,
    write_new_key,
)


@pytest.mark.verifies("SRS_SIGN_009", extent="full", technique="requirement")
def test_new_key_is_for_its_owner_only_and_replaces_none(tmp_path: Path) -> None:
    """Folder and file are closed to others; a key that is there stays."""
    path = tmp_path / "config" / "trocar" / "development.pem"
    key = write_new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    before = path.read_bytes()
    with pytest.raises(SigningError, match="nothing was replaced"):
        write_new_key(path)
    assert path.read_bytes() == before
    assert read_file_key(path).public_pem == key.public_pem


@pytest.mark.verifies("SRS_SIGN_009", extent="partial", technique="equivalence")
def test_key_is_that_of_the_variable_or_of_the_user(tmp_path: Path) -> None:
    """The variable wins; by default it is a place of the user, outside any repository."""
    own = default_key_path({"XDG_CONFIG_HOME": str(tmp_path)})
    assert own == tmp_path / "trocar" / "development.pem"
    assert default_key_path({}) == Path.home() / ".config" / "trocar" / "development.pem"
    first, second = write_new_key(own), write_new_key(tmp_path / "other.pem")
    found = open_signing_key({"XDG_CONFIG_HOME": str(tmp_path)})
    assert found.public_pem == first.public_pem
    named = {"XDG_CONFIG_HOME": str(tmp_path), KEY_VARIABLE: str(tmp_path / "other.pem")}
    assert open_signing_key(named).public_pem == second.public_pem


def _written(path: Path, key: object, password: bytes | None = None) -> Path:
    """Write a private key of any kind, closed to others."""
    assert isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    path.write_bytes(pem)
    path.chmod(0o600)
    return path


@pytest.mark.verifies("SRS_SIGN_009", extent="full", technique="fault_injection")
def test_key_that_may_not_sign_is_refused(tmp_path: Path) -> None:
    """Open to others, of another kind, with a password, no key, no file."""
    sound = tmp_path / "sound.pem"
    write_new_key(sound)
    sound.chmod(0o640)
    with pytest.raises(SigningError, match="only its owner can read"):
        read_file_key(sound)
    with pytest.raises(SigningError, match="make one with"):
        read_file_key(tmp_path / "none.pem")
    os.mkfifo(tmp_path / "pipe", mode=0o600)
    with pytest.raises(SigningError, match="only its owner can read"):
        read_file_key(tmp_path / "pipe")
    junk = tmp_path / "junk.pem"
    junk.write_bytes(b"junk")
    junk.chmod(0o600)
    locked = _written(tmp_path / "p.pem", ec.generate_private_key(ec.SECP256R1()), b"secret")
    for path in (junk, locked):
        with pytest.raises(SigningError, match="without a password"):
            read_file_key(path)
    for key in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(SigningError, match="ECDSA key over P-256"):
            read_file_key(_written(tmp_path / "other.pem", key))


def test_key_signs_what_the_device_checks_and_has_its_identity(tmp_path: Path) -> None:
    """Toolchain and device call one key by one name."""
    key = new_file_key()
    assert isinstance(key, FileKey)
    assert check_p256(key.public_pem, key.sign(b"message"), b"message")
    (tmp_path / "a.release.pem").write_bytes(key.public_pem)
    assert read_trusted_keys(tmp_path)[0].key_id == key_id_of(key.public_pem)


@pytest.mark.verifies("SRS_SIGN_009", extent="partial", technique="fault_injection")
def test_uri_of_a_token_asks_for_its_tool(tmp_path: Path) -> None:
    """A machine without OpenSC says so, and does not fall back to a file."""
    with pytest.raises(SigningError, match="comes with OpenSC"):
        open_signing_key({KEY_VARIABLE: "pkcs11:token=a;object=b", "PATH": str(tmp_path)})
