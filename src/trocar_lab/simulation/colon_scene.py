"""Values of a rendered colon: centreline, wall with folds, polyps and the path of the camera.

Coordinates are millimetres. ``z`` runs along the colon, ``theta`` around its centreline. The lumen
is where the distance functions of ``colon_tracing`` are positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from trocar_lab.simulation.colon_mucosa import Mucosa, make_mucosa, periodic_noise

__all__ = ["Camera", "Centreline", "ColonoscopyScene", "Polyp", "Wall"]

RADIUS_MM: Final = 24.0
SPACING_POLYPS_MM: Final = 125.0
WALL_ROWS_PER_MM: Final = 2.0
WALL_COLUMNS: Final = 512
Z_FIRST_MM: Final = -60.0
SECONDS_PER_POLYP: Final = 4.6
NOISE_SIDE_PX: Final = 512
# One visit: phase in [0, 1], camera z minus polyp z, and how much the camera turns to the polyp.
VISIT_PHASE: Final = (0.0, 0.30, 0.52, 0.72, 0.84, 1.0)
VISIT_OFFSET_MM: Final = (-97.0, -42.0, -11.0, -14.0, -4.0, 28.0)
VISIT_ATTENTION: Final = (0.0, 0.15, 0.72, 0.78, 0.2, 0.0)

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Centreline:
    """Middle of the lumen: one sine in x and one in y.

    Attributes:
        amplitude_mm: Amplitude of x and of y [mm].
        wave_per_mm: Angular wave number of x and of y [rad/mm].
        phase_rad: Phase of x and of y [rad].
    """

    amplitude_mm: tuple[float, float]
    wave_per_mm: tuple[float, float]
    phase_rad: tuple[float, float]

    def at(self, z_mm: Float32, order: int = 0) -> tuple[Float32, Float32]:
        """Return x and y, or their derivative, at ``z_mm``.

        Args:
            z_mm: (N,) float32 [mm].
            order: 0 for the position, 1 for the first derivative, 2 for the second.

        Returns:
            Two (N,) float32 arrays, newly allocated [mm, 1 or 1/mm].
        """
        x, y = (
            np.float32(amplitude * wave**order)
            * np.sin(np.float32(wave) * z_mm + np.float32(phase + order * np.pi / 2))
            for amplitude, wave, phase in zip(
                self.amplitude_mm, self.wave_per_mm, self.phase_rad, strict=True
            )
        )
        return x, y


@dataclass(frozen=True)
class Wall:
    """Radius of the lumen over (z, theta) with its derivatives; rows are z, columns theta.

    Attributes:
        radius: (Z, T) float32 [mm].
        shape: (Z, T, 3) float32: radius [mm], d/dtheta [mm/rad], d/dz [1].
    """

    radius: Float32
    shape: Float32


@dataclass(frozen=True)
class Polyp:
    """One polyp: a lobed ellipsoid, on a stalk when ``stalk_radius_mm`` is positive.

    Attributes:
        identity: Label in the truth, 1 to 255.
        centre_mm: (3,) centre of the head [mm].
        axes: (3, 3) rows are unit axes of the head; the last points into the lumen.
        radii_mm: (3,) half axes of the head [mm].
        lobe_waves: (K, 3) wave vectors of the lobes [rad per half axis].
        lobe_phases_rad: (K,) phases of the lobes [rad].
        lobe_amplitudes: (K,) amplitudes of the lobes [fraction of the half axis].
        base_mm: (3,) where the stalk or the dome meets the wall [mm].
        stalk_radius_mm: Radius of the stalk [mm]; 0 for a sessile polyp.
        albedo: (3,) linear RGB reflectance [1].
        texture_offset_mm: Place in the mucosa maps [mm].
    """

    identity: int
    centre_mm: Float32
    axes: Float32
    radii_mm: Float32
    lobe_waves: Float32
    lobe_phases_rad: Float32
    lobe_amplitudes: Float32
    base_mm: Float32
    stalk_radius_mm: float
    albedo: Float32
    texture_offset_mm: float

    @property
    def bound_mm(self) -> float:
        """Radius around ``centre_mm`` that contains the polyp and its blend into the wall [mm]."""
        stalk_mm = float(np.linalg.norm(self.base_mm - self.centre_mm)) + self.stalk_radius_mm
        return max(1.35 * float(self.radii_mm.max()), stalk_mm) + 4.0


@dataclass(frozen=True)
class Camera:
    """Pose of the camera: position and the rows right, down, forward of its rotation.

    Attributes:
        position_mm: (3,) float32 [mm].
        axes: (3, 3) float32, rows right, down, forward.
    """

    position_mm: Float32
    axes: Float32


@dataclass(frozen=True)
class ColonoscopyScene:
    """Everything that a frame depends on, but for its time and size; built by ``from_seed``.

    Attributes:
        seed: The seed that the scene was made from.
        duration_s: Time of the camera's way through the scene [s]; later times run back and forth.
        centreline: Middle of the lumen.
        wall: Wall with folds.
        mucosa: Maps of its surface.
        polyps: Polyps in the order in which they are met; identities count from 1.
        bubbles_mm: (N, 4) float32, position and radius of bubbles on the wall [mm].
        noise: (S, S, 3) float32 sensor noise of standard deviation 1.
        wander: (6, 3, 2) float64, relative rates [1] and phases [rad] of the camera's motion.
    """

    seed: int
    duration_s: float
    centreline: Centreline
    wall: Wall
    mucosa: Mucosa
    polyps: tuple[Polyp, ...]
    bubbles_mm: Float32
    noise: Float32
    wander: Float64

    @classmethod
    def from_seed(cls, seed: int, *, polyp_count: int = 2) -> Self:
        """Build a scene; the same seed and count give the same scene.

        Args:
            seed: Seed of all randomness, not negative.
            polyp_count: Number of polyps on the way, 1 to 20; each adds about 4.6 s and 125 mm.

        Returns:
            A new scene.

        Raises:
            ValueError: ``polyp_count`` is outside 1 to 20.
        """
        if not 1 <= polyp_count <= 20:
            raise ValueError(f"polyp_count must be 1 to 20, not {polyp_count}")
        generator = np.random.default_rng(seed)
        length_mm = SPACING_POLYPS_MM * (polyp_count + 1) - Z_FIRST_MM + 80.0
        centreline = Centreline(
            amplitude_mm=(float(generator.uniform(18, 22)), float(generator.uniform(11, 15))),
            wave_per_mm=(2 * np.pi / 160.0, 2 * np.pi / float(generator.uniform(180, 230))),
            phase_rad=(float(generator.uniform(0, 6.28)), float(generator.uniform(0, 6.28))),
        )
        wall = _make_wall(generator, length_mm)
        polyps = tuple(
            _make_polyp(generator, index + 1, centreline, wall) for index in range(polyp_count)
        )
        noise = generator.standard_normal((NOISE_SIDE_PX, NOISE_SIDE_PX, 3), dtype=np.float32)
        wander = np.empty((6, 3, 2))
        wander[..., 0] = generator.uniform(0.7, 1.3, (6, 3))
        wander[..., 1] = generator.uniform(0.0, 2 * np.pi, (6, 3))
        return cls(
            seed=seed,
            duration_s=SECONDS_PER_POLYP * polyp_count,
            centreline=centreline,
            wall=wall,
            mucosa=make_mucosa(generator),
            polyps=polyps,
            bubbles_mm=_make_bubbles(generator, centreline, wall, length_mm),
            noise=noise,
            wander=wander,
        )

    def camera_at(self, time_s: float) -> Camera:
        """Return the pose at a time; beyond ``duration_s`` the camera runs back and forth.

        Args:
            time_s: Time since the start [s], not negative.

        Returns:
            The pose, newly allocated.
        """
        folded_s = self.duration_s - abs(time_s % (2 * self.duration_s) - self.duration_s)
        z_mm, attention, polyp = self._visit(folded_s)
        centre = self._centre(z_mm)
        side = polyp.centre_mm[:2] - self._centre(float(polyp.centre_mm[2]))[:2]
        side /= max(float(np.linalg.norm(side)), 1e-6)
        nearness = float(np.exp(-(((z_mm - float(polyp.centre_mm[2]) - 4.0) / 12.0) ** 2)))
        position = centre.copy()
        position[:2] += (
            4.0 * self._wander(time_s, 0, 0.9)[:2] + (5.0 * attention - 7.0 * nearness) * side
        )
        target = self._centre(z_mm + 26.0)
        target[:2] += 9.0 * self._wander(time_s, 1, 1.3)[:2]
        forward = _unit(target - position)
        forward = _unit((1 - attention) * forward + attention * _unit(polyp.centre_mm - position))
        tremor = 0.011 * self._wander(time_s, 2, 11.0) + 0.006 * self._wander(time_s, 3, 27.0)
        forward = _unit(forward + tremor)
        roll = 0.5 * float(self._wander(time_s, 4, 0.6)[0]) + float(self.wander[5, 0, 1])
        right = _unit(np.cross(np.array([-np.sin(roll), np.cos(roll), 0.0]), forward))
        axes = np.stack([right, np.cross(forward, right), forward])
        return Camera(position.astype(np.float32), axes.astype(np.float32))

    def _visit(self, time_s: float) -> tuple[float, float, Polyp]:
        """Return the camera's z [mm], its attention [0, 1] and the polyp that it is about."""
        phases = np.concatenate([np.array(VISIT_PHASE[:-1]) + k for k in range(len(self.polyps))])
        z_mm = np.concatenate([
            np.array(VISIT_OFFSET_MM[:-1]) + float(polyp.centre_mm[2]) for polyp in self.polyps
        ])
        end = float(len(self.polyps))
        last_mm = float(self.polyps[-1].centre_mm[2]) + VISIT_OFFSET_MM[-1]
        path = PchipInterpolator(np.append(phases, end), np.append(z_mm, last_mm))
        phase = min(time_s / SECONDS_PER_POLYP, end)
        index = min(int(phase), len(self.polyps) - 1)
        attention = float(PchipInterpolator(VISIT_PHASE, VISIT_ATTENTION)(phase - index))
        return float(path(phase)), attention, self.polyps[index]

    def _centre(self, z_mm: float) -> Float64:
        """Return the point of the centreline at ``z_mm``, (3,) [mm]."""
        x, y = self.centreline.at(np.array([z_mm], np.float32))
        return np.array([x[0], y[0], z_mm], dtype=np.float64)

    def _wander(self, time_s: float, row: int, rate_rad_per_s: float) -> Float64:
        """Return a smooth quasi-periodic vector, (3,) [1], about in [-1, 1]."""
        rate, phase = self.wander[row, :, 0] * rate_rad_per_s, self.wander[row, :, 1]
        slow = np.sin(rate * time_s + phase)
        return np.asarray(0.65 * slow + 0.35 * np.sin(1.73 * rate * time_s + 2.1 * phase))


