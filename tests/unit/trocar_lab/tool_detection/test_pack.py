"""From drawn frames to a verified pack: rendered scenes, training, threshold, figures, card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simulators.cholect50 import register_cholect50_like, write_cholect50_like
from simulators.trust import sign_and_trust, trust_of
from trocar.apps.surgical_tools import open_detection
from trocar.backends.request import BackendRequest
from trocar_lab.__main__ import main
from trocar_lab.datasets import data_root, registered
from trocar_lab.datasets.cholect50 import LABELS, read_index, select
from trocar_lab.tool_detection.evaluate import score, summarise
from trocar_lab.tool_detection.pack import PackPlan, ToolPackReport, pack_tool_detection
from trocar_lab.tool_detection.pretrain import pretrain, rendered_frames
from trocar_lab.tool_detection.train import train
from trocar_lab.training.detection import DetectionConfig

HEIGHT, WIDTH = 96, 160
CONFIG = DetectionConfig(
    height_px=HEIGHT,
    width_px=WIDTH,
    batch_size=8,
    epoch_count=1,
    warmup_steps=2,
    average_decay=0.5,
    use_bfloat16=False,
)


def _plan(folder: Path) -> PackPlan:
    """Return a plan for the runs in a folder."""
    return PackPlan(
        runs=(folder / "rendered", folder / "final"),
        chooser=folder / "chooser",
        train_on=("VID68", "VID74"),
        choose_on="VID68",
        test_on="VID73",
        height_px=HEIGHT,
        width_px=WIDTH,
        use_mirror=True,
        rendered_note="not compared here.",
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ToolPackReport:
    """Train for an epoch each on rendered scenes and drawn frames, and pack the result."""
    folder = tmp_path_factory.mktemp("tools")
    write_cholect50_like(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(data_root.VARIABLE, str(folder / "data"))
        patch.setattr(registered, "REGISTER", register_cholect50_like(folder / "data"))
        pretrain(folder / "rendered", scene_count=8, config=CONFIG, thread_count=1)
        for name, on, watch in (
            ("chooser", ("VID73", "VID74"), ("VID68",)),
            ("final", ("VID68", "VID74"), ()),
        ):
            train(
                folder / name,
                train_on=on,
                watch=watch,
                config=CONFIG,
                thread_count=1,
                initial=folder / "rendered",
            )
        return pack_tool_detection(_plan(folder), folder / "pack", version="0.0.1")


def _write_again(report: ToolPackReport, folder: Path) -> Path:
    """Write the pack from what the report holds, sign and approve it."""
    folder.mkdir()
    for name, data in report.pack.content.items():
        (folder / name).write_bytes(data)
    manifest = report.pack.manifest.model_dump_json(indent=2) + "\n"
    (folder / "manifest.json").write_text(manifest, encoding="utf-8")
    sign_and_trust(folder)
    return folder


def test_the_device_opens_the_pack_and_gives_its_figures(
    report: ToolPackReport, tmp_path: Path
) -> None:
    """The figures come from the test procedure alone, through the unit that the device opens."""
    write_cholect50_like(tmp_path / "data")
    items = select(read_index(tmp_path / "data"), ["VID73"])
    folder = _write_again(report, tmp_path / "copy")
    opened = open_detection(folder, BackendRequest(), frame_age_ms_max=100, trust=trust_of(folder))
    again = summarise(score(opened.unit, items), resample_count=50)
    assert again["mean"].ap50 == pytest.approx(report.test["mean"].ap50, abs=1e-6)
    assert report.test["mean"].frame_count == len(items)
    assert report.test["mean"].group_count == len({item.group for item in items})
    assert report.pack.manifest.labels == LABELS


@pytest.mark.verifies("SRS_TOOL_028", extent="partial", technique="requirement")
def test_card_and_manifest_say_the_same_figures(report: ToolPackReport) -> None:
    """A figure in words that nobody computed would be the first thing to go stale."""
    card = report.pack.card
    for name, one in report.test.items():
        assert f"| {name} | {one.ap50:.3f} | {one.ap50_interval[0]:.3f} to" in card
    stated = {one.name: one for one in report.pack.manifest.metrics}
    assert stated["AP50, mean"].value == pytest.approx(report.test["mean"].ap50, abs=1e-4)
    assert stated["AP50:95, mean"].upper_95 <= stated["AP50, mean"].upper_95
    words = ("VID68", "VID73", "weak", "Not for clinical use", "CC BY-NC-SA 4.0", "run chooser")
    assert all(word in card for word in words)
    assert "{" not in card


@pytest.mark.verifies("SRS_TOOL_027", extent="full", technique="requirement")
def test_the_export_agrees_with_torch_on_the_test_procedure(report: ToolPackReport) -> None:
    """Weights in half precision move a score a little, and no more than the limit."""
    assert 0 < report.difference < 0.02


def test_the_threshold_is_the_best_of_the_candidates(report: ToolPackReport) -> None:
    """It stands in the manifest with how it was chosen, and on which procedure."""
    threshold = report.pack.manifest.threshold
    assert threshold.value == report.point.threshold
    assert "VID68" in threshold.chosen_by
    assert "VID73 was not read" in threshold.chosen_by


@pytest.mark.verifies("SRS_TOOL_021", extent="partial", technique="requirement")
@pytest.mark.parametrize("test_on", ["VID68", "VID74"])
def test_a_test_procedure_that_was_used_is_refused(tmp_path: Path, test_on: str) -> None:
    """Its figure would be worth nothing."""
    plan = replace(_plan(tmp_path), test_on=test_on)
    with pytest.raises(ValueError, match="test procedure of its own"):
        pack_tool_detection(plan, tmp_path / "pack", version="0.0.1")


@pytest.mark.verifies("SRS_TOOL_021", extent="partial", technique="requirement")
def test_a_procedure_on_both_sides_is_refused(tmp_path: Path) -> None:
    """Watched on what it is trained on, a run always looks good."""
    with pytest.raises(ValueError, match="no procedure on both sides"):
        train(tmp_path, train_on=["VID68"], watch=["VID68"], config=CONFIG, thread_count=1)


def test_rendered_frames_follow_from_their_number() -> None:
    """The same count gives the same scenes; boxes are fractions."""
    first, second = (list(rendered_frames(3, height_px=96, width_px=160)) for _ in range(2))
    for one, two in zip(first, second, strict=True):
        assert (one.rgb == two.rgb).all()
        assert (one.boxes == two.boxes).all()
        assert one.boxes.size == 0 or float(np.max(one.boxes)) <= 1.0


@pytest.mark.parametrize("command", ["train", "evaluate", "pack"])
def test_commands_say_how_to_name_the_data(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    """Without data each command ends with one line and a code, and writes nothing."""
    monkeypatch.setenv(data_root.VARIABLE, str(tmp_path / "none"))
    run = str(tmp_path / "run")
    words = {
        "train": ["--run", run, "--on", "VID68"],
        "evaluate": ["results.jsonl", "--on", "VID73"],
        "pack": [
            "--run",
            run,
            "--chooser",
            run,
            "--trained-on",
            "VID68",
            "VID74",
            "--choose-on",
            "VID68",
            "--test-on",
            "VID73",
            "--note",
            "none",
            "-o",
            run,
            "--version",
            "0.0.1",
        ],
    }[command]
    assert main([command, "tool_detection", *words]) == 1
    assert data_root.VARIABLE in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
