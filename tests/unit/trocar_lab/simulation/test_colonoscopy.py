"""Frames repeat bit by bit, move, and carry a truth that is empty where no polyp is in view."""

from __future__ import annotations

import numpy as np
import pytest

from trocar_lab.simulation.colon_tracing import trace
from trocar_lab.simulation.colonoscopy import (
    VISIBLE_DISTANCE_MM,
    ColonoscopyScene,
    RenderedFrame,
    aperture,
    iterate_clip,
    render,
)

SIDE_PX = 80


@pytest.fixture(scope="module", name="overview")
def _overview(scene: ColonoscopyScene) -> tuple[RenderedFrame, ...]:
    """Return the whole way of the camera, five small frames a second."""
    count = round(5 * scene.duration_s)
    return tuple(
        iterate_clip(scene, frame_count=count, frame_rate_hz=5, height_px=SIDE_PX, width_px=SIDE_PX)
    )


def test_same_seed_gives_same_bits() -> None:
    """A new scene of the same seed gives the same picture and truth, to the last bit."""
    frames = [render(ColonoscopyScene.from_seed(3), 2.5, 64, 64) for _ in range(2)]

    np.testing.assert_array_equal(frames[0].rgb, frames[1].rgb)
    np.testing.assert_array_equal(frames[0].identity, frames[1].identity)
    assert frames[0].time_ns == frames[1].time_ns == 2_500_000_000


def test_frame_does_not_depend_on_what_was_rendered_before(scene: ColonoscopyScene) -> None:
    """A frame is a function of its time, so that any part of a clip can be rendered alone."""
    alone = render(scene, 0.08, 64, 64)

    *_, last = iterate_clip(scene, frame_count=3, height_px=64, width_px=64)

    np.testing.assert_array_equal(alone.rgb, last.rgb)


@pytest.mark.parametrize("size", [(64, 96), (97, 64)])
def test_any_size_can_be_rendered(scene: ColonoscopyScene, size: tuple[int, int]) -> None:
    """Units are tested on odd and oblong frames too."""
    frame = render(scene, 2.6, *size)

    assert frame.rgb.shape == (*size, 3)
    assert frame.identity.shape == size
    assert frame.rgb.dtype == frame.identity.dtype == np.uint8


@pytest.mark.parametrize(
    ("time_s", "height_px", "width_px"), [(-0.1, 64, 64), (0.0, 31, 64), (0.0, 64, 2049)]
)
def test_bad_arguments_raise(
    scene: ColonoscopyScene, time_s: float, height_px: int, width_px: int
) -> None:
    """Time and size are bounded at the border of the function."""
    with pytest.raises(ValueError, match="cannot render"):
        render(scene, time_s, height_px, width_px)


@pytest.mark.parametrize("time_s", [1.4, 2.6, 6.9])
def test_identity_is_nonzero_exactly_where_a_polyp_is_hit(
    scene: ColonoscopyScene, time_s: float
) -> None:
    """The truth is the projection: first hit, inside the aperture, within the visible distance."""
    frame = render(scene, time_s, SIDE_PX, SIDE_PX)
    hit = trace(scene, scene.camera_at(time_s), SIDE_PX, SIDE_PX)

    index = hit.polyp_index.reshape(SIDE_PX, SIDE_PX)
    near = (hit.distance_mm < VISIBLE_DISTANCE_MM).reshape(SIDE_PX, SIDE_PX)
    expected = (index >= 0) & near & (aperture(SIDE_PX, SIDE_PX) >= 0.5)

    # Rays that graze an edge may end on either side of it when the field starts elsewhere.
    assert np.count_nonzero((frame.identity > 0) != expected) <= 3
    assert set(np.unique(frame.identity)) <= {0, *(polyp.identity for polyp in scene.polyps)}


def test_border_is_black_and_carries_no_truth(overview: tuple[RenderedFrame, ...]) -> None:
    """Outside the aperture there is no picture, so there can be no polyp."""
    outside = aperture(SIDE_PX, SIDE_PX) == 0.0

    assert 0.1 < float(outside.mean()) < 0.3
    for frame in overview:
        assert int(frame.rgb[outside].max()) == 0
        assert not frame.identity[outside].any()


def test_clip_has_stretches_without_a_polyp(overview: tuple[RenderedFrame, ...]) -> None:
    """False alarms can only be counted where nothing is: at least a second in one piece."""
    empty = [not frame.identity.any() for frame in overview]

    longest = max(len(run) for run in "".join("x" if e else " " for e in empty).split())
    assert longest >= 5
    assert sum(empty) < len(empty) / 2


def test_polyps_reach_realistic_areas(overview: tuple[RenderedFrame, ...]) -> None:
    """Each polyp is seen at some time at 5 to 40 % of the picture, as in public still images."""
    areas = np.array([
        [float((frame.identity == identity).mean()) for identity in (1, 2)] for frame in overview
    ])

    assert (areas.max(axis=0) > 0.05).all()
    assert (areas.max(axis=0) < 0.40).all()


def test_successive_frames_differ_by_motion(scene: ColonoscopyScene) -> None:
    """A still picture with noise would pass as video: the same points must move on the sensor."""
    first, second = (render(scene, time_s, SIDE_PX, SIDE_PX) for time_s in (1.0, 1.04))

    inside = aperture(SIDE_PX, SIDE_PX) == 1.0
    change = np.abs(first.rgb.astype(np.int16) - second.rgb.astype(np.int16)).mean(axis=2)
    assert float(change[inside].mean()) > 3.0


def test_picture_has_highlights_and_a_dark_lumen(overview: tuple[RenderedFrame, ...]) -> None:
    """Wet highlights and the dark lumen are what a detector confuses; both must be there."""
    inside = aperture(SIDE_PX, SIDE_PX) == 1.0
    brightest = max(int(frame.rgb[inside].min(axis=1).max()) for frame in overview)
    darkest = min(float(np.quantile(frame.rgb[inside].max(axis=1), 0.02)) for frame in overview)

    assert brightest > 200
    assert darkest < 60
