"""Rays end on the surface that they hit first, and the label is the surface that they end on."""

from __future__ import annotations

import numpy as np
import pytest

from trocar_lab.simulation.colon_scene import ColonoscopyScene
from trocar_lab.simulation.colon_tracing import (
    BLEND_MM,
    DISTANCE_MAX_MM,
    lens_directions,
    polyp_distance,
    project,
    sample_map,
    scene_distance,
    trace,
)

SIDE_PX = 96


def test_lens_directions_are_unit_and_symmetric() -> None:
    """The middle of the picture looks forward and opposite pixels look to opposite sides."""
    directions = lens_directions(6, 8).reshape(3, 6, 8)

    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1.0, atol=1e-6)
    np.testing.assert_allclose(directions[0], -directions[0, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(directions[1], -directions[1, ::-1], atol=1e-6)


def test_projection_inverts_the_lens(scene: ColonoscopyScene) -> None:
    """Motion blur and bubbles use the projection: it must land on the pixel the ray came from."""
    camera = scene.camera_at(1.0)
    points = camera.position_mm[:, None] + 20.0 * (camera.axes.T @ lens_directions(16, 20))

    columns, rows, distance = project(camera, points.astype(np.float32), 16, 20)

    grid_y, grid_x = np.indices((16, 20))
    np.testing.assert_allclose(columns, grid_x.reshape(-1), atol=2e-3)
    np.testing.assert_allclose(rows, grid_y.reshape(-1), atol=2e-3)
    np.testing.assert_allclose(distance, 20.0, atol=1e-3)


def test_sample_map_interpolates_and_repeats() -> None:
    """The angle runs over the end of the map; there it continues at its beginning."""
    source = np.array([[0.0, 1.0, 2.0, 3.0]] * 4, dtype=np.float32)
    columns = np.array([0.0, 1.5, 3.5, -1.0, 5.0], dtype=np.float32)

    sampled = sample_map(source, columns, np.zeros(5, dtype=np.float32))

    np.testing.assert_allclose(sampled, [0.0, 1.5, 1.5, 3.0, 1.0], atol=0.04)


@pytest.mark.parametrize("time_s", [0.0, 2.6, 6.9, 8.3])
def test_rays_end_on_the_surface(scene: ColonoscopyScene, time_s: float) -> None:
    """A ray that stops in mid-air or behind a surface would put truth where nothing is seen."""
    hit = trace(scene, scene.camera_at(time_s), SIDE_PX, SIDE_PX)
    found = hit.distance_mm < DISTANCE_MAX_MM

    gap = np.abs(scene_distance(scene, hit.points_mm[:, found], scene.polyps))

    assert float(found.mean()) > 0.99
    assert float(np.quantile(gap, 0.999)) < 0.1


@pytest.mark.parametrize("time_s", [2.6, 6.9])
def test_nothing_lies_before_the_hit(scene: ColonoscopyScene, time_s: float) -> None:
    """Occlusion: all along the ray up to its hit there is only lumen."""
    camera = scene.camera_at(time_s)
    hit = trace(scene, camera, SIDE_PX, SIDE_PX)

    for fraction in np.linspace(0.05, 0.97, 24, dtype=np.float32):
        points = camera.position_mm[:, None] + hit.directions * (fraction * hit.distance_mm)
        inside = scene_distance(scene, points, scene.polyps) < -0.15
        assert float(inside.mean()) < 0.001


@pytest.mark.parametrize("time_s", [1.9, 2.6, 6.9])
def test_label_is_the_surface_that_was_hit(scene: ColonoscopyScene, time_s: float) -> None:
    """Labelled pixels end on their polyp, all others at least a blend away from its inside."""
    hit = trace(scene, scene.camera_at(time_s), SIDE_PX, SIDE_PX)

    assert (hit.polyp_index >= 0).any()
    for polyp_index, polyp in enumerate(scene.polyps):
        distance = polyp_distance(polyp, hit.points_mm)
        labelled = hit.polyp_index == polyp_index
        assert float((labelled & (np.abs(distance) > BLEND_MM)).mean()) < 0.001
        wall = scene_distance(scene, hit.points_mm, ())
        assert not labelled[(distance > wall + 1e-3)].any()
        assert float((~labelled & (distance < -0.1)).mean()) < 0.001


def test_field_limits_the_rays(scene: ColonoscopyScene) -> None:
    """Pixels outside the aperture are not traced, and the others do not change by it."""
    camera = scene.camera_at(2.6)
    field = np.zeros((SIDE_PX, SIDE_PX), dtype=np.bool_)
    field[20:70, 30:80] = True

    part = trace(scene, camera, SIDE_PX, SIDE_PX, field)
    whole = trace(scene, camera, SIDE_PX, SIDE_PX)

    inside = field.reshape(-1)
    assert (part.distance_mm[~inside] == DISTANCE_MAX_MM).all()
    np.testing.assert_allclose(part.distance_mm[inside], whole.distance_mm[inside], atol=0.05)
