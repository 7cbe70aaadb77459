"""A small data set in the layout of Kvasir-SEG, drawn by a seed: bright discs on a dark ground."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from trocar_lab.datasets.kvasir_seg import DATASET_ID, FOLDER, digest, read_index


def write_kvasir_like(data_root: Path, *, group_count: int = 60, side_px: int = 96) -> None:
    """Write ``group_count`` groups; every fifth holds two images."""
    folder = data_root / FOLDER
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    generator = np.random.default_rng(3)
    rows, columns = np.mgrid[0:side_px, 0:side_px]
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "mask", "near_duplicate_group"])
        for group in range(group_count):
            for copy in range(2 if group % 5 == 0 else 1):
                name = f"g{group:03d}_{copy}"
                centre = generator.uniform(25, side_px - 25, size=2)
                radius = generator.uniform(10, 22)
                mask = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
                noise = generator.normal(0, 8, (side_px, side_px, 3))
                rgb = np.where(mask[..., None], (220, 130, 110), (90, 40, 40)) + noise
                Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).save(
                    folder / "images" / f"{name}.png"
                )
                Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")
                writer.writerow([f"{name}.png", f"{name}.png", str(group)])


def register_kvasir_like(data_root: Path) -> Path:
    """Write a register that names the set under ``data_root`` as it now is; return its path."""
    path = data_root / "datasets.toml"
    found = digest(read_index(data_root))
    path.write_text(f'[[dataset]]\nid = "{DATASET_ID}"\nsha256 = "{found}"\n', encoding="utf-8")
    return path
