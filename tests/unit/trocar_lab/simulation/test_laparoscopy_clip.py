"""The rendered laparoscopy clip comes with the truth of each of its frames."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import av
import numpy as np
import pytest

from trocar_lab.simulation.laparoscopy import LaparoscopyScene, render
from trocar_lab.simulation.laparoscopy_clip import (
    FRAME_RATE_HZ,
    HEIGHT_PX,
    README_NAME,
    TRUTH_NAME,
    VIDEO_NAME,
    WIDTH_PX,
    main,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a clip of three frames."""
    folder = tmp_path_factory.mktemp("clip")
    assert main(["-o", str(folder), "--seed", "28", "--frames", "3"]) == 0
    return folder


@pytest.mark.verifies("SRS_TOOL_026", extent="partial", technique="requirement")
def test_truth_is_that_of_the_scene(folder: Path) -> None:
    """Frame by frame: the boxes, classes and identities that the renderer gives."""
    truth = json.loads((folder / TRUTH_NAME).read_text(encoding="utf-8"))
    assert len(truth) == 3
    for index, line in enumerate(truth):
        frame = render(LaparoscopyScene(28), index / FRAME_RATE_HZ, HEIGHT_PX, WIDTH_PX)
        assert line["time_ns"] == frame.time_ns
        assert [one["identity"] for one in line["tips"]] == frame.identities.tolist()
        assert [one["box_xyxy_px"] for one in line["tips"]] == frame.boxes_xyxy_px.tolist()


def test_the_video_shows_the_frames(folder: Path) -> None:
    """As many pictures, of the size stated, close to the rendered ones."""
    with av.open(str(folder / VIDEO_NAME)) as container:
        frames = [one.to_ndarray(format="rgb24") for one in container.decode(video=0)]
    assert [one.shape for one in frames] == [(HEIGHT_PX, WIDTH_PX, 3)] * 3
    first = render(LaparoscopyScene(28), 0.0, HEIGHT_PX, WIDTH_PX).rgb
    assert np.abs(frames[0].astype(int) - first).mean() < 8


def test_the_page_names_the_digests_of_the_files(folder: Path) -> None:
    """A page about another file would mislead."""
    page = (folder / README_NAME).read_text(encoding="utf-8")
    for name in (VIDEO_NAME, TRUTH_NAME):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() in page
    assert "no patient data" in page
