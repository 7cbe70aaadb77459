"""Train the tool-tip detector on some procedures of CholecT50, watched on another one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import torch

from trocar_lab.datasets.cholect50 import LABELS, load_rgb, read_registered, select
from trocar_lab.datasets.data_root import require_data_root
from trocar_lab.tool_detection.evaluate import mean_ap50
from trocar_lab.training.detection import DetectionConfig, DetectionTrainer
from trocar_lab.training.detection_augmentation import BoxedFrame

__all__ = ["train"]


def train(
    folder: Path,
    *,
    train_on: Sequence[str],
    watch: Sequence[str],
    config: DetectionConfig,
    thread_count: int,
    initial: Path | None = None,
) -> float:
    """Train, or continue the run in the folder; return the last mean AP50 on the watched procedure.

    Args:
        folder: Folder of the run.
        train_on: Procedures to train on.
        watch: Procedures to validate on; none of those to train on; may be empty.
        config: The run.
        thread_count: Threads of torch.
        initial: Folder of a run whose weights a fresh run begins with; None means random ones.

    Raises:
        DataRootMissingError: The real data is not on this machine.
        UnregisteredDataError: They are not the data that verification registered.
        ValueError: A procedure is on both sides.
    """
    if set(train_on) & set(watch):
        raise ValueError(f"expected no procedure on both sides, got {train_on} and {watch}")
    torch.set_num_threads(thread_count)
    cv2.setNumThreads(1)
    items = read_registered(require_data_root())
    train_frames, watched = (
        [BoxedFrame(load_rgb(item), item.boxes, item.classes) for item in select(items, side)]
        for side in (train_on, watch)
    )
    trainer = DetectionTrainer(
        len(LABELS),
        train_frames,
        watched,
        score=lambda cells: mean_ap50(cells, watched),
        config=config,
        folder=folder,
    )
    if not trainer.resume() and initial is not None:
        trainer.start_from(initial)
    return trainer.run()
