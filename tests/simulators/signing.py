"""Throwaway keys, trust folders and signed statements; nothing here is trusted by a release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from trocar.statements.dsse import envelope_text, pae
from trocar.statements.statement import STATEMENT_TYPE


def throwaway_key(number: int = 1) -> ec.EllipticCurvePrivateKey:
    """Return a key over P-256; the same number gives the same key, which is secret to nobody."""
    return ec.derive_private_key(0x7E57 + number, ec.SECP256R1())


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public half as it lies in a trust folder."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write_trust_folder(
    folder: Path, *keys: ec.EllipticCurvePrivateKey, grade: str = "release"
) -> Path:
    """Write the public halves of keys into a folder; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, key in enumerate(keys or (throwaway_key(),), start=1):
        (folder / f"test_{number}.{grade}.pem").write_bytes(public_pem(key))
    return folder


def signed(payload: bytes, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """Return an envelope around a payload."""
    signature = (key or throwaway_key()).sign(pae(payload), ec.ECDSA(SHA256()))
    return envelope_text(payload, signature).encode("utf-8")


def statement(
    subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any] | None = None
) -> bytes:
    """Return a statement about names and their SHA-256, not signed."""
    fields = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha}} for name, sha in subjects.items()],
        "predicateType": predicate_type,
        "predicate": dict(predicate or {}),
    }
    return json.dumps(fields).encode("utf-8")


def check_signature(pem: bytes, signature: bytes, message: bytes) -> bool:
    """Check a signature as the device's adapters do."""
    key = load_pem_public_key(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
