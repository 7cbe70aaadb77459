"""Commands that look: what a unit is, what it claims, and whether its pack is sound."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from simulators.command_line import UNIT, CommandLine
from simulators.packs import write_detector_pack, write_tiny_pack
from simulators.trust import copy_with_trust, throwaway_key, trust_of
from trocar import RESEARCH_NOTICE, __version__
from trocar.cli.catalogue import find_unit, need_ids
from trocar.cli.commands_show import pack_verify, selftest, show, units
from trocar.packs.verify import verify_pack
from trocar_lab.signing.keys import key_id_of

KEY_ID = key_id_of(throwaway_key().public_pem)
SIGNER = {"key_id": KEY_ID, "grade": "release"}
SIGNATURE = {**SIGNER, "approval": SIGNER, "trust": "site"}


@pytest.fixture
def own_pack(tiny_pack: Path, tmp_path: Path) -> Path:
    """Return a copy of the pack that a test may spoil."""
    return copy_with_trust(tiny_pack, tmp_path / "own")


@pytest.mark.verifies("SRS_CLI_001", extent="partial", technique="requirement")
def test_units_lists_what_there_is(trocar: CommandLine) -> None:
    """The list says what to type next."""
    answer = trocar("units")
    assert answer.code == 0
    assert UNIT in answer.out
    assert "next: trocar show" in answer.out
    assert trocar("units", "--json").fields["units"][0]["unit"] == UNIT


@pytest.mark.verifies(
    "SRS_PACK_005", "UNIT_CLI_COMMANDS_SHOW", extent="full", technique="requirement"
)
@pytest.mark.controls("RCM_CARD_001")
def test_show_prints_card_ids_and_digest(trocar: CommandLine) -> None:
    """Who asks what a unit is gets its limits with it, unasked."""
    pack = verify_pack(trocar.pack, trust_of(trocar.pack))
    answer = trocar("show", UNIT, "--pack", trocar.pack)
    assert answer.code == 0
    assert pack.card in answer.out
    assert pack.digest in answer.out
    ids = need_ids(UNIT)
    for need_id in ids["requirements"] + ids["risk_controls"]:
        assert need_id in answer.out


@pytest.mark.verifies("SRS_PACK_005", "SRS_MAINT_001", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_CARD_001")
def test_show_has_one_text_for_people_and_the_same_for_machines(trocar: CommandLine) -> None:
    """What a person reads and what a program keeps must not say different things of one pack."""
    pack = verify_pack(trocar.pack, trust_of(trocar.pack))
    ids = need_ids(UNIT)
    entry = find_unit(UNIT)
    assert trocar("show", UNIT, "--pack", trocar.pack).out.split("\n") == [
        f"{UNIT} (endoscopy): {entry.summary}",
        f"pack tiny 0.0.1, digest {pack.digest}",
        f"signed by key {KEY_ID}",
        f"approved by key {KEY_ID}",
        "tiny 0.0.1: trusted by the folder that was named, not by this release",
        f"requirements  {', '.join(ids['requirements'])}",
        f"risk controls {', '.join(ids['risk_controls'])}",
        "",
        *pack.card.split("\n"),
        f"Contracts as JSON Schema: trocar show {UNIT} --json",
        "",
    ]
    fields = trocar("show", UNIT, "--pack", trocar.pack, "--json").fields
    assert fields == {
        "trocar": __version__,
        "notice": RESEARCH_NOTICE,
        "unit": UNIT,
        "application": "endoscopy",
        "pack": "tiny 0.0.1",
        "pack_digest": pack.digest,
        "pack_signature": SIGNATURE,
        "requirements": ids["requirements"],
        "risk_controls": ids["risk_controls"],
        "contracts": {
            name: contract.model_json_schema() for name, contract in entry.contracts.items()
        },
        "manifest": json.loads(pack.manifest.model_dump_json()),
        "card": pack.card,
    }


@pytest.mark.proves_effect(
    "RCM_CARD_001",
    measure="statements of the pack about its limits that the user is not shown",
    acceptance="0 of intended use, exclusion, licence, split, metrics with interval and card",
)
def test_every_statement_about_limits_reaches_the_user(trocar: CommandLine, tmp_path: Path) -> None:
    """A limit that stays in a file is none: each one arrives, in a pack with texts of its own."""
    write_tiny_pack(
        tmp_path / "pack", intended_use="only on Tuesdays", not_for="children under water"
    )
    manifest = trocar("show", UNIT, "--pack", tmp_path / "pack", "--json").fields["manifest"]
    assert manifest["intended_use"] == "only on Tuesdays"
    assert manifest["not_for"] == "children under water"
    assert {"data_id", "licence", "split"} <= set(manifest["trained_on"][0])
    metric = manifest["metrics"][0]
    assert {"value", "lower_95", "upper_95", "item_count", "group_count"} <= set(metric)
    text = trocar("show", UNIT, "--pack", tmp_path / "pack").out
    assert "# Tiny" in text


@pytest.mark.verifies("SRS_MAINT_001", extent="partial", technique="requirement")
def test_show_as_json_holds_the_contracts(trocar: CommandLine) -> None:
    """A program can check its input against them."""
    fields = trocar("show", UNIT, "--pack", trocar.pack, "--json").fields
    assert set(fields["contracts"]) == {"input", "finding", "withheld", "configuration"}
    assert fields["pack"] == "tiny 0.0.1"
    assert fields["trocar"] == __version__


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="equivalence")
def test_show_of_an_unknown_unit_is_an_error(trocar: CommandLine) -> None:
    """The message names the units that there are."""
    answer = trocar("show", "liver")
    answer.require_clean_error(65, "CONTRACT")
    assert UNIT in answer.err


@pytest.mark.verifies("SRS_PACK_001", extent="partial", technique="requirement")
def test_sound_pack_is_called_sound_with_who_signed_and_approved_it(trocar: CommandLine) -> None:
    """Sound means: by whom, approved by whom, and on whose word."""
    answer = trocar("pack", "verify", trocar.pack)
    assert answer.code == 0
    assert answer.out.split("\n")[0].startswith("sound: tiny 0.0.1 for polyp_segmentation, digest ")
    assert f"signed by key {KEY_ID}\napproved by key {KEY_ID}\n" in answer.out
    fields = trocar("pack", "verify", trocar.pack, "--json").fields
    assert fields["is_sound"] is True
    assert fields["signature"] == SIGNATURE


@pytest.mark.verifies("SRS_PACK_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("words", [("pack", "verify"), ("selftest", "--pack"), ("show", "--pack")])
@pytest.mark.parametrize("name", ["model.onnx", "card.md", "reference_input.npy"])
def test_one_flipped_byte_ends_every_command_on_the_pack(
    trocar: CommandLine, own_pack: Path, words: tuple[str, ...], name: str
) -> None:
    """No command may show or run anything of a pack that is not what it was."""
    data = bytearray((own_pack / name).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (own_pack / name).write_bytes(bytes(data))
    unit = [UNIT] if words[0] == "show" else []
    answer = trocar(words[0], *unit, *words[1:], own_pack)
    answer.require_clean_error(66, "PACK_HASH")
    assert name in answer.err


@pytest.mark.verifies("SRS_PACK_003", extent="partial", technique="equivalence")
@pytest.mark.parametrize("fault", ["missing folder", "no manifest", "extra file", "a file"])
def test_folder_that_is_no_pack_ends_with_66(
    trocar: CommandLine, own_pack: Path, fault: str
) -> None:
    """Each way to name the wrong folder."""
    folder = own_pack
    if fault == "missing folder":
        folder = own_pack / "nowhere"
    elif fault == "no manifest":
        (own_pack / "manifest.json").unlink()
    elif fault == "extra file":
        (own_pack / "notes.txt").write_text("mine", encoding="utf-8")
    else:
        folder = own_pack / "card.md"
    trocar("pack", "verify", folder).require_clean_error(66, "PACK")


@pytest.mark.verifies("SRS_PACK_004", "SRS_MAINT_001", extent="full", technique="requirement")
def test_selftest_names_engine_pack_and_difference(trocar: CommandLine) -> None:
    """A passed self-test says of what, and how well."""
    answer = trocar("selftest", "--pack", trocar.pack, "--json")
    (entry,) = answer.fields["selftest"]
    assert answer.code == 0
    assert entry["pack"] == "tiny 0.0.1"
    assert entry["backend"]["provider"] == "CPUExecutionProvider"
    case = entry["reference_case"]
    assert case["prob_difference_max"] <= case["prob_difference_limit"]
    assert "passed: polyp_segmentation" in trocar("selftest", "--pack", trocar.pack).out


@pytest.mark.verifies("SRS_PACK_004", extent="partial", technique="fault_injection")
def test_selftest_fails_where_the_output_is_outside_the_tolerance(
    trocar: CommandLine, tmp_path: Path
) -> None:
    """A pack whose reference case asks for more than the engine gives must not pass."""
    pack = tmp_path / "strict"
    write_tiny_pack(pack, parity={"prob_difference_max": 0.0, "mask_dice_min": 1.0})
    answer = trocar("selftest", "--pack", pack)
    answer.require_clean_error(69, "BACKEND_UNAVAILABLE")
    assert "differs from the reference case" in answer.err


@pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("engine", "module"), [("onnxruntime-cpu", "onnxruntime"), ("openvino-cpu", "openvino")]
)
def test_missing_engine_says_what_to_install(
    trocar: CommandLine, monkeypatch: pytest.MonkeyPatch, engine: str, module: str
) -> None:
    """The first thing that goes wrong on a bare machine."""
    monkeypatch.setitem(sys.modules, module, None)
    answer = trocar("selftest", "--pack", trocar.pack, "--engine", engine)
    answer.require_clean_error(69, "BACKEND_UNAVAILABLE")
    assert "pip install" in answer.err


@pytest.mark.verifies("SRS_PACK_005", "SRS_MAINT_001", extent="partial", technique="requirement")
@pytest.mark.parametrize("unit", ["tool_detection", "tool_tracking"])
def test_show_of_the_tools_prints_the_card_of_their_pack(
    trocar: CommandLine, tmp_path: Path, unit: str
) -> None:
    """The tracker has no card of its own: what its numbers rest on is the detector's."""
    pack = write_detector_pack(tmp_path / "pack")
    answer = trocar("show", unit, "--pack", tmp_path / "pack")
    assert answer.code == 0, answer.err
    assert "# Tiny detector" in answer.out
    assert f"{unit} (surgical_tools): " in answer.out
    fields = trocar("show", unit, "--pack", tmp_path / "pack", "--json").fields
    assert fields["pack_digest"] == pack.digest
    assert fields["requirements"] == need_ids(unit)["requirements"]
    assert fields["manifest"]["labels"] == ["grasper", "hook"]


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_CARD_001")
@pytest.mark.parametrize("unit", ["tool_detection", "tool_tracking"])
def test_card_of_another_unit_is_never_shown(trocar: CommandLine, unit: str) -> None:
    """The limits of a polyp model under the name of a tool detector would mislead."""
    answer = trocar("show", unit, "--pack", trocar.pack)
    answer.require_clean_error(66, "PACK_INCOMPATIBLE")
    assert "got one for polyp_segmentation" in answer.err


