"""A variant becomes a pack only as it was measured, of the pack it was measured against."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulators.variant_study import SCALE, drawn_study, write_twin_pack
from trocar.contracts.manifest import PackPrecision
from trocar.packs.content import CheckedPack
from trocar_lab.optimise.gate import VariantRefusedError
from trocar_lab.optimise.pack_variant import pack_variant, read_study
from trocar_lab.optimise.report import MODELS, STUDY_FILE, write_study
from trocar_lab.packing.drafts import read_draft


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CheckedPack:
    """Write a study in which the whole-number variants pass; return the pack it began from."""
    study, _ = drawn_study(tmp_path / "base", monkeypatch)
    write_study(study, SCALE, tmp_path / "study")
    _set_differences(tmp_path / "study", lower=-0.004)
    return study.pack


def _set_differences(folder: Path, *, lower: float) -> None:
    """Give every row of both sides one lower end, for the finals and for ``rewritten_int8``."""
    path = folder / STUDY_FILE
    fields = json.loads(path.read_text(encoding="utf-8"))
    rows = [one for one in fields["judged"] if one["side"] == "validation"]
    for row in rows:
        row["difference"] |= {"value": lower / 2, "lower": lower, "upper": 0.001}
    fields["judged"] = rows + [row | {"side": "test"} for row in rows]
    path.write_text(json.dumps(fields), encoding="utf-8")


@pytest.mark.verifies("SRS_OPT_009", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_OPT_001")
def test_variant_names_what_it_was_made_from(base: CheckedPack, tmp_path: Path) -> None:
    """Manifest and card say method, data, count and figures."""
    study = read_study(tmp_path / "study")
    pack = pack_variant(base, study, "rewritten_int8", tmp_path / "int8")
    manifest = read_draft(tmp_path / "int8").manifest
    origin = manifest.derived_from
    assert manifest.precision is PackPrecision.INT8
    assert origin is not None
    assert origin.calibration is not None
    assert (origin.pack_id, origin.digest) == ("twin 0.0.1", base.digest)
    assert origin.calibration.item_count == SCALE.calibration_count
    assert origin.integer_layer_count == 8
    assert pack.content[manifest.reference_input] == base.content[manifest.reference_input]
    assert pack.content[manifest.reference_output] != base.content[manifest.reference_output]
    card = pack.content[manifest.card_file].decode()
    assert "same function as the original but for rounding" in card
    assert f"{SCALE.calibration_count} frames of DATA_DRAWN, training side" in card
    assert "| openvino-cpu | int8 | test | 6 | 3 |" in card
    assert "# Twin" in card


@pytest.mark.verifies("SRS_OPT_009", extent="partial", technique="equivalence")
def test_other_function_says_so_and_float_has_no_calibration(
    base: CheckedPack, tmp_path: Path
) -> None:
    """Half of the ensemble is another model, whatever its figures are."""
    pack = pack_variant(base, read_study(tmp_path / "study"), "one_view", tmp_path / "one")
    assert pack.manifest.derived_from is not None
    assert pack.manifest.derived_from.calibration is None
    assert "another function than the original" in pack.content[pack.manifest.card_file].decode()


@pytest.mark.verifies("SRS_OPT_008", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_OPT_001",
    measure="packs written of a variant outside the limit, of another model or another pack",
    acceptance="0 of 5 kinds",
)
@pytest.mark.parametrize("fault", ["limit", "unknown", "model", "base", "study"])
def test_what_was_not_measured_so_is_not_packed(
    base: CheckedPack, tmp_path: Path, fault: str
) -> None:
    """Nothing is written where the gate refuses."""
    folder, name, chosen = tmp_path / "study", "rewritten_int8", base
    if fault == "limit":
        _set_differences(folder, lower=-0.0101)
    elif fault == "unknown":
        name = "int4"
    elif fault == "model":
        path = folder / MODELS / f"{name}.onnx"
        path.write_bytes(path.read_bytes() + b"\0")
    elif fault == "base":
        chosen = write_twin_pack(tmp_path / "other")
        manifest = json.loads((tmp_path / "other" / "manifest.json").read_text(encoding="utf-8"))
        text = json.dumps(manifest | {"intended_use": "another"})
        (tmp_path / "other" / "manifest.json").write_text(text, encoding="utf-8")
        chosen = read_draft(tmp_path / "other")
    else:
        folder = tmp_path / "nowhere"
    with pytest.raises(VariantRefusedError):
        pack_variant(chosen, read_study(folder), name, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()
