"""Boxes stay on what they mark, whatever is done to the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trocar_lab.training.detection_augmentation import (
    BoxedFrame,
    DetectionAugmentation,
    augment_boxed,
    change_look,
    paste_tip,
    resize_boxed,
)

HEIGHT, WIDTH = 160, 284
CONFIG = DetectionAugmentation()


def _frame(colour: tuple[int, int, int] = (250, 250, 250), class_index: int = 1) -> BoxedFrame:
    """Return an ellipse on dark ground with its box."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    inside = ((rows - 70) / 30) ** 2 + ((columns - 130) / 50) ** 2 <= 1
    rgb = np.where(inside[..., None], colour, (30, 10, 10)).astype(np.uint8)
    box = np.array([[80 / WIDTH, 40 / HEIGHT, 180 / WIDTH, 100 / HEIGHT]], dtype=np.float32)
    return BoxedFrame(rgb, box, np.array([class_index]))


def _bright_box(rgb: np.ndarray) -> np.ndarray:
    """Return the box of the bright pixels as fractions."""
    bright = rgb[..., 0] > 140
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    height, width = bright.shape
    return np.array([
        columns[0] / width,
        rows[0] / height,
        (columns[-1] + 1) / width,
        (rows[-1] + 1) / height,
    ])


@pytest.mark.verifies("SRS_TOOL_025", extent="partial", technique="requirement")
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_box_follows_the_drawn_ellipse(seed: int) -> None:
    """Turned, mirrored, zoomed, shifted: the box still encloses the shape to within 3 %."""
    variant = augment_boxed(
        _frame(), height_px=96, width_px=160, config=CONFIG, generator=np.random.default_rng(seed)
    )
    assert variant.rgb.shape == (96, 160, 3)
    if not len(variant.boxes):
        return
    np.testing.assert_allclose(variant.boxes[0], _bright_box(variant.rgb), atol=0.03)
    assert variant.boxes.min() >= 0
    assert variant.boxes.max() <= 1


@pytest.mark.verifies("SRS_TOOL_025", extent="partial", technique="boundary")
def test_a_box_mostly_out_of_view_is_left_out() -> None:
    """A tip of which a sliver is left would teach that tissue is a tool."""
    config = replace(CONFIG, scale_min=1.0, scale_max=1.0, angle_deg=0.0, shift_fraction=0.6)
    seen, gone = 0, 0
    for seed in range(60):
        variant = augment_boxed(
            _frame(),
            height_px=96,
            width_px=160,
            config=config,
            generator=np.random.default_rng(seed),
        )
        bright = float((variant.rgb[..., 0] > 140).mean())
        share = bright / (np.pi * 30 * 50 / HEIGHT / WIDTH)
        if len(variant.boxes):
            seen += 1
            assert share > 0.25
        else:
            gone += 1
            assert share < 0.55
    assert seen > 5
    assert gone > 5


@pytest.mark.verifies("SRS_TOOL_025", extent="partial", technique="requirement")
def test_a_pasted_tip_brings_its_box_and_removes_what_it_covers() -> None:
    """The label must say what the mixed picture shows: the donor's tip, not the covered one."""
    mixed = paste_tip(
        _frame(),
        _frame((40, 40, 250), class_index=4),
        weights=[1.0] * 6,
        generator=np.random.default_rng(2),
    )
    assert mixed.classes.tolist() == [4]
    assert mixed.rgb[70, 130].tolist() == [40, 40, 250]


def test_a_donor_without_a_tip_changes_nothing() -> None:
    """There is nothing to paste."""
    empty = BoxedFrame(_frame().rgb, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    frame = _frame()
    assert paste_tip(frame, empty, weights=[1.0] * 6, generator=np.random.default_rng(0)) is frame


def test_tips_of_rare_classes_are_pasted_more_often() -> None:
    """A class with weight 9 against 1 is drawn in about nine of ten cases."""
    both = BoxedFrame(
        _frame().rgb,
        np.array([[0.0, 0.0, 0.1, 0.1], [0.8, 0.8, 0.9, 0.9]], np.float32),
        np.array([0, 1]),
    )
    none = BoxedFrame(_frame().rgb, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    drawn = [
        paste_tip(none, both, weights=[1.0, 9.0], generator=np.random.default_rng(seed)).classes
        for seed in range(100)
    ]
    assert 80 <= sum(one.tolist() == [1] for one in drawn) <= 98


def test_looks_change_pixels_and_nothing_else() -> None:
    """Shape and type stay, the original stays, each kind of change can be switched off."""
    frame = _frame()
    before = frame.rgb.copy()
    always = DetectionAugmentation(
        colour_probability=1,
        smoke_probability=1,
        blur_probability=1,
        compression_probability=1,
        hole_probability=1,
    )
    never = DetectionAugmentation(
        colour_probability=0,
        smoke_probability=0,
        blur_probability=0,
        compression_probability=0,
        hole_probability=0,
    )
    changed = change_look(frame.rgb, config=always, generator=np.random.default_rng(1))
    assert changed.shape == frame.rgb.shape
    assert changed.dtype == np.uint8
    assert (changed != before).mean() > 0.5
    assert (frame.rgb == before).all()
    same = change_look(frame.rgb, config=never, generator=np.random.default_rng(1))
    assert same is frame.rgb


def test_resizing_keeps_fractions() -> None:
    """A box in fractions holds at every size."""
    small = resize_boxed(_frame(), height_px=80, width_px=142)
    np.testing.assert_allclose(small.boxes[0], _bright_box(small.rgb), atol=0.01)
