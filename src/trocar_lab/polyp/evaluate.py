"""Measure polyp segmentation through the device's own unit, on one side of the split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trocar.contracts.findings import Mask, PolypMask
from trocar.contracts.frame import Frame
from trocar.contracts.ports import Unit
from trocar.imaging.resize import upsample_mask
from trocar_lab.datasets.kvasir_seg import KvasirItem, load_pair
from trocar_lab.metrics.overlap import MeanInterval, bootstrap_mean, dice, intersection_over_union

AREA_BANDS: Final = (
    ("small: below 5 % of the image", 0.0, 0.05),
    ("medium: 5 to 20 %", 0.05, 0.20),
    ("large: above 20 %", 0.20, 1.01),
)
"""Subgroups by size of the reference mask."""

THRESHOLDS: Final = tuple(round(0.20 + 0.025 * step, 3) for step in range(25))


@dataclass(frozen=True)
class Scored:
    """Result of one image.

    Attributes:
        item: The image.
        mask: Mask of the unit, with its probabilities.
        reference: (H, W) bool.
        dice: Dice at the frame's size.
        iou: Intersection over union at the frame's size.
    """

    item: KvasirItem
    mask: Mask
    reference: NDArray[np.bool_]
    dice: float
    iou: float


@dataclass(frozen=True)
class ScoredFile:
    """Result of one image, as the mask file that the device wrote for it.

    Attributes:
        item: The image.
        dice: Dice at the image's own size; 0 where there is no mask file.
        is_missing: Whether there is no mask file, as for a withheld image.
    """

    item: KvasirItem
    dice: float
    is_missing: bool


class WithheldError(RuntimeError):
    """The unit withheld an image of the data set: the figure would silently leave it out."""


def score(unit: Unit, items: Iterable[KvasirItem]) -> list[Scored]:
    """Run the unit on each image and compare at the image's own size.

    Raises:
        WithheldError: The unit gave no result for an image.
    """
    scored = []
    for index, item in enumerate(items):
        rgb, reference = load_pair(item)
        frame = Frame(pixels=rgb, frame_index=index, captured_at_ns=0, source_id=item.item_id)
        outcome = unit.run(frame, now_ns=0)
        if not isinstance(outcome, PolypMask):
            raise WithheldError(f"{item.item_id}: {outcome!r}")
        prediction = upsample_mask(outcome.mask)
        scored.append(
            Scored(
                item=item,
                mask=outcome.mask,
                reference=reference,
                dice=dice(prediction, reference),
                iou=intersection_over_union(prediction, reference),
            )
        )
    return scored


def score_mask_files(folder: Path, items: Iterable[KvasirItem]) -> list[ScoredFile]:
    """Compare the mask files of ``trocar run`` with the references; none is left out.

    Args:
        folder: Folder of the mask files, each named after its image.
        items: Every image that was handed to the device.

    Raises:
        ValueError: A mask file has another size than its reference, or other values than 0 and 255.
    """
    scored = []
    for item in items:
        path = folder / f"{item.item_id}.png"
        if not path.exists():
            scored.append(ScoredFile(item=item, dice=0.0, is_missing=True))
            continue
        _, reference = load_pair(item)
        with Image.open(path) as image:
            mask = np.asarray(image)
        values = set(np.unique(mask).tolist())
        if mask.shape != reference.shape or not values <= {0, 255}:
            raise ValueError(
                f"{path.name}: expected {reference.shape} with 0 and 255, got {mask.shape} with "
                f"{len(values)} values up to {max(values)}"
            )
        value = dice(mask == 255, reference)
        scored.append(ScoredFile(item=item, dice=value, is_missing=False))
    return scored


def choose_threshold(scored: Sequence[Scored]) -> tuple[float, dict[float, float]]:
    """Return the threshold with the best mean Dice, and the mean Dice of each candidate.

    Args:
        scored: Results on the validation side; never on the test side.
    """
    means = {
        value: float(np.mean([_dice_at(one, value) for one in scored])) for value in THRESHOLDS
    }
    return max(means, key=lambda value: (means[value], -abs(value - 0.5))), means


def _dice_at(scored: Scored, prob_threshold: float) -> float:
    """Return the Dice of one image at another threshold."""
    mask = scored.mask.model_copy(update={"prob_threshold": prob_threshold})
    return dice(upsample_mask(mask), scored.reference)


def summarise(scored: Sequence[Scored]) -> dict[str, MeanInterval]:
    """Return mean Dice and IoU with intervals, and mean Dice by size of the reference."""
    groups = [one.item.group for one in scored]
    figures = {
        "mean Dice": bootstrap_mean([one.dice for one in scored], groups),
        "mean IoU": bootstrap_mean([one.iou for one in scored], groups),
    }
    for name, lowest, highest in AREA_BANDS:
        band = [one for one in scored if lowest <= float(one.reference.mean()) < highest]
        if band:
            figures[f"mean Dice, {name}"] = bootstrap_mean(
                [one.dice for one in band], [one.item.group for one in band]
            )
    return figures
