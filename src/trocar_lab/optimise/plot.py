"""The trade-off picture: how much faster each variant is, and how far its figure moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar_lab.optimise.drawing import Circle, Line, Mark, Rectangle, Text, write_png, write_svg
from trocar_lab.optimise.gate import LOSS_MAX
from trocar_lab.optimise.study import Study

__all__ = ["write_plot"]

_SIZE: Final = (1180, 640)
_LEFT, _RIGHT, _TOP, _BOTTOM = 96, 860, 84, 560
_COLOURS: Final = {
    ("onnxruntime-cpu", "fp32"): "#7a7a7a",
    ("onnxruntime-cpu", "int8"): "#c77700",
    ("openvino-cpu", "fp32"): "#3b6fb6",
    ("openvino-cpu", "bf16"): "#7a3fa0",
    ("openvino-cpu", "int8"): "#1a8a4a",
}
_OTHER: Final = "#444444"
_GRID: Final = "#e4e4e4"
_REFUSED: Final = "#fbe9e7"
_RADIUS_OF_1_MB: Final = 4.0
_BYTES_OF_1_MB: Final = 1_000_000


@dataclass(frozen=True)
class _Point:
    """One variant in one engine."""

    letter: str
    ratio: float
    value: float
    interval: tuple[float, float]
    size_bytes: int
    colour: str


@dataclass(frozen=True)
class _Scale:
    """From figures to pixels."""

    ratio_max: float
    lowest: float
    highest: float

    def x(self, ratio: float) -> float:
        """Return the place of a speed-up."""
        return _LEFT + (_RIGHT - _LEFT) * ratio / self.ratio_max

    def y(self, value: float) -> float:
        """Return the place of a difference; what lies outside is put on the edge."""
        share = (value - self.lowest) / (self.highest - self.lowest)
        return _BOTTOM - (_BOTTOM - _TOP) * min(max(share, 0.0), 1.0)


def write_plot(study: Study, folder: Path) -> tuple[Path, Path]:
    """Write the picture of a study as ``tradeoff.svg`` and ``tradeoff.png``; return both paths."""
    points, letters = _points(study)
    scale = _scale(points)
    marks = [
        *_frame(study, scale),
        *(mark for point in points for mark in _whisker(point, scale)),
        *(mark for point in points for mark in _dot(point, scale)),
        *_legend(study, letters),
    ]
    svg, png = folder / "tradeoff.svg", folder / "tradeoff.png"
    write_svg(svg, marks, _SIZE, title=f"Speed against {study.metric}, variants of a model")
    write_png(png, marks, _SIZE)
    return svg, png


def _points(study: Study) -> tuple[list[_Point], dict[str, str]]:
    """Return what is drawn, largest first, and the letter of each variant."""
    sizes = {one.name: len(one.model) for one in study.variants}
    judged = {
        (one.variant, one.engine, one.precision): one
        for one in study.judged
        if one.side == "validation"
    }
    timed = [one for one in study.timed if (one.thread_count, one.call_count) == (2, 1)]
    names = [name for name in sizes if name in {one.variant for one in timed}]
    letters = {name: chr(ord("A") + index) for index, name in enumerate(names)}
    points = []
    for one in timed:
        row = judged[one.variant, one.engine, one.precision].difference
        points.append(
            _Point(
                letters[one.variant],
                one.speed.ratio,
                row.value,
                (row.lower, row.upper),
                sizes[one.variant],
                _COLOURS.get((one.engine, one.precision), _OTHER),
            )
        )
    return sorted(points, key=lambda one: -one.size_bytes), letters


def _scale(points: Sequence[_Point]) -> _Scale:
    """Return axes that hold every mark and the limit; whiskers may leave them."""
    reach = max([1.6 * LOSS_MAX, *(1.25 * abs(one.value) for one in points)])
    top = max([0.006, *(one.interval[1] * 1.1 for one in points)])
    fastest = max([2.0, *(one.ratio for one in points)])
    return _Scale(math.ceil(fastest * 1.08), -reach, min(top, reach))


def _frame(study: Study, scale: _Scale) -> list[Mark]:
    """Return ground, grid, axes and titles."""
    limit = scale.y(-LOSS_MAX)
    marks: list[Mark] = [
        Rectangle((_LEFT, limit), (_RIGHT - _LEFT, _BOTTOM - limit), _REFUSED),
        Text((_LEFT - 76, 32), f"{study.pack.manifest.pack_id}: speed against {study.metric}", 20),
        Text(
            (_LEFT - 76, 54),
            "2 threads, one frame at a time, by turns with the original on ONNX Runtime in FP32; "
            "difference on the side for choosing, bars: 95 % interval",
            12,
            colour="#555555",
        ),
    ]
    for ratio in range(int(scale.ratio_max) + 1):
        x = scale.x(ratio)
        marks += [
            Line((x, _TOP), (x, _BOTTOM), _GRID),
            Text((x, _BOTTOM + 22), f"{ratio}", 13, "middle"),
        ]
    step = 0.005 if scale.highest - scale.lowest < 0.05 else 0.02
    for index in range(math.ceil(scale.lowest / step), math.floor(scale.highest / step) + 1):
        y = scale.y(index * step)
        marks += [
            Line((_LEFT, y), (_RIGHT, y), _GRID if index else "#9a9a9a"),
            Text((_LEFT - 10, y + 4), f"{index * step:+.3f}" if index else "0", 13, "end"),
        ]
    middle = (_LEFT + _RIGHT) / 2
    return [
        *marks,
        Line((_LEFT, limit), (_RIGHT, limit), "#c0392b", 1.5),
        Text((_RIGHT - 8, limit + 16), "refused: more than 0.01 lost", 12, "end", "#c0392b"),
        Text((middle, _BOTTOM + 48), "times faster than the original", 14, "middle"),
        Text((_LEFT - 76, _TOP - 6), f"difference of {study.metric}", 13),
    ]


def _whisker(point: _Point, scale: _Scale) -> list[Mark]:
    """Return the interval of one mark."""
    x, (low, high) = scale.x(point.ratio), point.interval
    return [Line((x, scale.y(low)), (x, scale.y(high)), point.colour, 1.5)]


def _dot(point: _Point, scale: _Scale) -> list[Mark]:
    """Return one mark, its area in proportion to the file's size, with its letter."""
    centre = scale.x(point.ratio), scale.y(point.value)
    radius = _radius(point.size_bytes)
    return [
        Circle(centre, radius, point.colour),
        Text((centre[0], centre[1] + 4), point.letter, 11, "middle", "#ffffff"),
    ]


