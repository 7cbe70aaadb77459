"""Tissue of the upper abdomen as a lit, coloured relief: liver, gallbladder, fat, blood."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["cloud", "tissue"]

Float32 = NDArray[np.float32]

_COLOURS: Final = np.array(
    [
        [0.42, 0.13, 0.11],
        [0.62, 0.30, 0.27],
        [0.55, 0.42, 0.44],
        [0.80, 0.62, 0.34],
        [0.72, 0.45, 0.40],
    ],
    dtype=np.float32,
)
_BLOOD: Final = np.array([0.33, 0.02, 0.03], dtype=np.float32)
_VESSEL: Final = np.array([0.45, 0.10, 0.14], dtype=np.float32)


def cloud(
    generator: np.random.Generator, height_px: int, width_px: int, octaves: tuple[int, ...]
) -> Float32:
    """Return smooth noise in about [0, 1]: the mean of grids of random numbers, each made larger.

    Args:
        generator: Source of the numbers.
        height_px: Rows.
        width_px: Columns.
        octaves: Rows of each grid; the amplitude falls with the number of rows.
    """
    total = np.zeros((height_px, width_px), dtype=np.float32)
    weight = 0.0
    for rows in octaves:
        grid = generator.random((rows, rows * 2)).astype(np.float32)
        share = 1.0 / rows**0.8
        total += share * cv2.resize(grid, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
        weight += share
    return np.asarray(np.clip((total / weight - 0.5) * 1.6 + 0.5, 0, 1), dtype=np.float32)


# The frames of a clip share one tissue.
@lru_cache(maxsize=2)
def tissue(seed: int, height_px: int, width_px: int) -> Float32:
    """Return a lit picture of tissue, (H, W, 3) float32 linear, read-only, highlights above 1.

    Args:
        seed: Decides everything.
        height_px: Rows.
        width_px: Columns.
    """
    generator = np.random.default_rng([seed, 11])
    colour = _COLOURS[generator.integers(len(_COLOURS))][None, None, :] * np.ones(
        (height_px, width_px, 1), dtype=np.float32
    )
    for _ in range(int(generator.integers(2, 5))):
        region = cloud(generator, height_px, width_px, (2, 4, 9))
        limit = generator.uniform(0.4, 0.65)
        share = np.clip((region - limit) * generator.uniform(8, 30) + 0.5, 0, 1)[..., None]
        colour = colour * (1 - share) + _COLOURS[generator.integers(len(_COLOURS))] * share
    colour = colour * (0.75 + 0.5 * cloud(generator, height_px, width_px, (12, 30, 60))[..., None])
    ridge = np.abs(cloud(generator, height_px, width_px, (5, 11, 24)) - 0.5)
    vessels = np.clip(1 - ridge * generator.uniform(25, 60), 0, 1)[..., None]
    colour = colour * (1 - 0.6 * vessels) + _VESSEL * 0.6 * vessels
    blood = cloud(generator, height_px, width_px, (3, 7, 20))
    share = np.clip((blood - generator.uniform(0.55, 0.95)) * 12, 0, 0.85)[..., None]
    colour = colour * (1 - share) + _BLOOD * share
    lit = _lit(colour.astype(np.float32), generator)
    lit.setflags(write=False)
    return lit


def _lit(colour: Float32, generator: np.random.Generator) -> Float32:
    """Shade by the slope of a random relief and add highlights where it faces the light."""
    height, width = colour.shape[:2]
    relief = cloud(generator, height, width, (3, 6, 14, 30)) * generator.uniform(0.3, 1.2)
    down, right = np.gradient(relief * height / 4)
    facing = 1.0 / np.sqrt(1.0 + down**2 + right**2)
    shine = np.clip((facing - 0.985) * 70, 0, 1) * np.clip(
        (cloud(generator, height, width, (20, 45)) - 0.66) * 14, 0, 1
    )
    return np.asarray(colour * (0.35 + 0.65 * facing)[..., None] + shine[..., None], np.float32)
