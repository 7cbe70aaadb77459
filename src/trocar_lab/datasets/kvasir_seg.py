"""Kvasir-SEG: colonoscopy stills with polyp masks, split by cluster of near-duplicates.

No patient identity exists in the source. The index names, for each image, the cluster of
near-duplicates that it belongs to (16x16 difference hash); the split never cuts through a cluster.
Residual leakage of one patient over two clusters cannot be excluded, and the model card says so.

Source:
    Jha et al. 2020, doi 10.1007/978-3-030-37734-2_37 (research and education only).
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trocar_lab.datasets.registered import require_registered
from trocar_lab.datasets.splits import Split, assign_split, check_no_leak

DATASET_ID: Final = "DATA_KVASIR_SEG"
FOLDER: Final = Path("polyp_segmentation") / "kvasir_seg_352"
SALT: Final = "kvasir-seg-1"
VALIDATION_FRACTION: Final = 0.10
TEST_FRACTION: Final = 0.15
_MASK_LEVEL: Final = 127


@dataclass(frozen=True)
class KvasirItem:
    """One image with its mask.

    Attributes:
        item_id: Stem of the file, unique in the data set.
        group: Cluster of near-duplicates.
        split: Side of the split.
        image_path: RGB JPEG, 352x352.
        mask_path: PNG, 0 background, 255 polyp, same size.
    """

    item_id: str
    group: str
    split: Split
    image_path: Path
    mask_path: Path


def read_index(data_root: Path) -> tuple[KvasirItem, ...]:
    """Return all public pairs with their side, in the order of the index.

    Raises:
        FileNotFoundError: The index is missing.
        SplitLeakError: A side is empty (cannot happen with the published index).
    """
    folder = data_root / FOLDER
    with (folder / "index.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    items = tuple(
        KvasirItem(
            item_id=Path(row["image"]).stem,
            group=row["near_duplicate_group"],
            split=assign_split(
                row["near_duplicate_group"],
                salt=SALT,
                validation_fraction=VALIDATION_FRACTION,
                test_fraction=TEST_FRACTION,
            ),
            image_path=folder / "images" / row["image"],
            mask_path=folder / "masks" / row["mask"],
        )
        for row in rows
    )
    check_no_leak({split: {item.group for item in items if item.split is split} for split in Split})
    return items


def read_registered(data_root: Path) -> tuple[KvasirItem, ...]:
    """Return what ``read_index`` returns, once every byte of it is what verification registered.

    The 700 pairs are read in less than a second, so the whole set is compared each time.

    Raises:
        UnregisteredDataError: A name, a side, an image or a mask differs; both digests are named.
    """
    items = read_index(data_root)
    require_registered(DATASET_ID, found=digest(items))
    return items


def select(items: tuple[KvasirItem, ...], split: Split) -> tuple[KvasirItem, ...]:
    """Return the items of one side, in the same order."""
    return tuple(item for item in items if item.split is split)


def load_pair(item: KvasirItem) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return ((H, W, 3) uint8 RGB, (H, W) bool) of one item."""
    with Image.open(item.image_path) as image:
        rgb = np.asarray(image.convert("RGB"), dtype=np.uint8)
    with Image.open(item.mask_path) as image:
        mask = np.asarray(image.convert("L")) > _MASK_LEVEL
    return rgb, mask


def digest(items: tuple[KvasirItem, ...]) -> str:
    """Return the SHA-256 over names, sides and file contents, in the order of the index.

    It stands in ``verification/datasets.toml``, in the manifest of a pack and in its card.
    """
    total = hashlib.sha256()
    for item in items:
        total.update(f"{item.item_id}:{item.group}:{item.split}\n".encode())
        for path in (item.image_path, item.mask_path):
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