def _radius(size_bytes: int) -> float:
    """Return the radius of a mark [px]."""
    return _RADIUS_OF_1_MB * math.sqrt(size_bytes / _BYTES_OF_1_MB)


def _legend(study: Study, letters: dict[str, str]) -> list[Mark]:
    """Return the key of colours, letters and areas."""
    x, y = _RIGHT + 28, _TOP + 6
    marks: list[Mark] = [Text((x, y), "engine and precision", 14)]
    for (engine, precision), colour in _COLOURS.items():
        y += 24
        marks += [
            Circle((x + 7, y - 5), 7, colour),
            Text((x + 22, y), f"{engine.removesuffix('-cpu')} {precision}", 13),
        ]
    y += 40
    marks.append(Text((x, y), "variant", 14))
    chosen = {one.variant for one in study.finals}
    for name, letter in letters.items():
        y += 22
        size = next(len(one.model) for one in study.variants if one.name == name)
        star = " *" if name in chosen else ""
        marks += [
            Text((x, y), letter, 13),
            Text((x + 22, y), f"{name}, {size / _BYTES_OF_1_MB:.1f} MB{star}", 13),
        ]
    y += 24
    if chosen:
        marks.append(Text((x, y), "* recommended, before the test side", 12, colour="#555555"))
    y += 36
    marks.append(Text((x, y), "area: size of the file", 14))
    for index, size_mb in enumerate((2, 8, 15)):
        centre = (x + 16 + 84 * index, y + 28)
        marks += [
            Circle(centre, _radius(size_mb * _BYTES_OF_1_MB), "#b0b0b0"),
            Text((centre[0] + 20, centre[1] + 5), f"{size_mb} MB", 12),
        ]
    return marks
