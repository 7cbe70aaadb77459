"""The envelope of a signed statement, read strictly and written in one way.

Source:
    DSSE 1.0 (Dead Simple Signing Envelope): protocol, "PAE", and its JSON form.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Final

from trocar.contracts.errors import SignatureError
from trocar.contracts.limits import SIGNATURE_BYTES_MAX
from trocar.statements.strict_json import parse_strict

__all__ = ["PAYLOAD_TYPE", "Envelope", "envelope_of", "envelope_text", "pae", "read_envelope"]

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
"""What the payload of every envelope here is: an in-toto statement."""

_REPLACE: Final = "restore it from the release, or sign again"


@dataclass(frozen=True)
class Envelope:
    """A decoded envelope; nothing in it is trusted before ``statement.verified_statement``.

    Attributes:
        payload: The signed bytes.
        signature: The one signature, ECDSA in DER.
        key_hint: What the envelope says on the key; a hint that nobody signed.
    """

    payload: bytes
    signature: bytes
    key_hint: str = ""


def pae(payload: bytes) -> bytes:
    """Return the bytes that a signature covers: type and payload with their lengths."""
    kind = PAYLOAD_TYPE.encode("ascii")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_envelope(raw: bytes, *, what: str) -> Envelope:
    """Return the envelope in a file.

    Args:
        raw: Its bytes.
        what: What the errors call it.

    Raises:
        SignatureError: It is not exactly one envelope with one signature.
    """
    return envelope_of(parse_strict(raw, what=what), what=what)


def envelope_of(value: object, *, what: str) -> Envelope:
    """Return the envelope in parsed JSON; see ``read_envelope``."""
    if not isinstance(value, dict) or value.keys() != {"payload", "payloadType", "signatures"}:
        raise SignatureError(
            f"expected payload, payloadType and signatures in {what}, got other fields",
            advice=_REPLACE,
        )
    if value["payloadType"] != PAYLOAD_TYPE:
        raise SignatureError(
            f"expected a payload of type {PAYLOAD_TYPE} in {what}, got another one",
            advice=_REPLACE,
        )
    signatures = value["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise SignatureError(f"expected exactly one signature in {what}", advice=_REPLACE)
    one = signatures[0]
    if not isinstance(one, dict) or not {"sig"} <= one.keys() <= {"sig", "keyid"}:
        raise SignatureError(
            f"expected sig and at most keyid in the signature of {what}", advice=_REPLACE
        )
    hint = one.get("keyid", "")
    if not isinstance(hint, str):
        raise SignatureError(f"expected a text as keyid in {what}", advice=_REPLACE)
    signature = _decode(one["sig"], what=what)
    if len(signature) > SIGNATURE_BYTES_MAX:
        raise SignatureError(
            f"expected a signature of at most {SIGNATURE_BYTES_MAX} bytes in {what}, got "
            f"{len(signature)}",
            advice=_REPLACE,
        )
    return Envelope(_decode(value["payload"], what=what), signature, hint)


def envelope_text(payload: bytes, signature: bytes) -> str:
    """Return an envelope as text, in the one way in which Trocar writes it."""
    fields = {
        "payload": base64.b64encode(payload).decode("ascii"),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": base64.b64encode(signature).decode("ascii")}],
    }
    return json.dumps(fields, indent=2) + "\n"


def _decode(value: object, *, what: str) -> bytes:
    """Return the bytes behind base64 text that has one spelling only."""
    if isinstance(value, str) and value.isascii():
        try:
            found = base64.b64decode(value, validate=True)
        except binascii.Error:
            found = b""
        if found and base64.b64encode(found).decode("ascii") == value:
            return found
    raise SignatureError(f"expected base64 with content in {what}, got none", advice=_REPLACE)
