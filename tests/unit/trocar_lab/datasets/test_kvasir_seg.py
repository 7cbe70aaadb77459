"""Pairs are read as they are, and the split of the real data has no leak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulators.kvasir import register_kvasir_like, write_kvasir_like
from trocar_lab.datasets import registered
from trocar_lab.datasets.data_root import find_data_root
from trocar_lab.datasets.kvasir_seg import (
    DATASET_ID,
    FOLDER,
    digest,
    load_pair,
    read_index,
    read_registered,
    select,
)
from trocar_lab.datasets.registered import UnregisteredDataError
from trocar_lab.datasets.splits import Split


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a data root with a small drawn set."""
    write_kvasir_like(tmp_path)
    return tmp_path


def test_pairs_come_with_their_side(root: Path) -> None:
    """Every item is on exactly one side, and pairs have one size."""
    items = read_index(root)
    assert len(items) == 72
    assert sum(len(select(items, split)) for split in Split) == len(items)
    rgb, mask = load_pair(items[0])
    assert rgb.shape == (96, 96, 3)
    assert rgb.dtype == np.uint8
    assert mask.shape == (96, 96)
    assert mask.dtype == np.bool_
    assert mask.any()


@pytest.mark.verifies("SRS_TRAIN_001", extent="full", technique="requirement")
def test_copies_of_a_group_stay_together(root: Path) -> None:
    """Near-duplicates never end on two sides."""
    sides: dict[str, set[Split]] = {}
    for item in read_index(root):
        sides.setdefault(item.group, set()).add(item.split)
    assert all(len(found) == 1 for found in sides.values())


def test_digest_follows_content(root: Path) -> None:
    """One changed byte is another data set."""
    items = read_index(root)
    before = digest(items)
    assert before == digest(read_index(root))
    (root / FOLDER / "masks" / "g000_0.png").write_bytes(items[1].mask_path.read_bytes())
    assert digest(items) != before


@pytest.mark.parametrize("what", ["image", "mask", "side"])
def test_changed_set_is_refused_with_both_digests(
    root: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """One image, one mask or one group on another side: the figure would be about other data."""
    monkeypatch.setattr(registered, "REGISTER", register_kvasir_like(root))
    items = read_registered(root)
    assert items == read_index(root)
    expected = digest(items)
    index = root / FOLDER / "index.csv"
    if what == "side":
        index.write_text(index.read_text("utf-8").replace(",0\n", ",60\n"), encoding="utf-8")
    else:
        path = items[0].image_path if what == "image" else items[0].mask_path
        path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UnregisteredDataError) as caught:
        read_registered(root)
    assert caught.value.dataset_id == DATASET_ID
    assert caught.value.expected == expected
    assert caught.value.found == digest(read_index(root)) != expected


def test_real_data_are_those_that_are_registered() -> None:
    """All 700 pairs, byte by byte, in the time of one test."""
    root = find_data_root()
    if root is None:
        pytest.skip("no data root: the real data were not compared")
    assert digest(read_registered(root)) == registered.registered_digest(DATASET_ID)


@pytest.mark.verifies("SRS_TRAIN_001", extent="full", technique="requirement")
def test_real_split_has_no_group_on_two_sides() -> None:
    """On the published index: all pairs, each group on one side, sides of the expected size."""
    root = find_data_root()
    if root is None:
        pytest.skip("no data root: the real split was not looked at")
    items = read_index(root)
    assert len(items) == 700
    groups = {split: {item.group for item in select(items, split)} for split in Split}
    for first in Split:
        for second in Split:
            assert first is second or not groups[first] & groups[second]
    assert [len(select(items, split)) for split in Split] == [517, 86, 97]
