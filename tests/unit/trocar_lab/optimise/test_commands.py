"""The command studies a unit, packs what passes, and says what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.variant_study import SCALE, DrawnTask, InProcess, timed_by_size, write_twin_pack
from trocar_lab.__main__ import main
from trocar_lab.optimise import study as study_module
from trocar_lab.optimise import tasks


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a pack, and let studies run in-process on drawn frames."""
    monkeypatch.setattr(study_module, "VariantProcess", InProcess)
    monkeypatch.setattr(study_module, "measure_by_turns", timed_by_size)
    monkeypatch.setattr(study_module, "QUICK", SCALE)
    monkeypatch.setitem(tasks.TASKS, "polyp_segmentation", lambda _manifest: DrawnTask())
    write_twin_pack(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "base"


@pytest.mark.verifies("SRS_OPT_004", extent="full", technique="equivalence")
def test_unit_is_studied_and_a_recommended_variant_is_packed(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From one packed model to a pack that is ready to be signed."""
    command = ["optimise", "polyp_segmentation", "--from", str(base)]
    assert main([*command, "--quick"]) == 0
    said = capsys.readouterr().out
    recommended = said.split("recommended: ")[1].split(" on ")[0]
    assert Path("optimise_polyp_segmentation/optimise.json").is_file()
    assert main([*command, "--pack", recommended]) == 0
    assert "it opens once it is signed" in capsys.readouterr().out
    assert Path(f"twin_{recommended}/manifest.json").is_file()


@pytest.mark.verifies("SRS_OPT_008", extent="partial", technique="equivalence")
def test_variant_without_figures_on_the_test_side_is_refused(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The original was not run on the test side as a variant."""
    command = ["optimise", "polyp_segmentation", "--from", str(base), "-o", "here"]
    assert main([*command, "--quick"]) == 0
    assert main([*command[:-2], "--study", "here", "--pack", "one_view_int8", "-o", "p"]) in {0, 1}
    assert main([*command[:-2], "--study", "here", "--pack", "averaged", "-o", "q"]) == 1
    assert "refused: " in capsys.readouterr().err
    assert not Path("q").exists()


def test_unit_without_a_model_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Tracking follows boxes by arithmetic of its own."""
    assert main(["optimise", "tool_tracking"]) == 1
    assert "has no model" in capsys.readouterr().err


@pytest.mark.parametrize("more", [(), ("--pack", "averaged")])
def test_pack_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    """A wrong path is answered in words, with the exit code of a pack, and nothing is written."""
    command = ["optimise", "polyp_segmentation", "--from", str(tmp_path / "nowhere"), *more]
    assert main([*command, "-o", str(tmp_path / "study")]) == 66
    said = capsys.readouterr().err
    assert f"cannot read the pack {tmp_path / 'nowhere'}" in said
    assert "what to do: " in said
    assert not (tmp_path / "study").exists()


def test_nothing_within_the_limit_is_said(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No recommendation is an answer."""
    monkeypatch.setattr(study_module, "recommended", lambda _rows: ())
    assert main(["optimise", "polyp_segmentation", "--from", str(base), "--quick"]) == 0
    assert "recommended: none" in capsys.readouterr().out
