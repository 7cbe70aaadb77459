"""Augmentation that changes nothing, for tests that look at one thing."""

from __future__ import annotations

from typing import Final

from trocar_lab.training.augmentation import AugmentationConfig

GEOMETRY_ONLY: Final = AugmentationConfig(
    colour_probability=0,
    blur_probability=0,
    compression_probability=0,
    highlight_probability=0,
    inset_probability=0,
    paste_probability=0,
)
