"""Rays of the endoscope's lens and their first hit with the wall or a polyp, by sphere tracing.

A coarse image is traced first; each ray of the full image starts just before the nearest hit of its
neighbourhood and only unfinished rays go on, so that most rays take a few steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from trocar_lab.simulation.colon_scene import (
    WALL_COLUMNS,
    WALL_ROWS_PER_MM,
    Z_FIRST_MM,
    Camera,
    ColonoscopyScene,
    Polyp,
)

__all__ = [
    "Hit",
    "lens_directions",
    "polyp_distance",
    "project",
    "sample_map",
    "scene_distance",
    "trace",
    "wall_polar",
]

HALF_FIELD_RAD: Final = 1.12
DISTANCE_MAX_MM: Final = 150.0
BLEND_MM: Final = 3.2
TOLERANCE_MM: Final = 0.03
_BOUND_MARGIN_MM: Final = 4.0
_STEP_MM_MIN: Final = np.float32(0.13)
STEP_COUNT_MAX: Final = 108
_STEP_COUNT_BOLD: Final = 93
COARSE_FACTOR: Final = 4
# An unfinished coarse ray ends before its hit, which is all that the full image needs.
_COARSE_STEP_COUNT: Final = 36
_MAP_COLUMNS: Final = 512

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Hit:
    """Where each ray ends; N = H * W, row by row.

    Attributes:
        directions: (3, N) float32 unit directions in the scene.
        distance_mm: (N,) float32 along the ray [mm]; ``DISTANCE_MAX_MM`` where nothing was hit.
        points_mm: (3, N) float32 [mm].
        polyp_index: (N,) int32, index in ``scene.polyps``, -1 on the wall or nowhere.
    """

    directions: Float32
    distance_mm: Float32
    points_mm: Float32
    polyp_index: NDArray[np.int32]


def lens_directions(height_px: int, width_px: int) -> Float32:
    """Return unit directions of an equidistant fisheye in camera axes.

    Args:
        height_px: Rows [px].
        width_px: Columns [px].

    Returns:
        (3, H * W) float32: right, down, forward; the short half side spans 64 degrees.
    """
    half = min(height_px, width_px) / 2.0
    rows = (np.arange(height_px, dtype=np.float32) + 0.5 - height_px / 2.0) / half
    columns = (np.arange(width_px, dtype=np.float32) + 0.5 - width_px / 2.0) / half
    down, right = np.meshgrid(rows, columns, indexing="ij")
    radius = np.hypot(right, down)
    angle = radius * HALF_FIELD_RAD
    scale = np.sin(angle) / np.maximum(radius, 1e-6)
    return np.stack([right * scale, down * scale, np.cos(angle)]).reshape(3, -1).astype(np.float32)


def project(
    camera: Camera, points_mm: Float32, height_px: int, width_px: int
) -> tuple[Float32, Float32, Float32]:
    """Project points through the lens; the inverse of ``lens_directions``.

    Args:
        camera: Pose.
        points_mm: (3, N) float32 [mm].
        height_px: Rows [px].
        width_px: Columns [px].

    Returns:
        Column, row [px, pixel centres at integers] and distance [mm], each (N,) float32.
    """
    right, down, forward = camera.axes @ (points_mm - camera.position_mm[:, None])
    lateral = np.hypot(right, down)
    half = min(height_px, width_px) / 2.0
    scale = np.arctan2(lateral, forward) * np.float32(half / HALF_FIELD_RAD)
    scale /= np.maximum(lateral, np.float32(1e-6))
    columns = right * scale + np.float32(width_px / 2.0 - 0.5)
    rows = down * scale + np.float32(height_px / 2.0 - 0.5)
    return columns, rows, np.hypot(lateral, forward)


def sample_map(source: Float32, columns: Float32, rows: Float32) -> Float32:
    """Sample a map linearly at any number of places; both axes repeat.

    Args:
        source: (Y, X) or (Y, X, C) float32.
        columns: (N,) float32 [texel].
        rows: (N,) float32 [texel].

    Returns:
        (N,) or (N, C) float32, newly allocated.
    """
    count = columns.size
    lines = max(-(-count // _MAP_COLUMNS), 1)
    grid = np.zeros((2, lines * _MAP_COLUMNS), dtype=np.float32)
    grid[0, :count], grid[1, :count] = columns, rows
    x, y = grid.reshape(2, lines, _MAP_COLUMNS)
    sampled = cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(sampled.reshape(lines * _MAP_COLUMNS, *source.shape[2:])[:count])


def wall_polar(scene: ColonoscopyScene, points_mm: Float32) -> tuple[Float32, Float32, Float32]:
    """Return radius [mm], column and row of the wall maps for points, each (N,) float32."""
    centre_x, centre_y = scene.centreline.at(points_mm[2])
    x, y = points_mm[0] - centre_x, points_mm[1] - centre_y
    columns = np.arctan2(y, x) * np.float32(WALL_COLUMNS / (2 * np.pi))
    rows = (points_mm[2] - np.float32(Z_FIRST_MM)) * np.float32(WALL_ROWS_PER_MM)
    np.clip(rows, 0, scene.wall.radius.shape[0] - 2, out=rows)
    return np.hypot(x, y), columns, rows


def polyp_distance(polyp: Polyp, points_mm: Float32) -> Float32:
    """Return the signed distance to a polyp, positive outside; exact in sign only.

    Args:
        polyp: The polyp.
        points_mm: (3, N) float32 [mm].

    Returns:
        (N,) float32 [mm].
    """
    local = (polyp.axes / polyp.radii_mm[:, None]) @ (points_mm - polyp.centre_mm[:, None])
    length = np.sqrt(np.einsum("ij,ij->j", local, local))
    lobes = polyp.lobe_amplitudes @ np.sin(
        polyp.lobe_waves @ local + polyp.lobe_phases_rad[:, None]
    )
    head = (length - np.float32(1.0) - np.float32(0.3) * lobes) * polyp.radii_mm.min()
    if polyp.stalk_radius_mm <= 0.0:
        return np.asarray(head, dtype=np.float32)
    along = polyp.centre_mm - polyp.base_mm
    relative = points_mm - polyp.base_mm[:, None]
    fraction = np.clip((along @ relative) / (along @ along), 0.0, 1.0)
    offset = relative - along[:, None] * fraction
    stalk = np.sqrt(np.einsum("ij,ij->j", offset, offset)) - np.float32(polyp.stalk_radius_mm)
    return _smooth_minimum(head, stalk)


def scene_distance(scene: ColonoscopyScene, points_mm: Float32, polyps: Sequence[Polyp]) -> Float32:
    """Return the signed distance to wall and polyps, positive in the lumen.

    Args:
        scene: The scene.
        points_mm: (3, N) float32 [mm].
        polyps: The polyps to consider.

    Returns:
        (N,) float32 [mm]; never above the true distance by more than the wall's slope allows.
    """
    radius, columns, rows = wall_polar(scene, points_mm)
    distance = sample_map(scene.wall.radius, columns, rows) - radius
    for polyp in polyps:
        offset = points_mm - polyp.centre_mm[:, None]
        squared = np.einsum("ij,ij->j", offset, offset)
        # Outside its bound a polyp is beyond the fillet; the way to the bound will do.
        index = np.flatnonzero(squared < polyp.bound_mm**2)
        other = np.sqrt(squared) - np.float32(polyp.bound_mm - _BOUND_MARGIN_MM)
        other[index] = polyp_distance(polyp, points_mm[:, index])
        distance = _smooth_minimum(distance, other)
    return distance


def trace(
    scene: ColonoscopyScene,
    camera: Camera,
    height_px: int,
    width_px: int,
    field: NDArray[np.bool_] | None = None,
) -> Hit:
    """Return the first hit of every pixel's ray.

    Args:
        scene: The scene.
        camera: Pose.
        height_px: Rows [px].
        width_px: Columns [px].
        field: (H, W) bool, the pixels to trace, all when None; the others hit nothing.

    Returns:
        Hits in row-major order, newly allocated.
    """
    polyps = [
        polyp
        for polyp in scene.polyps
        if np.linalg.norm(polyp.centre_mm - camera.position_mm) < DISTANCE_MAX_MM + polyp.bound_mm
    ]
    coarse_height, coarse_width = (-(-side // COARSE_FACTOR) for side in (height_px, width_px))
    directions = camera.axes.T @ lens_directions(coarse_height, coarse_width)
    begin = np.zeros(directions.shape[1], dtype=np.float32)
    coarse = _march(scene, camera, directions, begin, polyps, step_count=_COARSE_STEP_COUNT)
    nearest = cv2.erode(coarse.reshape(coarse_height, coarse_width), np.ones((3, 3), np.uint8))
    start = cv2.resize(nearest, (width_px, height_px), interpolation=cv2.INTER_NEAREST)
    directions = np.ascontiguousarray(camera.axes.T @ lens_directions(height_px, width_px))
    begin = np.asarray(start.reshape(-1) * np.float32(0.96) - np.float32(0.5), dtype=np.float32)
    np.maximum(begin, 0, out=begin)
    if field is not None:
        begin[~field.reshape(-1)] = DISTANCE_MAX_MM
    distance = _march(scene, camera, directions, begin, polyps, step_count=STEP_COUNT_MAX)
    points = camera.position_mm[:, None] + directions * distance
    return Hit(directions, distance, points, _label(scene, points, distance))


def _smooth_minimum(first: Float32, second: Float32) -> Float32:
    """Return the minimum with a fillet of ``BLEND_MM`` where both are alike."""
    overlap = np.maximum(np.float32(BLEND_MM) - np.abs(first - second), 0)
    fillet = overlap * overlap * np.float32(0.25 / BLEND_MM)
    return np.asarray(np.minimum(first, second) - fillet, dtype=np.float32)


def _march(
    scene: ColonoscopyScene,
    camera: Camera,
    directions: Float32,
    start_mm: Float32,
    polyps: Sequence[Polyp],
    *,
    step_count: int,
) -> Float32:
    """March all rays that start in reach; only those near a polyp pay for its distance."""
    distance = start_mm.copy()
    near = np.zeros(distance.size, dtype=np.bool_)
    relevant = []
    for polyp in polyps:
        offset = polyp.centre_mm - camera.position_mm
        gap = float(np.linalg.norm(offset))
        cosine = np.sqrt(max(1.0 - (polyp.bound_mm / gap) ** 2, 0.0)) if gap > 0 else 0.0
        inside = (offset / max(gap, 1e-6)) @ directions > cosine
        if gap <= polyp.bound_mm or inside.any():
            near |= inside | (gap <= polyp.bound_mm)
            relevant.append(polyp)
    wanted = start_mm < DISTANCE_MAX_MM
    groups = ((np.flatnonzero(wanted & ~near), ()), (np.flatnonzero(wanted & near), relevant))
    for index, considered in groups:
        if index.size:
            _march_group(
                scene, camera, directions, distance, index, considered, step_count=step_count
            )
    return distance


def _march_group(
    scene: ColonoscopyScene,
    camera: Camera,
    directions: Float32,
    distance_mm: Float32,
    index: NDArray[np.intp],
    polyps: Sequence[Polyp],
    *,
    step_count: int,
) -> None:
    """March the rays named by ``index`` and write ``distance_mm`` in place."""
    origin = camera.position_mm[:, None]
    active, rays, reach = index, directions[:, index], distance_mm[index]
    for step in range(step_count):
        gap = scene_distance(scene, origin + rays * reach, polyps)
        # The wall's distance may grow twice as fast as the way to it, hence about half a step. The
        # least step keeps early rays from crawling where they pass close by a surface.
        advance = np.float32(0.55) * gap
        if step < _STEP_COUNT_BOLD:
            advance = np.where(gap > TOLERANCE_MM, np.maximum(advance, _STEP_MM_MIN), advance)
        reach += advance
        np.clip(reach, 0, DISTANCE_MAX_MM, out=reach)
        open_ = (np.abs(gap) > TOLERANCE_MM) & (reach < DISTANCE_MAX_MM)
        if step % 2 == 1:
            distance_mm[active] = reach
            active, rays, reach = active[open_], rays[:, open_], reach[open_]
            if not active.size:
                return
    distance_mm[active] = reach


def _label(scene: ColonoscopyScene, points_mm: Float32, distance_mm: Float32) -> NDArray[np.int32]:
    """Return the index of the polyp whose surface is nearer than the wall at each hit, or -1."""
    label = np.full(distance_mm.size, -1, dtype=np.int32)
    hit = distance_mm < DISTANCE_MAX_MM
    for polyp_index, polyp in enumerate(scene.polyps):
        offset = points_mm - polyp.centre_mm[:, None]
        near = hit & (np.einsum("ij,ij->j", offset, offset) < polyp.bound_mm**2)
        index = np.flatnonzero(near)
        if index.size == 0:
            continue
        close = np.ascontiguousarray(points_mm[:, index])
        wall = scene_distance(scene, close, ())
        label[index[polyp_distance(polyp, close) < wall]] = polyp_index
    return label
