"""A statement counts when a trusted key signed exactly this kind of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulators.signing import (
    check_signature,
    public_pem,
    signed,
    statement,
    throwaway_key,
    write_trust_folder,
)
from trocar.contracts.errors import SignatureError
from trocar.contracts.limits import STATEMENT_SUBJECT_COUNT_MAX
from trocar.statements.dsse import Envelope, read_envelope
from trocar.statements.statement import (
    APPROVED_PACKS_TYPE,
    RELEASE_TYPE,
    Statement,
    Subject,
    verified_statement,
)
from trocar.statements.trust import KeyGrade, TrustedKey, read_trusted_keys

pytestmark = pytest.mark.verifies("SRS_STATEMENT_001", extent="partial", technique="boundary")

KEYS = (TrustedKey("a" * 64, public_pem(throwaway_key()), KeyGrade.RELEASE),)
NEXT = TrustedKey("b" * 64, public_pem(throwaway_key(2)), KeyGrade.DEVELOPMENT)


def _verify(
    raw: bytes, *, keys: tuple[TrustedKey, ...] = KEYS, kind: str = RELEASE_TYPE
) -> tuple[Statement, TrustedKey]:
    """Verify an envelope."""
    envelope = read_envelope(raw, what="a test")
    return verified_statement(envelope, keys, check_signature, predicate_type=kind, what="a test")


def _payload(**changes: object) -> bytes:
    """Return a statement with some fields changed; None removes one."""
    fields: dict[str, Any] = json.loads(statement({"f": "1" * 64}, RELEASE_TYPE, {"sequence": 3}))
    fields.update(changes)
    return json.dumps({k: v for k, v in fields.items() if v is not None}).encode()


def test_signed_statement_is_returned_with_its_signer() -> None:
    """Subjects and predicate are those that were signed; the second key is found too."""
    found, signer = _verify(signed(_payload(), throwaway_key(2)), keys=(*KEYS, NEXT))
    assert found == Statement((Subject("f", "1" * 64),), RELEASE_TYPE, {"sequence": 3})
    assert signer == NEXT


def test_other_key_counts_nothing() -> None:
    """A sound signature by somebody else is refused, and so is any without a trusted key."""
    raw = signed(_payload(), throwaway_key(9))
    with pytest.raises(SignatureError, match="trusted key"):
        _verify(raw)
    with pytest.raises(SignatureError, match="none"):
        _verify(raw, keys=())


def test_changed_payload_counts_nothing() -> None:
    """The signature of one statement does not fit another one."""
    first = read_envelope(signed(_payload()), what="a test")
    other = Envelope(_payload(predicate={"sequence": 4}), first.signature)
    with pytest.raises(SignatureError, match="trusted key"):
        verified_statement(other, KEYS, check_signature, predicate_type=RELEASE_TYPE, what="a test")


def test_statement_of_another_kind_by_the_same_key_is_refused() -> None:
    """An approval of packs is no release, though the same key signed it."""
    raw = signed(statement({"f": "1" * 64}, APPROVED_PACKS_TYPE))
    with pytest.raises(SignatureError, match="another kind"):
        _verify(raw)


@pytest.mark.parametrize(("hint", "is_sound"), [("", True), ("a" * 64, True), ("b" * 64, False)])
def test_hint_must_name_the_key_that_signed(hint: str, *, is_sound: bool) -> None:
    """A hint is signed by nobody; one that lies is refused rather than shown."""
    plain = read_envelope(signed(_payload()), what="a test")
    envelope = Envelope(plain.payload, plain.signature, hint)

    def verify() -> TrustedKey:
        return verified_statement(
            envelope, KEYS, check_signature, predicate_type=RELEASE_TYPE, what="a test"
        )[1]

    if is_sound:
        assert verify() == KEYS[0]
    else:
        with pytest.raises(SignatureError, match="hint"):
            verify()


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"no JSON",
        _payload(more=1),
        _payload(predicate=None),
        _payload(_type="https://in-toto.io/Statement/v0.1"),
        _payload(predicateType=5),
        _payload(predicate=[]),
        _payload(subject={}),
        _payload(subject=[]),
        _payload(subject=["f"]),
        _payload(subject=[{"name": "f"}]),
        _payload(subject=[{"name": "", "digest": {"sha256": "1" * 64}}]),
        _payload(subject=[{"name": 1, "digest": {"sha256": "1" * 64}}]),
        _payload(subject=[{"name": "f", "digest": "1" * 64}]),
        _payload(subject=[{"name": "f", "digest": {}}]),
        _payload(subject=[{"name": "f", "digest": {"sha256": 1}}]),
        _payload(subject=[{"name": "f", "digest": {"sha256": "1" * 63}}]),
        _payload(subject=[{"name": "f", "digest": {"sha256": "A" * 64}}]),
        _payload(subject=[{"name": "f", "digest": {"sha256": "1" * 64, "md5": "2"}}]),
        _payload(subject=[{"name": "f", "digest": {"sha256": "1" * 64}}] * 2),
    ],
)
def test_signed_but_malformed_is_refused(payload: bytes) -> None:
    """A trusted key does not make sense of what has none."""
    with pytest.raises(SignatureError, match="a test"):
        _verify(signed(payload))


def test_number_of_subjects_is_bounded() -> None:
    """The most that is allowed is read; one more is refused."""
    names = {f"f{index}": "1" * 64 for index in range(STATEMENT_SUBJECT_COUNT_MAX)}
    assert len(_verify(signed(statement(names, RELEASE_TYPE)))[0].subjects) == 10_000
    names["one more"] = "1" * 64
    with pytest.raises(SignatureError, match="subjects"):
        _verify(signed(statement(names, RELEASE_TYPE)))


def test_keys_of_a_folder_are_those_that_count(tmp_path: Path) -> None:
    """What is signed with the key of a trust folder is accepted with that folder."""
    keys = read_trusted_keys(write_trust_folder(tmp_path / "trust", throwaway_key(4)))
    assert _verify(signed(_payload(), throwaway_key(4)), keys=keys)[1] == keys[0]
