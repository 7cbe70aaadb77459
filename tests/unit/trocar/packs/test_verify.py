"""A pack is opened signed, approved, whole and unchanged, or not at all."""

from __future__ import annotations

import inspect
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from simulators.pack_attacks import ATTACKS, Attack
from simulators.packs import edit_manifest, write_tiny_pack
from simulators.trust import sign_files, throwaway_key, trust_of, write_trust
from trocar.contracts.errors import IncompatiblePackError, PackError, SignatureError
from trocar.packs import verify
from trocar.packs.one_file import ONE_FILE_SUFFIX, one_file_of
from trocar.packs.reading import read_pack_files
from trocar.packs.verify import SHIPPED_TRUST, Signer, TrustOrigin, verify_pack
from trocar.statements.trust import KeyGrade
from trocar_lab.signing.keys import key_id_of, new_file_key

FILES = ("model.onnx", "card.md", "reference_input.npy", "reference_output.npy")


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Return the folder of a sound pack; its trust folder lies beside it."""
    write_tiny_pack(tmp_path / "pack")
    return tmp_path / "pack"


@pytest.mark.verifies("SRS_PACK_001", "UNIT_PACKS_VERIFY", extent="full", technique="requirement")
@pytest.mark.verifies("SRS_SIGN_001", "SRS_SIGN_004", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_PACK_001")
def test_sound_pack_returns_the_bytes_on_disk_and_who_vouches_for_them(pack: Path) -> None:
    """What is hashed is what is handed out, so nothing can change in between."""
    verified = verify_pack(pack, trust_of(pack))
    assert {name: (pack / name).read_bytes() for name in FILES} == verified.content
    assert verified.model == (pack / "model.onnx").read_bytes()
    assert verified.card == "# Tiny\n"
    signer = Signer(key_id_of(throwaway_key().public_pem), KeyGrade.RELEASE)
    assert (verified.signed_by, verified.approval) == (signer, signer)
    assert verified.trust is TrustOrigin.SITE
    assert not verified.is_for_development


@pytest.mark.verifies("SRS_SIGN_005", extent="partial", technique="requirement")
def test_pack_in_one_file_is_the_same_pack(pack: Path) -> None:
    """Either form gives the same value, digest and signers."""
    one = pack.with_name(f"anything{ONE_FILE_SUFFIX}")
    one.write_bytes(one_file_of(read_pack_files(pack)))
    assert verify_pack(one, trust_of(pack)) == verify_pack(pack, trust_of(pack))


@pytest.mark.verifies(
    "SRS_SIGN_001", "SRS_SIGN_002", "SRS_SIGN_003", extent="full", technique="fault_injection"
)
@pytest.mark.verifies("SRS_PACK_001", "SRS_PACK_003", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_SIGN_001", "RCM_SIGN_002")
@pytest.mark.proves_effect(
    "RCM_PACK_001", measure="altered packs accepted", acceptance="0 of the attacks listed"
)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_is_refused_with_advice(pack: Path, attack: Attack) -> None:
    """Each is refused by its typed error, quickly, with what to do."""
    attack.apply(pack)
    with pytest.raises(PackError) as caught:
        verify_pack(pack, trust_of(pack))
    assert caught.value.code == attack.code
    assert caught.value.exit_code == 66
    assert caught.value.advice


@pytest.mark.verifies("SRS_SIGN_001", extent="partial", technique="example")
def test_unsigned_pack_is_called_unsigned(pack: Path) -> None:
    """The likeliest case of all: a draft of one's own."""
    (pack / "model.sig").unlink()
    with pytest.raises(SignatureError) as caught:
        verify_pack(pack, trust_of(pack))
    assert caught.value.problem == (
        f"expected model.sig in {pack}, found none: the pack is not signed"
    )


