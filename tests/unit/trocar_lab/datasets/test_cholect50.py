"""Frames are read with their boxes, runs and procedures, and any change of the data is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulators.cholect50 import (
    COLOURS,
    HEIGHT_PX,
    WIDTH_PX,
    register_cholect50_like,
    write_cholect50_like,
)
from trocar_lab.datasets import registered
from trocar_lab.datasets.cholect50 import (
    DATASET_ID,
    FOLDER,
    PROCEDURES,
    digest,
    load_rgb,
    read_index,
    read_registered,
    select,
)
from trocar_lab.datasets.data_root import find_data_root
from trocar_lab.datasets.registered import UnregisteredDataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a data root with a small drawn set."""
    write_cholect50_like(tmp_path)
    return tmp_path


def test_boxes_lie_on_what_they_mark(root: Path) -> None:
    """Corner and size in pixels of the table become edges in fractions of the frame."""
    items = read_index(root)
    seen = 0
    for item in items:
        rgb = load_rgb(item)
        assert rgb.shape == (HEIGHT_PX, WIDTH_PX, 3)
        pixels = np.round(item.boxes * np.array([WIDTH_PX, HEIGHT_PX] * 2)).astype(int)
        for (left, top, right, bottom), class_index in zip(pixels, item.classes, strict=True):
            inside = rgb[top + 3 : bottom - 3, left + 3 : right - 3].reshape(-1, 3)
            assert np.abs(inside.mean(axis=0) - COLOURS[class_index]).max() < 12
            seen += 1
    assert seen > 100


def test_frames_without_a_tool_are_kept(root: Path) -> None:
    """Left out, the detector would never be asked about an empty picture."""
    empty = [item for item in read_index(root) if not len(item.boxes)]
    assert len(empty) == 12
    assert empty[0].boxes.shape == (0, 4)


def test_a_run_ends_where_a_number_is_missing(root: Path) -> None:
    """Neighbours look alike and are resampled together; runs of two procedures stay apart."""
    items = select(read_index(root), ["VID68"])
    assert [item.group for item in items[:8]] == ["VID68_000000"] * 4 + ["VID68_000005"] * 4
    assert len({item.group for item in read_index(root)}) == 3 * 6


@pytest.mark.verifies("SRS_TOOL_021", extent="partial", technique="requirement")
def test_selection_holds_the_procedures_named_and_no_other(root: Path) -> None:
    """A frame of the test operation in training would make its figure worthless."""
    items = read_index(root)
    assert {item.procedure for item in select(items, ["VID73", "VID74"])} == {"VID73", "VID74"}
    assert sum(len(select(items, [name])) for name in PROCEDURES) == len(items)


@pytest.mark.verifies("SRS_TOOL_021", extent="partial", technique="requirement")
@pytest.mark.parametrize("change", ["pixel", "box"])
def test_changed_data_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """A figure holds for the bytes that were registered and for no others."""
    monkeypatch.setattr(registered, "REGISTER", register_cholect50_like(root))
    assert read_registered(root)
    before = digest(read_index(root))
    if change == "pixel":
        path = root / FOLDER / "frames" / "VID74" / "000000.jpg"
        path.write_bytes(path.read_bytes() + b"\0")
    else:
        path = root / FOLDER / "labels" / "VID74_boxes.csv"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[:-1]), encoding="utf-8")
    assert digest(read_index(root)) != before
    with pytest.raises(UnregisteredDataError, match=DATASET_ID):
        read_registered(root)


def test_registered_data_are_the_real_ones() -> None:
    """Where the real data lie, they are those of the register."""
    root = find_data_root()
    if root is None or not (root / FOLDER).is_dir():
        pytest.skip("the frames of CholecT50 are not on this machine")
    items = read_registered(root)
    assert len(items) == 703
    assert sum(len(item.boxes) for item in items) == 809
    assert all((item.boxes[:, 2:] > item.boxes[:, :2]).all() for item in items)
