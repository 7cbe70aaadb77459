"""Six kinds of laparoscopic instruments as flat parts with a shade each.

Lengths are in shaft diameters. The tip's joint is the origin, the x axis points along the shaft
towards the tip, so the shaft lies at negative x. The shapes follow what the kinds look like in
laparoscopic video: forceps with grooved jaws, blue insulated forceps, a white cone with a bent
wire, two pointed blades, two thick jaws on a ringed shaft, a tube with holes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "SHAFT_COLOURS", "Part", "tip_parts"]

Points = NDArray[np.float64]
Rgb = tuple[float, float, float]

_STEEL: Final = (0.72, 0.72, 0.74)
_DARK_STEEL: Final = (0.42, 0.42, 0.45)
_BLACK: Final = (0.10, 0.10, 0.11)
_WHITE: Final = (0.93, 0.92, 0.88)
_BLUE: Final = (0.38, 0.46, 0.85)

SHAFT_COLOURS: Final = (
    (_STEEL, _DARK_STEEL, (0.55, 0.55, 0.57)),
    (_STEEL, (0.60, 0.60, 0.62)),
    (_BLACK, (0.20, 0.20, 0.22)),
    (_STEEL, (0.80, 0.80, 0.82)),
    (_STEEL, (0.66, 0.67, 0.70)),
    (_WHITE, (0.80, 0.80, 0.78)),
)
"""Colours of the shaft that each kind comes in, linear, in [0, 1]."""


@dataclass(frozen=True)
class Part:
    """One flat part.

    Attributes:
        outline: (N, 2) corners [shaft diameters].
        colour: Colour in [0, 1].
        is_round: Whether light falls off towards the sides as on a rod.
    """

    outline: Points
    colour: Rgb
    is_round: bool = False


def tip_parts(class_index: int, *, opening_rad: float, variant: float) -> tuple[Part, ...]:
    """Return the parts of a tip, back to front.

    Args:
        class_index: Kind, by its position in the list of labels.
        opening_rad: Half the angle between the jaws [rad], 0 to 0.6.
        variant: Make of the instrument, in [0, 1]: length and slimness.
    """
    return KINDS[class_index](opening_rad, variant)


def _jaw(length: float, root: float, end: float, bend: float) -> Points:
    """Return a jaw along x: tapered, bent upwards, blunt."""
    x = np.linspace(0.0, length, 7)
    middle = bend * (x / length) ** 2
    half = np.linspace(root, end, 7) / 2
    return np.vstack([
        np.column_stack([x, middle + half]),
        np.column_stack([x, middle - half])[::-1],
    ])


def _turned(outline: Points, angle: float, *, is_lower: bool) -> Points:
    """Open a jaw by an angle; the lower one is the mirror image of the upper one."""
    cos, sin = np.cos(angle), np.sin(angle)
    turned: Points = outline @ np.array([[cos, sin], [-sin, cos]])
    return turned * np.array([1.0, -1.0]) if is_lower else turned


def _pair(outline: Points, angle: float, colour: Rgb) -> list[Part]:
    """Return both jaws; the lower one a little darker."""
    shade = (colour[0] * 0.8, colour[1] * 0.8, colour[2] * 0.8)
    return [
        Part(_turned(outline, angle, is_lower=True), shade),
        Part(_turned(outline, angle, is_lower=False), colour),
    ]


def _rod(start: float, end: float, first: float, last: float) -> Points:
    """Return a rod along x that may taper."""
    return np.array([
        [start, -first / 2],
        [end, -last / 2],
        [end, last / 2],
        [start, first / 2],
    ])


def _grasper(opening: float, variant: float) -> tuple[Part, ...]:
    """Long grooved jaws with a slot each."""
    length, offset = 2.0 + 1.2 * variant, 0.10
    jaw = _jaw(length, 0.42, 0.26, -0.05) + np.array([0.0, offset])
    slot = _jaw(length * 0.55, 0.12, 0.10, -0.02) + np.array([length * 0.25, offset])
    teeth = [
        Part(
            _turned(_rod(x, x + 0.06, 0.22, 0.22) + np.array([0.0, -0.02]), opening, is_lower=low),
            _BLACK,
        )
        for low in (True, False)
        for x in np.arange(0.5, length - 0.2, 0.22)
    ]
    slots = [Part(_turned(slot, opening, is_lower=low), _DARK_STEEL) for low in (True, False)]
    joint = Part(_rod(-0.6, 0.25, 0.95, 0.7), _STEEL, is_round=True)
    return (*_pair(jaw, opening, _STEEL), *teeth, *slots, joint)


def _bipolar(opening: float, variant: float) -> tuple[Part, ...]:
    """Slim jaws with blue insulation up to the middle."""
    length = 2.0 + 0.8 * variant
    jaw = _jaw(length, 0.34, 0.24, -0.10) + np.array([0.0, 0.15])
    sleeve = _jaw(length * (0.35 + 0.3 * variant), 0.42, 0.36, 0.02) + np.array([0.0, 0.15])
    base = Part(_rod(-0.7, 0.35, 0.9, 0.75), _BLUE if variant > 0.3 else _STEEL, is_round=True)
    return (*_pair(jaw, opening * 0.8, _STEEL), *_pair(sleeve, opening * 0.8, _BLUE), base)


def _hook(opening: float, variant: float) -> tuple[Part, ...]:
    """White cone with a bent wire."""
    length = 1.3 + 0.7 * variant
    cone = Part(_rod(-0.8, length, 1.02, 0.30), _WHITE, is_round=True)
    reach, side = length + 0.8, 0.55 + opening
    wire = np.array([
        [length, -0.07],
        [reach, -0.07],
        [reach, side],
        [reach - 0.16, side],
        [reach - 0.16, 0.07],
        [length, 0.07],
    ])
    return (Part(wire, _DARK_STEEL), cone)


def _scissors(opening: float, variant: float) -> tuple[Part, ...]:
    """Two pointed, bent blades."""
    length = 1.5 + 0.6 * variant
    blade = _jaw(length, 0.46, 0.04, 0.18) + np.array([0.0, 0.05])
    joint = Part(_rod(-0.7, 0.2, 1.0, 0.75), _STEEL, is_round=True)
    pin = Part(_disc(0.0, 0.0, 0.14), _DARK_STEEL)
    return (*_pair(blade, opening * 0.9 + 0.06, (0.82, 0.82, 0.84)), joint, pin)


def _clipper(opening: float, variant: float) -> tuple[Part, ...]:
    """Two thick blunt jaws close together, behind them a ringed shaft."""
    length = 1.3 + 0.5 * variant
    jaw = _jaw(length, 0.40, 0.34, 0.12) + np.array([0.0, 0.20])
    ring = Part(_rod(-0.55, -0.45, 1.06, 1.06), _DARK_STEEL)
    base = Part(_rod(-0.9, 0.15, 1.04, 1.0), _STEEL, is_round=True)
    return (*_pair(jaw, opening * 0.35, _STEEL), base, ring)


def _irrigator(opening: float, variant: float) -> tuple[Part, ...]:
    """A tube with a rounded end and dark holes."""
    length = 1.2 + 0.8 * variant
    tube = Part(_rod(-0.6, length, 1.0, 0.92), _WHITE if variant > 0.4 else _STEEL, is_round=True)
    end = Part(_disc(length, 0.0, 0.46), _STEEL)
    holes = [
        Part(_disc(length * share, (share - 0.5) * opening, 0.10), _BLACK)
        for share in (0.25, 0.55, 0.85)
    ]
    mouth = Part(_disc(length + 0.15, 0.0, 0.26), _BLACK)
    return (end, tube, *holes, mouth)


def _disc(x: float, y: float, radius: float) -> Points:
    """Return a disc."""
    angle = np.linspace(0, 2 * np.pi, 13)[:-1]
    return np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])


KINDS: Final[Mapping[int, Callable[[float, float], tuple[Part, ...]]]] = {
    0: _grasper,
    1: _bipolar,
    2: _hook,
    3: _scissors,
    4: _clipper,
    5: _irrigator,
}
"""Maker of the parts of each kind, by class index."""
