"""A good signature is not enough: the list names which packs may run with this version."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.trust import throwaway_key, write_trust
from trocar import __version__
from trocar.contracts.errors import SignatureError
from trocar.packs.approved import read_approved_packs, require_approved
from trocar.statements.trust import APPROVED_PACKS_NAME, read_trusted_keys
from trocar_lab.signing.keys import key_id_of, new_file_key

ONE, TWO = "1" * 64, "2" * 64
APPROVED = {"a 0.1.0": ONE, "b 0.2.0": TWO}


@pytest.mark.verifies(
    "SRS_SIGN_003", "UNIT_PACKS_APPROVED", extent="partial", technique="requirement"
)
def test_list_is_read_with_who_signed_it(tmp_path: Path) -> None:
    """Digest by id, and the key among several."""
    trust = write_trust(tmp_path / "trust", APPROVED, keys=[new_file_key()])
    found, key = read_approved_packs(trust, read_trusted_keys(trust))
    assert found == APPROVED
    assert key.key_id == key_id_of(throwaway_key().public_pem)


@pytest.mark.verifies("SRS_SIGN_003", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_SIGN_002")
def test_only_the_named_digest_under_the_named_id_is_approved() -> None:
    """Another version, another digest, the digest of another one: all refused."""
    require_approved("a 0.1.0", ONE, APPROVED)
    with pytest.raises(SignatureError, match=r"expected an approved pack \(a 0.1.0, b 0.2.0\)"):
        require_approved("a 0.0.9", ONE, APPROVED)
    with pytest.raises(SignatureError, match=f"approved digest {ONE}, got {'3' * 64}"):
        require_approved("a 0.1.0", "3" * 64, APPROVED)
    with pytest.raises(SignatureError, match=f"approved digest {ONE}, got {TWO}") as caught:
        require_approved("a 0.1.0", TWO, APPROVED)
    assert "an older or other one may be signed as well" in caught.value.advice


@pytest.mark.verifies("SRS_SIGN_003", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_SIGN_002")
@pytest.mark.parametrize("version", ["0.0.9", "99.0.0", ""])
def test_list_of_another_version_is_refused(tmp_path: Path, version: str) -> None:
    """It may approve what was withdrawn since."""
    trust = write_trust(tmp_path / "trust", APPROVED, version=version)
    with pytest.raises(SignatureError, match=f"for Trocar {__version__}, it is for {version!r}"):
        read_approved_packs(trust, read_trusted_keys(trust))


@pytest.mark.verifies("SRS_SIGN_003", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("fault", ["none", "folder", "link"])
def test_list_that_is_no_file_is_refused(tmp_path: Path, fault: str) -> None:
    """Missing, a folder in its place, a link to another one."""
    trust = write_trust(tmp_path / "trust", APPROVED)
    path = trust / APPROVED_PACKS_NAME
    path.rename(tmp_path / "away")
    if fault == "folder":
        path.mkdir()
    elif fault == "link":
        path.symlink_to(tmp_path / "away")
    with pytest.raises(SignatureError) as caught:
        read_approved_packs(trust, read_trusted_keys(trust))
    assert caught.value.advice
