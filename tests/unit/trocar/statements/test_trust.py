"""A trust folder holds keys over P-256 and nothing else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulators.signing import public_pem, throwaway_key, write_trust_folder
from trocar.contracts.errors import SignatureError
from trocar.contracts.limits import TRUSTED_KEY_COUNT_MAX
from trocar.statements.trust import APPROVED_PACKS_NAME, KeyGrade, read_trusted_keys

pytestmark = pytest.mark.verifies("SRS_STATEMENT_002", extent="partial", technique="boundary")


def test_keys_are_read_with_grade_and_id(tmp_path: Path) -> None:
    """The grade is that of the file's name, the id is the digest of the key itself."""
    folder = write_trust_folder(tmp_path, throwaway_key(1))
    write_trust_folder(tmp_path, throwaway_key(2), grade="development")
    (folder / APPROVED_PACKS_NAME).write_text("{}", encoding="utf-8")
    development, release = read_trusted_keys(folder)
    der = (
        throwaway_key(1).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    assert release.key_id == hashlib.sha256(der).hexdigest()
    assert (release.grade, development.grade) == (KeyGrade.RELEASE, KeyGrade.DEVELOPMENT)
    assert release.pem == public_pem(throwaway_key(1))


@pytest.mark.parametrize("count", [0, TRUSTED_KEY_COUNT_MAX + 1])
def test_number_of_keys_is_bounded(tmp_path: Path, count: int) -> None:
    """A folder without a key trusts nobody, which is an error and not a default."""
    if count:
        write_trust_folder(tmp_path, *(throwaway_key(number) for number in range(1, count + 1)))
    with pytest.raises(SignatureError, match="public keys"):
        read_trusted_keys(tmp_path)


def test_most_keys_that_are_allowed_are_read(tmp_path: Path) -> None:
    """The bound itself is inside."""
    numbers = range(1, TRUSTED_KEY_COUNT_MAX + 1)
    folder = write_trust_folder(tmp_path, *(throwaway_key(number) for number in numbers))
    assert len(read_trusted_keys(folder)) == TRUSTED_KEY_COUNT_MAX


@pytest.mark.parametrize(
    "name", ["key.pem", "key.release.PEM", "K.release.pem", ".x.release.pem", "notes.txt", "sub"]
)
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    """A grade that nobody gave is not guessed, and nothing is passed over in silence."""
    write_trust_folder(tmp_path)
    (tmp_path / name).write_bytes(public_pem(throwaway_key(3)))
    with pytest.raises(SignatureError, match=r"\.release\.pem"):
        read_trusted_keys(tmp_path)


def _foreign_keys() -> list[bytes]:
    """Return keys of other kinds, and damaged ones."""
    others: list[ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = [
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
    ]
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    sound = public_pem(throwaway_key())
    return [
        *(other.public_key().public_bytes(*form) for other in others),
        sound[:-30] + b"\n",
        sound + sound,
        b"junk\n" + sound,
        sound.replace(b"M", b"=", 1),
        b"",
        sound + b" " * 5000,
    ]


@pytest.mark.parametrize("number", range(len(_foreign_keys())))
def test_other_and_damaged_keys_are_refused(tmp_path: Path, number: int) -> None:
    """One algorithm, one curve, one form."""
    (tmp_path / "key.release.pem").write_bytes(_foreign_keys()[number])
    with pytest.raises(SignatureError, match="P-256"):
        read_trusted_keys(tmp_path)


def test_links_pipes_and_missing_folders_are_refused(tmp_path: Path) -> None:
    """A link could be turned to another key later, a pipe would wait for ever."""
    folder = write_trust_folder(tmp_path / "trust")
    (folder / "link.release.pem").symlink_to(folder / "test_1.release.pem")
    with pytest.raises(SignatureError, match="cannot read"):
        read_trusted_keys(folder)
    (folder / "link.release.pem").unlink()
    os.mkfifo(folder / "pipe.release.pem")
    with pytest.raises(SignatureError, match="regular"):
        read_trusted_keys(folder)
    with pytest.raises(SignatureError, match="cannot read"):
        read_trusted_keys(tmp_path / "nowhere")
