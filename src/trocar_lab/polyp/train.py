"""Train the polyp segmentation network on the training side of Kvasir-SEG."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from trocar_lab.datasets.data_root import require_data_root
from trocar_lab.datasets.kvasir_seg import load_pair, read_registered, select
from trocar_lab.datasets.splits import Split
from trocar_lab.training.networks import ResidualUNet
from trocar_lab.training.segmentation import Pair, Trainer, TrainingConfig


def train(
    folder: Path, *, config: TrainingConfig, thread_count: int, initial: Path | None = None
) -> float:
    """Train, or continue the run in the folder; return the best validation Dice.

    The test side is never read here.

    Args:
        folder: Folder of the run.
        config: The run.
        thread_count: Threads of torch.
        initial: Folder of a run whose weights a fresh run begins with; None means random ones.

    Raises:
        DataRootMissingError: The real data is not on this machine.
        UnregisteredDataError: They are not the data that verification registered.
    """
    torch.set_num_threads(thread_count)
    cv2.setNumThreads(1)
    items = read_registered(require_data_root())
    trainer = Trainer(
        ResidualUNet,
        [_pair(item_pair) for item_pair in map(load_pair, select(items, Split.TRAIN))],
        [_pair(item_pair) for item_pair in map(load_pair, select(items, Split.VALIDATION))],
        config=config,
        folder=folder,
    )
    if not trainer.resume() and initial is not None:
        trainer.start_from(initial / "best.pt")
    return trainer.run()


def _pair(pair: tuple[np.ndarray, np.ndarray]) -> Pair:
    """Return the label as uint8, as the augmentation takes it."""
    return pair[0], pair[1].astype(np.uint8)
