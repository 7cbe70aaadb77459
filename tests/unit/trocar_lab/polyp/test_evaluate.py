"""Scores of mask files: each image counts, also the one without a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simulators.kvasir import write_kvasir_like
from trocar_lab.datasets.kvasir_seg import KvasirItem, load_pair, read_index
from trocar_lab.polyp.evaluate import score_mask_files


@pytest.fixture
def items(tmp_path: Path) -> tuple[KvasirItem, ...]:
    """Return three drawn images with their masks."""
    write_kvasir_like(tmp_path)
    return read_index(tmp_path)[:3]


def _write(
    folder: Path, item: KvasirItem, mask: np.ndarray[tuple[int, int], np.dtype[np.uint8]]
) -> None:
    """Write one mask file as the device names it."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(mask).save(folder / f"{item.item_id}.png")


def test_image_without_a_mask_file_counts_as_zero(
    items: tuple[KvasirItem, ...], tmp_path: Path
) -> None:
    """A mean over the images that happened to have a result would be too good."""
    folder = tmp_path / "masks"
    for item in items[:2]:
        _write(folder, item, load_pair(item)[1].astype(np.uint8) * 255)
    scored = score_mask_files(folder, items)
    assert [one.dice for one in scored] == [1.0, 1.0, 0.0]
    assert [one.is_missing for one in scored] == [False, False, True]
    assert [one.item for one in scored] == list(items)


def test_dice_is_that_of_the_file(items: tuple[KvasirItem, ...], tmp_path: Path) -> None:
    """An empty mask has Dice 0 and is there; half of the polyp gives 2 a / (a + b)."""
    _, reference = load_pair(items[0])
    half = reference.copy()
    half[: reference.shape[0] // 2] = False
    _write(tmp_path / "masks", items[0], half.astype(np.uint8) * 255)
    _write(tmp_path / "masks", items[1], np.zeros((96, 96), np.uint8))
    scored = score_mask_files(tmp_path / "masks", items[:2])
    expected = 2 * half.sum() / (half.sum() + reference.sum())
    assert scored[0].dice == pytest.approx(expected)
    assert (scored[1].dice, scored[1].is_missing) == (0.0, False)


@pytest.mark.parametrize(("side_px", "value"), [(95, 255), (96, 1), (96, 254)])
def test_file_that_is_no_mask_of_the_image_is_refused(
    items: tuple[KvasirItem, ...], tmp_path: Path, side_px: int, value: int
) -> None:
    """Another size or a grey value would be measured as something that the device never gave."""
    _write(tmp_path / "masks", items[0], np.full((side_px, side_px), value, np.uint8))
    with pytest.raises(ValueError, match="expected"):
        score_mask_files(tmp_path / "masks", items[:1])
