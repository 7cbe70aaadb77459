"""``python -m trocar_lab sign``: from no key to a pack that the device opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.packs import write_tiny_pack
from simulators.trust import throwaway_key, trust_of
from trocar.packs.verify import verify_pack
from trocar_lab.__main__ import main
from trocar_lab.signing.keys import KEY_VARIABLE, read_file_key


def _sign(*words: object) -> int:
    """Run one command."""
    return main(["sign", *(str(word) for word in words)])


@pytest.mark.verifies(
    "SRS_SIGN_008", "SRS_SIGN_009", "UNIT_PACKS_LAB_SIGNING", extent="full", technique="example"
)
def test_site_makes_a_key_signs_and_approves_its_packs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The four steps of the guide, in order."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    pack, trust = tmp_path / "pack", tmp_path / "trust"
    write_tiny_pack(pack)
    trust.mkdir()
    assert _sign("new-key") == 0
    said = capsys.readouterr()
    (trust / "site.development.pem").write_text(said.out, encoding="ascii")
    assert "keep it to yourself" in said.err
    assert "PRIVATE" not in said.out + said.err
    assert _sign("packs", pack, "--trust", trust) == 0
    said = capsys.readouterr()
    assert "signed and approved: tiny 0.0.1, digest " in said.out
    assert "this is a development key: not for use outside development" in said.out
    assert verify_pack(pack, trust).is_for_development
    assert _sign("bundle", pack, "--trust", trust, "-o", tmp_path / "out") == 0
    assert "tiny-0.0.1.trocarpack" in capsys.readouterr().out
    assert verify_pack(tmp_path / "out" / "tiny-0.0.1.trocarpack", trust) == verify_pack(
        pack, trust
    )


@pytest.mark.verifies("SRS_SIGN_008", extent="partial", technique="requirement")
def test_site_can_approve_packs_of_another_maker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their signature stays; the site's key signs the list only."""
    pack = tmp_path / "pack"
    write_tiny_pack(pack)
    trust = trust_of(pack)
    assert _sign("new-key", "-o", tmp_path / "site.pem") == 0
    (trust / "site.release.pem").write_text(capsys.readouterr().out, encoding="ascii")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "site.pem"))
    before = (pack / "model.sig").read_bytes()
    assert _sign("packs", pack, "--trust", trust, "--keep-signatures") == 0
    assert (pack / "model.sig").read_bytes() == before
    found = verify_pack(pack, trust)
    assert found.signed_by != found.approval
    assert "development" not in capsys.readouterr().out


@pytest.mark.verifies("SRS_SIGN_008", "SRS_SIGN_009", extent="full", technique="fault_injection")
def test_refusals_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No key, a key that nobody trusts, a pack that is not whole: said, with an exit code."""
    pack = tmp_path / "pack"
    write_tiny_pack(pack)
    before = {path.name: path.read_bytes() for path in pack.iterdir()}
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "none.pem"))
    assert _sign("packs", pack, "--trust", trust_of(pack)) == 1
    assert "make one with" in capsys.readouterr().err
    assert _sign("new-key", "-o", tmp_path / "none.pem") == 0
    assert _sign("packs", pack, "--trust", trust_of(pack)) == 1
    assert "expected the public half of the signing key in" in capsys.readouterr().err
    assert _sign("new-key", "-o", tmp_path / "none.pem") == 1
    assert read_file_key(tmp_path / "none.pem").public_pem != throwaway_key().public_pem
    assert _sign("bundle", tmp_path / "nowhere", "-o", tmp_path / "out") == 66
    assert "what to do: " in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in pack.iterdir()} == before
