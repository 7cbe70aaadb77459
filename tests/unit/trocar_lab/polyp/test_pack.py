"""From drawn images to a verified pack: training, threshold, figures, card, in one pass."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from simulators.kvasir import register_kvasir_like, write_kvasir_like
from simulators.trust import sign_and_trust, trust_of
from trocar.apps.endoscopy import open_unit
from trocar.backends.request import BackendRequest
from trocar.imaging.resize import upsample_mask
from trocar_lab.__main__ import main
from trocar_lab.datasets import data_root, registered
from trocar_lab.datasets.kvasir_seg import digest, read_index, select
from trocar_lab.datasets.splits import Split
from trocar_lab.metrics.overlap import dice
from trocar_lab.polyp import evaluate
from trocar_lab.polyp.pack import PackReport, pack_polyp
from trocar_lab.polyp.train import train
from trocar_lab.training.segmentation import TrainingConfig

CONFIG = TrainingConfig(
    size=64,
    batch_size=8,
    epoch_count=2,
    warmup_steps=2,
    learning_rate=3e-3,
    validate_every=1,
    average_decay=0.5,
    use_bfloat16=False,
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> PackReport:
    """Train for two short epochs on drawn discs and pack the result."""
    folder = tmp_path_factory.mktemp("polyp")
    write_kvasir_like(folder / "data")
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width = stream.height = 96
        for level in (60, 120, 180):
            pixels = np.full((96, 96, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(data_root.VARIABLE, str(folder / "data"))
        patch.setattr(registered, "REGISTER", register_kvasir_like(folder / "data"))
        train(folder / "run", config=CONFIG, thread_count=1)
        return pack_polyp(
            [folder / "run"], folder / "clip.mp4", folder / "pack", version="0.0.1", use_mirror=True
        )


def _write_again(report: PackReport, folder: Path) -> Path:
    """Write the pack from what the report holds, sign and approve it."""
    folder.mkdir()
    for name, data in report.pack.content.items():
        (folder / name).write_bytes(data)
    manifest = report.pack.manifest.model_dump_json(indent=2) + "\n"
    (folder / "manifest.json").write_text(manifest, encoding="utf-8")
    sign_and_trust(folder)
    return folder


def test_pack_opens_as_the_device_opens_it(report: PackReport, tmp_path: Path) -> None:
    """The reference case is replayed within its limits by a fresh unit."""
    folder = _write_again(report, tmp_path / "copy")
    opened = open_unit(folder, BackendRequest(), frame_age_ms_max=100, trust=trust_of(folder))
    assert opened.pack.digest == report.pack.digest
    assert opened.reference_case.is_within_limits


@pytest.mark.verifies("SRS_PACK_005", extent="full", technique="requirement")
def test_card_and_manifest_say_the_same_figures(report: PackReport) -> None:
    """A figure in words that nobody computed would be the first thing to go stale."""
    card = report.pack.card
    assert report.pack.manifest.metrics[0].name == "mean Dice"
    for metric in report.pack.manifest.metrics:
        assert f"{metric.value:.4f} | {metric.lower_95:.4f} to {metric.upper_95:.4f}" in card
        assert metric.item_count > 0
    assert str(report.threshold) in card
    assert "RESEARCH USE ONLY" in card
    assert report.pack.manifest.trained_on[0].digest in card
    assert "Not for" in card
    assert "{" not in card


@pytest.mark.verifies("SRS_TRAIN_002", extent="full", technique="requirement")
def test_exported_model_agrees_with_torch_on_the_test_side(report: PackReport) -> None:
    """Probability by probability, mask by mask."""
    assert report.parity.image_count > 0
    assert report.parity.prob_difference_max < 1e-4
    assert report.parity.mask_dice_min > 0.999


def test_figures_come_from_the_test_side_alone(report: PackReport, tmp_path: Path) -> None:
    """As many images as the side holds, each group counted once."""
    write_kvasir_like(tmp_path)
    side = select(read_index(tmp_path), Split.TEST)
    assert report.test["mean Dice"].item_count == len(side)
    assert report.test["mean Dice"].group_count == len({item.group for item in side})


def test_threshold_is_the_best_of_the_candidates(tmp_path: Path, report: PackReport) -> None:
    """Chosen on the validation side, by the mean Dice at the images' own size."""
    write_kvasir_like(tmp_path)
    folder = _write_again(report, tmp_path / "copy")
    unit = open_unit(folder, BackendRequest(), frame_age_ms_max=100, trust=trust_of(folder)).unit
    scored = evaluate.score(unit, select(read_index(tmp_path), Split.VALIDATION))
    chosen, means = evaluate.choose_threshold(scored)
    assert chosen == report.threshold
    assert means[chosen] == max(means.values())
    at_chosen = float(np.mean([one.dice for one in scored]))
    assert at_chosen == pytest.approx(means[chosen])
    assert scored[0].dice == dice(upsample_mask(scored[0].mask), scored[0].reference)


def test_withheld_image_is_not_left_out(tmp_path: Path, report: PackReport) -> None:
    """A figure over the images that happened to have a result would be too good."""

    class Refusing:
        """A unit that answers nothing."""

        info = None

        def run(self, frame: object, *, now_ns: int) -> object:
            """Withhold."""
            from trocar.contracts.outcome import Reason, Withheld

            return Withheld(frame_index=0, reason=Reason.FRAME_BLACK)

    write_kvasir_like(tmp_path)
    with pytest.raises(evaluate.WithheldError, match="frame_black"):
        evaluate.score(Refusing(), read_index(tmp_path)[:1])  # type: ignore[arg-type] # a fake


@pytest.mark.parametrize("command", ["train", "pack"])
def test_command_line_refuses_data_that_are_not_registered(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    """Drawn discs under the name of Kvasir-SEG: one line with both digests, and nothing written."""
    write_kvasir_like(tmp_path / "data")
    monkeypatch.setenv(data_root.VARIABLE, str(tmp_path / "data"))
    words = [command, "polyp_segmentation", "--run", str(tmp_path / "run")]
    if command == "pack":
        words += ["--clip", "none.mp4", "-o", str(tmp_path / "pack"), "--version", "0.0.1"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert str(registered.registered_digest("DATA_KVASIR_SEG")) in said
    assert digest(read_index(tmp_path / "data")) in said
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "pack").exists()


def test_command_line_says_how_to_name_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without data the command ends with one line and a code."""
    monkeypatch.setenv(data_root.VARIABLE, str(tmp_path / "none"))
    assert main(["train", "polyp_segmentation", "--run", str(tmp_path / "run")]) == 1
    assert data_root.VARIABLE in capsys.readouterr().err
