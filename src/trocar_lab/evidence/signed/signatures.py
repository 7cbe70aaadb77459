"""Ed25519 signatures over bytes; keys are PEM files (RFC 8410), signatures base64 text."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trocar_lab.evidence.errors import SignatureError


def sign(message: bytes, key: Path) -> str:
    """Return the signature of ``message`` by the private key in a PEM file without passphrase.

    Raises:
        SignatureError: The file is missing or holds no Ed25519 private key.
    """
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as exc:
        raise SignatureError(f"{key}: not an Ed25519 private key in PEM form ({exc})") from exc
    if not isinstance(private, Ed25519PrivateKey):
        raise SignatureError(f"{key}: expected an Ed25519 key, got {type(private).__name__}")
    return base64.b64encode(private.sign(message)).decode()


def public_key(pem: str) -> Ed25519PublicKey:
    """Return the public key in a PEM text.

    Raises:
        SignatureError: It is no Ed25519 public key.
    """
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except ValueError as exc:
        raise SignatureError(f"not a public key in PEM form ({exc})") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError(f"expected an Ed25519 public key, got {type(key).__name__}")
    return key


def is_signed(message: bytes, signature: str, key: Ed25519PublicKey) -> bool:
    """Return whether ``signature`` is that of ``message`` by the holder of ``key``.

    Args:
        message: What was signed.
        signature: base64, standard alphabet, with padding and nothing else.
        key: Public key.
    """
    try:
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
