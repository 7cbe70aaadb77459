"""Augmentation for laparoscopy: what an operation can change without changing which tool it is.

Tools come in from any side, so mirror images are as likely as the original; the camera tilts a
little. Light, white balance, smoke, blood on the lens, blur and compression differ from one
operation to the next, and it is the next operation that counts. A part of another frame with its
tip is pasted over, rare classes more often, so that a tip is learnt apart from its background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = [
    "BoxedFrame",
    "DetectionAugmentation",
    "augment_boxed",
    "change_look",
    "paste_tip",
    "resize_boxed",
]

Rgb = NDArray[np.uint8]

_VISIBLE_FRACTION_MIN: Final = 0.4
"""A box of which less is left inside the frame, or uncovered, is taken out."""


@dataclass(frozen=True)
class BoxedFrame:
    """One picture with its boxes.

    Attributes:
        rgb: (H, W, 3) uint8 RGB.
        boxes: (N, 4) float32, left, top, right, bottom as fractions of the picture.
        classes: (N,) int64.
    """

    rgb: Rgb
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class DetectionAugmentation:
    """Ranges and probabilities of the augmentation.

    Attributes:
        scale_min: Smallest zoom factor.
        scale_max: Largest zoom factor.
        shift_fraction: Largest shift as a fraction of the side.
        angle_deg: Largest tilt [deg].
        flip_down_probability: Probability of turning the picture upside down.
        paste_probability: Probability of pasting a tip of another frame.
        colour_probability: Probability of a colour change.
        smoke_probability: Probability of smoke.
        blur_probability: Probability of blur.
        compression_probability: Probability of JPEG compression.
        hole_probability: Probability of covering a few small rectangles.
    """

    scale_min: float = 0.65
    scale_max: float = 1.6
    shift_fraction: float = 0.18
    angle_deg: float = 20.0
    flip_down_probability: float = 0.25
    paste_probability: float = 0.5
    colour_probability: float = 0.9
    smoke_probability: float = 0.2
    blur_probability: float = 0.2
    compression_probability: float = 0.2
    hole_probability: float = 0.25


def resize_boxed(frame: BoxedFrame, *, height_px: int, width_px: int) -> BoxedFrame:
    """Return the frame at the network's size by area mean; boxes are fractions and stay."""
    rgb = cv2.resize(frame.rgb, (width_px, height_px), interpolation=cv2.INTER_AREA)
    return BoxedFrame(rgb.astype(np.uint8, copy=False), frame.boxes, frame.classes)