def _unit(vector: Float64 | Float32) -> Float64:
    """Return the vector at length 1."""
    return np.asarray(vector, dtype=np.float64) / float(np.linalg.norm(vector))


def _make_wall(generator: Generator, length_mm: float) -> Wall:
    """Raise semilunar folds in three staggered rows on a slightly triangular tube."""
    rows = int(length_mm * WALL_ROWS_PER_MM)
    z_mm = (Z_FIRST_MM + np.arange(rows) / WALL_ROWS_PER_MM)[:, None]
    theta = (np.arange(WALL_COLUMNS) * (2 * np.pi / WALL_COLUMNS))[None, :]
    twist = 0.35 * np.sin(z_mm / 60.0)
    radius = RADIUS_MM * (1.0 + 0.06 * np.cos(3 * (theta - twist)) + 0.03 * np.sin(z_mm / 31.0))
    for sector in range(3):
        middle_mm = Z_FIRST_MM + float(generator.uniform(0, 16))
        while middle_mm < Z_FIRST_MM + length_mm:
            angle = sector * 2 * np.pi / 3 + float(generator.uniform(-0.3, 0.3)) + np.pi / 3
            delta = np.angle(np.exp(1j * (theta - angle)))
            span = float(generator.uniform(0.75, 1.25))
            lean_mm = float(generator.uniform(-4, 4)) * delta - 3.0 * delta**2
            width_mm = float(generator.uniform(2.8, 4.6))
            crest = np.exp(-(((z_mm - middle_mm - lean_mm) / (1.4 * width_mm)) ** 2))
            height_mm = float(generator.uniform(5.5, 9.5))
            radius = radius - height_mm * np.exp(-((np.abs(delta) / span) ** 3)) * crest
            middle_mm += float(generator.uniform(15, 25))
    coarse = periodic_noise(generator, WALL_COLUMNS, 50.0)
    tiles = -(-rows // WALL_COLUMNS)
    radius = radius + 0.35 * np.tile(coarse, (tiles, 1))[:rows]
    d_theta = (np.roll(radius, -1, 1) - np.roll(radius, 1, 1)) * (WALL_COLUMNS / (4 * np.pi))
    d_z = np.gradient(radius, axis=0) * WALL_ROWS_PER_MM
    shape = np.stack([radius, d_theta, d_z], axis=-1).astype(np.float32)
    return Wall(radius=np.ascontiguousarray(shape[..., 0]), shape=shape)


def _wall_point(centreline: Centreline, wall: Wall, z_mm: float, theta: float) -> Float64:
    """Return the nearest sample of the wall at (z, theta), (3,) [mm]."""
    row = int((z_mm - Z_FIRST_MM) * WALL_ROWS_PER_MM)
    column = int(theta % (2 * np.pi) * (WALL_COLUMNS / (2 * np.pi))) % WALL_COLUMNS
    radius = float(wall.radius[row, column])
    x, y = centreline.at(np.array([z_mm], np.float32))
    return np.array([x[0] + radius * np.cos(theta), y[0] + radius * np.sin(theta), z_mm])


def _polyp_site(
    generator: Generator, z_mm: float, centreline: Centreline, wall: Wall
) -> tuple[float, float]:
    """Return z [mm] and theta [rad] near ``z_mm``, inside the bend, with no fold just before it."""
    bend_x, bend_y = centreline.at(np.array([z_mm - 12.0], np.float32), order=2)
    inside = float(np.arctan2(bend_y[0], bend_x[0]))
    places = np.stack(
        [z_mm + generator.uniform(-9, 9, 24), inside + generator.uniform(-0.7, 0.7, 24)], axis=1
    )

    def clearance(place: Float64) -> float:
        row = int((place[0] - Z_FIRST_MM) * WALL_ROWS_PER_MM)
        column = int(place[1] % (2 * np.pi) * (WALL_COLUMNS / (2 * np.pi))) % WALL_COLUMNS
        return float(wall.radius[row - 22 : row + 4, column].min())

    best = max(places, key=clearance)
    return float(best[0]), float(best[1])


def _make_polyp(generator: Generator, identity: int, centreline: Centreline, wall: Wall) -> Polyp:
    """Place a polyp on the inside of the bend, where the bend hides it until the camera is near."""
    z_mm, theta = _polyp_site(generator, SPACING_POLYPS_MM * identity, centreline, wall)
    base = _wall_point(centreline, wall, z_mm, theta)
    inward = _unit(np.array([-np.cos(theta), -np.sin(theta), float(generator.uniform(-0.5, -0.1))]))
    across = _unit(np.cross(inward, np.array([0.0, 0.0, 1.0])))
    pedunculated = identity % 3 == 2
    size_mm = float(generator.uniform(7.8, 9.0))
    stretch = generator.uniform(0.85, 1.25, 3)
    radii = size_mm * stretch * (np.array([0.95, 0.95, 0.9]) if pedunculated else [1.1, 1.1, 0.85])
    lift_mm = 10.0 if pedunculated else 0.3 * size_mm
    waves = generator.normal(size=(6, 3))
    waves *= generator.uniform(2.0, 7.0, (6, 1)) / np.linalg.norm(waves, axis=1, keepdims=True)
    amplitudes = generator.uniform(0.35, 0.7, 6) / np.linalg.norm(waves, axis=1)
    palettes = ((0.60, 0.175, 0.095), (0.60, 0.150, 0.085), (0.56, 0.180, 0.105))
    albedo = np.array(palettes[identity % 3]) * generator.uniform(0.95, 1.05, 3)
    return Polyp(
        identity=identity,
        centre_mm=(base + lift_mm * inward).astype(np.float32),
        axes=np.stack([across, np.cross(inward, across), inward]).astype(np.float32),
        radii_mm=radii.astype(np.float32),
        lobe_waves=waves.astype(np.float32),
        lobe_phases_rad=generator.uniform(0, 2 * np.pi, 6).astype(np.float32),
        lobe_amplitudes=amplitudes.astype(np.float32),
        base_mm=(base - 2.0 * inward).astype(np.float32),
        stalk_radius_mm=float(generator.uniform(2.3, 3.0)) if pedunculated else 0.0,
        albedo=albedo.astype(np.float32),
        texture_offset_mm=float(generator.uniform(0, 150)),
    )


def _make_bubbles(
    generator: Generator, centreline: Centreline, wall: Wall, length_mm: float
) -> Float32:
    """Scatter clusters of small bubbles on the wall, (N, 4) position and radius [mm]."""
    bubbles = []
    for _ in range(int(length_mm / 16)):
        z_mm = float(generator.uniform(Z_FIRST_MM + 12, Z_FIRST_MM + length_mm - 12))
        theta = float(generator.uniform(0, 2 * np.pi))
        for _ in range(int(generator.integers(1, 8))):
            place = _wall_point(
                centreline,
                wall,
                z_mm + float(generator.normal(0, 1.6)),
                theta + float(generator.normal(0, 0.07)),
            )
            bubbles.append([*place, float(generator.uniform(0.2, 0.75))])
    return np.array(bubbles, dtype=np.float32)
