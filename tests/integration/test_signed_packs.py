"""Signature, approval and engine together: what answers is what somebody vouched for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from simulators.pack_attacks import edit_statement
from simulators.packs import write_tiny_pack
from simulators.trust import copy_with_trust, sign_files, throwaway_key, trust_of, write_trust
from trocar.apps import opening
from trocar.apps.endoscopy import open_unit
from trocar.backends.request import BackendRequest
from trocar.contracts.errors import HashMismatchError, PackError, SignatureError
from trocar.packs import verify
from trocar.packs.reading import read_pack_files
from trocar.packs.verify import VerifiedPack, verify_pack
from trocar.statements.trust import read_trusted_keys
from trocar_lab.signing.keys import key_id_of, new_file_key

REQUEST: Final = BackendRequest(thread_count=1, warm_up_count=1)


@pytest.mark.verifies("IFC_PACK_STATEMENTS", extent="full", technique="requirement")
def test_pack_gets_the_statement_and_the_key_that_signed_it(tmp_path: Path) -> None:
    """Two makers, two keys: each pack carries the one that signed it; the list has its own."""
    pack = tmp_path / "pack"
    digest = write_tiny_pack(pack).digest
    maker, site = new_file_key(), new_file_key()
    sign_files(pack, key=maker)
    trust = write_trust(
        tmp_path / "trust", {"tiny 0.0.1": digest}, key=site, keys=[maker, throwaway_key()]
    )
    found = verify_pack(pack, trust)
    assert found.signed_by.key_id == key_id_of(maker.public_pem)
    assert found.approval.key_id == key_id_of(site.public_pem)
    assert {found.signed_by.key_id, found.approval.key_id} < {
        key.key_id for key in read_trusted_keys(trust)
    }


@pytest.mark.verifies("IFC_PACK_STATEMENTS", extent="partial", technique="fault_injection")
def test_statement_of_another_kind_does_not_cross(tmp_path: Path) -> None:
    """A release signed with the same key is no pack; the error passes as it is."""
    pack = tmp_path / "pack"
    write_tiny_pack(pack)
    edit_statement(pack, lambda one: one.update(predicateType="urn:trocar:predicate:release:v1"))
    with pytest.raises(SignatureError, match="it is signed as another kind of statement"):
        verify_pack(pack, trust_of(pack))


@pytest.mark.verifies("IFC_PACK", extent="partial", technique="fault_injection")
def test_altered_pack_does_not_cross(tmp_path: Path) -> None:
    """The error of the verification reaches the application's caller as it is."""
    write_tiny_pack(tmp_path / "pack")
    path = tmp_path / "pack" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(HashMismatchError):
        open_unit(
            tmp_path / "pack", REQUEST, frame_age_ms_max=100, trust=trust_of(tmp_path / "pack")
        )


@pytest.mark.verifies("SRS_SIGN_004", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_SIGN_003",
    measure="exchanges of a pack after which an engine gets bytes that were not verified",
    acceptance="0 of 3: before the reading, between reading and check, after the check",
)
@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_pack_that_is_exchanged_never_reaches_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Another sound pack, signed by the same key but not approved, is put in its place."""
    place, other = tmp_path / "pack", tmp_path / "other"
    sound = write_tiny_pack(place)
    write_tiny_pack(other, intended_use="other", threshold={"value": 0.9, "chosen_by": "other"})

    def exchange() -> None:
        shutil.rmtree(place)
        shutil.copytree(other, place)

    real_read, real_verify = read_pack_files, verify_pack

    def read(path: Path) -> dict[str, bytes]:
        if moment == "before":
            exchange()
        files = real_read(path)
        if moment == "between":
            exchange()
        return files

    def verified(path: Path, trust: Path | None) -> VerifiedPack:
        pack = real_verify(path, trust)
        exchange()
        return pack

    monkeypatch.setattr(verify, "read_pack_files", read)
    if moment == "after":
        monkeypatch.setattr(opening, "verify_pack", verified)
    if moment == "before":
        with pytest.raises(PackError):
            open_unit(place, REQUEST, frame_age_ms_max=100, trust=trust_of(place))
    else:
        opened = open_unit(place, REQUEST, frame_age_ms_max=100, trust=trust_of(place))
        assert opened.pack.content == sound.content
        assert opened.unit.info.pack_digest == sound.digest


@pytest.mark.verifies("SRS_SIGN_003", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_SIGN_002")
def test_pack_that_was_withdrawn_is_refused_by_the_next_list(tmp_path: Path) -> None:
    """Its signature is as good as ever; the list of today does not name it."""
    old, new = tmp_path / "old", tmp_path / "new"
    write_tiny_pack(old)
    digest = write_tiny_pack(new, pack_version="0.0.2").digest
    copy = copy_with_trust(old, tmp_path / "copy")
    opened = open_unit(copy, REQUEST, frame_age_ms_max=100, trust=trust_of(copy))
    assert opened.pack.manifest.pack_version == "0.0.1"
    trust = write_trust(tmp_path / "trust", {"tiny 0.0.2": digest})
    with pytest.raises(SignatureError, match=r"expected an approved pack \(tiny 0\.0\.2\)"):
        open_unit(old, REQUEST, frame_age_ms_max=100, trust=trust)
    assert open_unit(new, REQUEST, frame_age_ms_max=100, trust=trust).pack.digest == digest
