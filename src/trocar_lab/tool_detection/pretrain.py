"""Train the tool-tip detector on rendered scenes first; no patient's picture is read here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch

from trocar_lab.datasets.cholect50 import LABELS
from trocar_lab.simulation.laparoscopy import LaparoscopyScene, render
from trocar_lab.training.detection import DetectionConfig, DetectionTrainer
from trocar_lab.training.detection_augmentation import BoxedFrame

__all__ = ["pretrain", "rendered_frames"]

SCENE_SEED: Final = 50_000
"""Seed of the first training scene; demonstration and tests use smaller ones."""

_TIME_S_MAX: Final = 30.0


def rendered_frames(count: int, *, height_px: int, width_px: int) -> Iterator[BoxedFrame]:
    """Yield one frame each of ``count`` scenes, at a time drawn for each; empty ones are kept."""
    for index in range(count):
        seed = SCENE_SEED + index
        time_s = float(np.random.default_rng([seed, 1]).uniform(0, _TIME_S_MAX))
        frame = render(LaparoscopyScene(seed), time_s, height_px, width_px)
        scale = np.array([width_px, height_px, width_px, height_px], dtype=np.float32)
        yield BoxedFrame(frame.rgb, frame.boxes_xyxy_px / scale, frame.class_indices)


def pretrain(
    folder: Path, *, scene_count: int, config: DetectionConfig, thread_count: int
) -> float:
    """Train, or continue the run in the folder, on rendered scenes; return the last loss' score.

    Args:
        folder: Folder of the run.
        scene_count: Number of scenes, one frame each.
        config: The run.
        thread_count: Threads of torch.
    """
    torch.set_num_threads(thread_count)
    cv2.setNumThreads(1)
    frames = list(
        rendered_frames(scene_count, height_px=config.height_px, width_px=config.width_px)
    )
    trainer = DetectionTrainer(
        len(LABELS), frames, [], score=lambda _: float("nan"), config=config, folder=folder
    )
    trainer.resume()
    return trainer.run()
