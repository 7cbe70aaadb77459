"""Rendered colonoscopy: a frame is a pure function of scene, time and size, with exact truth.

The identity image is the polyp that the ray of each pixel hits first, inside the endoscope's
aperture and within ``VISIBLE_DISTANCE_MM``, at the middle of the exposure. A stalk belongs to its
polyp. Bubbles and motion blur change the picture and not the truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from trocar_lab.simulation.colon_scene import Camera, ColonoscopyScene
from trocar_lab.simulation.colon_shading import radiance
from trocar_lab.simulation.colon_tracing import Hit, project, trace

__all__ = [
    "VISIBLE_DISTANCE_MM",
    "ColonoscopyScene",
    "RenderedFrame",
    "aperture",
    "iterate_clip",
    "render",
]

# Beyond this the lamps leave a surface as dark as the lumen, and nobody could mark a polyp there.
VISIBLE_DISTANCE_MM: Final = 90.0
EXPOSURE_S: Final = 1 / 140
_BLUR_SAMPLES: Final = 4
_NOISE_LEVEL: Final = 1.6
_NS_PER_S: Final = 1_000_000_000

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class RenderedFrame:
    """One frame with its truth.

    Attributes:
        rgb: (H, W, 3) uint8 sRGB.
        identity: (H, W) uint8, identity of the visible polyp, 0 for none.
        time_ns: Time since the start of the clip [ns].
    """

    rgb: NDArray[np.uint8]
    identity: NDArray[np.uint8]
    time_ns: int


def aperture(height_px: int, width_px: int) -> Float32:
    """Return how much of each pixel lies inside the endoscope's cut-cornered field.

    Args:
        height_px: Rows [px].
        width_px: Columns [px].

    Returns:
        (H, W) float32 in [0, 1].
    """
    half = min(height_px, width_px) / 2.0
    rows = np.abs(np.arange(height_px, dtype=np.float32) + 0.5 - height_px / 2.0) / half
    columns = np.abs(np.arange(width_px, dtype=np.float32) + 0.5 - width_px / 2.0) / half
    down, right = np.meshgrid(rows, columns, indexing="ij")
    # A high power norm of the three limits rounds the corners of the octagon.
    limits = np.stack([right / 0.985, down / 0.985, (right + down) / 1.42])
    reach = (limits**24).sum(axis=0) ** (1 / 24)
    return np.asarray(np.clip((1.0 - reach) * half + 0.5, 0, 1), dtype=np.float32)


def render(
    scene: ColonoscopyScene, time_s: float, height_px: int = 480, width_px: int = 480
) -> RenderedFrame:
    """Render one frame; the same arguments give the same bits.

    Args:
        scene: The scene.
        time_s: Time since the start [s], not negative.
        height_px: Rows [px], 32 to 2048.
        width_px: Columns [px], 32 to 2048.

    Returns:
        The frame, newly allocated.

    Raises:
        ValueError: Time or size is outside its range.
    """
    if time_s < 0 or not (32 <= height_px <= 2048 and 32 <= width_px <= 2048):
        raise ValueError(f"cannot render {height_px}x{width_px} at {time_s} s")
    camera = scene.camera_at(time_s)
    field = aperture(height_px, width_px)
    hit = trace(scene, camera, height_px, width_px, field > 0)
    linear = _expose(radiance(scene, camera, hit, height_px, width_px), field)
    _draw_bubbles(linear, scene, camera, hit)
    later = scene.camera_at(time_s + EXPOSURE_S)
    linear = _blur_motion(linear, later, hit)
    rgb = _develop(linear, field, scene, time_s)
    visible = (hit.distance_mm < VISIBLE_DISTANCE_MM).reshape(height_px, width_px) & (field >= 0.5)
    lookup = np.array([0, *(polyp.identity for polyp in scene.polyps)], dtype=np.uint8)
    identity = lookup[hit.polyp_index + 1].reshape(height_px, width_px) * visible
    return RenderedFrame(rgb, identity.astype(np.uint8), round(time_s * _NS_PER_S))


def iterate_clip(
    scene: ColonoscopyScene,
    *,
    frame_count: int,
    frame_rate_hz: int = 25,
    height_px: int = 480,
    width_px: int = 480,
) -> Iterator[RenderedFrame]:
    """Yield frames at a constant rate from time 0.

    Args:
        scene: The scene.
        frame_count: Number of frames.
        frame_rate_hz: Frames per second [Hz].
        height_px: Rows [px].
        width_px: Columns [px].

    Yields:
        Frames in order of time.
    """
    for frame_index in range(frame_count):
        yield render(scene, frame_index / frame_rate_hz, height_px, width_px)


def _expose(linear: Float32, field: Float32) -> Float32:
    """Scale light as the video processor does: bright views are damped, though not to one level."""
    luminance = linear @ np.array((0.3, 0.59, 0.11), np.float32)
    bright = float(np.percentile(luminance[field > 0.5], 75))
    return linear * np.float32((0.30 / max(bright, 0.01)) ** 0.75)


def _draw_bubbles(linear: Float32, scene: ColonoscopyScene, camera: Camera, hit: Hit) -> None:
    """Draw the bubbles that nothing hides: a dark rim, a bright ring and a spot, in place."""
    height_px, width_px = linear.shape[:2]
    points = np.ascontiguousarray(scene.bubbles_mm[:, :3].T)
    columns, rows, gaps = project(camera, points, height_px, width_px)
    depth = hit.distance_mm.reshape(height_px, width_px)
    half = min(height_px, width_px) / 2.0
    for column, row, gap, size_mm in zip(
        columns.tolist(), rows.tolist(), gaps.tolist(), scene.bubbles_mm[:, 3].tolist(), strict=True
    ):
        if not (4 < column < width_px - 5 and 4 < row < height_px - 5 and 4.0 < gap < 60.0):
            continue
        if depth[int(row), int(column)] < gap - 2.0:
            continue
        radius = size_mm / gap * half / 1.12
        if radius >= 0.8:
            _draw_bubble(linear, column, row, radius)


def _draw_bubble(linear: Float32, column: float, row: float, radius: float) -> None:
    """Blend one bubble of ``radius`` [px] over its neighbourhood, in place."""
    reach = int(radius) + 3
    top, left = max(int(row) - reach, 0), max(int(column) - reach, 0)
    patch = linear[top : int(row) + reach + 1, left : int(column) + reach + 1]
    y = np.arange(top, top + patch.shape[0], dtype=np.float32)[:, None] - np.float32(row)
    x = np.arange(left, left + patch.shape[1], dtype=np.float32)[None, :] - np.float32(column)
    distance = np.hypot(x, y)
    rim = np.exp(-(((distance - radius) / max(0.22 * radius, 0.55)) ** 2))
    inner = np.exp(-(((distance - 0.72 * radius) / max(0.2 * radius, 0.5)) ** 2))
    spot = np.exp(-((np.hypot(x + 0.35 * radius, y + 0.35 * radius) / (0.2 * radius + 0.4)) ** 2))
    level = float(patch.mean())
    patch *= (1 - 0.45 * rim)[..., None]
    patch += (0.5 * level * inner + min(2.5 * level, 1.2) * spot)[..., None]


def _blur_motion(linear: Float32, later: Camera, hit: Hit) -> Float32:
    """Average the picture along the way that each surface point takes during the exposure."""
    height_px, width_px = linear.shape[:2]
    columns, rows, _ = project(later, hit.points_mm, height_px, width_px)
    grid_y, grid_x = np.indices((height_px, width_px), dtype=np.float32)
    flow_x = np.clip(columns.reshape(height_px, width_px) - grid_x, -30, 30)
    flow_y = np.clip(rows.reshape(height_px, width_px) - grid_y, -30, 30)
    total = np.zeros_like(linear)
    for fraction in np.linspace(-0.5, 0.5, _BLUR_SAMPLES, dtype=np.float32):
        total += cv2.remap(
            linear,
            grid_x + fraction * flow_x,
            grid_y + fraction * flow_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return np.asarray(total / np.float32(_BLUR_SAMPLES), dtype=np.float32)


def _develop(
    linear: Float32, field: Float32, scene: ColonoscopyScene, time_s: float
) -> NDArray[np.uint8]:
    """Apply bloom, vignette, tone curve, edge enhancement, noise and the black border."""
    height_px, width_px = field.shape
    glow = cv2.GaussianBlur(np.maximum(linear - np.float32(0.9), 0), (0, 0), width_px / 120)
    rows = (np.arange(height_px, dtype=np.float32) / height_px - 0.5)[:, None]
    columns = (np.arange(width_px, dtype=np.float32) / width_px - 0.5)[None, :]
    vignette = np.float32(1) - np.float32(0.55) * (rows**2 + columns**2)
    bright = (linear + np.float32(0.35) * glow) * vignette[..., None]
    # The shoulder starts late, so that highlights clip as they do in a camera.
    toned = np.where(bright < 0.4, bright, 1 - 0.6 * np.exp((0.4 - bright) / 0.6))
    coded = np.asarray(toned ** np.float32(1 / 1.75) * np.float32(255), dtype=np.float32)
    soft = cv2.GaussianBlur(coded, (0, 0), 0.6)
    coded = soft + np.float32(0.5) * (soft - cv2.GaussianBlur(soft, (0, 0), 1.6))
    generator = np.random.default_rng((scene.seed, round(time_s * _NS_PER_S)))
    side = scene.noise.shape[0]
    shift_y, shift_x = generator.integers(0, side, 2).tolist()
    lines = np.arange(shift_y, shift_y + height_px) % side
    places = np.arange(shift_x, shift_x + width_px) % side
    coded += np.float32(_NOISE_LEVEL) * scene.noise[lines][:, places]
    return np.asarray(np.clip(coded * field[..., None] + 0.5, 0, 255), dtype=np.uint8)