def augment_boxed(
    frame: BoxedFrame,
    *,
    height_px: int,
    width_px: int,
    config: DetectionAugmentation,
    generator: Generator,
) -> BoxedFrame:
    """Return one random variant of place and shape, at the network's size; colours stay.

    Args:
        frame: The picture; not modified.
        height_px: Height of the result.
        width_px: Width of the result.
        config: Ranges and probabilities.
        generator: Source of all randomness.

    Returns:
        The variant, newly allocated, with the boxes that are still in view.
    """
    angle = np.deg2rad(generator.uniform(-config.angle_deg, config.angle_deg))
    zoom = np.exp(generator.uniform(np.log(config.scale_min), np.log(config.scale_max)))
    aspect = np.exp(generator.uniform(-0.12, 0.12))
    # The map below samples single pixels; shrinking by area first keeps what lies between them.
    source = _shrunk(frame.rgb, round(height_px * zoom), round(width_px * zoom))
    height, width = source.shape[:2]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = [
        -1.0 if generator.random() < 0.5 else 1.0,
        -1.0 if generator.random() < config.flip_down_probability else 1.0,
    ]
    linear = turn @ np.diag([zoom * aspect * mirror[0], zoom / aspect * mirror[1]])
    # The tilt is nearly one of the real picture: network and frame have nearly the same shape.
    linear = np.diag([width_px / width, height_px / height]) @ linear
    shift = generator.uniform(-config.shift_fraction, config.shift_fraction, size=2)
    middle = np.array([0.5 + shift[0], 0.5 + shift[1]]) * [width_px, height_px]
    offset = middle - linear @ np.array([width / 2, height / 2])
    rgb = cv2.warpAffine(
        source,
        np.column_stack([linear, offset]),
        (width_px, height_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    boxes = _warp_boxes(frame.boxes * [width, height, width, height], linear, offset)
    boxes /= [width_px, height_px, width_px, height_px]
    kept, cut = _in_view(boxes)
    return BoxedFrame(rgb.astype(np.uint8, copy=False), cut, frame.classes[kept])


def _shrunk(rgb: Rgb, height_px: int, width_px: int) -> Rgb:
    """Return the picture by area mean where the size asked for is smaller, else as it is."""
    if height_px >= rgb.shape[0] or width_px >= rgb.shape[1]:
        return rgb
    return cv2.resize(rgb, (width_px, height_px), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _warp_boxes(
    boxes: NDArray[np.floating], linear: NDArray[np.float64], offset: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the box around the ellipse that fills each box, after the map.

    The box around the four turned corners would grow with every turn; a tool fills its box about
    as an ellipse does.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 @ linear.T + offset
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    reach = np.sqrt((half**2) @ (linear**2).T)
    return np.hstack([centre - reach, centre + reach])


def _in_view(boxes: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return which boxes are still in view, and these, cut at the rim of the picture."""
    cut = np.clip(boxes, 0.0, 1.0)
    left = (cut[:, 2] - cut[:, 0]) * (cut[:, 3] - cut[:, 1])
    whole = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = left >= _VISIBLE_FRACTION_MIN * whole
    return kept, cut[kept].astype(np.float32)


def paste_tip(
    frame: BoxedFrame, donor: BoxedFrame, *, weights: Sequence[float], generator: Generator
) -> BoxedFrame:
    """Return the frame with the surroundings of one tip of another frame pasted over its place.

    Args:
        frame: The picture; not modified.
        donor: A picture of the same size; a tip of it is drawn by the weight of its class.
        weights: Weight of each class.
        generator: Source of all randomness.

    Source:
        Ghiasi et al. 2021, arXiv 2012.07177 (copy and paste); a soft-edged rectangle here, since
        there are no outlines.
    """
    if not len(donor.boxes):
        return frame
    weight = np.array([weights[int(index)] for index in donor.classes])
    chosen = donor.boxes[int(generator.choice(len(weight), p=weight / weight.sum()))]
    sides = chosen[2:] - chosen[:2]
    low = np.clip(chosen[:2] - sides * generator.uniform(0.1, 0.8, size=2), 0, 1)
    high = np.clip(chosen[2:] + sides * generator.uniform(0.1, 0.8, size=2), 0, 1)
    area = np.concatenate([low, high])
    taken = _covered(donor.boxes, area) > 0.85
    kept = _covered(frame.boxes, area) < 1 - _VISIBLE_FRACTION_MIN
    return BoxedFrame(
        _blend(frame.rgb, donor.rgb, area),
        np.concatenate([frame.boxes[kept], donor.boxes[taken]]),
        np.concatenate([frame.classes[kept], donor.classes[taken]]),
    )


def _covered(boxes: NDArray[np.float32], area: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the share of each box that lies inside an area."""
    sides = np.minimum(boxes[:, 2:], area[2:]) - np.maximum(boxes[:, :2], area[:2])
    whole = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-9)
    return np.asarray(np.clip(sides, 0, None).prod(axis=1) / whole, dtype=np.float64)


def _blend(rgb: Rgb, other: Rgb, area: NDArray[np.floating]) -> Rgb:
    """Paste an area of another picture with an edge of a few pixels that fades out."""
    height, width = rgb.shape[:2]
    left, top, right, bottom = np.round(area * [width, height, width, height]).astype(int)
    mask = np.zeros((height, width), dtype=np.float32)
    mask[top:bottom, left:right] = 1.0
    share = np.asarray(cv2.GaussianBlur(mask, (0, 0), 3.0), dtype=np.float32)[..., None]
    return np.asarray(rgb * (1 - share) + other * share, dtype=np.uint8)


def change_look(rgb: Rgb, *, config: DetectionAugmentation, generator: Generator) -> Rgb:
    """Return the picture with other colours, smoke, blur, holes and compression; boxes stay.

    Args:
        rgb: (H, W, 3) uint8 RGB; not modified.
        config: Probabilities.
        generator: Source of all randomness.

    Returns:
        (H, W, 3) uint8 RGB, newly allocated where something changed.
    """
    if generator.random() < config.colour_probability:
        rgb = _change_colour(rgb, generator)
    if generator.random() < config.smoke_probability:
        rgb = _add_smoke(rgb, generator)
    if generator.random() < config.blur_probability:
        rgb = cv2.GaussianBlur(rgb, (0, 0), float(generator.uniform(0.4, 1.4))).astype(np.uint8)
    if generator.random() < config.hole_probability:
        rgb = _cover_holes(rgb, generator)
    if generator.random() < config.compression_probability:
        rgb = _compress(rgb, generator)
    return rgb


def _change_colour(rgb: Rgb, generator: Generator) -> Rgb:
    """Change gain and gamma of each channel, hue and saturation."""
    gamma = np.exp(generator.uniform(-0.4, 0.4))
    gain = generator.uniform(0.7, 1.35) * generator.uniform(0.88, 1.12, size=3)
    ramp = (np.arange(256) / 255.0) ** gamma
    table = np.clip(
        (ramp[:, None] * gain[None, :] + generator.uniform(-0.05, 0.05)) * 255.0, 0, 255
    ).astype(np.uint8)
    changed = cv2.LUT(rgb, table[:, None, :].reshape(1, 256, 3))
    hue = cv2.cvtColor(changed, cv2.COLOR_RGB2HSV)
    hue[..., 0] = (hue[..., 0].astype(np.int16) + int(generator.integers(-6, 7))) % 180
    saturation = float(generator.uniform(0.6, 1.35))
    hue[..., 1] = np.clip(hue[..., 1] * saturation, 0, 255).astype(np.uint8)
    return cv2.cvtColor(hue, cv2.COLOR_HSV2RGB).astype(np.uint8)


def _add_smoke(rgb: Rgb, generator: Generator) -> Rgb:
    """Blend towards grey in soft clouds."""
    height, width = rgb.shape[:2]
    seeds = generator.random((4, 7)).astype(np.float32)
    cloud = cv2.resize(seeds, (width, height), interpolation=cv2.INTER_CUBIC)
    share = np.clip(cloud * generator.uniform(0.2, 0.8), 0, 0.8)[..., None]
    grey = generator.uniform(120, 220)
    return np.asarray(rgb * (1 - share) + grey * share, dtype=np.uint8)


def _cover_holes(rgb: Rgb, generator: Generator) -> Rgb:
    """Cover a few small rectangles with one colour each."""
    height, width = rgb.shape[:2]
    covered = rgb.copy()
    for _ in range(int(generator.integers(1, 5))):
        tall, wide = height * generator.uniform(0.04, 0.16), width * generator.uniform(0.03, 0.12)
        top, left = generator.uniform(0, height - tall), generator.uniform(0, width - wide)
        area = (slice(int(top), int(top + tall)), slice(int(left), int(left + wide)))
        covered[area] = generator.integers(0, 200, size=3)
    return covered


def _compress(rgb: Rgb, generator: Generator) -> Rgb:
    """Compress and decompress as JPEG with a random quality."""
    quality = int(generator.integers(30, 90))
    _, coded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise RuntimeError("OpenCV cannot decode the JPEG that it has just encoded")
    return decoded.astype(np.uint8)
