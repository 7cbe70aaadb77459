"""The picture holds every variant that was timed, inside its frame, and marks the limit."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from simulators.variant_study import drawn_study
from trocar_lab.optimise.plot import write_plot


@pytest.mark.verifies("SRS_OPT_006", extent="partial", technique="equivalence")
def test_picture_shows_each_variant_and_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One circle for each variant in each engine, and the key."""
    study, _ = drawn_study(tmp_path / "pack", monkeypatch)
    svg, png = write_plot(study, tmp_path)
    text = svg.read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314 - our own file
    circles = root.findall("{http://www.w3.org/2000/svg}circle")
    timed = [one for one in study.timed if (one.thread_count, one.call_count) == (2, 1)]
    assert len(circles) == len(timed) + 5 + 3
    assert "refused: more than 0.01 lost" in text
    assert "* recommended" in text
    assert not re.search(r"(cx|cy|x|y)=\"-", text)
    with Image.open(png) as image:
        assert image.size == (2360, 1280)
