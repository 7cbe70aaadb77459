"""Normals follow the traced surface, and light falls off with distance as an endoscope's does."""

from __future__ import annotations

import numpy as np
import pytest

from trocar_lab.simulation.colon_scene import ColonoscopyScene
from trocar_lab.simulation.colon_shading import radiance, surface_normals
from trocar_lab.simulation.colon_tracing import DISTANCE_MAX_MM, scene_distance, trace

SIDE_PX = 96


@pytest.mark.parametrize("time_s", [0.4, 2.6])
def test_normals_point_into_the_lumen(scene: ColonoscopyScene, time_s: float) -> None:
    """A step along the normal must gain distance; a flipped normal would be dark."""
    hit = trace(scene, scene.camera_at(time_s), SIDE_PX, SIDE_PX)
    found = hit.distance_mm < DISTANCE_MAX_MM

    normals = surface_normals(scene, hit)
    away = (hit.points_mm + normals)[:, found]

    np.testing.assert_allclose(np.linalg.norm(normals[:, found], axis=0), 1.0, atol=1e-4)
    assert float((scene_distance(scene, away, scene.polyps) > 0.2).mean()) > 0.98


def test_near_walls_are_brighter_than_the_lumen(scene: ColonoscopyScene) -> None:
    """The lamps sit at the tip: the far lumen is dark, which is what makes it look like one."""
    camera = scene.camera_at(4.6)
    hit = trace(scene, camera, SIDE_PX, SIDE_PX)

    light = radiance(scene, camera, hit, SIDE_PX, SIDE_PX)

    luminance = light.mean(axis=2).reshape(-1)
    near = luminance[hit.distance_mm < 30.0].mean()
    far = luminance[(hit.distance_mm > 70.0) & (hit.distance_mm < DISTANCE_MAX_MM)].mean()
    assert np.isfinite(light).all()
    assert float(light.min()) >= 0.0
    assert near > 4.0 * far


def test_mucosa_is_red(scene: ColonoscopyScene) -> None:
    """Blood absorbs green and blue: red leads in the mean of every tissue."""
    camera = scene.camera_at(1.0)
    hit = trace(scene, camera, SIDE_PX, SIDE_PX)

    red, green, blue = radiance(scene, camera, hit, SIDE_PX, SIDE_PX).mean(axis=(0, 1))

    assert red > 1.5 * green > 1.5 * blue
