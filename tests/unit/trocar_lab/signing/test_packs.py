"""What the toolchain signs is what the device opens."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from simulators.packs import write_tiny_pack
from simulators.trust import throwaway_key, trust_of
from trocar.contracts.errors import HashMismatchError, SignatureError
from trocar.packs.verify import verify_pack
from trocar_lab.signing.errors import SigningError
from trocar_lab.signing.keys import new_file_key
from trocar_lab.signing.packs import sign_pack, write_approved, write_bundle


@pytest.mark.verifies("SRS_SIGN_008", extent="partial", technique="requirement")
def test_signed_again_the_pack_is_the_same(tmp_path: Path) -> None:
    """Signing changes no byte but the signature; the digest stays."""
    pack = write_tiny_pack(tmp_path / "pack")
    draft = sign_pack(tmp_path / "pack", throwaway_key())
    assert draft.digest == pack.digest
    assert verify_pack(tmp_path / "pack", trust_of(tmp_path / "pack")) == pack


def test_signature_has_the_form_of_the_independent_tool(tmp_path: Path) -> None:
    """Fields and order as model-signing writes them; its own verdict stands in tests/peers."""
    write_tiny_pack(tmp_path / "pack")
    bundle = json.loads((tmp_path / "pack" / "model.sig").read_text(encoding="ascii"))
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["subject"][0]["name"] == "tiny-0.0.1"
    assert [one["name"] for one in statement["predicate"]["resources"]] == [
        "card.md",
        "manifest.json",
        "model.onnx",
        "reference_input.npy",
        "reference_output.npy",
    ]
    assert statement["predicate"]["serialization"]["ignore_paths"] == ["model.sig"]


@pytest.mark.verifies("SRS_SIGN_008", extent="partial", technique="fault_injection")
def test_pack_that_is_not_whole_is_not_signed(tmp_path: Path) -> None:
    """A signature over nonsense would look like a release."""
    write_tiny_pack(tmp_path / "pack")
    (tmp_path / "pack" / "model.sig").unlink()
    (tmp_path / "pack" / "card.md").write_text("other", encoding="utf-8")
    with pytest.raises(HashMismatchError):
        sign_pack(tmp_path / "pack", throwaway_key())
    assert not (tmp_path / "pack" / "model.sig").exists()


@pytest.mark.verifies("SRS_SIGN_008", extent="full", technique="requirement")
def test_list_holds_exactly_the_packs_that_were_named(tmp_path: Path) -> None:
    """What is not named any more is withdrawn."""
    first = write_tiny_pack(tmp_path / "first")
    second = write_tiny_pack(tmp_path / "second", pack_version="0.0.2")
    trust = trust_of(tmp_path / "first")
    write_approved([second], trust, throwaway_key())
    assert verify_pack(tmp_path / "second", trust).manifest.pack_version == "0.0.2"
    with pytest.raises(SignatureError, match=r"expected an approved pack \(tiny 0.0.2\)"):
        verify_pack(tmp_path / "first", trust)
    with pytest.raises(SigningError, match=r"each pack once, got tiny 0\.0\.1 twice"):
        write_approved([first, first], trust, throwaway_key())


@pytest.mark.verifies("SRS_SIGN_005", extent="partial", technique="requirement")
def test_one_file_is_written_from_a_sound_pack_only(tmp_path: Path) -> None:
    """Named after the pack, verified after writing, and equal however often it is written."""
    pack = write_tiny_pack(tmp_path / "pack")
    trust = trust_of(tmp_path / "pack")
    path, again = write_bundle(tmp_path / "pack", tmp_path / "out", trust)
    assert path == tmp_path / "out" / "tiny-0.0.1.trocarpack"
    assert again == pack
    copied, _ = write_bundle(path, tmp_path / "copy", trust)
    assert copied.read_bytes() == path.read_bytes()
    sign_pack(tmp_path / "pack", new_file_key())
    with pytest.raises(SignatureError):
        write_bundle(tmp_path / "pack", tmp_path / "out", trust)
