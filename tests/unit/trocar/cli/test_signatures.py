"""Who signed and who approved is said to people and to machines, and never left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulators.command_line import UNIT, CommandLine
from simulators.packs import write_tiny_pack
from simulators.trust import throwaway_key, trust_of
from trocar.cli.signatures import signature_fields, signature_lines, warning_lines
from trocar.packs.one_file import one_file_of
from trocar.packs.reading import read_pack_files
from trocar.packs.verify import SHIPPED_TRUST, verify_pack
from trocar_lab.signing.keys import key_id_of

POLYP = SHIPPED_TRUST.parent / "packs" / "polyp_segmentation"
DEVELOPMENT = "signed with a development key: not for use outside development"
NAMED = "trusted by the folder that was named, not by this release"


@pytest.mark.verifies(
    "SRS_SIGN_006", "UNIT_CLI_SIGNATURES", extent="partial", technique="requirement"
)
@pytest.mark.controls("RCM_SIGN_002")
def test_shipped_pack_is_said_to_be_for_development() -> None:
    """No release key exists; the screen says so, in plain words."""
    pack = verify_pack(POLYP)
    fields = signature_fields(pack)
    assert fields == {
        "key_id": pack.signed_by.key_id,
        "grade": "development",
        "approval": {"key_id": pack.approval.key_id, "grade": "development"},
        "trust": "release",
    }
    assert json.loads(json.dumps(fields)) == fields
    assert signature_lines(pack) == [
        f"signed by key {pack.signed_by.key_id}",
        f"approved by key {pack.approval.key_id}",
        f"polyp_kvasir 0.1.0: {DEVELOPMENT}",
    ]


@pytest.mark.verifies("SRS_SIGN_006", extent="partial", technique="equivalence")
def test_pack_of_a_site_is_said_to_be_trusted_by_it(tmp_path: Path) -> None:
    """A release key, but not one that this release knows."""
    pack = write_tiny_pack(tmp_path / "pack")
    assert warning_lines(pack) == [f"tiny 0.0.1: {NAMED}"]
    assert signature_fields(pack)["trust"] == "site"
    assert warning_lines(verify_pack(POLYP)) == [f"polyp_kvasir 0.1.0: {DEVELOPMENT}"]


@pytest.mark.verifies("SRS_SIGN_006", extent="full", technique="requirement")
def test_run_says_it_on_the_screen_and_in_its_account(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """Afterwards nobody has to remember on whose word the model ran."""
    answer = trocar.run(clip, tmp_path / "out")
    assert answer.code == 0, answer.err
    assert f"tiny 0.0.1: {NAMED}\n" in answer.err
    account = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    signer = {"key_id": key_id_of(throwaway_key().public_pem), "grade": "release"}
    assert account["units"][0]["pack_signature"] == {
        **signer,
        "approval": signer,
        "trust": "site",
    }


@pytest.mark.verifies("SRS_SIGN_004", "SRS_SIGN_001", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_SIGN_003")
@pytest.mark.parametrize(
    "words",
    [
        ("selftest",),
        ("show", UNIT),
        ("demo", "-o", "out"),
        ("run", UNIT, "clip.mp4", "-o", "out"),
        ("stream", UNIT, "--source", "file:clip.mp4", "--sink", "jsonl:r.jsonl"),
    ],
    ids=lambda words: words[0],
)
def test_unsigned_pack_is_refused_at_each_door(
    trocar: CommandLine,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    """A draft opens nowhere; exit code 66, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").symlink_to(clip)
    write_tiny_pack(tmp_path / "pack")
    (tmp_path / "pack" / "model.sig").unlink()
    answer = trocar(*words, "--pack", tmp_path / "pack")
    answer.require_clean_error(66, "SIGNATURE")
    assert "the pack is not signed" in answer.err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.verifies("SRS_SIGN_003", extent="partial", technique="fault_injection")
def test_pack_that_only_its_maker_trusts_is_refused_without_the_option(
    trocar: CommandLine, tmp_path: Path
) -> None:
    """The release's own trust folder is what counts unless another one is named."""
    write_tiny_pack(tmp_path / "pack")
    trust = trust_of(tmp_path / "pack")
    assert trocar("pack", "verify", tmp_path / "pack").code == 0
    trust.rename(tmp_path / "away")
    answer = trocar("pack", "verify", tmp_path / "pack")
    answer.require_clean_error(66, "SIGNATURE")
    assert trocar("pack", "verify", tmp_path / "pack", f"--trust={tmp_path / 'away'}").code == 0


@pytest.mark.verifies("SRS_SIGN_005", "SRS_SIGN_006", extent="partial", technique="example")
def test_pack_in_one_file_is_verified_and_run_by_its_path(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """What was carried on a stick needs no unpacking."""
    write_tiny_pack(tmp_path / "pack")
    one = tmp_path / "tiny.trocarpack"
    one.write_bytes(one_file_of(read_pack_files(tmp_path / "pack")))
    trust = f"--trust={trust_of(tmp_path / 'pack')}"
    answer = trocar("pack", "verify", one, trust)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("sound: tiny 0.0.1 for polyp_segmentation, digest ")
    run = trocar("run", UNIT, clip, "-o", tmp_path / "out", "--pack", one, trust)
    assert run.code == 0, run.err
    one.write_bytes(one.read_bytes() + bytes(512))
    trocar("pack", "verify", one, trust).require_clean_error(66, "PACK")
