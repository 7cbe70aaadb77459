"""Augmentation changes the image and keeps the label on the same pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulators.augmentations import GEOMETRY_ONLY
from trocar_lab.training.augmentation import AugmentationConfig, augment, paste_rectangle

EVERYTHING = AugmentationConfig(
    colour_probability=1,
    blur_probability=1,
    compression_probability=1,
    highlight_probability=1,
    inset_probability=1,
)


def _pair() -> tuple[np.ndarray, np.ndarray]:
    """Return a white ellipse on black, and its label."""
    rows, columns = np.mgrid[0:120, 0:100]
    label = (((rows - 50) / 30) ** 2 + ((columns - 60) / 18) ** 2 <= 1).astype(np.uint8)
    return np.repeat(label[..., None] * 255, 3, axis=2).astype(np.uint8), label


def test_label_moves_with_the_image() -> None:
    """Rotating images but not masks is a known fault; here the label stays on the ellipse."""
    rgb, label = _pair()
    for seed in range(60):
        moved, moved_label = augment(
            rgb, label, size=64, config=GEOMETRY_ONLY, generator=np.random.default_rng(seed)
        )
        bright = moved[..., 0] > 127
        assert np.count_nonzero(bright != (moved_label > 0)) <= 0.01 * bright.size
        assert moved.shape == (64, 64, 3)
        assert moved_label.shape == (64, 64)


def test_all_changes_keep_type_range_and_label_values() -> None:
    """The network gets uint8 RGB and a label of 0 and 1; the input is not modified."""
    rgb, label = _pair()
    kept, kept_label = rgb.copy(), label.copy()
    for seed in range(40):
        changed, changed_label = augment(
            rgb, label, size=64, config=EVERYTHING, generator=np.random.default_rng(seed)
        )
        assert changed.dtype == np.uint8
        assert set(np.unique(changed_label)) <= {0, 1}
    np.testing.assert_array_equal(rgb, kept)
    np.testing.assert_array_equal(label, kept_label)


def test_inset_never_covers_a_polyp() -> None:
    """A covered polyp with its label kept would teach the network to guess."""
    rgb, label = _pair()
    config = replace(GEOMETRY_ONLY, inset_probability=1)
    for seed in range(40):
        changed, changed_label = augment(
            rgb, label, size=64, config=config, generator=np.random.default_rng(seed)
        )
        inside = changed_label > 0
        assert not inside.any() or changed[inside].mean() > 200


def test_one_seed_gives_one_variant() -> None:
    """A run can be repeated."""
    rgb, label = _pair()
    first, second = (
        augment(rgb, label, size=64, config=EVERYTHING, generator=np.random.default_rng(9))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("seed", range(10))
def test_pasted_rectangle_brings_its_label(seed: int) -> None:
    """Each pixel is wholly of one image, colour and label alike."""
    rgb, label = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    other, other_label = np.full_like(rgb, 255), np.ones_like(label)
    mixed, mixed_label = paste_rectangle(
        rgb, label, other, other_label, generator=np.random.default_rng(seed)
    )
    np.testing.assert_array_equal(mixed[..., 0] == 255, mixed_label == 1)
    assert 0 < mixed_label.mean() < 0.5
    assert not rgb.any()
