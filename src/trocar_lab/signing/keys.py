"""Keys that sign: a file that only its owner can read, or an object on a token."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trocar_lab.signing.errors import SigningError
from trocar_lab.signing.token import TokenKey

KEY_VARIABLE: Final = "TROCAR_SIGNING_KEY"
"""Names the key: path of a PEM file, or a ``pkcs11:`` URI."""

_KEY_BYTES_MAX: Final = 16 * 1024


class SigningKey(Protocol):
    """A key, wherever it is kept."""

    @property
    def public_pem(self) -> bytes:
        """Public half, SubjectPublicKeyInfo in PEM."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the ECDSA signature in DER."""
        ...


class FileKey:
    """A private key in memory.

    Args:
        key: ECDSA over P-256.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @property
    def public_pem(self) -> bytes:
        """Public half, SubjectPublicKeyInfo in PEM."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message: bytes) -> bytes:
        """Return the ECDSA signature in DER."""
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))

    def private_pem(self) -> bytes:
        """Return the private half, PKCS #8 in PEM."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def new_file_key() -> FileKey:
    """Return a new key."""
    return FileKey(ec.generate_private_key(ec.SECP256R1()))


def key_id_of(public_pem: bytes) -> str:
    """Return how records call a key: SHA-256 of its SubjectPublicKeyInfo in DER."""
    der = serialization.load_pem_public_key(public_pem).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def default_key_path(environment: Mapping[str, str]) -> Path:
    """Return where the development key of this user lies."""
    configured = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(configured) / "trocar" / "development.pem"


# @need-ids: SRS_SIGN_009
def write_new_key(path: Path) -> FileKey:
    """Make a key and keep it where only its owner can read it.

    Raises:
        SigningError: There is one already, or it cannot be written.
    """
    key = new_file_key()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise SigningError(f"cannot make {path}: {exc.strerror}; nothing was replaced") from exc
    with os.fdopen(handle, "wb") as stream:
        stream.write(key.private_pem())
    return key


# @need-ids: SRS_SIGN_009
def open_signing_key(environment: Mapping[str, str]) -> SigningKey:
    """Return the key that the environment names, or this user's development key.

    Raises:
        SigningError: There is none, it is not ECDSA over P-256, or others can read it.
    """
    named = environment.get(KEY_VARIABLE)
    if named is not None and named.startswith("pkcs11:"):
        return TokenKey(named, environment)
    return read_file_key(Path(named) if named else default_key_path(environment))


def read_file_key(path: Path) -> FileKey:
    """Return the private key in a file.

    Raises:
        SigningError: See ``open_signing_key``.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as exc:
        raise SigningError(
            f"cannot read the signing key {path}: {exc.strerror}; make one with: "
            "python -m trocar_lab sign new-key"
        ) from exc
    with os.fdopen(handle, "rb") as stream:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode) or state.st_mode & 0o077:
            raise SigningError(
                f"expected {path} to be a file that only its owner can read; chmod 600 it"
            )
        pem = stream.read(_KEY_BYTES_MAX)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as exc:
        raise SigningError(f"expected a private key in PEM without a password in {path}") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningError(f"expected an ECDSA key over P-256 in {path}, got another kind")
    return FileKey(key)