@pytest.mark.verifies("SRS_SIGN_003", extent="partial", technique="example")
def test_pack_of_another_maker_is_not_trusted_by_the_release(pack: Path) -> None:
    """Signed and approved by somebody: but not by whom this release trusts."""
    with pytest.raises(SignatureError, match="to be signed by a trusted key"):
        verify_pack(pack)


@pytest.mark.verifies("SRS_SIGN_006", extent="partial", technique="inspection")
@pytest.mark.parametrize("name", ["polyp_segmentation", "tool_detection"])
def test_shipped_pack_is_trusted_by_the_release_for_development(name: str) -> None:
    """No release key exists: what ships says so."""
    pack = verify_pack(SHIPPED_TRUST.parent / "packs" / name)
    assert pack.trust is TrustOrigin.RELEASE
    assert pack.signed_by.grade is pack.approval.grade is KeyGrade.DEVELOPMENT
    assert pack.is_for_development


@pytest.mark.verifies("SRS_SIGN_006", extent="partial", technique="equivalence")
@pytest.mark.parametrize("side", ["pack", "list", "both", "neither"])
def test_grade_is_the_lower_one_of_both_signatures(pack: Path, side: str) -> None:
    """A development key anywhere makes it a development pack."""
    development = new_file_key()
    trust = trust_of(pack)
    digest = verify_pack(pack, trust).digest
    sign_files(pack, key=development if side in {"pack", "both"} else None)
    write_trust(trust, {"tiny 0.0.1": digest})
    if side in {"list", "both"}:
        write_trust(trust, {"tiny 0.0.1": digest}, key=development, grade="development")
        (trust / "pack.release.pem").write_bytes(throwaway_key().public_pem)
    elif side == "pack":
        (trust / "pack.development.pem").write_bytes(development.public_pem)
    found = verify_pack(pack, trust)
    assert found.is_for_development == (side != "neither")


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="requirement")
def test_signed_manifest_is_still_parsed_strictly(pack: Path) -> None:
    """A signature says who made it, not that this device can run it."""
    edit_manifest(pack, format_version=999)
    with pytest.raises(IncompatiblePackError):
        verify_pack(pack, trust_of(pack))


@pytest.mark.verifies("SRS_SIGN_001", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_SIGN_001")
def test_nothing_of_an_unsigned_manifest_is_parsed(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser sees what a trusted key signed, and nothing else."""
    (pack / "manifest.json").write_bytes(b"[" * 100_000)

    def parsed(*_: object) -> NoReturn:
        pytest.fail("the manifest was parsed before its signature was checked")

    monkeypatch.setattr(verify, "check_content", parsed)
    with pytest.raises(PackError, match="differs from what was signed"):
        verify_pack(pack, trust_of(pack))


@pytest.mark.verifies("SRS_SIGN_004", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_SIGN_003")
def test_pack_that_is_exchanged_after_the_check_changes_nothing(pack: Path) -> None:
    """What was handed out holds no path, and the bytes that were hashed."""
    verified = verify_pack(pack, trust_of(pack))
    model = verified.model
    shutil.rmtree(pack)
    assert verified.model == model
    assert not any(isinstance(value, Path) for value in vars(verified).values())


@pytest.mark.verifies("SRS_SIGN_004", extent="full", technique="inspection")
@pytest.mark.controls("RCM_SIGN_003")
def test_no_variable_and_no_argument_leaves_a_check_out(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Place and trust folder are all that can be said; the environment is not read."""
    assert list(inspect.signature(verify_pack).parameters) == ["place", "trust"]
    (pack / "model.sig").unlink()

    class Unread(dict[str, str]):
        """Variables that nobody may look at."""

        def __getitem__(self, key: str) -> str:
            pytest.fail(f"{key} was read")

        def get(self, key: str, default: object = None) -> NoReturn:
            pytest.fail(f"{key} was read")

    monkeypatch.setattr(os, "environ", Unread())
    with pytest.raises(SignatureError):
        verify_pack(pack, trust_of(pack))
