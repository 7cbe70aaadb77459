"""Rendered laparoscopy: a frame is a pure function of scene, time and size, with exact truth.

A box encloses the drawn pixels of a tip and of the first part of its shaft. A tip is in the truth
when enough of it is inside the picture, inside the visible field and not behind another tool.
These pictures help a network to begin, and let software be tested; they say nothing about accuracy
on patients.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from trocar_lab.simulation.laparoscopy_scene import Instrument, LaparoscopyScene, Pose
from trocar_lab.simulation.laparoscopy_tissue import cloud, tissue
from trocar_lab.simulation.laparoscopy_tools import SHAFT_COLOURS, Part, tip_parts

__all__ = [
    "VISIBLE_FRACTION_MIN",
    "LaparoscopyScene",
    "RenderedToolFrame",
    "iterate_clip",
    "render",
]

VISIBLE_FRACTION_MIN: Final = 0.35
_NS_PER_S: Final = 1_000_000_000
_SHAFT_IN_BOX: Final = 1.1
_SHAFT_LENGTH: Final = 60.0
_SHAFT_WIDENING: Final = 0.02
_STRIP_COUNT: Final = 9
_SUBPIXEL_BITS: Final = 4
_NOISE_LEVEL: Final = 0.008

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class RenderedToolFrame:
    """One frame with its truth.

    Attributes:
        rgb: (H, W, 3) uint8 sRGB.
        boxes_xyxy_px: (N, 4) float32 left, top, right, bottom edges [px], inside the picture.
        class_indices: (N,) int64 class of each box.
        identities: (N,) int64 identity of the instrument, from 1, the same after an absence.
        time_ns: Time since the start of the clip [ns].
    """

    rgb: NDArray[np.uint8]
    boxes_xyxy_px: NDArray[np.float32]
    class_indices: NDArray[np.int64]
    identities: NDArray[np.int64]
    time_ns: int


def render(
    scene: LaparoscopyScene, time_s: float, height_px: int = 396, width_px: int = 704
) -> RenderedToolFrame:
    """Render one frame; the same arguments give the same bits.

    Args:
        scene: The scene.
        time_s: Time since the start [s], not negative.
        height_px: Rows [px], 96 to 2048.
        width_px: Columns [px], 96 to 2048.

    Returns:
        The frame, newly allocated.

    Raises:
        ValueError: Time or size is outside its range.
    """
    if time_s < 0 or not (96 <= height_px <= 2048 and 96 <= width_px <= 2048):
        raise ValueError(f"cannot render {height_px}x{width_px} at {time_s} s")
    linear = _moved_tissue(scene, time_s, height_px, width_px)
    field = _field(scene, height_px, width_px)
    owners = np.zeros((height_px, width_px), dtype=np.uint8)
    drawn: list[NDArray[np.uint8]] = []
    for instrument in scene.instruments:
        mask = _draw(linear, owners, instrument, instrument.pose_at(time_s))
        drawn.append(mask)
    linear = _with_smoke(linear, scene, time_s) * field[..., None]
    noise = np.random.default_rng([scene.seed, int(time_s * 1000), 3])
    linear = linear + noise.normal(0, _NOISE_LEVEL, linear.shape).astype(np.float32)
    rgb = (np.clip(linear * scene.exposure, 0, 1) ** (1 / 1.6) * 255 + 0.5).astype(np.uint8)
    return _with_truth(rgb, scene, owners, drawn, field > 0.5, round(time_s * _NS_PER_S))


def iterate_clip(
    scene: LaparoscopyScene,
    *,
    frame_count: int,
    frame_rate_hz: int,
    height_px: int = 396,
    width_px: int = 704,
) -> Iterator[RenderedToolFrame]:
    """Yield the frames of a clip in order.

    Args:
        scene: The scene.
        frame_count: Number of frames.
        frame_rate_hz: Frames per second [Hz].
        height_px: Rows [px].
        width_px: Columns [px].
    """
    for index in range(frame_count):
        yield render(scene, index / frame_rate_hz, height_px, width_px)


def _moved_tissue(scene: LaparoscopyScene, time_s: float, height_px: int, width_px: int) -> Float32:
    """Return the tissue, which shifts a little as the patient breathes and the camera drifts."""
    margin = height_px // 8
    whole = tissue(scene.tissue_seed, height_px + 2 * margin, width_px + 2 * margin)
    breath = 0.4 * margin * np.sin(2 * np.pi * 0.25 * time_s)
    drift = 0.5 * margin * np.array([np.sin(0.21 * time_s + 1), np.sin(0.17 * time_s)])
    shift = np.array(
        [[1, 0, -margin + drift[0]], [0, 1, -margin + drift[1] + breath]], dtype=np.float32
    )
    return np.asarray(cv2.warpAffine(whole, shift, (width_px, height_px)), dtype=np.float32)


def _field(scene: LaparoscopyScene, height_px: int, width_px: int) -> Float32:
    """Return how bright each pixel is: a round field with a soft rim and a darker outside."""
    right = (np.arange(width_px, dtype=np.float32) + 0.5 - width_px / 2) / height_px
    down = (np.arange(height_px, dtype=np.float32) + 0.5 - height_px / 2) / height_px
    radius = np.hypot(right[None, :], down[:, None])
    rim = np.clip((scene.field_radius - radius) * height_px / 3 + 0.5, 0, 1)
    return np.asarray(rim * (1.15 - 0.75 * radius**2), dtype=np.float32)


def _with_smoke(linear: Float32, scene: LaparoscopyScene, time_s: float) -> Float32:
    """Blend towards grey in clouds that drift from left to right."""
    if scene.smoke <= 0:
        return linear
    height, width = linear.shape[:2]
    whole = cloud(np.random.default_rng([scene.seed, 7]), height, width * 2, (3, 6, 12))
    start = round((time_s * 0.05 % 1.0) * width)
    share = (whole[:, start : start + width] * scene.smoke)[..., None]
    return np.asarray(linear * (1 - share) + 0.55 * share, dtype=np.float32)


def _draw(
    linear: Float32, owners: NDArray[np.uint8], instrument: Instrument, pose: Pose
) -> NDArray[np.uint8]:
    """Draw one instrument in place; return which pixels its tip covers, seen or not."""
    height = linear.shape[0]
    colours = SHAFT_COLOURS[instrument.class_index]
    colour = colours[instrument.shaft_index % len(colours)]
    wide = 1 + _SHAFT_LENGTH * _SHAFT_WIDENING
    outline = np.array([
        [-_SHAFT_LENGTH, -wide / 2],
        [-0.3, -0.5],
        [-0.3, 0.5],
        [-_SHAFT_LENGTH, wide / 2],
    ])
    shaft = Part(outline, colour, is_round=True)
    parts = tip_parts(
        instrument.class_index, opening_rad=pose.opening_rad, variant=instrument.variant
    )
    whole = np.zeros(owners.shape, dtype=np.uint8)
    tip = np.zeros(owners.shape, dtype=np.uint8)
    near = np.array([[-_SHAFT_IN_BOX, -0.5], [0.0, -0.5], [0.0, 0.5], [-_SHAFT_IN_BOX, 0.5]])
    _fill(tip, _placed(near, pose, height), 1)
    for part in (shaft, *parts):
        place = _placed(part.outline, pose, height)
        _fill(whole, place, 1)
        if part is not shaft:
            _fill(tip, place, 1)
        _paint(linear, part, pose, instrument.brightness)
    owners[whole > 0] = instrument.identity
    return tip


def _placed(outline: NDArray[np.float64], pose: Pose, height_px: int) -> NDArray[np.float64]:
    """Return an outline in pixels."""
    cos, sin = np.cos(pose.heading_rad), np.sin(pose.heading_rad)
    turned = outline @ np.array([[cos, sin], [-sin, cos]])
    return np.asarray((turned * pose.diameter + pose.joint) * height_px, dtype=np.float64)


def _fill(image: NDArray[np.generic], place: NDArray[np.float64], value: object) -> None:
    """Fill a polygon with subpixel corners."""
    corners = np.clip(np.round(place * 2**_SUBPIXEL_BITS), -(2**20), 2**20).astype(np.int32)
    cv2.fillPoly(image, [corners], value, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)  # type: ignore[call-overload] # the colour's type follows the image


def _paint(linear: Float32, part: Part, pose: Pose, brightness: float) -> None:
    """Paint one part; a rod as strips along it, brightest off the middle, dark at both sides."""
    height = linear.shape[0]
    colour = np.array(part.colour) * brightness
    if not part.is_round:
        light = 0.75 + 0.35 * np.sin(pose.heading_rad * 2 + part.outline[0, 0] * 3)
        _fill(linear, _placed(part.outline, pose, height), tuple((colour * light).tolist()))
        return
    first, last = part.outline[0], part.outline[-1]
    end, end_last = part.outline[1], part.outline[2]
    steps = np.linspace(0, 1, _STRIP_COUNT + 1)
    for low, high in itertools.pairwise(steps.tolist()):
        strip = np.array([
            first + (last - first) * low,
            end + (end_last - end) * low,
            end + (end_last - end) * high,
            first + (last - first) * high,
        ])
        across = (low + high) / 2 * 2 - 1
        light = 0.25 + 0.75 * np.sqrt(max(0.0, 1 - across**2))
        shine = 0.45 * np.exp(-(((across + 0.25) / 0.16) ** 2))
        shade = colour * light + shine * (0.3 + colour.mean())
        _fill(linear, _placed(strip, pose, height), tuple(shade.tolist()))


def _with_truth(
    rgb: NDArray[np.uint8],
    scene: LaparoscopyScene,
    owners: NDArray[np.uint8],
    drawn: list[NDArray[np.uint8]],
    field: NDArray[np.bool_],
    time_ns: int,
) -> RenderedToolFrame:
    """Return the frame with the boxes of the tips that can be seen."""
    height = rgb.shape[0]
    boxes, classes, identities = [], [], []
    for instrument, tip in zip(scene.instruments, drawn, strict=True):
        seen = (tip > 0) & (owners == instrument.identity) & field
        pose = instrument.pose_at(time_ns / _NS_PER_S)
        whole = _tip_area(instrument, pose) * height**2
        if seen.sum() < max(VISIBLE_FRACTION_MIN * whole, 20):
            continue
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        classes.append(instrument.class_index)
        identities.append(instrument.identity)
    return RenderedToolFrame(
        rgb=rgb,
        boxes_xyxy_px=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        class_indices=np.array(classes, dtype=np.int64),
        identities=np.array(identities, dtype=np.int64),
        time_ns=time_ns,
    )


def _tip_area(instrument: Instrument, pose: Pose) -> float:
    """Return the area of a whole tip, drawn where nothing cuts it [squared heights]."""
    side = 256
    parts = tip_parts(
        instrument.class_index, opening_rad=pose.opening_rad, variant=instrument.variant
    )
    alone = np.zeros((side, side), dtype=np.uint8)
    centred = Pose(np.array([0.3, 0.5]), 0.0, 0.15, pose.opening_rad)
    near = np.array([[-_SHAFT_IN_BOX, -0.5], [0.0, -0.5], [0.0, 0.5], [-_SHAFT_IN_BOX, 0.5]])
    for outline in (near, *(part.outline for part in parts)):
        _fill(alone, _placed(outline, centred, side), 1)
    return float((alone > 0).sum()) / side**2 * (pose.diameter / centred.diameter) ** 2
