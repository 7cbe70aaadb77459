"""Light on wet mucosa: reflectance, normals, two lamps at the tip, and highlights."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from trocar_lab.simulation.colon_mucosa import TEXTURE_SIDE_MM
from trocar_lab.simulation.colon_scene import (
    RADIUS_MM,
    WALL_COLUMNS,
    WALL_ROWS_PER_MM,
    Camera,
    ColonoscopyScene,
)
from trocar_lab.simulation.colon_tracing import (
    BLEND_MM,
    DISTANCE_MAX_MM,
    Hit,
    polyp_distance,
    sample_map,
    scene_distance,
    wall_polar,
)

__all__ = ["radiance", "surface_normals"]

Float32 = NDArray[np.float32]

_LAMPS_MM: Final = ((-3.4, 1.0), (3.4, 1.0))
_LAMP_REACH_MM: Final = 20.0
_WALL_ALBEDO: Final = (0.66, 0.225, 0.115)
_VESSEL_TINT: Final = (0.60, 0.30, 0.36)
_MUCUS_ALBEDO: Final = (0.68, 0.40, 0.15)
# Polyps carry finer vessels, pits and blotches than the wall.
_POLYP_DETAIL: Final = np.float32(1.9)
_HIGHLIGHT_TINT: Final = (1.0, 0.97, 0.93)
_OCCLUSION_STEP_MM: Final = 3.5
_NORMAL_STEP_MM: Final = 0.4
_TETRAHEDRON: Final = ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1))


def surface_normals(scene: ColonoscopyScene, hit: Hit) -> Float32:
    """Return unit normals of the smooth surface, pointing into the lumen.

    Args:
        scene: The scene.
        hit: Hits of the frame.

    Returns:
        (3, N) float32, newly allocated.
    """
    radius, columns, rows = wall_polar(scene, hit.points_mm)
    shape = sample_map(scene.wall.shape, columns, rows)
    theta = columns * np.float32(2 * np.pi / WALL_COLUMNS)
    cosine, sine = np.cos(theta), np.sin(theta)
    turn = shape[:, 1] / np.maximum(radius, np.float32(1.0))
    slope_x, slope_y = scene.centreline.at(hit.points_mm[2], order=1)
    normal_x, normal_y = -cosine - turn * sine, -sine + turn * cosine
    normals = np.stack([normal_x, normal_y, shape[:, 2] - normal_x * slope_x - normal_y * slope_y])
    for polyp in scene.polyps:
        offset = hit.points_mm - polyp.centre_mm[:, None]
        index = np.flatnonzero(np.einsum("ij,ij->j", offset, offset) < polyp.bound_mm**2)
        if index.size == 0:
            continue
        points = np.ascontiguousarray(hit.points_mm[:, index])
        gradient = np.zeros_like(points)
        for corner in np.array(_TETRAHEDRON, dtype=np.float32):
            moved = points + np.float32(_NORMAL_STEP_MM) * corner[:, None]
            gradient += corner[:, None] * scene_distance(scene, moved, (polyp,))
        normals[:, index] = gradient
    return _normalise(normals)


def radiance(
    scene: ColonoscopyScene, camera: Camera, hit: Hit, height_px: int, width_px: int
) -> Float32:
    """Return linear light per pixel before exposure.

    Args:
        scene: The scene.
        camera: Pose.
        hit: Hits of the frame.
        height_px: Rows [px].
        width_px: Columns [px].

    Returns:
        (H, W, 3) float32 RGB [1], not negative, not bounded above.
    """
    smooth = surface_normals(scene, hit)
    albedo, relief = _material(scene, hit)
    rough = _normalise(smooth + _relief_offset(scene, hit, smooth, relief))
    openness = _openness(scene, hit, smooth, height_px, width_px)
    diffuse = np.zeros(hit.distance_mm.size, dtype=np.float32)
    highlight = np.zeros_like(diffuse)
    for right, down in _LAMPS_MM:
        lamp = camera.position_mm + right * camera.axes[0] + down * camera.axes[1]
        to_lamp = lamp[:, None] - hit.points_mm
        gap = np.sqrt(np.einsum("ij,ij->j", to_lamp, to_lamp))
        to_lamp /= np.maximum(gap, np.float32(1e-3))
        cone = np.clip(-(camera.axes[2] @ to_lamp), 0, 1) * np.float32(0.75) + np.float32(0.25)
        light = cone / (np.float32(0.16) + (gap / np.float32(_LAMP_REACH_MM)) ** 2)
        facing = np.einsum("ij,ij->j", rough, to_lamp)
        diffuse += light * np.clip((facing + np.float32(0.18)) / np.float32(1.18), 0, None)
        middle = _normalise(to_lamp - hit.directions)
        mirror = np.clip(np.einsum("ij,ij->j", rough, middle), 0, 1)
        highlight += np.minimum(light, 6) * np.exp(np.float32(520) * (mirror - 1))
    # Light that bounced off other walls: weaker far away and deep in folds, redder than the lamp's.
    far = np.exp(-hit.distance_mm / np.float32(32.0))
    ambient = np.float32(0.11) * far * openness
    lit = diffuse * (np.float32(0.35) + np.float32(0.65) * openness)
    linear = albedo * (lit + ambient)[:, None] + albedo**2 * (ambient + 0.12 * lit)[:, None]
    linear += (np.float32(2.2) * highlight)[:, None] * np.array(_HIGHLIGHT_TINT, np.float32)
    linear[hit.distance_mm >= DISTANCE_MAX_MM] = 0
    return np.asarray(linear.reshape(height_px, width_px, 3), dtype=np.float32)


def _normalise(vectors: Float32) -> Float32:
    """Return (3, N) vectors at length 1."""
    length = np.sqrt(np.einsum("ij,ij->j", vectors, vectors))
    return np.asarray(vectors / np.maximum(length, np.float32(1e-9)), dtype=np.float32)


def _material(scene: ColonoscopyScene, hit: Hit) -> tuple[Float32, Float32]:
    """Return reflectance (N, 3) and relief (N, 2) from the mucosa maps of wall or polyp."""
    scale = np.float32(scene.mucosa.texels_per_mm)
    _, columns, rows = wall_polar(scene, hit.points_mm)
    u = columns * (scale * np.float32(TEXTURE_SIDE_MM / WALL_COLUMNS))
    v = rows * (scale / np.float32(WALL_ROWS_PER_MM))
    base = np.broadcast_to(np.array(_WALL_ALBEDO, np.float32), (u.size, 3)).copy()
    calm = np.ones(u.size, dtype=np.float32)
    for polyp_index, polyp in enumerate(scene.polyps):
        index = np.flatnonzero(hit.polyp_index == polyp_index)
        if index.size == 0:
            continue
        points = np.ascontiguousarray(hit.points_mm[:, index])
        local = polyp.axes @ (points - polyp.centre_mm[:, None])
        lateral = np.hypot(local[0], local[1])
        arc = np.arctan2(lateral, local[2]) * np.float32(polyp.radii_mm.mean())
        arc /= np.maximum(lateral, np.float32(1e-4))
        u[index] = (local[0] * arc * _POLYP_DETAIL + polyp.texture_offset_mm) * scale
        v[index] = (local[1] * arc * _POLYP_DETAIL + polyp.texture_offset_mm) * scale
        gap = scene_distance(scene, points, ()) - polyp_distance(polyp, points)
        weight = np.clip(gap / np.float32(BLEND_MM), 0, 1)[:, None]
        base[index] += weight * (polyp.albedo - base[index])
        calm[index] -= np.float32(0.45) * weight[:, 0]
    look = sample_map(scene.mucosa.appearance, u, v)
    # Fine detail fades where a pixel covers many texels, else it would flicker.
    detail = np.clip(np.float32(1.25) - hit.distance_mm / np.float32(70.0), 0, 1)
    vessel = (look[:, 0] * calm * detail)[:, None]
    tint = 1 - vessel * (1 - np.array(_VESSEL_TINT, np.float32))
    blotch = (look[:, 1] * detail)[:, None] * np.array((0.13, 0.26, 0.28), np.float32)
    mucus = (look[:, 2] * calm**3)[:, None] * np.float32(0.6)
    albedo = np.clip(base * tint * (1 + blotch), 0.0, 1.0)
    albedo += mucus * (np.array(_MUCUS_ALBEDO, np.float32) - albedo)
    relief = sample_map(scene.mucosa.relief, u, v) * detail[:, None]
    return albedo, relief


def _relief_offset(scene: ColonoscopyScene, hit: Hit, normals: Float32, relief: Float32) -> Float32:
    """Turn map slopes into an offset of the normals, (3, N)."""
    slope_x, slope_y = scene.centreline.at(hit.points_mm[2], order=1)
    along = _normalise(np.stack([slope_x, slope_y, np.ones_like(slope_x)]))
    around = _normalise(np.cross(along, normals, axis=0))
    along = np.cross(normals, around, axis=0)
    return -(around * relief[:, 0] + along * relief[:, 1])


def _openness(
    scene: ColonoscopyScene, hit: Hit, normals: Float32, height_px: int, width_px: int
) -> Float32:
    """Return how open the surroundings are, (N,) in [0, 1], at half resolution and enlarged."""
    grid = np.arange(height_px * width_px).reshape(height_px, width_px)[::2, ::2]
    index = grid.reshape(-1)
    away = hit.points_mm[:, index] + np.float32(_OCCLUSION_STEP_MM) * normals[:, index]
    offset = hit.points_mm[:, index].mean(axis=1)
    near = [p for p in scene.polyps if np.linalg.norm(p.centre_mm - offset) < 4 * RADIUS_MM]
    distance = scene_distance(scene, np.ascontiguousarray(away), near)
    small = np.clip(distance / np.float32(_OCCLUSION_STEP_MM), 0, 1).reshape(grid.shape)
    soft = cv2.blur(small, (3, 3))
    return np.asarray(cv2.resize(soft, (width_px, height_px)).reshape(-1), dtype=np.float32)
