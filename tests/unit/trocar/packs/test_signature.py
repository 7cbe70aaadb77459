"""The signature of a pack: exactly its form, exactly these files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulators.pack_attacks import edit_statement
from simulators.packs import write_tiny_pack
from simulators.trust import throwaway_key, trust_of
from trocar.contracts.errors import HashMismatchError, PackError, SignatureError
from trocar.packs.signature import key_hint, root_digest, verify_signature
from trocar.statements.trust import read_trusted_keys

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Return the folder of a sound pack."""
    write_tiny_pack(tmp_path / "pack")
    return tmp_path / "pack"


def _digests(pack: Path) -> dict[str, str]:
    """Return the digest of each file but the signature."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in pack.iterdir()
        if path.name != "model.sig"
    }


def _verify(pack: Path, digests: dict[str, str] | None = None) -> str:
    """Return the signed name."""
    keys = read_trusted_keys(trust_of(pack))
    raw = (pack / "model.sig").read_bytes()
    name, key = verify_signature(raw, _digests(pack) if digests is None else digests, keys)
    assert key in keys
    return name


@pytest.mark.verifies(
    "SRS_SIGN_001",
    "SRS_SIGN_002",
    "UNIT_PACKS_SIGNATURE",
    "IFC_PACK_STATEMENTS",
    extent="partial",
    technique="requirement",
)
def test_own_signature_names_the_pack_and_its_key(pack: Path) -> None:
    """Among several keys the one that signed is found."""
    assert _verify(pack) == "tiny-0.0.1"


@pytest.mark.verifies("SRS_SIGN_002", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_SIGN_001")
def test_other_files_than_those_signed_are_named(pack: Path) -> None:
    """One changed, one missing, one more: each by its name."""
    digests = _digests(pack)
    with pytest.raises(HashMismatchError, match=r"^card\.md differs from what was") as caught:
        _verify(pack, {**digests, "card.md": "0" * 64})
    assert caught.value.context == {"file": "card.md"}
    with pytest.raises(PackError, match=r"^'extra' was not signed with the pack$"):
        _verify(pack, {**digests, "extra": "0" * 64})
    del digests["card.md"]
    with pytest.raises(PackError, match=r"^'card\.md' is missing from the pack$"):
        _verify(pack, digests)


def _set(*path: str, value: object) -> Change:
    def change(value_of: dict[str, Any]) -> None:
        place = value_of
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def _drop(*path: str) -> Change:
    def change(value_of: dict[str, Any]) -> None:
        place = value_of
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


@pytest.mark.verifies("SRS_SIGN_001", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    "change",
    [
        _set("mediaType", value="application/vnd.dev.sigstore.bundle.v0.2+json"),
        _set("mediaType", value=None),
        _drop("mediaType"),
        _drop("verificationMaterial"),
        _drop("dsseEnvelope"),
        _set("more", value=1),
        _set("verificationMaterial", value=[]),
        _set("verificationMaterial", "tlogEntries", value=[{}]),
        _drop("verificationMaterial", "tlogEntries"),
        _set("verificationMaterial", "certificate", value="x"),
        _set("verificationMaterial", "publicKey", value="x"),
        _set("verificationMaterial", "publicKey", value={}),
        _set("verificationMaterial", "publicKey", "rawBytes", value="x"),
        _set("verificationMaterial", "publicKey", "hint", value=7),
        _set("verificationMaterial", "publicKey", "hint", value="0" * 64),
        _set("dsseEnvelope", value=None),
    ],
)
def test_bundle_of_another_form_is_refused(pack: Path, change: Change) -> None:
    """Nothing outside the signed payload is left to be read in two ways."""
    bundle = json.loads((pack / "model.sig").read_text(encoding="utf-8"))
    change(bundle)
    (pack / "model.sig").write_text(json.dumps(bundle), encoding="utf-8")
    with pytest.raises(SignatureError) as caught:
        _verify(pack)
    assert caught.value.advice


def test_bundle_that_is_no_object_is_refused(pack: Path) -> None:
    """A list is valid JSON and no bundle."""
    (pack / "model.sig").write_text("[]", encoding="utf-8")
    with pytest.raises(SignatureError, match="as model-signing writes it with a key"):
        _verify(pack)


def _reverse(statement: dict[str, Any]) -> None:
    statement["predicate"]["resources"].reverse()


def _repeat(statement: dict[str, Any]) -> None:
    statement["predicate"]["resources"].append(statement["predicate"]["resources"][-1])


def _in_first(key: str, value: object) -> Change:
    return lambda statement: statement["predicate"]["resources"][0].update({key: value})


@pytest.mark.verifies("SRS_SIGN_002", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    "change",
    [
        _set("predicate", "serialization", "ignore_paths", value=[]),
        _set("predicate", "serialization", "ignore_paths", value=["model.sig", ".git"]),
        _set("predicate", "serialization", "allow_symlinks", value=True),
        _set("predicate", "serialization", "method", value="shards"),
        _set("predicate", "serialization", "hash_type", value="blake2b"),
        _drop("predicate", "serialization"),
        _set("predicate", "more", value=1),
        lambda one: one["subject"].append({"name": "b", "digest": {"sha256": "0" * 64}}),
        _set("predicate", "resources", value=[]),
        _set("predicate", "resources", value={}),
        _set("predicate", "resources", value=["x"]),
        _reverse,
        _repeat,
        _in_first("name", 1),
        _in_first("digest", None),
        _in_first("digest", "0" * 63),
        _in_first("digest", "A" * 64),
        _in_first("algorithm", "sha512"),
        _in_first("more", 1),
        _set("subject", value=[{"name": "tiny-0.0.1", "digest": {"sha256": "0" * 64}}]),
    ],
)
def test_signed_list_of_another_form_is_refused(pack: Path, change: Change) -> None:
    """Also what a trusted key signed must say one thing only: every file, each once, in order."""
    edit_statement(pack, change)
    with pytest.raises(SignatureError) as caught:
        _verify(pack)
    assert caught.value.advice


def test_hint_is_that_of_the_pem_with_lines_of_64_characters() -> None:
    """The independent tool computes it over the key as its library writes it."""
    pem = throwaway_key().public_pem
    assert key_hint(pem) == hashlib.sha256(pem).hexdigest()
    first, *middle, last, end = pem.split(b"\n")
    one_line = b"\n".join([first, b"".join(middle), last, end])
    assert key_hint(one_line) == key_hint(pem)


def test_root_digest_is_over_the_digests_by_name() -> None:
    """Worked out by hand for two files."""
    digests = {"b": "01" * 32, "a": "02" * 32}
    expected = hashlib.sha256(b"\x02" * 32 + b"\x01" * 32).hexdigest()
    assert root_digest(digests) == expected
