"""Procedural mucosa: periodic maps of vessels, blotches, mucus and relief, made from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

__all__ = ["TEXTURE_SIDE_MM", "Mucosa", "make_mucosa", "periodic_noise"]

TEXTURE_SIDE_MM: Final = 150.0
TEXTURE_SIDE_PX: Final = 1024

Float32Yx = NDArray[np.float32]
NoiseSource = Callable[[float], Float32Yx]


@dataclass(frozen=True)
class Mucosa:
    """Square maps that repeat without a seam in both directions.

    Attributes:
        appearance: (S, S, 3) float32 [1]: vessel in [0, 1], blotch in [-1, 1], mucus in [0, 1].
        relief: (S, S, 2) float32 [1]: slope of the wet surface along columns and rows.
        texels_per_mm: Resolution of both maps [1/mm].
    """

    appearance: NDArray[np.float32]
    relief: NDArray[np.float32]
    texels_per_mm: float


def periodic_noise(generator: Generator, side_px: int, wavelength_px: float) -> Float32Yx:
    """Return band-limited noise of mean 0 and standard deviation 1 that repeats without a seam.

    Args:
        generator: Source of all randomness.
        side_px: Side of the square map [px].
        wavelength_px: Dominant wavelength [px].

    Returns:
        (S, S) float32 [1], newly allocated.
    """
    white = generator.standard_normal((side_px, side_px), dtype=np.float32)
    rows = fft.fftfreq(side_px).astype(np.float32)[:, None]
    columns = fft.rfftfreq(side_px).astype(np.float32)[None, :]
    radius = np.hypot(rows, columns) * np.float32(wavelength_px)
    # A log-normal band one octave wide; the floor keeps log finite and removes the mean.
    band = np.exp(-0.5 * (np.log(np.maximum(radius, 1e-4)) / 0.45) ** 2)
    noise = fft.irfft2(fft.rfft2(white) * band, s=(side_px, side_px))
    return np.asarray(noise / noise.std(), dtype=np.float32)


def make_mucosa(generator: Generator, side_px: int = TEXTURE_SIDE_PX) -> Mucosa:
    """Return the mucosa maps of one scene.

    Args:
        generator: Source of all randomness.
        side_px: Side of the maps [px]; they always cover ``TEXTURE_SIDE_MM``.

    Returns:
        Newly allocated maps.
    """
    texels_per_mm = side_px / TEXTURE_SIDE_MM

    def noise(wavelength_mm: float) -> Float32Yx:
        return periodic_noise(generator, side_px, wavelength_mm * texels_per_mm)

    vessel = _vessels(noise)
    blotch = np.clip(0.45 * noise(24.0) + 0.22 * noise(8.0) + 0.10 * noise(1.4), -1.0, 1.0)
    mucus = np.clip(noise(14.0) + 0.5 * noise(3.0) - 2.3, 0.0, 1.0)
    relief_mm = 0.17 * noise(8.0) + 0.022 * noise(2.6) + 0.003 * noise(0.9)
    slope_rows, slope_columns = (
        (np.roll(relief_mm, -1, axis) - np.roll(relief_mm, 1, axis)) * (0.5 * texels_per_mm)
        for axis in (0, 1)
    )
    return Mucosa(
        appearance=np.stack([vessel, blotch, mucus], axis=-1).astype(np.float32),
        relief=np.stack([slope_columns, slope_rows], axis=-1).astype(np.float32),
        texels_per_mm=texels_per_mm,
    )


def _vessels(noise: NoiseSource) -> Float32Yx:
    """Draw branching lines as the zero crossings of warped noise, in patches, at two calibres."""
    patch = np.clip(0.5 + 0.6 * noise(30.0), 0.0, 1.0)
    large = np.exp(-((noise(17.0) / 0.055) ** 2)) * np.clip(0.4 + noise(20.0), 0.0, 1.0)
    small = np.exp(-((noise(6.0) / 0.10) ** 2)) * np.clip(0.3 + 0.8 * noise(9.0), 0.0, 1.0)
    return np.asarray(np.clip(large + 0.55 * small, 0.0, 1.0) * patch, dtype=np.float32)
