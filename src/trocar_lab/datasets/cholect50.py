"""CholecT50 validation frames: laparoscopic stills with boxes on tool tips, split by procedure.

Three procedures are public here. A box marks the tip and a varying part of the shaft; the labels
are weak, and some tools in view carry none. Frames of one procedure follow each other at one a
second or faster, so neighbours are nearly the same picture: a run of consecutive frames is the
group that is resampled, and a procedure is the unit of the split.

Source:
    Nwoye et al. 2022, doi 10.1016/j.media.2022.102433 (CC BY-NC-SA 4.0).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trocar_lab.datasets.registered import require_registered

__all__ = [
    "DATASET_ID",
    "LABELS",
    "PROCEDURES",
    "ToolFrameItem",
    "digest",
    "load_rgb",
    "read_index",
    "read_registered",
    "select",
]

DATASET_ID: Final = "DATA_CHOLECT50_VAL"
FOLDER: Final = Path("surgical_tools") / "cholect50_val"
LABELS: Final = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator")
PROCEDURES: Final = ("VID68", "VID73", "VID74")
"""The public procedures; two more are held back and never seen here."""


@dataclass(frozen=True)
class ToolFrameItem:
    """One frame with its boxes.

    Attributes:
        item_id: Procedure and frame number, unique.
        procedure: Name of the procedure: one patient, one operation.
        group: Run of consecutive frame numbers that the frame belongs to.
        image_path: JPEG, RGB.
        boxes: (N, 4) float32, left, top, right, bottom as fractions of the frame, in [0, 1].
        classes: (N,) int64, position of the class in ``LABELS``.
    """

    item_id: str
    procedure: str
    group: str
    image_path: Path
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


def read_index(data_root: Path) -> tuple[ToolFrameItem, ...]:
    """Return all public frames, by procedure and frame number; frames without a box are kept.

    Raises:
        FileNotFoundError: A table is missing.
    """
    folder = data_root / FOLDER
    return tuple(item for name in PROCEDURES for item in _read_procedure(folder, name))


def read_registered(data_root: Path) -> tuple[ToolFrameItem, ...]:
    """Return what ``read_index`` returns, once every byte of it is what verification registered.

    Raises:
        UnregisteredDataError: A frame, a box or a name differs; both digests are named.
    """
    items = read_index(data_root)
    require_registered(DATASET_ID, found=digest(items))
    return items


def select(items: Sequence[ToolFrameItem], procedures: Sequence[str]) -> tuple[ToolFrameItem, ...]:
    """Return the items of the procedures named, in the same order."""
    return tuple(item for item in items if item.procedure in procedures)


def load_rgb(item: ToolFrameItem) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 RGB of one frame."""
    with Image.open(item.image_path) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def digest(items: Sequence[ToolFrameItem]) -> str:
    """Return the SHA-256 over names, boxes, classes and file contents, in the order of the index.

    It stands in ``verification/datasets.toml``, in the manifest of a pack and in its card.
    """
    total = hashlib.sha256()
    for item in items:
        total.update(f"{item.item_id}:{item.group}\n".encode())
        total.update(np.round(item.boxes.astype(np.float64) * 1e6).astype("<i8").tobytes())
        total.update(item.classes.astype("<i8").tobytes())
        total.update(hashlib.sha256(item.image_path.read_bytes()).digest())
    return total.hexdigest()


def _read_procedure(folder: Path, procedure: str) -> list[ToolFrameItem]:
    """Return the frames of one procedure."""
    boxes: dict[int, list[dict[str, str]]] = {}
    for row in _read_table(folder / "labels" / f"{procedure}_boxes.csv"):
        boxes.setdefault(int(row["frame"]), []).append(row)
    items: list[ToolFrameItem] = []
    group_start, before = 0, -1
    for row in _read_table(folder / "labels" / f"{procedure}_frames.csv"):
        number = int(row["frame"])
        if number != before + 1:
            group_start = number
        before = number
        found = boxes.get(number, [])
        sides = float(row["width"]), float(row["height"])
        items.append(
            ToolFrameItem(
                item_id=f"{procedure}_{number:06d}",
                procedure=procedure,
                group=f"{procedure}_{group_start:06d}",
                image_path=folder / "frames" / procedure / f"{number:06d}.jpg",
                boxes=_fractions(found, *sides),
                classes=np.array([int(one["class_id"]) for one in found], dtype=np.int64),
            )
        )
    return items


def _read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _fractions(rows: Sequence[dict[str, str]], width: float, height: float) -> NDArray[np.float32]:
    """Return corner, width and height in pixels as edges in fractions of the frame, cut to it."""
    edges = [
        (
            float(row["x"]) / width,
            float(row["y"]) / height,
            (float(row["x"]) + float(row["w"])) / width,
            (float(row["y"]) + float(row["h"])) / height,
        )
        for row in rows
    ]
    return np.clip(np.array(edges, dtype=np.float32).reshape(-1, 4), 0.0, 1.0)
