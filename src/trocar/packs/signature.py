"""The signature of a pack: who signed it, and that it is over exactly these files.

The file has the form that OpenSSF model-signing 1.1.1 writes for its key method, so that this
independent tool can check every pack too. What it leaves open is closed here: unknown fields, files
that the signature says to ignore, a name that is not the pack's, any second signature.

Source:
    Sigstore bundle 0.3, media type below; model-signing predicate v1.0; RFC 7468 (PEM).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from trocar.contracts.errors import HashMismatchError, PackError, SignatureError
from trocar.packs.reading import SIGNATURE_NAME
from trocar.packs.signature_check import check_p256
from trocar.statements.dsse import Envelope, envelope_of
from trocar.statements.statement import MODEL_SIGNING_TYPE, Statement, verified_statement
from trocar.statements.strict_json import parse_strict
from trocar.statements.trust import TrustedKey

__all__ = ["BUNDLE_TYPE", "SERIALIZATION", "key_hint", "root_digest", "verify_signature"]

BUNDLE_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""Media type of the file."""

SERIALIZATION: Final[Mapping[str, object]] = {
    "method": "files",
    "hash_type": "sha256",
    "allow_symlinks": False,
    "ignore_paths": [SIGNATURE_NAME],
}
"""How a pack is listed: every file but the signature, none ignored, no link followed."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_WHAT: Final = "the signature of the pack"
_REPLACE: Final = "restore the pack from a release; do not use this copy"


# @need-ids: SRS_SIGN_001, SRS_SIGN_002, RCM_SIGN_001
def verify_signature(
    raw: bytes, digests: Mapping[str, str], keys: Sequence[TrustedKey]
) -> tuple[str, TrustedKey]:
    """Check that somebody who is trusted has signed exactly these files.

    Args:
        raw: Bytes of the signature.
        digests: SHA-256 of every other file of the pack, by name.
        keys: Who is trusted.

    Returns:
        The name under which the pack was signed, and the key that signed.

    Raises:
        SignatureError: It is no signature of a pack, or by nobody who is trusted.
        HashMismatchError: A file is another one than was signed.
        PackError: A file that was signed is missing, or there is one that was not.
    """
    envelope, hint = _read_bundle(raw)
    statement, key = verified_statement(
        envelope, keys, check_p256, predicate_type=MODEL_SIGNING_TYPE, what=_WHAT
    )
    if hint != key_hint(key.pem):
        raise SignatureError(
            f"expected the hint in {_WHAT} to name the key that signed, it names another",
            advice=_REPLACE,
        )
    _compare(_signed_digests(statement), digests)
    return statement.subjects[0].name, key


def key_hint(pem: bytes) -> str:
    """Return by which name a signature calls a key: SHA-256 of its PEM, 64 characters a line."""
    base64 = b"".join(pem.split(b"\n")[1:-2])
    lines = [base64[start : start + 64] for start in range(0, len(base64), 64)]
    text = [b"-----BEGIN PUBLIC KEY-----", *lines, b"-----END PUBLIC KEY-----", b""]
    return hashlib.sha256(b"\n".join(text)).hexdigest()


def root_digest(digests: Mapping[str, str]) -> str:
    """Return the one digest over all files: SHA-256 over their digests, by name."""
    return hashlib.sha256(
        b"".join(bytes.fromhex(digests[name]) for name in sorted(digests))
    ).hexdigest()


def _read_bundle(raw: bytes) -> tuple[Envelope, str]:
    """Return envelope and key hint of a bundle that has exactly the fields of the key method."""
    found = parse_strict(raw, what=_WHAT)
    if isinstance(found, dict) and found.keys() == {
        "mediaType",
        "verificationMaterial",
        "dsseEnvelope",
    }:
        hint = _hint(found["verificationMaterial"])
        if hint is not None and found["mediaType"] == BUNDLE_TYPE:
            return envelope_of(found["dsseEnvelope"], what=_WHAT), hint
    raise SignatureError(
        f"expected {_WHAT} to be a bundle as model-signing writes it with a key, it is not",
        advice=_REPLACE,
    )


def _hint(material: object) -> str | None:
    """Return what a bundle says on the key, if it says nothing else and names no log."""
    if not isinstance(material, dict) or material.keys() != {"publicKey", "tlogEntries"}:
        return None
    key = material["publicKey"]
    if material["tlogEntries"] != [] or not isinstance(key, dict) or key.keys() != {"hint"}:
        return None
    hint: object = key["hint"]
    return hint if isinstance(hint, str) else None


def _signed_digests(statement: Statement) -> dict[str, str]:
    """Return the SHA-256 of each file that was signed, by name."""
    predicate = statement.predicate
    if (
        len(statement.subjects) != 1
        or predicate.keys() != {"serialization", "resources"}
        or predicate["serialization"] != SERIALIZATION
    ):
        raise SignatureError(
            f"expected {_WHAT} to list every file but itself, and to ignore none",
            advice="sign the pack again: sign packs, or model_signing sign key with "
            "--no-ignore-git-paths and the signature in the pack",
        )
    resources = predicate["resources"]
    digests: dict[str, str] = {}
    for entry in resources if isinstance(resources, list) else []:
        name, digest = _resource(entry)
        if name <= max(digests, default=""):
            raise _not_listed()
        digests[name] = digest
    if not digests or statement.subjects[0].sha256 != root_digest(digests):
        raise _not_listed()
    return digests


def _resource(entry: object) -> tuple[str, str]:
    """Return name and SHA-256 of one file that was signed."""
    if isinstance(entry, dict) and entry.keys() == {"name", "algorithm", "digest"}:
        name, digest = entry["name"], entry["digest"]
        is_text = isinstance(name, str) and isinstance(digest, str)
        if is_text and entry["algorithm"] == "sha256" and _SHA256.fullmatch(digest):
            return name, digest
    raise _not_listed()


def _not_listed() -> SignatureError:
    """Return the error for a list of files that is not strictly one."""
    return SignatureError(
        f"expected name and SHA-256 of each file in {_WHAT}, each once and in order",
        advice=_REPLACE,
    )


def _compare(signed: Mapping[str, str], digests: Mapping[str, str]) -> None:
    """Refuse other files than those that were signed."""
    for name in sorted(signed.keys() ^ digests.keys()):
        kind = "is missing from the pack" if name in signed else "was not signed with the pack"
        raise PackError(f"{name!r} {kind}", advice=_REPLACE)
    for name, digest in signed.items():
        if digest != digests[name]:
            raise HashMismatchError(
                f"{name} differs from what was signed: expected sha256 {digest}, got "
                f"{digests[name]}",
                advice=_REPLACE,
                file=name,
            )
