"""A small data set in the layout of CholecT50, drawn by a seed: one coloured rectangle a class."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from trocar_lab.datasets.cholect50 import (
    DATASET_ID,
    FOLDER,
    LABELS,
    PROCEDURES,
    digest,
    read_index,
)

HEIGHT_PX: Final = 96
WIDTH_PX: Final = 160
COLOURS: Final = (
    (230, 230, 230),
    (60, 90, 230),
    (20, 20, 20),
    (230, 220, 40),
    (40, 210, 80),
    (220, 60, 220),
)
"""Colour of each class."""


def write_cholect50_like(data_root: Path, *, frame_count: int = 24) -> None:
    """Write ``frame_count`` frames a procedure in runs of four; every sixth shows no tool."""
    folder = data_root / FOLDER
    (folder / "labels").mkdir(parents=True)
    generator = np.random.default_rng(4)
    for procedure in PROCEDURES:
        (folder / "frames" / procedure).mkdir(parents=True)
        frames, boxes = [], []
        for index in range(frame_count):
            number = index + index // 4
            rgb = generator.integers(80, 130, (HEIGHT_PX, WIDTH_PX, 3)).astype(np.uint8)
            drawn = [] if index % 6 == 5 else [index % len(LABELS), (index + 3) % len(LABELS)]
            for place, class_index in enumerate(drawn):
                width, height = (int(v) for v in generator.integers(28, 48, size=2))
                left = int(generator.integers(2, 30)) + 80 * place
                top = int(generator.integers(2, HEIGHT_PX - height - 2))
                rgb[top : top + height, left : left + width] = COLOURS[class_index]
                boxes.append([
                    procedure,
                    number,
                    left,
                    top,
                    width,
                    height,
                    class_index,
                    LABELS[class_index],
                    0,
                ])
            Image.fromarray(rgb).save(
                folder / "frames" / procedure / f"{number:06d}.jpg", quality=95
            )
            frames.append([procedure, number, WIDTH_PX, HEIGHT_PX, 0, "preparation", len(drawn)])
        _write_table(
            folder / "labels" / f"{procedure}_frames.csv",
            ["video", "frame", "width", "height", "phase_id", "phase", "n_boxes"],
            frames,
        )
        _write_table(
            folder / "labels" / f"{procedure}_boxes.csv",
            ["video", "frame", "x", "y", "w", "h", "class_id", "class_name", "triplet_ids"],
            boxes,
        )


def register_cholect50_like(data_root: Path) -> Path:
    """Write a register that names the set under ``data_root`` as it now is; return its path."""
    path = data_root / "datasets.toml"
    found = digest(read_index(data_root))
    path.write_text(f'[[dataset]]\nid = "{DATASET_ID}"\nsha256 = "{found}"\n', encoding="utf-8")
    return path


def _write_table(path: Path, head: list[str], rows: Sequence[Sequence[object]]) -> None:
    """Write one table."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(rows)
