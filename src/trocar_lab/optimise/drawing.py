"""Pictures of lines, rectangles, circles and text, written as SVG and, the same, as PNG."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

__all__ = ["Circle", "Line", "Mark", "Rectangle", "Text", "write_png", "write_svg"]

_PNG_SCALE: Final = 2
_ANCHORS: Final = {"start": "ls", "middle": "ms", "end": "rs"}


@dataclass(frozen=True)
class Line:
    """A straight line [px].

    Attributes:
        begin: One end.
        end: Other end.
        colour: ``#rrggbb``.
        width: Width.
    """

    begin: tuple[float, float]
    end: tuple[float, float]
    colour: str
    width: float = 1.0


@dataclass(frozen=True)
class Rectangle:
    """A filled rectangle [px].

    Attributes:
        corner: Left upper corner.
        size: Width and height.
        colour: ``#rrggbb``.
    """

    corner: tuple[float, float]
    size: tuple[float, float]
    colour: str


@dataclass(frozen=True)
class Circle:
    """A filled circle with an edge [px].

    Attributes:
        centre: Centre.
        radius: Radius.
        colour: Colour of the inside, ``#rrggbb``.
        edge: Colour of the edge.
    """

    centre: tuple[float, float]
    radius: float
    colour: str
    edge: str = "#ffffff"


@dataclass(frozen=True)
class Text:
    """One line of text.

    Attributes:
        place: Point on its base line [px].
        text: The text.
        size: Height of the letters [px].
        anchor: Which end of it lies at the place: ``start``, ``middle`` or ``end``.
        colour: ``#rrggbb``.
    """

    place: tuple[float, float]
    text: str
    size: int = 14
    anchor: str = "start"
    colour: str = "#222222"


Mark = Line | Rectangle | Circle | Text


def write_svg(path: Path, marks: list[Mark], size: tuple[int, int], *, title: str) -> None:
    """Write a picture as SVG, on white."""
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}"'
            f' width="{size[0]}" height="{size[1]}" role="img"'
            ' font-family="DejaVu Sans, Arial, sans-serif">'
        ),
        f"<title>{escape(title)}</title>",
        f'<rect width="{size[0]}" height="{size[1]}" fill="#ffffff"/>',
        *(_svg(mark) for mark in marks),
        "</svg>",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _svg(mark: Mark) -> str:
    """Return one element."""
    if isinstance(mark, Line):
        (x1, y1), (x2, y2) = mark.begin, mark.end
        return (
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
            f' stroke="{mark.colour}" stroke-width="{mark.width:g}"/>'
        )
    if isinstance(mark, Rectangle):
        (x, y), (width, height) = mark.corner, mark.size
        return (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
            f' fill="{mark.colour}"/>'
        )
    if isinstance(mark, Circle):
        x, y = mark.centre
        return (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{mark.radius:.1f}" fill="{mark.colour}"'
            f' stroke="{mark.edge}"/>'
        )
    x, y = mark.place
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{mark.size}" text-anchor="{mark.anchor}"'
        f' fill="{mark.colour}">{escape(mark.text)}</text>'
    )


def write_png(path: Path, marks: list[Mark], size: tuple[int, int]) -> None:
    """Write the same picture as PNG, with twice as many pixels a side."""
    image = Image.new("RGB", (size[0] * _PNG_SCALE, size[1] * _PNG_SCALE), "#ffffff")
    canvas = ImageDraw.Draw(image)
    for mark in marks:
        _paint(canvas, mark)
    image.save(path, optimize=True)


def _paint(canvas: ImageDraw.ImageDraw, mark: Mark) -> None:
    """Paint one mark."""
    scale = _PNG_SCALE
    if isinstance(mark, Line):
        ends = [(x * scale, y * scale) for x, y in (mark.begin, mark.end)]
        canvas.line(ends, fill=mark.colour, width=max(round(mark.width * scale), 1))
    elif isinstance(mark, Rectangle):
        (x, y), (width, height) = mark.corner, mark.size
        box = [x * scale, y * scale, (x + width) * scale, (y + height) * scale]
        canvas.rectangle(box, fill=mark.colour)
    elif isinstance(mark, Circle):
        (x, y), r = mark.centre, mark.radius
        box = [(x - r) * scale, (y - r) * scale, (x + r) * scale, (y + r) * scale]
        canvas.ellipse(box, fill=mark.colour, outline=mark.edge, width=scale)
    else:
        place = mark.place[0] * scale, mark.place[1] * scale
        font = ImageFont.load_default(mark.size * scale)
        canvas.text(place, mark.text, fill=mark.colour, font=font, anchor=_ANCHORS[mark.anchor])
