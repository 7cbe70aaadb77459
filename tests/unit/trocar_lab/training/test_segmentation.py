"""Training learns, resumes exactly, stops early, and logs what it did."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from simulators.augmentations import GEOMETRY_ONLY
from trocar_lab.training.networks import DeepNetwork
from trocar_lab.training.schedule import learning_rate_at
from trocar_lab.training.segmentation import (
    Pair,
    Trainer,
    TrainingConfig,
    segmentation_loss,
)

QUIET = replace(GEOMETRY_ONLY, scale_min=1.0, scale_max=1.0, shift_fraction=0.0, shear=0.0)
CONFIG = TrainingConfig(
    size=32,
    batch_size=4,
    epoch_count=4,
    warmup_steps=1,
    learning_rate=0.05,
    validate_every=1,
    average_decay=0.5,
    use_bfloat16=False,
    augmentation=QUIET,
)


class TinyNetwork(DeepNetwork):
    """One convolution: enough to find bright pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 1, 1)

    def forward_deep(self, image: Tensor) -> list[Tensor]:
        """Return the logits of one level."""
        return [self.convolution(image - 0.5)]


def _pairs(count: int) -> list[Pair]:
    """Return bright squares on dark grounds."""
    generator = np.random.default_rng(0)
    pairs = []
    for _ in range(count):
        label = np.zeros((40, 40), np.uint8)
        top, left = generator.integers(4, 16, size=2)
        label[top : top + 16, left : left + 16] = 1
        rgb = np.repeat((label * 180 + 40)[..., None], 3, axis=2).astype(np.uint8)
        pairs.append((rgb, label))
    return pairs


def _trainer(folder: Path, config: TrainingConfig = CONFIG) -> Trainer:
    """Return a trainer on drawn pairs."""
    return Trainer(TinyNetwork, _pairs(8), _pairs(3), config=config, folder=folder)


def _weights(folder: Path) -> dict[str, Tensor]:
    """Return the network's weights in the last checkpoint."""
    state: dict[str, dict[str, Tensor]] = torch.load(folder / "last.pt", weights_only=True)
    return state["network"]


def test_it_learns(tmp_path: Path) -> None:
    """Separable pixels are separated: a validation Dice near one, on pairs not trained on."""
    best = _trainer(tmp_path, replace(CONFIG, epoch_count=30)).run()
    assert best > 0.9


@pytest.mark.verifies("SRS_TRAIN_003", extent="full", technique="requirement")
def test_cut_run_continues_as_if_never_cut(tmp_path: Path) -> None:
    """Two epochs, a new process, two more: the same weights, bit for bit, as four at once."""
    _trainer(tmp_path / "whole").run()
    half = _trainer(tmp_path / "cut")
    half._config = replace(CONFIG, epoch_count=4)
    batches = half._batches
    stop_after = 2

    def cut() -> object:
        if half._epoch >= stop_after:
            raise KeyboardInterrupt
        return batches()

    half._batches = cut  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        half.run()
    rest = _trainer(tmp_path / "cut")
    assert rest.resume()
    rest.run()
    whole, cut_weights = _weights(tmp_path / "whole"), _weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], cut_weights[name]) for name in whole)


def test_resume_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    """A fresh folder starts a fresh run."""
    assert not _trainer(tmp_path).resume()


@pytest.mark.verifies("SRS_TRAIN_003", extent="partial", technique="requirement")
def test_run_stops_when_validation_no_longer_improves(tmp_path: Path) -> None:
    """Patience bounds the validations without a gain."""
    config = replace(CONFIG, epoch_count=200, patience=3, learning_rate=1e-9)
    _trainer(tmp_path, config).run()
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert sum("loss" in entry for entry in log) <= 10


@pytest.mark.verifies("SRS_TRAIN_003", extent="partial", technique="requirement")
def test_log_holds_configuration_seed_and_every_epoch(tmp_path: Path) -> None:
    """A run that cannot be told from its log cannot be repeated."""
    _trainer(tmp_path).run()
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[0]["config"]["seed"] == CONFIG.seed
    assert [entry["epoch"] for entry in log[1:]] == [1, 2, 3, 4]
    assert all(0 <= entry["validation_dice"] <= 1 for entry in log[1:])


@pytest.mark.parametrize("sides", [(0, 3), (8, 0)])
def test_empty_side_is_refused(tmp_path: Path, sides: tuple[int, int]) -> None:
    """Training or validating on nothing is a mistake of the caller."""
    with pytest.raises(ValueError, match="empty side"):
        Trainer(TinyNetwork, _pairs(sides[0]), _pairs(sides[1]), config=CONFIG, folder=tmp_path)


def test_loss_is_small_for_a_right_answer_and_large_for_a_wrong_one() -> None:
    """Also for a small polyp, and with the deep levels counted."""
    label = torch.zeros(2, 1, 32, 32)
    label[:, :, 4:8, 4:8] = 1
    right = (label * 2 - 1) * 20
    coarse = torch.nn.functional.interpolate(right, scale_factor=0.25, mode="area")
    assert segmentation_loss([right, coarse], label) < 0.1
    assert segmentation_loss([-right, -coarse], label) > 5
    assert segmentation_loss([torch.full_like(right, -20.0)], label) > 0.9


def test_learning_rate_warms_up_stays_and_falls_to_zero() -> None:
    """The plateau lets a run be continued without having spent its schedule."""
    config = TrainingConfig(warmup_steps=10, learning_rate=1.0, decay_fraction=0.3)
    rates = [learning_rate_at(step, 100, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:70] == [1.0] * 61
    assert rates[70:] == sorted(rates[70:], reverse=True)
    assert rates[100] == 0.0
