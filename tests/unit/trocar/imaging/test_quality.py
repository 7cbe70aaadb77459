"""Measures of a frame tell black, saturated and identical frames from usable ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trocar.contracts.limits import QUALITY_STRIDE_PX_MAX, SATURATED_LEVEL_MIN
from trocar.imaging.quality import measure


@pytest.mark.verifies("SRS_STREAM_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize("level", [0, 1, 128, SATURATED_LEVEL_MIN - 1, SATURATED_LEVEL_MIN, 255])
def test_uniform_frame_is_measured_exactly(level: int) -> None:
    """One level: its mean, no spread, saturated from the limit on."""
    quality = measure(np.full((480, 640, 3), level, np.uint8))
    assert quality.level_mean == pytest.approx(level)
    assert quality.level_spread == pytest.approx(0, abs=1e-4)
    assert quality.saturated_fraction == float(level >= SATURATED_LEVEL_MIN)


@given(height=st.integers(1, 400), width=st.integers(1, 400), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
@pytest.mark.verifies("SRS_STREAM_005", extent="partial", technique="property")
def test_measures_are_those_of_the_sample(height: int, width: int, seed: int) -> None:
    """The histogram gives numpy's mean and deviation of the same sample."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    quality = measure(pixels)
    sample = np.frombuffer(quality.fingerprint, np.uint8)
    assert quality.level_mean == pytest.approx(sample.mean())
    assert quality.level_spread == pytest.approx(sample.std(), abs=1e-3)
    assert sample.size >= min(height, width) * 3 // QUALITY_STRIDE_PX_MAX


@pytest.mark.verifies("SRS_STREAM_006", extent="partial", technique="requirement")
def test_fingerprint_is_equal_for_equal_frames_only() -> None:
    """Sensor noise, even of one level, makes another fingerprint."""
    generator = np.random.default_rng(1)
    frame = generator.integers(30, 200, (1080, 1920, 3), dtype=np.uint8)
    noisy = frame + generator.integers(0, 2, frame.shape, dtype=np.uint8)
    assert measure(frame).fingerprint == measure(frame.copy()).fingerprint
    assert measure(frame).fingerprint != measure(noisy).fingerprint
