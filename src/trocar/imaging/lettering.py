"""Words on pictures: colours that people with colour-blindness can tell apart, font and labels.

The colours are from the palette of Okabe and Ito; each is paired with a word or a shape.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from trocar.contracts.errors import SinkError

__all__ = [
    "INK",
    "ORANGE",
    "PAPER",
    "SKY_BLUE",
    "SMALLEST_FONT_PX",
    "SOFT",
    "VERMILLION",
    "Colour",
    "font_of",
    "label_of",
]

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

SKY_BLUE: Final[Colour] = (86, 180, 233)
"""What the model marks."""

VERMILLION: Final[Colour] = (213, 94, 0)
"""Border of a withheld result."""

ORANGE: Final[Colour] = (230, 159, 0)
"""Words that need attention: notice, reasons, lateness."""

INK: Final[Colour] = (12, 14, 18)
"""Ground of words, and dark rims."""

PAPER: Final[Colour] = (236, 239, 243)
"""Words that need none."""

SOFT: Final[Colour] = (160, 168, 178)
"""What is known less well, and what never changes."""


SMALLEST_FONT_PX: Final = 13
"""Height of the smallest letters that are drawn [px]."""


@lru_cache(maxsize=256)
def label_of(
    text: str, *, font_px: int, width_px_max: int, colour: Colour = ORANGE
) -> NDArray[np.uint8]:
    """Return words on a plain ground, small enough for a frame; kept for each text.

    Args:
        text: What to say.
        font_px: Height of the letters; smaller where the words would not fit.
        width_px_max: Width of the frame.
        colour: Colour of the letters.

    Returns:
        (h, w, 3) uint8 RGB, not to be written to.
    """
    size_px = font_px
    while (
        size_px > SMALLEST_FONT_PX and font_of(size_px).getlength(text) + 2 * size_px > width_px_max
    ):
        size_px -= 1
    font = font_of(size_px)
    width_px = min(width_px_max, round(font.getlength(text)) + 2 * size_px)
    label = Image.new("RGB", (width_px, size_px * 2), INK)
    ImageDraw.Draw(label).text((width_px // 2, size_px), text, font=font, fill=colour, anchor="mm")
    return np.asarray(label)


@lru_cache(maxsize=8)
def font_of(size_px: int) -> ImageFont.FreeTypeFont:
    """Return the font that comes with Pillow: no file of the machine is read.

    Raises:
        SinkError: Pillow was built without FreeType.
    """
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        # Pillow built without FreeType has one small font only, in which the notice cannot be read.
        raise SinkError(
            "expected Pillow with FreeType, got a build without it",
            advice="install Pillow from its own wheel",
        )
    return font
