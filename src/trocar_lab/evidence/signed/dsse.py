"""A signed statement about files: DSSE envelope, in-toto Statement v1, Ed25519.

Source:
    DSSE 1.0 protocol, "PAE"; in-toto Attestation Framework, Statement v1.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trocar_lab.evidence.errors import ReleaseError
from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.signed.signatures import is_signed
from trocar_lab.evidence.signed.strict_json import parse_json

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
_URL_SAFE: Final = str.maketrans("-_", "+/")


class _Open(BaseModel):
    """Part of a foreign format: what it holds beside the named fields is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Signature(_Open):
    """One signature of an envelope."""

    sig: str


class _Envelope(_Open):
    """A DSSE envelope as it stands in the file."""

    payload: str
    payload_type: str = Field(alias="payloadType")
    signatures: tuple[_Signature, ...] = Field(min_length=1, max_length=100)


class _Digest(_Open):
    """Digests of one subject."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Subject(_Open):
    """One subject of a statement."""

    name: str = Field(min_length=1)
    digest: _Digest


class _Statement(_Open):
    """An in-toto statement."""

    statement_type: str = Field(alias="_type")
    subject: tuple[_Subject, ...] = Field(min_length=1)
    predicate_type: str = Field(alias="predicateType", min_length=1)


class Envelope(Frozen):
    """A decoded envelope; nothing in it is trusted before ``verified_subjects``.

    Attributes:
        payload_type: What the payload says it is; part of what is signed.
        payload: The signed bytes.
        signatures: base64, standard alphabet.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[str, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that a DSSE signature covers: type and payload with their lengths."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_envelope(content: bytes, *, name: str) -> Envelope:
    """Return the envelope in a file.

    Args:
        content: Bytes of the file.
        name: Its name, for the errors.

    Raises:
        ReleaseError: It is no DSSE envelope.
    """
    try:
        found = _Envelope.model_validate(parse_json(content, name=name))
        payload = base64.b64decode(found.payload.translate(_URL_SAFE), validate=True)
    except ValueError as exc:
        raise ReleaseError(f"{name} is no DSSE envelope ({_first_line(exc)}); sign again") from exc
    signatures = tuple(s.sig.translate(_URL_SAFE) for s in found.signatures)
    return Envelope(payload_type=found.payload_type, payload=payload, signatures=signatures)


def verified_subjects(envelope: Envelope, key: Ed25519PublicKey) -> Mapping[str, str]:
    """Return file name to SHA-256 as the holder of ``key`` signed them.

    Args:
        envelope: What was read.
        key: Public key of the releases.

    Raises:
        ReleaseError: No signature is by this key, or what is signed is no in-toto statement.
    """
    message = pae(envelope.payload_type, envelope.payload)
    if not any(is_signed(message, signature, key) for signature in envelope.signatures):
        raise ReleaseError("no signature is by the key in the repository; nothing in it counts")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise ReleaseError(f"signs {envelope.payload_type!r}, expected {PAYLOAD_TYPE!r}")
    try:
        found = _Statement.model_validate(parse_json(envelope.payload, name="the statement"))
    except ValidationError as exc:
        raise ReleaseError(f"signs no in-toto statement ({_first_line(exc)})") from exc
    if found.statement_type != STATEMENT_TYPE:
        raise ReleaseError(f"signs {found.statement_type!r}, expected {STATEMENT_TYPE!r}")
    names = [subject.name for subject in found.subject]
    if len(set(names)) != len(names):
        raise ReleaseError("the statement names a file twice; which digest counts is not clear")
    return {subject.name: subject.digest.sha256 for subject in found.subject}


def signed_envelope(payload: bytes, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the envelope of a statement, as it is written to a file.

    Args:
        payload: The statement, JSON text.
        key: Private key of the releases.
    """
    signature = key.sign(pae(PAYLOAD_TYPE, payload))
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"sig": base64.b64encode(signature).decode()}],
    }


def _first_line(exc: Exception) -> str:
    """Return the reason of an error in one line."""
    if isinstance(exc, ValidationError):
        first = exc.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(exc).split("\n", 1)[0]
