"""Training learns drawn tools, continues bit for bit, and logs what it did."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trocar_lab.training.detection import (
    DetectionConfig,
    DetectionTrainer,
    class_weights,
    run_network,
)
from trocar_lab.training.detection_augmentation import BoxedFrame, DetectionAugmentation
from trocar_lab.training.schedule import learning_rate_at

CONFIG = DetectionConfig(
    height_px=64,
    width_px=96,
    batch_size=4,
    epoch_count=4,
    warmup_steps=2,
    learning_rate=2e-3,
    average_decay=0.5,
    validate_every=2,
    use_bfloat16=False,
    augmentation=DetectionAugmentation(hole_probability=0, smoke_probability=0),
)


def _frames(count: int) -> list[BoxedFrame]:
    """Return bright squares of class 0 and blue ones of class 1 on dark ground."""
    generator = np.random.default_rng(0)
    frames = []
    for index in range(count):
        rgb = np.full((64, 96, 3), 40, np.uint8)
        left, top = (int(v) for v in generator.integers(4, 30, size=2))
        rgb[top : top + 24, left : left + 30] = (230, 230, 230) if index % 2 else (30, 30, 230)
        box = np.array([[left / 96, top / 64, (left + 30) / 96, (top + 24) / 64]], np.float32)
        frames.append(BoxedFrame(rgb, box, np.array([1 - index % 2])))
    return frames


def _trainer(folder: Path, config: DetectionConfig = CONFIG) -> DetectionTrainer:
    """Return a run on eight drawn frames, watched on two."""
    return DetectionTrainer(
        2,
        _frames(8),
        _frames(2),
        score=lambda cells: float(len(cells)),
        config=config,
        folder=folder,
    )


def _log(folder: Path) -> list[dict[str, object]]:
    """Return the lines of the log."""
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.verifies("SRS_TOOL_024", extent="full", technique="requirement")
def test_a_cut_run_continues_to_the_same_weights(tmp_path: Path) -> None:
    """Two epochs, a cut, two more: bit for bit what four in one go give."""
    torch.set_num_threads(1)
    whole = _trainer(tmp_path / "whole")
    whole.run()
    cut = _trainer(tmp_path / "cut")
    cut_after = DetectionTrainer._save
    saves = 0

    def save_twice(self: DetectionTrainer) -> None:
        nonlocal saves
        cut_after(self)
        saves += 1
        if saves == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DetectionTrainer, "_save", save_twice)
        with pytest.raises(KeyboardInterrupt):
            cut.run()
    torch.manual_seed(99)
    resumed = _trainer(tmp_path / "cut")
    assert resumed.resume()
    resumed.run()
    for name, value in whole.average.state_dict().items():
        torch.testing.assert_close(resumed.average.state_dict()[name], value, rtol=0, atol=0)
    assert [line["epoch"] for line in _log(tmp_path / "cut") if "loss" in line] == [1, 2, 3, 4]


def test_the_loss_falls_and_the_log_says_so(tmp_path: Path) -> None:
    """A run without learning would still write files; the last epoch must be better."""
    torch.set_num_threads(1)
    trainer = _trainer(tmp_path, replace(CONFIG, epoch_count=10))
    assert not trainer.resume()
    assert trainer.run() == 2.0
    losses = [float(str(line["loss"])) for line in _log(tmp_path) if "loss" in line]
    assert len(losses) == 10
    assert losses[-1] < 0.75 * losses[0]
    assert [line["epoch"] for line in _log(tmp_path) if "validation_score" in line] == [
        2,
        4,
        6,
        8,
        10,
    ]


def test_a_run_can_begin_with_the_weights_of_another(tmp_path: Path) -> None:
    """The averaged weights are taken over, and the log says from which run."""
    first = _trainer(tmp_path / "first", replace(CONFIG, epoch_count=1))
    first.run()
    second = _trainer(tmp_path / "second", replace(CONFIG, seed=5))
    second.start_from(tmp_path / "first")
    for name, value in first.average.state_dict().items():
        torch.testing.assert_close(second.network.state_dict()[name], value, rtol=0, atol=0)
    assert _log(tmp_path / "second")[0]["initial"] == "the weights of run first"


def test_fewer_frames_than_a_batch_are_refused(tmp_path: Path) -> None:
    """An epoch of no step would end with untrained weights and no word about it."""
    with pytest.raises(ValueError, match="at least 4 training frames, got 3"):
        DetectionTrainer(
            2, _frames(3), [], score=lambda _: 0.0, config=CONFIG, folder=tmp_path / "run"
        )


def test_learning_rate_rises_stays_and_falls() -> None:
    """Warm-up, plateau, linear decay over the last half."""
    rates = [learning_rate_at(step, 20, CONFIG) for step in range(20)]
    assert rates[0] == CONFIG.learning_rate / 2
    assert rates[1:10] == [CONFIG.learning_rate] * 9
    assert rates[15] == pytest.approx(CONFIG.learning_rate / 2)
    assert 0 < rates[19] < CONFIG.learning_rate / 5


def test_rare_classes_weigh_more_by_the_root_of_their_rarity() -> None:
    """Four times rarer is twice the weight; the mean over the boxes is 1."""
    classes = np.array([0, 0, 0, 0, 1])
    frame = BoxedFrame(np.zeros((1, 1, 3), np.uint8), np.zeros((5, 4), np.float32), classes)
    weights = class_weights([frame], 2)
    assert weights[1] == pytest.approx(2 * weights[0])
    assert weights[classes].mean() == pytest.approx(1.0)


def test_cells_come_one_frame_at_a_time(tmp_path: Path) -> None:
    """As many as frames, also when the last batch is not full, all in [0, 1]."""
    trainer = _trainer(tmp_path)
    cells = list(run_network(trainer.average, _frames(6), CONFIG))
    assert len(cells) == 6
    assert cells[0].shape == (6, 8, 12)
    assert 0 <= min(one.min() for one in cells) <= max(one.max() for one in cells) <= 1
