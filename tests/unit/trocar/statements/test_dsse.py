"""An envelope has one form, and one signature."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from trocar.contracts.errors import SignatureError
from trocar.contracts.limits import SIGNATURE_BYTES_MAX
from trocar.statements.dsse import PAYLOAD_TYPE, Envelope, envelope_text, pae, read_envelope

pytestmark = pytest.mark.verifies("SRS_STATEMENT_001", extent="partial", technique="boundary")


def _fields() -> dict[str, Any]:
    """Return a sound envelope as it stands in the file."""
    fields: dict[str, Any] = json.loads(envelope_text(b"payload", b"signature"))
    return fields


def _read(fields: object) -> Envelope:
    return read_envelope(json.dumps(fields).encode(), what="a test")


def test_what_is_written_is_read_again() -> None:
    """Payload and signature survive the file."""
    envelope = read_envelope(envelope_text(b"\x00payload", b"\xff" * 70).encode(), what="a test")
    assert (envelope.payload, envelope.signature, envelope.key_hint) == (
        b"\x00payload",
        b"\xff" * 70,
        "",
    )


def test_signed_bytes_are_those_of_the_protocol() -> None:
    """Type and payload stand with their lengths, as the DSSE protocol says."""
    expected = b"DSSEv1 28 application/vnd.in-toto+json 5 hello"
    assert pae(b"hello") == expected


@pytest.mark.parametrize("key", ["payload", "payloadType", "signatures"])
def test_no_field_may_be_missing(key: str) -> None:
    """Half an envelope is none."""
    fields = _fields()
    del fields[key]
    with pytest.raises(SignatureError, match="other fields"):
        _read(fields)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "text",
        {**_fields(), "more": 1},
        {**_fields(), "payloadType": "text/plain"},
        {**_fields(), "payloadType": 1},
        {**_fields(), "signatures": {}},
        {**_fields(), "signatures": []},
        {**_fields(), "signatures": _fields()["signatures"] * 2},
        {**_fields(), "signatures": ["c2ln"]},
        {**_fields(), "signatures": [{}]},
        {**_fields(), "signatures": [{"sig": "c2ln", "cert": ""}]},
        {**_fields(), "signatures": [{"sig": "c2ln", "keyid": None}]},
        {**_fields(), "signatures": [{"sig": 5}]},
        {**_fields(), "payload": None},
        {**_fields(), "payload": ""},
        {**_fields(), "payload": "cGF5bG9hZ"},
        {**_fields(), "payload": "cGF5 bG9hZA=="},
        {**_fields(), "payload": "cGF5bG9hZB=="},
        {**_fields(), "payload": "cGF5bG9hZA==\n"},
        {**_fields(), "payload": "é"},
    ],
)
def test_every_other_form_is_refused(value: object) -> None:
    """Other fields, types, spellings of base64, and none or two signatures: refused."""
    with pytest.raises(SignatureError, match="a test"):
        _read(value)


def test_length_of_a_signature_is_bounded() -> None:
    """The longest signature over P-256 is read; one byte more is refused."""
    text = base64.b64encode(b"s" * SIGNATURE_BYTES_MAX).decode()
    assert len(_read({**_fields(), "signatures": [{"sig": text}]}).signature) == 72
    text = base64.b64encode(b"s" * (SIGNATURE_BYTES_MAX + 1)).decode()
    with pytest.raises(SignatureError, match="at most 72"):
        _read({**_fields(), "signatures": [{"sig": text}]})


def test_hint_on_the_key_is_kept_for_the_check() -> None:
    """What the envelope says on the key is compared later, so it must not get lost."""
    signatures = [{"sig": "c2ln", "keyid": "abc"}]
    assert _read({**_fields(), "signatures": signatures}).key_hint == "abc"
    assert _fields()["payloadType"] == PAYLOAD_TYPE
