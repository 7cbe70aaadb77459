"""A laparoscopic scene: which instruments there are, and where each is at a time.

Every number follows from the seed. An instrument comes in from beyond the rim, its tip wanders
over the field and opens and closes, and from time to time it is drawn back and returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Instrument", "LaparoscopyScene", "Pose"]

_CLASS_COUNT: Final = 6
_WAVE_COUNT: Final = 3


@dataclass(frozen=True)
class Pose:
    """Where an instrument is; the unit is the height of the picture.

    Attributes:
        joint: (2,) right and down, of the tip's joint.
        heading_rad: Direction of the shaft towards the tip [rad], down is positive.
        diameter: Diameter of the shaft at the tip.
        opening_rad: Half the angle between the jaws [rad].
    """

    joint: NDArray[np.float64]
    heading_rad: float
    diameter: float
    opening_rad: float


@dataclass(frozen=True)
class Instrument:
    """One instrument.

    Attributes:
        identity: From 1, the same over the whole clip.
        class_index: Kind.
        variant: Make, in [0, 1].
        shaft_index: Which of the kind's colours the shaft has.
        brightness: Factor of its colours.
        port: (2,) where its shaft comes from, outside the picture.
        home: (2,) middle of its tip's way.
        diameter: Mean diameter of the shaft at the tip.
        waves: (waves, 5) amplitude right, amplitude down, frequency [Hz], two phases [rad].
        period_s: Time from one withdrawal to the next [s].
        absent_share: Share of the period for which it is away.
        phase: Where in its period it begins, in [0, 1).
    """

    identity: int
    class_index: int
    variant: float
    shaft_index: int
    brightness: float
    port: NDArray[np.float64]
    home: NDArray[np.float64]
    diameter: float
    waves: NDArray[np.float64]
    period_s: float
    absent_share: float
    phase: float

    def pose_at(self, time_s: float) -> Pose:
        """Return where the instrument is at a time [s]; withdrawn it lies beyond the rim."""
        turn = 2 * np.pi * self.waves[:, 2] * time_s
        way = np.array([
            (self.waves[:, 0] * np.sin(turn + self.waves[:, 3])).sum(),
            (self.waves[:, 1] * np.sin(turn * 1.3 + self.waves[:, 4])).sum(),
        ])
        joint = self.home + way
        joint = joint + (self.port - joint) * self._withdrawn(time_s)
        ahead = joint - self.port
        heading = float(np.arctan2(ahead[1], ahead[0])) if np.hypot(*ahead) > 1e-6 else 0.0
        swell = 1.0 + 0.25 * float(np.sin(turn[0] * 0.7 + self.waves[0, 3]))
        opening = 0.28 * (1 + float(np.sin(turn[0] * 2.1 + self.waves[0, 4])))
        return Pose(joint, heading, self.diameter * swell, opening)

    def _withdrawn(self, time_s: float) -> float:
        """Return how far it is drawn back: 0 working, 1 gone."""
        if self.absent_share <= 0:
            return 0.0
        place = (time_s / self.period_s + self.phase) % 1.0
        away = abs(place - 0.5) * 2
        edge = self.absent_share
        return float(np.clip((edge - away) / 0.1 + 1.0, 0.0, 1.0))


class LaparoscopyScene:
    """Everything about a scene that does not change with time.

    Args:
        seed: Decides everything.

    Attributes:
        seed: As given.
        instruments: One to three, drawn in this order: the last one lies on top.
        tissue_seed: Seed of the tissue.
        smoke: Density of smoke, 0 to 0.7.
        exposure: Brightness of the light.
        field_radius: Radius of the visible field [heights of the picture]; above 1.1 there is no
            rim in the picture.
    """

    def __init__(self, seed: int) -> None:
        """Draw the scene."""
        generator = np.random.default_rng([seed, 5])
        self.seed = seed
        self.tissue_seed = int(generator.integers(2**31))
        self.smoke = float(max(0.0, generator.uniform(-0.8, 0.7)))
        self.exposure = float(generator.uniform(0.6, 1.15))
        self.field_radius = float(generator.choice([0.55, 0.7, 0.8, 0.88, 1.2]))
        count = int(generator.choice([1, 2, 3], p=[0.35, 0.45, 0.2]))
        self.instruments = tuple(
            _instrument(generator, identity) for identity in range(1, count + 1)
        )


def _instrument(generator: np.random.Generator, identity: int) -> Instrument:
    """Draw one instrument; its port lies around the picture, more often at the sides."""
    angle = generator.uniform(0, 2 * np.pi)
    port = np.array([0.89 + 1.7 * np.cos(angle), 0.5 + 1.3 * np.sin(angle)])
    waves = np.column_stack([
        generator.uniform(0.02, 0.16, _WAVE_COUNT),
        generator.uniform(0.02, 0.10, _WAVE_COUNT),
        generator.uniform(0.05, 0.5, _WAVE_COUNT),
        generator.uniform(0, 2 * np.pi, (_WAVE_COUNT, 2)),
    ])
    return Instrument(
        identity=identity,
        class_index=int(generator.integers(_CLASS_COUNT)),
        variant=float(generator.random()),
        shaft_index=int(generator.integers(16)),
        brightness=float(generator.uniform(0.65, 1.1)),
        port=port,
        home=np.array([generator.uniform(0.35, 1.4), generator.uniform(0.2, 0.8)]),
        diameter=float(np.exp(generator.uniform(np.log(0.07), np.log(0.24)))),
        waves=waves,
        period_s=float(generator.uniform(8, 20)),
        absent_share=float(max(0.0, generator.uniform(-0.3, 0.3))),
        phase=float(generator.random()),
    )
