"""What was signed: files by name and digest, and a predicate about them.

Source:
    in-toto Attestation Framework, Statement v1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trocar.contracts.errors import SignatureError
from trocar.contracts.limits import STATEMENT_SUBJECT_COUNT_MAX
from trocar.statements.dsse import Envelope, pae
from trocar.statements.strict_json import parse_strict
from trocar.statements.trust import TrustedKey

__all__ = [
    "APPROVED_PACKS_TYPE",
    "MODEL_SIGNING_TYPE",
    "RELEASE_TYPE",
    "STATEMENT_TYPE",
    "SignatureCheck",
    "Statement",
    "Subject",
    "verified_statement",
]

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
"""The one version of statements that is read."""

APPROVED_PACKS_TYPE: Final = "urn:trocar:predicate:approved-packs:v1"
"""Which packs may answer, by id and digest."""

MODEL_SIGNING_TYPE: Final = "https://model_signing/signature/v1.0"
"""Files of one pack, in the form of OpenSSF model-signing."""

RELEASE_TYPE: Final = "urn:trocar:predicate:release:v1"
"""Files of one release."""

SignatureCheck = Callable[[bytes, bytes, bytes], bool]
"""Takes a public key (PEM), a signature (DER) and a message; says whether they belong together.

An adapter answers False, and raises nothing, for a signature that is no DER.
"""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_REPLACE: Final = "restore it from the release, or sign again"


@dataclass(frozen=True)
class Subject:
    """One thing that a statement is about."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Statement:
    """What somebody who is trusted has signed.

    Attributes:
        subjects: What it is about; each name once.
        predicate_type: What kind of statement it is.
        predicate: What it says; its fields are for the caller to check.
    """

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, object]


# @need-ids: SRS_STATEMENT_001
def verified_statement(
    envelope: Envelope,
    keys: Sequence[TrustedKey],
    check: SignatureCheck,
    *,
    predicate_type: str,
    what: str,
) -> tuple[Statement, TrustedKey]:
    """Return the statement in an envelope, and who signed it.

    The signature is checked before a byte of the payload is read.

    Args:
        envelope: What was read.
        keys: Who is trusted.
        check: Checks one signature.
        predicate_type: The kind of statement that is expected; one signed for another purpose by
            the same key does not count.
        what: What the errors call it.

    Raises:
        SignatureError: No signature by a trusted key, or another kind of statement.
    """
    message = pae(envelope.payload)
    signer = next((key for key in keys if check(key.pem, envelope.signature, message)), None)
    if signer is None:
        known = ", ".join(key.key_id[:12] for key in keys) or "none"
        raise SignatureError(
            f"expected {what} to be signed by a trusted key ({known}), it is not",
            advice="get it again from its maker; do not use this copy",
        )
    if envelope.key_hint not in {"", signer.key_id}:
        raise SignatureError(
            f"expected the key hint of {what} to name the key that signed, it names another",
            advice=_REPLACE,
        )
    return _statement(envelope.payload, predicate_type=predicate_type, what=what), signer


def _statement(payload: bytes, *, predicate_type: str, what: str) -> Statement:
    """Parse a payload whose signature is right."""
    found = parse_strict(payload, what=what)
    if not isinstance(found, dict) or found.keys() != {
        "_type",
        "subject",
        "predicateType",
        "predicate",
    }:
        raise SignatureError(f"expected {what} to be an in-toto statement", advice=_REPLACE)
    kinds = (found["_type"], found["predicateType"])
    if kinds != (STATEMENT_TYPE, predicate_type):
        raise SignatureError(
            f"expected {what} to be {predicate_type}, it is signed as another kind of statement",
            advice="name the file that belongs here",
        )
    predicate, listed = found["predicate"], found["subject"]
    if not isinstance(predicate, dict) or not isinstance(listed, list):
        raise SignatureError(f"expected subjects and a predicate in {what}", advice=_REPLACE)
    if not 1 <= len(listed) <= STATEMENT_SUBJECT_COUNT_MAX:
        raise SignatureError(
            f"expected 1 to {STATEMENT_SUBJECT_COUNT_MAX} subjects in {what}, got {len(listed)}",
            advice=_REPLACE,
        )
    subjects = tuple(_subject(one, what=what) for one in listed)
    if len({subject.name for subject in subjects}) != len(subjects):
        raise SignatureError(f"expected each subject of {what} once", advice=_REPLACE)
    return Statement(subjects, predicate_type, predicate)


def _subject(value: object, *, what: str) -> Subject:
    """Parse one subject."""
    if isinstance(value, dict) and value.keys() == {"name", "digest"}:
        name, digest = value["name"], value["digest"]
        if isinstance(name, str) and name and isinstance(digest, dict):
            sha256 = digest["sha256"] if digest.keys() == {"sha256"} else None
            if isinstance(sha256, str) and _SHA256.fullmatch(sha256):
                return Subject(name, sha256)
    raise SignatureError(
        f"expected a name and one SHA-256 for each subject of {what}", advice=_REPLACE
    )