@pytest.mark.verifies("SRS_PACK_004", extent="partial", technique="requirement")
def test_selftest_of_a_pack_is_that_of_each_unit_it_is_for(
    trocar: CommandLine, tmp_path: Path
) -> None:
    """A pack for the detector proves the detector and the unit that rests on it, no other."""
    write_detector_pack(tmp_path / "pack")
    fields = trocar("selftest", "--pack", tmp_path / "pack", "--json").fields
    assert [entry["unit"] for entry in fields["selftest"]] == ["tool_detection", "tool_tracking"]
    assert all(entry["reference_case"]["mask_pixel_count"] == 2 for entry in fields["selftest"])


@pytest.mark.verifies("SRS_PACK_004", extent="partial", technique="fault_injection")
def test_selftest_of_a_pack_for_no_unit_proves_nothing(trocar: CommandLine, tmp_path: Path) -> None:
    """Nothing tested is not passed."""
    write_tiny_pack(tmp_path / "pack", unit="cardiac_view")
    answer = trocar("selftest", "--pack", tmp_path / "pack")
    answer.require_clean_error(66, "PACK_INCOMPATIBLE")
    assert "got one for cardiac_view" in answer.err


@pytest.mark.verifies("SRS_CLI_001", extent="partial", technique="inspection")
def test_each_command_says_what_it_does() -> None:
    """The parser points at these four."""
    assert all(command.__doc__ for command in (units, show, pack_verify, selftest))
