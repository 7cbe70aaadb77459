"""From a packed model to a signed pack in whole numbers that the device runs in two engines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simulators.int8_packs import write_int8_pack
from simulators.trust import sign_and_trust, trust_of
from simulators.twin_models import frames, twin_model
from simulators.variant_study import SCALE, drawn_study, write_twin_pack
from trocar.apps.endoscopy import SHIPPED_PACK
from trocar.backends.choices import Engine, Precision
from trocar.cli.main import main
from trocar.contracts.manifest import PackPrecision
from trocar.packs.verify import verify_pack
from trocar_lab.optimise.pack_variant import pack_variant, read_study
from trocar_lab.optimise.report import STUDY_FILE, write_study
from trocar_lab.optimise.turns import Arm, VariantProcess, measure_by_turns
from trocar_lab.optimise.variants import float_variants, int8_variants, manifest_of

ENGINES = [Engine.ONNXRUNTIME_CPU, Engine.OPENVINO_CPU]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Write one picture to run a unit on."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(frames(1, seed=9)[0]).save(folder / "one.png")
    return folder


@pytest.mark.verifies("SRS_OPT_001", "SRS_OPT_002", extent="full", technique="example")
@pytest.mark.controls("RCM_OPT_002")
@pytest.mark.parametrize("engine", ENGINES)
def test_int8_pack_runs_and_the_record_says_so(
    tmp_path: Path, picture: Path, engine: Engine
) -> None:
    """No precision is asked for: the record names the pack's own."""
    pack = tmp_path / "int8"
    write_int8_pack(pack)
    command = ["run", "polyp_segmentation", str(picture), "-o", str(tmp_path / "out")]
    options = ["--pack", str(pack), "--trust", str(trust_of(pack)), "--engine", engine.value]
    assert main([*command, *options]) == 0
    (line,) = (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert '"precision":"int8"' in line.replace(" ", "")


@pytest.mark.verifies("SRS_OPT_002", "SRS_OPT_003", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_OPT_002",
    measure="runs in floating point of a pack in whole numbers that begin",
    acceptance="0 of 2 kinds",
)
@pytest.mark.parametrize("fault", ["asked for fp32", "engine runs fewer layers"])
def test_int8_pack_does_not_run_as_anything_else(
    tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """Refused before the first frame, with the reason on the screen."""
    pack = tmp_path / "int8"
    write_int8_pack(pack, integer_layer_count=1 if fault == "asked for fp32" else 2)
    command = ["run", "polyp_segmentation", str(picture), "-o", str(tmp_path / "out")]
    options = ["--pack", str(pack), "--trust", str(trust_of(pack)), "--engine", "openvino-cpu"]
    asked = ["--precision", "fp32"] if fault == "asked for fp32" else []
    assert main([*command, *options, *asked]) == 69
    said = capsys.readouterr().err
    assert "its model computes in int8" in said or "OpenVINO would run 1" in said


@pytest.mark.verifies("SRS_OPT_004", "SRS_OPT_007", extent="full", technique="example")
def test_variants_run_in_processes_of_their_own(tmp_path: Path) -> None:
    """Both engines, float and whole numbers; what an engine refuses is named."""
    manifest = write_twin_pack(tmp_path / "twin").manifest
    original, *_, one, _ = float_variants(twin_model()).variants
    (whole,) = int8_variants(one, list(frames(2)[:, np.newaxis]), is_quick=True)
    arms = [
        Arm("original", original.model, manifest, Engine.ONNXRUNTIME_CPU, Precision.FP32, 1),
        Arm("refused", original.model, manifest, Engine.ONNXRUNTIME_CPU, Precision.BF16, 1),
        Arm("int8", whole.model, manifest_of(manifest, whole), ENGINES[1], Precision.INT8, 1),
    ]
    speeds, refused = measure_by_turns(arms, round_count=2, call_count=2)
    assert set(speeds) == {"original", "int8"}
    assert "to run bf16" in refused["refused"]
    inputs = frames(3)
    with VariantProcess(arms[0]) as before, VariantProcess(arms[2]) as after:
        apart = np.abs(before.outputs(inputs) - after.outputs(inputs))
    assert 0.0 < apart.mean() < 0.5


@pytest.mark.verifies("SRS_OPT_008", "SRS_OPT_009", extent="full", technique="example")
@pytest.mark.controls("RCM_OPT_001")
@pytest.mark.parametrize("engine", ENGINES)
def test_variant_that_passed_the_gate_is_signed_and_opened(
    tmp_path: Path,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: Engine,
) -> None:
    """The pack that the toolchain wrote is one that the device runs, within its parity limits."""
    study, _ = drawn_study(tmp_path / "base", monkeypatch)
    write_study(study, SCALE, tmp_path / "study")
    _pass_both_sides(tmp_path / "study" / STUDY_FILE)
    pack = tmp_path / "rewritten_int8"
    made = pack_variant(study.pack, read_study(tmp_path / "study"), pack.name, pack)
    assert made.manifest.precision is PackPrecision.INT8
    _widen_parity(pack)
    sign_and_trust(pack)
    command = ["run", "polyp_segmentation", str(picture), "-o", str(tmp_path / "out")]
    options = ["--pack", str(pack), "--trust", str(trust_of(pack)), "--engine", engine.value]
    assert main([*command, *options]) == 0
    record = (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8")
    assert '"twin_rewritten_int8 0.0.1"' in record


def _pass_both_sides(path: Path) -> None:
    """Give every variant figures that pass, on both sides."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    rows = [one for one in fields["judged"] if one["side"] == "validation"]
    for row in rows:
        row["difference"] |= {"value": 0.0, "lower": -0.001, "upper": 0.001}
    fields["judged"] = rows + [row | {"side": "test"} for row in rows]
    path.write_text(json.dumps(fields), encoding="utf-8")


def _widen_parity(pack: Path) -> None:
    """Let the drawn network, whose weights are chance, differ by more on its reference case."""
    path = pack / "manifest.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["parity"] = {"prob_difference_max": 0.5, "mask_dice_min": 0.9}
    path.write_text(json.dumps(fields), encoding="utf-8")


@pytest.mark.verifies("SRS_OPT_001", "SRS_OPT_007", extent="partial", technique="example")
@pytest.mark.parametrize("engine", ENGINES)
def test_kept_variant_runs_with_the_approval_of_this_version(
    tmp_path: Path, picture: Path, engine: Engine
) -> None:
    """The 8-bit pack of a release opens with the trust folder of the wheel, in both engines."""
    folder = Path(__file__).parents[2] / "src" / "trocar_lab" / "assets" / "packs"
    (pack,) = folder.iterdir()
    command = ["run", "polyp_segmentation", str(picture), "-o", str(tmp_path / "out")]
    assert main([*command, "--pack", str(pack), "--engine", engine.value]) == 0
    told = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert told["units"][0]["backend"]["precision"] == "int8"
    manifest = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["derived_from"]["digest"] == verify_pack(SHIPPED_PACK).digest
