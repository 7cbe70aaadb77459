"""Drawing of a mask: an outline with a dark rim and a light fill."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.errors import require
from trocar.imaging.lettering import SKY_BLUE

__all__ = ["contour_of", "paint_mask"]

_BAND_PX: Final = 32
_FILL: Final = np.uint8(1)
_LINE: Final = np.uint8(2)
_RIM: Final = np.uint8(4)


def contour_of(mask: NDArray[np.bool_], *, thickness_px: int) -> NDArray[np.bool_]:
    """Return the outer pixels of a mask, also along the edge of the frame.

    Args:
        mask: (h, w) bool; not modified.
        thickness_px: Above zero; distance to the outside along rows or columns.

    Returns:
        (h, w) bool, a part of ``mask``.
    """
    require(thickness_px > 0, f"contour of {thickness_px} px asked for")
    inner = np.pad(mask, 1)
    for _ in range(thickness_px):
        core = inner[1:-1, 1:-1] & inner[:-2, 1:-1] & inner[2:, 1:-1]
        core &= inner[1:-1, :-2]
        core &= inner[1:-1, 2:]
        inner[1:-1, 1:-1] = core
    return np.asarray(mask & ~inner[1:-1, 1:-1])


def paint_mask(view: NDArray[np.uint8], mask: NDArray[np.bool_], *, thickness_px: int) -> None:
    """Draw fill, dark rim and outline into the box around the mask only.

    Args:
        view: (H, W, 3) uint8 RGB of the frame; drawn on.
        mask: (H, W) bool; not modified.
        thickness_px: Above zero; width of the outline.

    Raises:
        InvariantError: Mask and frame differ in size.
    """
    require(mask.shape == view.shape[:2], f"mask {mask.shape} on a frame {view.shape}")
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    margin_px = thickness_px
    top, bottom = max(0, rows[0] - margin_px), min(mask.shape[0], rows[-1] + 1 + margin_px)
    left, right = max(0, columns[0] - margin_px), min(mask.shape[1], columns[-1] + 1 + margin_px)
    box = np.ascontiguousarray(mask[top:bottom, left:right])
    contour = contour_of(box, thickness_px=thickness_px)
    rim = _rim_of(box, thickness_px=max(1, thickness_px // 2))
    # One class number a pixel; in bands of rows, whose intermediate results stay in the cache.
    classes = box.view(np.uint8) * _FILL
    classes |= contour.view(np.uint8) * _LINE
    classes |= rim.view(np.uint8) * _RIM
    for begin in range(0, box.shape[0], _BAND_PX):
        band = view[top + begin : min(top + begin + _BAND_PX, bottom), left:right]
        band[:] = _drawn(band, classes[begin : begin + _BAND_PX])


def _drawn(band: NDArray[np.uint8], classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a band of the frame with fill, outline and rim.

    Args:
        band: (h, w, 3) uint8; not modified.
        classes: (h, w) uint8: 0 outside, ``_FILL``, ``_FILL + _LINE``, ``_RIM``.
    """
    spread = np.repeat(classes, 3, axis=1)
    pixels = band.reshape(spread.shape)
    colour = np.tile(np.array(SKY_BLUE, dtype=np.uint8), classes.shape[1])
    # 3/16 of the colour over 13/16 of the frame, where the mask is.
    tinted = pixels - (pixels >> 3) - (pixels >> 4) + ((colour >> 3) + (colour >> 4))
    drawn = _select(spread == _FILL, tinted, pixels)
    drawn = _select(spread == _FILL + _LINE, colour, drawn)
    drawn &= ~_bytes_of(spread == _RIM)
    return drawn.reshape(band.shape)


def _select(
    where: NDArray[np.bool_], chosen: NDArray[np.uint8], other: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return ``chosen`` where the condition holds and ``other`` elsewhere.

    Faster than np.where on bytes.
    """
    bits = _bytes_of(where)
    return np.asarray((chosen & bits) | (other & ~bits))


def _bytes_of(where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return 255 where the condition holds, else 0."""
    return np.negative(where.view(np.uint8))


def _rim_of(mask: NDArray[np.bool_], *, thickness_px: int) -> NDArray[np.bool_]:
    """Return the pixels around a mask that are at most ``thickness_px`` from it."""
    outer = np.pad(mask, 1)
    for _ in range(thickness_px):
        grown = outer[1:-1, 1:-1] | outer[:-2, 1:-1] | outer[2:, 1:-1]
        grown |= outer[1:-1, :-2]
        grown |= outer[1:-1, 2:]
        outer[1:-1, 1:-1] = grown
    return np.asarray(outer[1:-1, 1:-1] & ~mask)
