"""The signature over a release folder, and the key that gives it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from trocar.statements.dsse import envelope_text, pae
from trocar.statements.trust import KeyGrade, TrustedKey
from trocar_lab.evidence.errors import ReleaseError
from trocar_lab.evidence.signed.release_folder import ENVELOPE
from trocar_lab.evidence.signed.release_statement import (
    ReleasePredicate,
    read_release_keys,
    release_payload,
)
from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.signing.errors import SigningError
from trocar_lab.signing.keys import (
    KEY_VARIABLE,
    SigningKey,
    default_key_path,
    key_id_of,
    new_file_key,
    open_signing_key,
)

__all__ = ["ReleaseKey", "known_keys", "release_key", "sign_folder", "write_trust"]


class ReleaseKey(NamedTuple):
    """A key that signs a release.

    Attributes:
        key: The key.
        grade: What it may vouch for, by the trust folder of the repository.
        origin: Where it is from, in words.
    """

    key: SigningKey
    grade: KeyGrade
    origin: str

    @property
    def key_id(self) -> str:
        """Return how records call it."""
        return key_id_of(self.key.public_pem)


_THROWAWAY: Final = "made for this release and thrown away: no key was named and none lies ready"


def known_keys(folder: Path) -> tuple[TrustedKey, ...]:
    """Return the keys of a trust folder; none when there is no such folder.

    Raises:
        NotReleasableError: A file in it is no key.
    """
    try:
        return read_release_keys(folder)
    except ReleaseError as exc:
        raise NotReleasableError(str(exc)) from exc


def release_key(environment: Mapping[str, str], known: tuple[TrustedKey, ...]) -> ReleaseKey:
    """Return the key that the environment names, the user's development key, or a new one.

    Args:
        environment: Variables.
        known: Keys of releases in the repository; they alone make a key a release key.

    Raises:
        NotReleasableError: A key is named and cannot be used.
    """
    if KEY_VARIABLE not in environment and not default_key_path(environment).exists():
        return ReleaseKey(new_file_key(), KeyGrade.DEVELOPMENT, _THROWAWAY)
    try:
        key = open_signing_key(environment)
    except SigningError as exc:
        raise NotReleasableError(str(exc)) from exc
    found = next((one for one in known if one.key_id == key_id_of(key.public_pem)), None)
    named = "named by the environment" if KEY_VARIABLE in environment else "of this user"
    return ReleaseKey(key, found.grade if found else KeyGrade.DEVELOPMENT, named)


def sign_folder(folder: Path, key: SigningKey, predicate: ReleasePredicate) -> None:
    """Sign every file of a folder but the signature itself.

    Args:
        folder: The release folder, complete.
        key: The key.
        predicate: Which release it is.

    Raises:
        NotReleasableError: The key did not sign.
    """
    subjects = {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / ENVELOPE
    }
    payload = release_payload(subjects, predicate)
    try:
        signature = key.sign(pae(payload))
    except SigningError as exc:
        raise NotReleasableError(str(exc)) from exc
    (folder / ENVELOPE).write_text(envelope_text(payload, signature), encoding="ascii")


def write_trust(folder: Path, key: SigningKey) -> Path:
    """Write the public half of a development key into a trust folder of its own.

    Whoever gets the release and this folder from the same place has proven nothing; it is for
    trying out a release on the machine that built it.

    Args:
        folder: Trust folder; made here.
        key: The key.
    """
    folder.mkdir(exist_ok=True)
    path = folder / "built_here.development.pem"
    path.write_bytes(key.public_pem)
    return path
