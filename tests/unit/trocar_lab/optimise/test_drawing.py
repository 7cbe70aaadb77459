"""Both forms of a picture hold the same marks."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from trocar_lab.optimise.drawing import (
    Circle,
    Line,
    Mark,
    Rectangle,
    Text,
    write_png,
    write_svg,
)

MARKS: list[Mark] = [
    Rectangle((10, 10), (20, 10), "#ff0000"),
    Circle((60, 30), 8, "#00ff00"),
    Line((0, 50), (100, 50), "#0000ff", 2.0),
    Text((50, 80), "a < b", 14, "middle"),
]


def test_png_has_the_colours_where_the_marks_are(tmp_path: Path) -> None:
    """Twice as many pixels a side as the SVG has units."""
    write_png(tmp_path / "p.png", MARKS, (100, 100))
    with Image.open(tmp_path / "p.png") as image:
        assert image.size == (200, 200)
        assert image.getpixel((40, 30)) == (255, 0, 0)
        assert image.getpixel((120, 60)) == (0, 255, 0)
        assert image.getpixel((10, 100)) == (0, 0, 255)
        letters = image.crop((60, 130, 140, 170)).convert("L")
        assert min(letters.tobytes()) < 100


def test_svg_has_the_marks_and_escapes_text(tmp_path: Path) -> None:
    """Text is text and no element."""
    write_svg(tmp_path / "p.svg", MARKS, (100, 100), title="t & u")
    text = (tmp_path / "p.svg").read_text(encoding="utf-8")
    assert "<title>t &amp; u</title>" in text
    assert "a &lt; b" in text
    assert text.count("<rect") == 2
    assert 'cx="60.0"' in text
    assert 'stroke="#0000ff"' in text
