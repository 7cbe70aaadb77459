"""Surgical tools in motion as boxes, with their exact identities and no pixels.

Tools come in over the rim of the picture, reach from place to place, pass in front of each other,
go, and come back or are exchanged. What a detector would say of each frame is drawn beside the
truth: it misses, doubts, shifts its boxes, takes one class for another and sees tools where none
are. Everything follows from the seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trocar.contracts.findings import BoxXyxyPx, Detection, ToolDetections
from trocar_lab.simulation.tool_detector import DetectorSettings, FaultyDetector, TrueBox

__all__ = ["SCENARIOS", "ToolFrame", "ToolScenario", "render_tool_motion"]

_NS_PER_S: Final = 1_000_000_000
_VISIBLE_FRACTION_MIN: Final = 0.3
_ABSENT_S_MAX: Final = 1.0
_OUTSIDE_PX: Final = 1e-6


@dataclass(frozen=True, slots=True)
class ToolScenario:
    """What happens in one kind of sequence.

    Attributes:
        name: What it is called in tables.
        tool_count: Tools at work.
        frame_rate_hz: Frames a second of the source.
        stay_s: Shortest and longest stay of a tool in view [s].
        away_s: Shortest and longest time out of view [s].
        exchange_probability: How often another tool comes back in its place.
        reach_s: Shortest and longest time for one movement from place to place [s].
        is_shared_field: Whether all tools work at one place and pass in front of each other.
        camera_px: Size of the slow sway of the camera [px].
        pan_rate_hz: How often the camera jumps to another view [1/s].
        drop_probability: Share of frames after which a row of frames is lost on the way.
        drop_count_max: Longest such row.
        detector: How the detector fails.
    """

    name: str
    tool_count: int = 3
    frame_rate_hz: float = 25.0
    stay_s: tuple[float, float] = (5.0, 14.0)
    away_s: tuple[float, float] = (1.2, 4.0)
    exchange_probability: float = 0.4
    reach_s: tuple[float, float] = (0.5, 1.6)
    is_shared_field: bool = False
    camera_px: float = 6.0
    pan_rate_hz: float = 0.0
    drop_probability: float = 0.0
    drop_count_max: int = 0
    detector: DetectorSettings = field(default_factory=DetectorSettings)


SCENARIOS: Final = (
    ToolScenario("calm", tool_count=2, detector=DetectorSettings(miss_probability=0.02)),
    ToolScenario("crossing", tool_count=4, is_shared_field=True),
    ToolScenario("exchange", stay_s=(2.0, 6.0), exchange_probability=0.7),
    ToolScenario("camera", camera_px=30.0, pan_rate_hz=0.25),
    ToolScenario(
        "clutter",
        detector=DetectorSettings(
            ghost_rate=0.12, miss_probability=0.12, flicker_probability=0.03, twin_probability=0.04
        ),
    ),
    ToolScenario("drops", drop_probability=0.12, drop_count_max=12),
    ToolScenario(
        "mixed",
        tool_count=4,
        stay_s=(3.0, 9.0),
        reach_s=(0.35, 1.2),
        is_shared_field=True,
        camera_px=15.0,
        pan_rate_hz=0.1,
        drop_probability=0.05,
        drop_count_max=8,
        detector=DetectorSettings(ghost_rate=0.06, miss_probability=0.08, twin_probability=0.02),
    ),
)
"""The kinds of sequences that are compared."""


@dataclass(frozen=True, slots=True)
class ToolFrame:
    """One frame: the truth, and what a detector says of it.

    Attributes:
        captured_at_ns: When it was taken [ns].
        truth: The tools in view.
        detections: What the detector says.
    """

    captured_at_ns: int
    truth: tuple[TrueBox, ...]
    detections: ToolDetections


def render_tool_motion(
    scenario: ToolScenario,
    *,
    seed: int,
    frame_count: int = 500,
    frame_size_px: tuple[int, int] = (854, 480),
) -> tuple[ToolFrame, ...]:
    """Return one sequence; frames that were lost on the way are left out of it.

    Args:
        scenario: What happens.
        seed: Seed of all randomness, not negative.
        frame_count: Frames of the source, lost ones included.
        frame_size_px: Width and height of the frame.

    Returns:
        The frames in order. ``frame_index`` counts lost frames too.
    """
    generator = np.random.default_rng((seed, *scenario.name.encode()))
    tools = [_Tool(scenario, place, generator) for place in range(scenario.tool_count)]
    camera = _Camera(scenario, generator)
    numbers = _Numbers()
    detector = FaultyDetector(scenario.detector, frame_size_px, generator)
    kept = set(_kept_frames(scenario, frame_count, generator))
    frames = []
    for index in range(frame_count):
        time_s = index / scenario.frame_rate_hz
        offset = camera.at(time_s)
        boxes = [tool.box_at(time_s, offset, frame_size_px) for tool in tools]
        truth = tuple(
            tool
            for tool in _true_boxes(tools, boxes, numbers, time_s, frame_size_px)
            if tool.visible_fraction >= _VISIBLE_FRACTION_MIN
        )
        detections = detector.look(truth)
        if index in kept:
            frames.append(
                ToolFrame(
                    round(time_s * _NS_PER_S) + _NS_PER_S,
                    truth,
                    _as_contract(index, detections, frame_size_px, scenario.detector),
                )
            )
    return tuple(frames)


def _true_boxes(
    tools: Sequence[_Tool],
    boxes: Sequence[BoxXyxyPx],
    numbers: _Numbers,
    time_s: float,
    frame_size_px: tuple[int, int],
) -> Iterator[TrueBox]:
    """Yield each tool in the frame with its identities, hidden ones too."""
    for tool, box, fraction in _in_view(tools, boxes, frame_size_px):
        yield TrueBox(
            visible_number=numbers.of_stay(tool, time_s),
            tool_number=numbers.of_instrument(tool),
            class_index=tool.instrument.class_index,
            box_xyxy_px=box,
            visible_fraction=fraction,
        )


def _as_contract(
    frame_index: int,
    detections: Sequence[Detection],
    frame_size_px: tuple[int, int],
    settings: DetectorSettings,
) -> ToolDetections:
    """Return detections in the form that the device takes."""
    return ToolDetections(
        frame_index=frame_index,
        detections=tuple(sorted(detections, key=lambda item: -item.score)),
        score_shown_min=settings.score_shown_min,
        frame_height_px=frame_size_px[1],
        frame_width_px=frame_size_px[0],
    )


def _kept_frames(scenario: ToolScenario, frame_count: int, generator: Generator) -> Iterator[int]:
    """Yield the indices of the frames that arrive."""
    index = 0
    while index < frame_count:
        yield index
        if generator.random() < scenario.drop_probability:
            index += int(generator.integers(1, scenario.drop_count_max + 1))
        index += 1


class _Camera:
    """Sway of the camera, and sudden changes of the view."""

    def __init__(self, scenario: ToolScenario, generator: Generator) -> None:
        self._scenario = scenario
        self._generator = generator
        self._phases = generator.uniform(0.0, 2.0 * math.pi, 4)
        self._jump = np.zeros(2)
        self._goal = np.zeros(2)

    def at(self, time_s: float) -> tuple[float, float]:
        """Return the shift of the picture [px]; times must rise by one frame each."""
        period_s = 1.0 / self._scenario.frame_rate_hz
        if self._generator.random() < self._scenario.pan_rate_hz * period_s:
            self._goal = self._generator.uniform(-90.0, 90.0, 2)
        # A pan takes about a quarter of a second.
        self._jump += (self._goal - self._jump) * min(1.0, period_s / 0.12)
        slow, fast = math.tau * 0.13 * time_s, math.tau * 0.41 * time_s
        sway = self._scenario.camera_px * np.array([
            math.sin(slow + self._phases[0]) + 0.4 * math.sin(fast + self._phases[1]),
            math.sin(slow + self._phases[2]) + 0.4 * math.sin(fast + self._phases[3]),
        ])
        shift = self._jump + sway
        return float(shift[0]), float(shift[1])


@dataclass(frozen=True, slots=True)
class _Move:
    """One movement of a tip, in shares of the frame."""

    begin_s: float
    end_s: float
    start: NDArray[np.float64]
    goal: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Instrument:
    """What is in a trocar."""

    number: int
    class_index: int
    size: NDArray[np.float64]
    phase: float


class _Tool:
    """One trocar and the instrument in it."""

    def __init__(self, scenario: ToolScenario, place: int, generator: Generator) -> None:
        self._scenario = scenario
        self._generator = generator
        angle = math.pi * (0.15 + 0.7 * (place + generator.random()) / scenario.tool_count)
        self._port = np.array([0.5 + 0.85 * math.cos(angle), 0.45 + 0.95 * math.sin(angle)])
        self._centre = np.array([0.5, 0.5])
        if not scenario.is_shared_field:
            self._centre += 0.22 * np.array([math.cos(angle), 0.5 * math.sin(angle)])
        self.place = place
        self.depth = float(generator.random())
        self.instrument = self._another(1)
        self._moves = self._plan()
        self._move = next(self._moves)

    def _another(self, number: int) -> _Instrument:
        """Return an instrument to put into the trocar."""
        draw = self._generator
        return _Instrument(
            number=number,
            class_index=int(draw.choice(6, p=(0.45, 0.07, 0.3, 0.04, 0.07, 0.07))),
            size=draw.uniform(0.11, 0.2, 2) * np.array([1.0, 1.25]),
            phase=float(draw.uniform(0.0, math.tau)),
        )

    def _plan(self) -> Iterator[_Move]:
        """Yield one movement after the other: away, at work, away, and so on."""
        draw, scenario = self._generator, self._scenario
        spread = 0.13 if scenario.is_shared_field else 0.16
        now_s, place = float(draw.uniform(0.0, 1.5)), self._port
        yield _Move(0.0, now_s, place, place)
        while True:
            leave_s = now_s + float(draw.uniform(*scenario.stay_s))
            while now_s < leave_s:
                is_pause = place is not self._port and draw.random() < 0.35
                goal = place if is_pause else self._centre + draw.normal(0.0, spread, 2)
                end_s = now_s + float(draw.uniform(*scenario.reach_s))
                yield _Move(now_s, end_s, place, goal)
                now_s, place = end_s, goal
            end_s = now_s + float(draw.uniform(*scenario.reach_s))
            yield _Move(now_s, end_s, place, self._port)
            now_s, place = end_s + float(draw.uniform(*scenario.away_s)), self._port
            if draw.random() < scenario.exchange_probability:
                self.instrument = self._another(self.instrument.number + 1)
            yield _Move(end_s, now_s, place, place)

    def box_at(
        self, time_s: float, offset_px: tuple[float, float], frame_size_px: tuple[int, int]
    ) -> BoxXyxyPx:
        """Return the whole box of the tip, also where it lies outside of the frame."""
        while self._move.end_s <= time_s:
            self._move = next(self._moves)
        move, tool = self._move, self.instrument
        share = (time_s - move.begin_s) / (move.end_s - move.begin_s)
        # Minimum-jerk profile, Flash and Hogan 1985, doi 10.1523/JNEUROSCI.05-07-01688.1985.
        smooth = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
        tip = move.start + (move.goal - move.start) * smooth
        tremor = 0.002 * np.array([math.sin(53.0 * time_s), math.cos(47.0 * time_s)])
        width_px, height_px = frame_size_px
        x = (tip[0] + tremor[0]) * width_px + offset_px[0]
        y = (tip[1] + tremor[1]) * height_px + offset_px[1]
        opening = 1.0 + 0.18 * math.sin(1.9 * time_s + tool.phase)
        size = tool.size * width_px * (0.9 + 0.12 * math.sin(0.7 * time_s + tool.phase))
        half_w, half_h = 0.5 * size[0] * opening, 0.5 * size[1] / opening
        return (float(x - half_w), float(y - half_h), float(x + half_w), float(y + half_h))


class _Numbers:
    """Gives out identities: one for each instrument, and one for each of its stays in view."""

    def __init__(self) -> None:
        self._stays: dict[tuple[int, int], tuple[int, float]] = {}
        self._instruments: dict[tuple[int, int], int] = {}
        self._stay_count = 0

    def of_stay(self, tool: _Tool, time_s: float) -> int:
        """Return the identity of this stay; a longer absence ends it, to be hidden does not."""
        key = tool.place, tool.instrument.number
        number, last_s = self._stays.get(key, (0, -math.inf))
        if time_s - last_s > _ABSENT_S_MAX:
            self._stay_count += 1
            number = self._stay_count
        self._stays[key] = number, time_s
        return number

    def of_instrument(self, tool: _Tool) -> int:
        """Return the identity of the instrument, however often it comes and goes."""
        key = tool.place, tool.instrument.number
        return self._instruments.setdefault(key, len(self._instruments) + 1)


def _in_view(
    tools: Sequence[_Tool], boxes: Sequence[BoxXyxyPx], frame_size_px: tuple[int, int]
) -> Iterator[tuple[_Tool, BoxXyxyPx, float]]:
    """Yield tools inside the frame, their box there and the share of it that none hides."""
    for tool, box in zip(tools, boxes, strict=True):
        inside = _clip(box, frame_size_px)
        if inside is None or _area(inside) < _VISIBLE_FRACTION_MIN * _area(box):
            continue
        hidden = max(
            (
                _overlap(inside, other)
                for nearer, other in zip(tools, boxes, strict=True)
                if nearer.depth < tool.depth
            ),
            default=0.0,
        )
        yield tool, inside, 1.0 - hidden / _area(inside)


def _clip(box: BoxXyxyPx, frame_size_px: tuple[int, int]) -> BoxXyxyPx | None:
    """Return the part of a box inside the frame, or None where there is none."""
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    right, bottom = min(box[2], float(frame_size_px[0])), min(box[3], float(frame_size_px[1]))
    if right - left <= _OUTSIDE_PX or bottom - top <= _OUTSIDE_PX:
        return None
    return left, top, right, bottom


def _area(box: BoxXyxyPx) -> float:
    """Return the area of a box [px^2]."""
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(first: BoxXyxyPx, second: BoxXyxyPx) -> float:
    """Return the area that two boxes share [px^2]."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0.0) * max(height, 0.0)
