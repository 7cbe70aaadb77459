"""Mucosa maps are bounded, repeat without a seam, and depend on the seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from trocar_lab.simulation.colon_mucosa import make_mucosa, periodic_noise


def test_noise_is_normalised() -> None:
    """Amplitudes of the scene are given in standard deviations, so noise is normalised."""
    noise = periodic_noise(np.random.default_rng(1), 128, 12.0)

    assert noise.dtype == np.float32
    assert float(noise.mean()) == pytest.approx(0.0, abs=1e-4)
    assert float(noise.std()) == pytest.approx(1.0, abs=1e-3)


def test_noise_has_no_seam() -> None:
    """The wall is covered by repeating the map: a step over the border is a small one."""
    noise = periodic_noise(np.random.default_rng(2), 128, 24.0)

    inside = float(np.abs(np.diff(noise, axis=1)).mean())
    border = float(np.abs(noise[:, 0] - noise[:, -1]).mean())

    assert border < 2.0 * inside


def test_mucosa_stays_in_its_ranges_and_repeats() -> None:
    """Reflectance is a product of these maps and must not leave [0, 1]; seeds make scenes equal."""
    first = make_mucosa(np.random.default_rng(3), side_px=128)
    second = make_mucosa(np.random.default_rng(3), side_px=128)

    assert first.appearance[..., 0].min() >= 0.0
    assert np.abs(first.appearance).max() <= 1.0
    assert np.isfinite(first.relief).all()
    np.testing.assert_array_equal(first.appearance, second.appearance)
    np.testing.assert_array_equal(first.relief, second.relief)
