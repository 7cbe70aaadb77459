"""Public keys that are trusted: the files of one folder, and nothing else."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from trocar.contracts.errors import SignatureError
from trocar.contracts.limits import TRUSTED_KEY_BYTES_MAX, TRUSTED_KEY_COUNT_MAX

__all__ = ["APPROVED_PACKS_NAME", "KeyGrade", "TrustedKey", "read_trusted_keys"]

APPROVED_PACKS_NAME: Final = "approved_packs.dsse.json"
"""The list of approved packs may lie beside the keys."""

_KEY_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\.(?P<grade>release|development)\.pem")
_PEM: Final = re.compile(
    rb"-----BEGIN PUBLIC KEY-----\n(?P<base64>[A-Za-z0-9+/=\n]+)\n-----END PUBLIC KEY-----\n"
)
_P256_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_P256_BYTES: Final = 91


class KeyGrade(StrEnum):
    """What a key may vouch for."""

    RELEASE = "release"
    DEVELOPMENT = "development"


@dataclass(frozen=True)
class TrustedKey:
    """One public key, ECDSA over P-256.

    Attributes:
        key_id: SHA-256 of its SubjectPublicKeyInfo (DER), hexadecimal.
        pem: The key.
        grade: What it may vouch for; from the name of its file.
    """

    key_id: str
    pem: bytes
    grade: KeyGrade


# @need-ids: SRS_STATEMENT_002
def read_trusted_keys(folder: Path) -> tuple[TrustedKey, ...]:
    """Return the keys of a trust folder, by name of their files.

    Args:
        folder: Holds ``<name>.release.pem``, ``<name>.development.pem`` and at most the list of
            approved packs.

    Raises:
        SignatureError: There is none, a file is something else, or a key is not ECDSA over P-256.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
        keys = tuple(_read_key(folder, name) for name in names if name != APPROVED_PACKS_NAME)
    except OSError as exc:
        raise SignatureError(
            f"cannot read the trusted keys in {folder}: {exc.strerror}",
            advice="name the folder with the public keys",
        ) from exc
    if not 1 <= len(keys) <= TRUSTED_KEY_COUNT_MAX:
        raise SignatureError(
            f"expected 1 to {TRUSTED_KEY_COUNT_MAX} public keys in {folder}, got {len(keys)}",
            advice="put the public key of the maker there",
        )
    return keys


def _read_key(folder: Path, name: str) -> TrustedKey:
    """Read one key without following a link or waiting for a pipe."""
    match = _KEY_NAME.fullmatch(name)
    if match is None:
        raise SignatureError(
            f"expected only <name>.release.pem and <name>.development.pem in {folder}, got "
            f"{name!r}",
            advice="remove what does not belong there",
        )
    handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise SignatureError(
                f"expected {name} to be a regular file", advice="put the key itself there"
            )
        pem = stream.read(TRUSTED_KEY_BYTES_MAX + 1)
    return TrustedKey(hashlib.sha256(_der(pem, name)).hexdigest(), pem, KeyGrade(match["grade"]))


def _der(pem: bytes, name: str) -> bytes:
    """Return the SubjectPublicKeyInfo of a key over P-256, uncompressed; it has one layout."""
    match = _PEM.fullmatch(pem)
    if match is not None:
        try:
            der = base64.b64decode(match["base64"].replace(b"\n", b""), validate=True)
        except binascii.Error:
            der = b""
        if len(der) == _P256_BYTES and der.startswith(_P256_PREFIX):
            return der
    raise SignatureError(
        f"expected {name} to be one public key, ECDSA over P-256, in PEM",
        advice="write it with: openssl ec -in KEY -pubout",
    )
