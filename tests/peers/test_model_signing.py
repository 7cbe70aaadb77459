"""Verdicts of OpenSSF model-signing and of the device on the same packs, in their own environment.

Both judge the signature and the files. The trust folder and the list of approved packs are the
device's alone. Where model-signing accepts what the device refuses, the attack says why.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Final

import pytest

from simulators.pack_attacks import ATTACKS, GIT, HANGS, ON_FILES, ON_SIGNATURE, SLOW, Attack
from simulators.packs import write_tiny_pack
from simulators.trust import throwaway_key, trust_of
from trocar.contracts.errors import PackError
from trocar.packs.verify import SHIPPED_TRUST, verify_pack

ARE_THERE: Final = all(importlib.util.find_spec(name) for name in ("model_signing", "OpenSSL"))
if ARE_THERE:
    from peers.model_signing_verdicts import is_accepted, sign

pytestmark = pytest.mark.skipif(
    not ARE_THERE, reason="needs model-signing and pyOpenSSL (tox -e supply)"
)

SHARED: Final = [one for one in (*ON_FILES, *ON_SIGNATURE) if one.peer not in {HANGS, SLOW}]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Return the public key that both sides trust."""
    path = tmp_path / "key.pub"
    path.write_bytes(throwaway_key().public_pem)
    return path


@pytest.mark.verifies("SRS_SIGN_008", extent="full", technique="requirement")
def test_our_signature_is_accepted_there(tmp_path: Path, key_file: Path) -> None:
    """Whoever gets a pack can check it with a tool that is not ours."""
    write_tiny_pack(tmp_path / "pack")
    assert is_accepted(tmp_path / "pack", key_file)


@pytest.mark.verifies("SRS_SIGN_008", extent="partial", technique="requirement")
@pytest.mark.parametrize("name", ["polyp_segmentation", "tool_detection"])
def test_shipped_pack_is_accepted_there(name: str) -> None:
    """With the public key that comes with the release."""
    (key_file,) = SHIPPED_TRUST.glob("*.pem")
    assert is_accepted(SHIPPED_TRUST.parent / "packs" / name, key_file)


@pytest.mark.verifies("SRS_SIGN_001", "SRS_SIGN_002", extent="partial", technique="requirement")
def test_their_signature_is_accepted_here(tmp_path: Path) -> None:
    """Written by the tool into a folder named as the pack; the list approves it as before."""
    sound = write_tiny_pack(tmp_path / "pack")
    folder = tmp_path / "tiny-0.0.1"
    shutil.copytree(tmp_path / "pack", folder)
    (folder / "model.sig").unlink()
    private = tmp_path / "key.pem"
    private.write_bytes(throwaway_key().private_pem())
    sign(folder, private, ignore_git=False)
    assert verify_pack(folder, trust_of(tmp_path / "pack")) == sound


def test_their_signature_that_ignores_git_is_refused_here(tmp_path: Path) -> None:
    """Their default leaves room for files that nobody signed."""
    write_tiny_pack(tmp_path / "pack")
    folder = tmp_path / "tiny-0.0.1"
    shutil.copytree(tmp_path / "pack", folder)
    (folder / "model.sig").unlink()
    private = tmp_path / "key.pem"
    private.write_bytes(throwaway_key().private_pem())
    sign(folder, private, ignore_git=True)
    with pytest.raises(PackError, match="to ignore none"):
        verify_pack(folder, trust_of(tmp_path / "pack"))


@pytest.mark.verifies("SRS_SIGN_001", "SRS_SIGN_002", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("attack", SHARED, ids=lambda attack: attack.name)
def test_verdicts_on_attacks_are_equal_but_where_it_is_said_why(
    tmp_path: Path, key_file: Path, attack: Attack
) -> None:
    """No attack that it finds passes here; what it accepts has a reason, and is refused here."""
    pack = tmp_path / "pack"
    write_tiny_pack(pack)
    attack.apply(pack)
    with pytest.raises(PackError):
        verify_pack(pack, trust_of(pack))
    if attack.peer == GIT:
        assert is_accepted(pack, key_file, ignore_git=True)
        assert not is_accepted(pack, key_file)
    else:
        assert is_accepted(pack, key_file) == bool(attack.peer)


def test_each_attack_is_compared_or_says_why_not() -> None:
    """Nothing is left out in silence."""
    left_out = {one.name for one in ATTACKS} - {one.name for one in SHARED}
    on_signature = {one.name for one in (*ON_FILES, *ON_SIGNATURE)} & left_out
    assert on_signature == {"extra sparse file of 20 GB", "pipe for the signature"}
