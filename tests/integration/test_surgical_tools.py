"""Surgical tools from the command line to the record, with a real engine and a real video."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simulators.command_line import CommandLine, lines_of
from simulators.media import decoded, write_clip
from simulators.packs import (
    CELL_PX,
    DETECTOR_HEIGHT_PX,
    DETECTOR_WIDTH_PX,
    painted_cells,
    write_detector_pack,
)
from simulators.trust import trust_of
from trocar.apps.surgical_tools import open_detection, open_tracking
from trocar.backends.choices import Engine
from trocar.backends.request import BackendRequest
from trocar.contracts.findings import ToolDetections, ToolTracks
from trocar.contracts.frame import Frame

FRAME_COUNT: Final = 12
COLUMN_COUNT: Final = DETECTOR_WIDTH_PX // CELL_PX
TOOL: Final = (250, 0, 60)
WEAK: Final = (0, 80, 60)


@pytest.fixture(scope="module")
def detector_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the detecting pack; not to be changed."""
    folder = tmp_path_factory.mktemp("detector") / "pack"
    write_detector_pack(folder)
    return folder


def _picture(index: int) -> NDArray[np.uint8]:
    """Return picture n at twice the network's size: a tool that wanders, and a weak mark."""
    pixels = painted_cells((2, 2 + index // 3, TOOL), (6, 9, WEAK))
    return np.ascontiguousarray(pixels.repeat(2, axis=0).repeat(2, axis=1))


def _middle(box: list[float]) -> tuple[float, float]:
    """Return the centre of a box whose reach to the left is twice that to the right."""
    left, top, right, bottom = box
    return left + (right - left) * 2 / 3, top + (bottom - top) * 2 / 3


@pytest.mark.verifies(
    "SRS_TOOL_001", "SRS_TOOL_004", "SRS_SINK_010", extent="partial", technique="requirement"
)
def test_folder_of_pictures_becomes_one_line_of_boxes_each(
    trocar: CommandLine, detector_pack: Path, tmp_path: Path
) -> None:
    """Each box lies around its painted cell, in pixels of its own picture, whatever its size."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    sizes = [(64, 96), (128, 96), (320, 480)]
    for index, (height_px, width_px) in enumerate(sizes):
        cells = painted_cells((5, 3 + index, TOOL))
        picture = Image.fromarray(cells).resize((width_px, height_px), Image.Resampling.NEAREST)
        picture.save(folder / f"p{index}.png")
    answer = trocar(
        "run", "tool_detection", folder, "-o", tmp_path / "out", "--pack", detector_pack
    )
    assert answer.code == 0, answer.err
    lines = lines_of(tmp_path / "out" / "results.jsonl")
    assert len(lines) == len(sizes)
    for index, (line, (height_px, width_px)) in enumerate(zip(lines, sizes, strict=True)):
        outcome = line["outcome"]
        assert outcome["kind"] == "tool_detections"
        assert (outcome["frame_width_px"], outcome["frame_height_px"]) == (width_px, height_px)
        (found,) = outcome["detections"]
        assert (found["label"], found["class_index"]) == ("grasper", 0)
        expected = ((3.5 + index) * width_px / COLUMN_COUNT, 5.5 * height_px / 8)
        assert _middle(found["box_xyxy_px"]) == pytest.approx(expected, rel=0.02)


@pytest.mark.verifies(
    "SRS_TOOL_011", "SRS_TOOL_006", "SRS_SINK_010", extent="partial", technique="requirement"
)
def test_video_becomes_numbered_tools_and_an_overlay(
    trocar: CommandLine, detector_pack: Path, tmp_path: Path
) -> None:
    """One tool, one number over the whole video; the weak mark stands in the record only."""
    clip = write_clip(
        tmp_path / "clip.mkv", _picture, frame_count=FRAME_COUNT, codec="ffv1", pixel_format="bgr0"
    )
    answer = trocar("run", "tool_tracking", clip, "-o", tmp_path / "out", "--pack", detector_pack)
    assert answer.code == 0, answer.err
    lines = lines_of(tmp_path / "out" / "results.jsonl")
    assert len(lines) == len(decoded(tmp_path / "out" / "overlay.mp4")) == FRAME_COUNT
    numbers = set()
    for line in lines:
        outcome: dict[str, Any] = line["outcome"]
        assert outcome["kind"] == "tool_tracks"
        assert line["provenance"]["unit"] == "tool_tracking"
        strong, weak = outcome["detections"]
        assert strong["is_shown"]
        assert not weak["is_shown"]
        numbers |= {track["track_id"] for track in outcome["tracks"]}
    assert numbers == {1}


@pytest.mark.verifies("IFC_UNIT_BUILD", "SRS_TOOL_011", extent="partial", technique="requirement")
@pytest.mark.parametrize("engine", [Engine.ONNXRUNTIME_CPU, Engine.OPENVINO_CPU])
def test_tracking_gets_what_detection_alone_would_give(detector_pack: Path, engine: Engine) -> None:
    """Same pack, same frames: the detections in the tracks are the detector's, bit for bit."""
    request = BackendRequest(engine=engine, thread_count=1, warm_up_count=1)
    alone = open_detection(
        detector_pack, request, frame_age_ms_max=100, trust=trust_of(detector_pack)
    ).unit
    joined = open_tracking(
        detector_pack, request, frame_age_ms_max=100, trust=trust_of(detector_pack)
    ).unit
    for index in range(FRAME_COUNT):
        frame = Frame(
            pixels=_picture(index),
            frame_index=index,
            captured_at_ns=index * 40_000_000,
            source_id="test",
        )
        found = alone.run(frame, now_ns=frame.captured_at_ns)
        tracks = joined.run(frame, now_ns=frame.captured_at_ns)
        assert isinstance(found, ToolDetections)
        assert isinstance(tracks, ToolTracks)
        assert tracks.detections == found
        assert found.frame_size_px == (2 * DETECTOR_WIDTH_PX, 2 * DETECTOR_HEIGHT_PX)


@pytest.mark.verifies(
    "SRS_TOOL_003", "SRS_ERROR_001", extent="partial", technique="fault_injection"
)
@pytest.mark.parametrize("unit", ["tool_detection", "tool_tracking"])
def test_pack_of_another_unit_ends_before_the_first_frame(
    trocar: CommandLine, tmp_path: Path, unit: str
) -> None:
    """A polyp model would mark something on any picture."""
    clip = write_clip(tmp_path / "clip.mkv", _picture, codec="ffv1", pixel_format="bgr0")
    answer = trocar("run", unit, clip, "-o", tmp_path / "out", "--pack", trocar.pack)
    answer.require_clean_error(66, "PACK_INCOMPATIBLE")
    assert not (tmp_path / "out" / "results.jsonl").exists()
