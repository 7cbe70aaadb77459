"""A scene is made by its seed alone; its camera stays in the lumen and moves smoothly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from trocar_lab.simulation.colon_scene import ColonoscopyScene
from trocar_lab.simulation.colon_tracing import scene_distance


def test_same_seed_gives_same_scene(scene: ColonoscopyScene) -> None:
    """The committed clip must be reproducible from the seed in its README."""
    again = ColonoscopyScene.from_seed(14)

    np.testing.assert_array_equal(scene.wall.shape, again.wall.shape)
    np.testing.assert_array_equal(scene.bubbles_mm, again.bubbles_mm)
    np.testing.assert_array_equal(scene.noise, again.noise)
    assert [p.centre_mm.tolist() for p in scene.polyps] == [
        p.centre_mm.tolist() for p in again.polyps
    ]


def test_other_seed_gives_other_scene(scene: ColonoscopyScene) -> None:
    """A seed that was ignored would make all rendered training scenes one scene."""
    other = ColonoscopyScene.from_seed(15)

    assert not np.array_equal(scene.wall.radius, other.wall.radius)


def test_polyps_have_unique_identities() -> None:
    """Identities are labels in a uint8 image: they count from 1 and none is used twice."""
    scene = ColonoscopyScene.from_seed(2, polyp_count=4)

    assert [polyp.identity for polyp in scene.polyps] == [1, 2, 3, 4]


@pytest.mark.parametrize("polyp_count", [-1, 0, 21])
def test_polyp_count_is_bounded(polyp_count: int) -> None:
    """Outside 1 to 20 there is no way for the camera, or a scene without end."""
    with pytest.raises(ValueError, match="polyp_count"):
        ColonoscopyScene.from_seed(1, polyp_count=polyp_count)


@pytest.mark.parametrize("seed", [7, 14])
def test_camera_stays_in_the_lumen(seed: int) -> None:
    """A camera inside the wall would see nothing, and its truth would mean nothing."""
    scene = ColonoscopyScene.from_seed(seed)
    times_s = np.arange(0.0, scene.duration_s, 0.1)

    positions = np.stack([scene.camera_at(float(t)).position_mm for t in times_s], axis=1)

    assert float(scene_distance(scene, positions, scene.polyps).min()) > 0.5


def test_camera_pose_is_a_rotation_and_has_no_jumps(scene: ColonoscopyScene) -> None:
    """Trackers are tested on the clip: motion between frames must be bounded as in a real one."""
    cameras = [scene.camera_at(k / 25) for k in range(round(25 * scene.duration_s))]

    for camera in cameras:
        np.testing.assert_allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-5)
        assert float(np.linalg.det(camera.axes)) == pytest.approx(1.0, abs=1e-5)
    for before, after in pairwise(cameras):
        assert float(np.linalg.norm(after.position_mm - before.position_mm)) < 4.0
        assert float(before.axes[2] @ after.axes[2]) > np.cos(np.deg2rad(8.0))


def test_camera_returns_after_the_end(scene: ColonoscopyScene) -> None:
    """Longer clips run back and forth, so that any duration can be rendered."""
    end = scene.camera_at(scene.duration_s)
    after = scene.camera_at(scene.duration_s + 0.04)

    assert float(np.linalg.norm(end.position_mm - after.position_mm)) < 4.0
