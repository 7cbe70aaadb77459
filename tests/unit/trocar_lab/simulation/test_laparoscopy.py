"""Rendered laparoscopy is repeatable, and its boxes and identities are those of what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from trocar_lab.simulation.laparoscopy import LaparoscopyScene, iterate_clip, render

HEIGHT, WIDTH = 108, 192


@pytest.mark.verifies("SRS_TOOL_026", extent="partial", technique="requirement")
def test_the_same_scene_and_time_give_the_same_bytes() -> None:
    """Anything else, and a rendered sequence could not be named by its seed."""
    first, second = (render(LaparoscopyScene(28), 1.0, HEIGHT, WIDTH) for _ in range(2))
    assert (first.rgb == second.rgb).all()
    assert (first.boxes_xyxy_px == second.boxes_xyxy_px).all()
    other = render(LaparoscopyScene(29), 1.0, HEIGHT, WIDTH)
    assert (first.rgb != other.rgb).mean() > 0.3


@pytest.mark.verifies("SRS_TOOL_026", extent="partial", technique="requirement")
def test_a_box_encloses_what_changes_when_its_tool_is_taken_away() -> None:
    """The drawn pixels are found without the truth: by rendering the scene with and without it."""
    compared = 0
    for seed in range(40):
        scene = LaparoscopyScene(seed)
        if len(scene.instruments) != 1 or scene.instruments[0].diameter > 0.15:
            continue
        whole = render(scene, 1.0, HEIGHT, WIDTH)
        scene.instruments = ()
        gone = render(scene, 1.0, HEIGHT, WIDTH)
        if not len(whole.boxes_xyxy_px):
            continue
        difference = np.abs(whole.rgb.astype(int) - gone.rgb).max(axis=-1) > 12
        left, top, right, bottom = whole.boxes_xyxy_px[0].astype(int)
        assert difference[top:bottom, left:right].mean() > 0.15
        shaft = LaparoscopyScene(seed).instruments[0].pose_at(1.0)
        ahead = np.array([np.cos(shaft.heading_rad), np.sin(shaft.heading_rad)])
        rows, columns = np.nonzero(difference)
        along = (np.column_stack([columns, rows]) / HEIGHT - shaft.joint) @ ahead
        tip = along > -0.5 * shaft.diameter
        assert columns[tip].min() >= left - 2
        assert columns[tip].max() <= right + 1
        assert rows[tip].min() >= top - 2
        assert rows[tip].max() <= bottom + 1
        compared += 1
    assert compared >= 4


@pytest.mark.verifies("SRS_TOOL_026", extent="partial", technique="requirement")
def test_an_instrument_keeps_its_identity_and_class_after_an_absence() -> None:
    """What a tracker is judged by: the same tool, the same number, also when it comes back."""
    scene = LaparoscopyScene(28)
    seen: dict[int, list[int]] = {}
    for index, frame in enumerate(
        iterate_clip(scene, frame_count=60, frame_rate_hz=3, height_px=HEIGHT, width_px=WIDTH)
    ):
        assert frame.time_ns == pytest.approx(index / 3 * 1e9, abs=1)
        assert len(set(frame.identities.tolist())) == len(frame.identities)
        for identity, class_index in zip(frame.identities, frame.class_indices, strict=True):
            assert class_index == scene.instruments[int(identity) - 1].class_index
            seen.setdefault(int(identity), []).append(index)
    assert any(max(np.diff(frames), default=1) > 1 for frames in seen.values())


def test_boxes_lie_in_the_picture() -> None:
    """Edges, not centres: 0 <= left < right <= width."""
    for seed in range(25):
        frame = render(LaparoscopyScene(seed), 2.0, HEIGHT, WIDTH)
        boxes = frame.boxes_xyxy_px
        assert boxes.shape == (len(frame.identities), 4)
        assert (boxes >= 0).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (boxes[:, 2:] <= [WIDTH, HEIGHT]).all()


def test_all_kinds_occur() -> None:
    """A kind that is never drawn could not be learnt."""
    kinds = {one.class_index for seed in range(40) for one in LaparoscopyScene(seed).instruments}
    assert kinds == set(range(6))


@pytest.mark.parametrize(
    ("time_s", "height", "width"), [(-0.1, 108, 192), (0.0, 50, 192), (0.0, 108, 4000)]
)
def test_impossible_frames_are_refused(time_s: float, height: int, width: int) -> None:
    """A negative time or a side that no network takes is a mistake of the caller."""
    with pytest.raises(ValueError, match="cannot render"):
        render(LaparoscopyScene(1), time_s, height, width)
