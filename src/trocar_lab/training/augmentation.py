"""Augmentation for colonoscopy.

What a colonoscope can change without changing which pixels are polyp.

There is no canonical direction in a colon, so every rotation and mirror image is as likely as the
original. Light source, distance, white balance and video chain change brightness, colour, blur and
compression. Specular highlights and burned-in insets hide parts of the image and keep the label.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Label = NDArray[np.uint8]


@dataclass(frozen=True)
class AugmentationConfig:
    """Ranges and probabilities of the augmentation.

    Attributes:
        scale_min: Smallest zoom factor.
        scale_max: Largest zoom factor.
        shift_fraction: Largest shift as a fraction of the side.
        shear: Largest shear coefficient.
        colour_probability: Probability of a colour change.
        blur_probability: Probability of blur.
        compression_probability: Probability of JPEG compression.
        highlight_probability: Probability of added specular highlights.
        inset_probability: Probability of a dark or coloured rectangle over a part without polyp.
        paste_probability: Probability of pasting a rectangle of another image.
    """

    scale_min: float = 0.7
    scale_max: float = 1.5
    shift_fraction: float = 0.15
    shear: float = 0.15
    colour_probability: float = 0.9
    blur_probability: float = 0.25
    compression_probability: float = 0.25
    highlight_probability: float = 0.2
    inset_probability: float = 0.2
    paste_probability: float = 0.3


def augment(
    rgb: Rgb, label: Label, *, size: int, config: AugmentationConfig, generator: Generator
) -> tuple[Rgb, Label]:
    """Return one random variant of an image and its label at the network's resolution.

    Args:
        rgb: (H, W, 3) uint8 RGB; not modified.
        label: (H, W) uint8, 0 or 1; not modified.
        size: Side of the square result in pixels.
        config: Ranges and probabilities.
        generator: Source of all randomness.

    Returns:
        ((size, size, 3) uint8 RGB, (size, size) uint8 of 0 or 1), newly allocated.
    """
    rgb, label = _warp(rgb, label, size=size, config=config, generator=generator)
    if generator.random() < config.colour_probability:
        rgb = _change_colour(rgb, generator)
    if generator.random() < config.highlight_probability:
        rgb = _add_highlights(rgb, generator)
    if generator.random() < config.blur_probability:
        rgb = _blur(rgb, generator)
    if generator.random() < config.inset_probability:
        rgb = _add_inset(rgb, label, generator)
    if generator.random() < config.compression_probability:
        rgb = _compress(rgb, generator)
    return rgb, label


def paste_rectangle(
    rgb: Rgb, label: Label, other_rgb: Rgb, other_label: Label, *, generator: Generator
) -> tuple[Rgb, Label]:
    """Return a copy with one random rectangle taken.

    Pixels and label, from another image of the same size.

    Source:
        Yun et al. 2019, arXiv 1905.04899 (CutMix), with the label mixed pixel by pixel.
    """
    side = rgb.shape[0]
    height, width = (int(v) for v in generator.integers(side // 4, side * 2 // 3, size=2))
    top = int(generator.integers(0, side - height + 1))
    left = int(generator.integers(0, side - width + 1))
    area = (slice(top, top + height), slice(left, left + width))
    mixed, mixed_label = rgb.copy(), label.copy()
    mixed[area] = other_rgb[area]
    mixed_label[area] = other_label[area]
    return mixed, mixed_label


def _warp(
    rgb: Rgb, label: Label, *, size: int, config: AugmentationConfig, generator: Generator
) -> tuple[Rgb, Label]:
    """Apply one random affine map; one interpolation, so nothing is blurred twice."""
    height, width = label.shape
    angle = generator.uniform(0, 2 * np.pi)
    zoom = np.exp(generator.uniform(np.log(config.scale_min), np.log(config.scale_max)))
    aspect = np.exp(generator.uniform(-0.15, 0.15))
    shear = generator.uniform(-config.shear, config.shear)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = (
        rotation @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag([zoom * aspect, zoom / aspect])
    )
    if generator.random() < 0.5:
        linear = linear @ np.diag([-1.0, 1.0])
    linear = linear @ np.diag([size / width, size / height])
    shift = generator.uniform(-config.shift_fraction, config.shift_fraction, size=2) * size
    offset = size / 2 + shift - linear @ np.array([width / 2, height / 2])
    matrix = np.column_stack([linear, offset])
    border = cv2.BORDER_REFLECT_101 if generator.random() < 0.5 else cv2.BORDER_CONSTANT
    warped = cv2.warpAffine(rgb, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    warped_label = cv2.warpAffine(
        label * 255, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border
    )
    return warped.astype(np.uint8, copy=False), (warped_label > 127).astype(np.uint8)


def _change_colour(rgb: Rgb, generator: Generator) -> Rgb:
    """Change gain and gamma of each channel, saturation and brightness."""
    gamma = np.exp(generator.uniform(-0.35, 0.35))
    gain = generator.uniform(0.75, 1.3) * generator.uniform(0.88, 1.12, size=3)
    offset = generator.uniform(-0.06, 0.06)
    ramp = (np.arange(256) / 255.0) ** gamma
    table = np.clip((ramp[:, None] * gain[None, :] + offset) * 255.0, 0, 255).astype(np.uint8)
    changed = np.stack([table[rgb[..., channel], channel] for channel in range(3)], axis=-1)
    saturation = float(generator.uniform(0.6, 1.35))
    grey = cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)[..., None]
    return cv2.addWeighted(
        changed, saturation, np.repeat(grey, 3, axis=-1), 1 - saturation, 0.0
    ).astype(np.uint8)


def _add_highlights(rgb: Rgb, generator: Generator) -> Rgb:
    """Add small bright blobs, as wet mucosa shows them."""
    side = rgb.shape[0]
    layer = np.zeros(rgb.shape[:2], dtype=np.uint8)
    for _ in range(int(generator.integers(1, 12))):
        centre = tuple(int(v) for v in generator.integers(0, side, size=2))
        axes = tuple(int(v) for v in generator.integers(1, max(2, side // 40), size=2))
        cv2.ellipse(layer, centre, axes, float(generator.uniform(0, 180)), 0, 360, 255, -1)
    layer = cv2.GaussianBlur(layer, (0, 0), float(generator.uniform(0.5, 1.5))).astype(np.uint8)
    return cv2.add(rgb, np.repeat(layer[..., None], 3, axis=-1)).astype(np.uint8)


def _blur(rgb: Rgb, generator: Generator) -> Rgb:
    """Blur by defocus or by motion along a random direction."""
    if generator.random() < 0.5:
        return cv2.GaussianBlur(rgb, (0, 0), float(generator.uniform(0.4, 1.8))).astype(np.uint8)
    length = int(generator.integers(3, 10))
    kernel = np.zeros((length, length), dtype=np.float32)
    angle = generator.uniform(0, np.pi)
    middle = (length - 1) / 2
    for step in np.linspace(-middle, middle, length * 2):
        kernel[round(middle + step * np.sin(angle)), round(middle + step * np.cos(angle))] = 1.0
    return cv2.filter2D(rgb, -1, kernel / kernel.sum()).astype(np.uint8)


def _add_inset(rgb: Rgb, label: Label, generator: Generator) -> Rgb:
    """Cover a corner rectangle that holds no polyp, as position displays and burned-in text do."""
    side = rgb.shape[0]
    height, width = (int(v) for v in generator.integers(side // 10, side // 3, size=2))
    top = 0 if generator.random() < 0.5 else side - height
    left = 0 if generator.random() < 0.5 else side - width
    area = (slice(top, top + height), slice(left, left + width))
    if label[area].any():
        return rgb
    covered = rgb.copy()
    covered[area] = generator.integers(0, 80, size=3) if generator.random() < 0.7 else (20, 160, 60)
    return covered


def _compress(rgb: Rgb, generator: Generator) -> Rgb:
    """Compress and decompress as JPEG with a random quality."""
    quality = int(generator.integers(30, 90))
    _, coded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise RuntimeError("OpenCV cannot decode the JPEG that it has just encoded")
    return decoded.astype(np.uint8)
