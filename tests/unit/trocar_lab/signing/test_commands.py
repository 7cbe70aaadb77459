"""``python -m trocar_lab sign``: from no key to a pack that the device opens."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from simulators.packs import write_tiny_pack
from simulators.trust import throwaway_key, trust_of
from trocar.packs.verify import verify_pack
from trocar_lab.__main__ import main
from trocar_lab.signing.keys import KEY_VARIABLE, read_file_key
from trocar_lab.signing.packs import write_bundle


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


@pytest.fixture
def site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """Return a trust folder with a list of its own, whose key is the one that signs here."""
    write_tiny_pack(tmp_path / "pack")
    write_tiny_pack(tmp_path / "other", pack_version="0.0.2")
    trust = tmp_path / "site"
    trust.mkdir()
    assert _sign("new-key", "-o", tmp_path / "site.pem") == 0
    (trust / "site.release.pem").write_text(capsys.readouterr().out, encoding="ascii")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "site.pem"))
    shutil.copytree(tmp_path / "pack", tmp_path / "own")
    assert _sign("packs", tmp_path / "own", "--trust", trust) == 0
    return trust


def _bytes_below(folder: Path) -> dict[Path, bytes]:
    """Return every file with its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.verifies("SRS_SIGN_008", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (("other", "pack", "pack"), 1, "expected each pack once, got tiny 0.0.1 twice"),
        (("other", "one/tiny-0.0.1.trocarpack"), 1, "sign bundle"),
        (("other", "nowhere"), 66, "cannot read the pack"),
        (("own", "other", "--keep-signatures"), 66, "what to do: "),
    ],
    ids=["the same pack twice", "a pack in one file", "no folder", "a maker nobody trusts"],
)
def test_packs_that_cannot_be_signed_or_approved_leave_every_file_as_it_was(
    site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    exit_code: int,
    said: str,
) -> None:
    """Found before the first byte is written: the site's list goes on to approve what it did."""
    write_bundle(tmp_path / "own", tmp_path / "one", site)
    monkeypatch.chdir(tmp_path)
    before = _bytes_below(tmp_path)
    assert _sign("packs", *words, "--trust", site) == exit_code
    assert said in capsys.readouterr().err
    assert _bytes_below(tmp_path) == before
    assert verify_pack(tmp_path / "own", site).manifest.pack_id == "tiny 0.0.1"


def test_site_can_approve_a_pack_in_one_file(site: Path, tmp_path: Path) -> None:
    """It carries the signature of its maker already."""
    path, pack = write_bundle(tmp_path / "own", tmp_path / "one", site)
    assert _sign("packs", path, "--trust", site, "--keep-signatures") == 0
    assert verify_pack(path, site) == pack


def test_list_that_cannot_be_written_is_said(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder stands in the way of the new file: no traceback."""
    (site / "approved_packs.dsse.json").unlink()
    (site / "approved_packs.dsse.json").mkdir()
    assert _sign("packs", tmp_path / "own", "--trust", site, "--keep-signatures") == 1
    assert "cannot write" in capsys.readouterr().err
    assert not list(site.glob("*.new"))


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
