"""Bad input as a user has it, through the command line: a typed end, and intact outputs."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simulators.command_line import CommandLine, lines_of
from simulators.media import (
    QUARTER_TURN,
    cut_clip,
    decoded,
    square,
    write_clip,
    write_empty_clip,
    write_picture,
)
from simulators.source import noise_pixels


def _sized(height_px: int, width_px: int) -> Callable[[int], NDArray[np.uint8]]:
    """Return a maker of noise of one size."""
    return lambda index: noise_pixels(index, height_px=height_px, width_px=width_px)


def _text(path: Path) -> Path:
    path.write_text("this is a letter, not a video\n" * 100, encoding="utf-8")
    return path


def _nothing(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def _zeros(path: Path) -> Path:
    path.write_bytes(bytes(100_000))
    return path


def _playlist(path: Path) -> Path:
    path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://192.0.2.1/a.ts\n", encoding="utf-8")
    return path


def _sound_only(path: Path) -> Path:
    """Write a file that is sound for a player, but holds no picture."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(8000)
        stream.writeframes(bytes(16_000))
    return path


REFUSED: Final[dict[str, tuple[Callable[[Path], Path], int, str]]] = {
    "text.mp4": (_text, 65, "DECODE"),
    "nothing.mp4": (_nothing, 65, "DECODE"),
    "zeros.avi": (_zeros, 65, "DECODE"),
    "list.m3u8": (_playlist, 65, "DECODE"),
    "list.mp4": (_playlist, 65, "DECODE"),
    "sound.mp4": (_sound_only, 65, "DECODE"),
    "no_frames.mp4": (write_empty_clip, 65, "DECODE"),
    "no_frames.mkv": (write_empty_clip, 65, "DECODE"),
    "no_index.mp4": (lambda path: cut_clip(write_clip(path)), 65, "DECODE"),
    "wide.avi": (
        lambda path: write_clip(
            path, _sized(32, 16_384), frame_count=1, codec="mjpeg", pixel_format="yuvj420p"
        ),
        65,
        "DECODE",
    ),
}


@pytest.mark.verifies("SRS_SOURCE_002", "SRS_ERROR_001", extent="full", technique="fault_injection")
@pytest.mark.parametrize("name", REFUSED)
def test_file_that_is_no_video_is_refused(trocar: CommandLine, tmp_path: Path, name: str) -> None:
    """One error with advice, no traceback, and no result that could be taken for one."""
    make, code, error = REFUSED[name]
    answer = trocar.run(make(tmp_path / name), tmp_path / "out")
    answer.require_clean_error(code, error)
    record = tmp_path / "out" / "results.jsonl"
    assert not record.exists() or lines_of(record) == []


@pytest.mark.verifies("SRS_NETWORK_001", extent="partial", technique="fault_injection")
def test_playlist_opens_nothing(trocar: CommandLine, tmp_path: Path) -> None:
    """A list of addresses is not followed, neither to the network nor to another file."""
    clip = write_clip(tmp_path / "clip.mp4")
    concat = tmp_path / "concat.mp4"
    concat.write_text(f"ffconcat version 1.0\nfile '{clip}'\n", encoding="utf-8")
    trocar.run(concat, tmp_path / "out").require_clean_error(65, "DECODE")


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_cut_recording_keeps_what_could_be_read(trocar: CommandLine, tmp_path: Path) -> None:
    """The copy broke off: the run ends with an error, the record with a whole line."""
    clip = write_clip(tmp_path / "cut.mp4", frame_count=40, flags="faststart")
    answer = trocar.run(cut_clip(clip), tmp_path / "out")
    answer.require_clean_error(74, "SOURCE_LOST")
    lines = lines_of(tmp_path / "out" / "results.jsonl")
    findings = [line for line in lines if line["outcome"]["kind"] == "polyp_mask"]
    assert 5 < len(findings) < 40
    assert len(decoded(tmp_path / "out" / "overlay.mp4")) == len(lines)
    summary = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["summary"]
    assert summary["error_code"] == "SOURCE_LOST"
    assert summary["answered_count"] == len(lines)


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fuzz")
@pytest.mark.parametrize("seed", range(6))
def test_damaged_recording_ends_in_a_known_way(
    trocar: CommandLine, tmp_path: Path, seed: int
) -> None:
    """Bytes flipped anywhere: frames withheld, or a typed error; never a traceback, never 70."""
    clip = write_clip(tmp_path / "clip.mp4", frame_count=20)
    data = bytearray(clip.read_bytes())
    generator = np.random.default_rng(seed)
    for position in generator.integers(0, len(data), 5 * (seed + 1)):
        data[position] ^= 1 << int(generator.integers(0, 8))
    clip.write_bytes(bytes(data))
    answer = trocar.run(clip, tmp_path / "out")
    assert answer.code in {0, 3, 65, 74}, answer.err
    assert "Traceback" not in answer.err
    record = tmp_path / "out" / "results.jsonl"
    indices = [line["frame_index"] for line in lines_of(record)] if record.exists() else []
    assert indices == list(range(len(indices)))


UNUSUAL: Final[dict[str, dict[str, Any]]] = {
    "ten_bit.mp4": {"codec": "libx264", "pixel_format": "yuv420p10le"},
    "grey.mkv": {"codec": "ffv1", "pixel_format": "gray"},
    "grey16.mkv": {"codec": "ffv1", "pixel_format": "gray16le"},
    "alpha.mov": {"codec": "png", "pixel_format": "rgba"},
    "variable_rate.mp4": {"times_ms": [0, 40, 45, 200, 210, 600, 601, 602, 1000, 1500, 1501, 1600]},
}


@pytest.mark.verifies("SRS_SOURCE_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_recording_is_answered_frame_by_frame(
    trocar: CommandLine, tmp_path: Path, name: str
) -> None:
    """Ten bit, grey, alpha, variable rate: the square is found on each of the 12 frames."""
    clip = write_clip(tmp_path / name, square, **UNUSUAL[name])
    answer = trocar.run(clip, tmp_path / "out")
    assert answer.code == 0, answer.err
    lines = lines_of(tmp_path / "out" / "results.jsonl")
    assert [line["frame_index"] for line in lines] == list(range(12))
    for line in lines:
        left, top, right, bottom = line["outcome"]["box_xyxy_px"]
        assert (left, top) == (0, 0)
        assert abs(right - 48) <= 3
        assert abs(bottom - 32) <= 3
    expected_ms = UNUSUAL[name].get("times_ms", [40 * index for index in range(12)])
    assert [line["media_time_ms"] for line in lines] == pytest.approx(expected_ms, abs=1)
    assert len(decoded(tmp_path / "out" / "overlay.mp4")) == 12


@pytest.mark.verifies("SRS_SOURCE_001", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_GEOMETRY_001")
def test_turned_recording_is_answered_upright(trocar: CommandLine, tmp_path: Path) -> None:
    """The outline must lie where a player shows the polyp, not where the sensor saw it."""
    clip = write_clip(tmp_path / "turned.mp4", square, matrix=QUARTER_TURN)
    answer = trocar.run(clip, tmp_path / "out")
    assert answer.code == 0, answer.err
    for line in lines_of(tmp_path / "out" / "results.jsonl"):
        outcome = line["outcome"]
        assert (outcome["frame_width_px"], outcome["frame_height_px"]) == (64, 96)
        left, top, right, bottom = outcome["box_xyxy_px"]
        assert (top, right) == (0, 64)
        assert abs(left - 32) <= 3
        assert abs(bottom - 48) <= 3


@pytest.mark.verifies("SRS_STREAM_004", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("height_px", "width_px", "is_answered"),
    [(1, 1, False), (31, 64, False), (64, 31, False), (32, 32, True)],
)
def test_tiny_recording_is_withheld(
    trocar: CommandLine,
    tmp_path: Path,
    *,
    height_px: int,
    width_px: int,
    is_answered: bool,
) -> None:
    """Below 32 pixels a side there is nothing to see: each frame says so in its line."""
    clip = write_clip(
        tmp_path / "clip.mkv", _sized(height_px, width_px), codec="ffv1", pixel_format="bgr0"
    )
    answer = trocar.run(clip, tmp_path / "out")
    assert answer.code == 0, answer.err
    lines = lines_of(tmp_path / "out" / "results.jsonl")
    reasons = {line["outcome"].get("reason") for line in lines}
    assert reasons == {None if is_answered else "frame_size"}
    assert len(lines) == 12


def _still_16_bit_colour(path: Path) -> None:
    Image.fromarray(noise_pixels(0)).save(path)
    data = bytearray(path.read_bytes())
    data[24] = 16
    path.write_bytes(bytes(data))


STILLS: Final[dict[str, Callable[[Path], object]]] = {
    "text.png": _text,
    "nothing.png": _nothing,
    "cut.png": lambda path: cut_clip(write_picture(path)),
    "cut.jpg": lambda path: cut_clip(write_picture(path), share=0.3),
    "wide.png": lambda path: Image.new("L", (8193, 40)).save(path),
    "large.png": lambda path: Image.new("1", (8192, 2049)).save(path),
    "pages.tif": lambda path: Image.new("L", (64, 64)).save(
        path, save_all=True, append_images=[Image.new("L", (64, 64))]
    ),
    "float.tif": lambda path: Image.fromarray(np.ones((64, 64), np.float32)).save(path),
    "wrong_header.png": _still_16_bit_colour,
}


@pytest.mark.verifies("SRS_SOURCE_002", "SRS_SOURCE_003", extent="full", technique="boundary")
@pytest.mark.parametrize("name", STILLS)
def test_bad_still_is_withheld_and_its_neighbours_are_answered(
    trocar: CommandLine, tmp_path: Path, name: str
) -> None:
    """Exit code 3, a line with the problem, no mask of its own, and the masks of all others."""
    folder = tmp_path / "stills"
    folder.mkdir()
    write_picture(folder / "a_good.png")
    write_picture(folder / "z_good.png")
    STILLS[name](folder / name)
    answer = trocar.run(folder, tmp_path / "out")
    assert answer.code == 3, answer.err
    assert "Traceback" not in answer.err
    by_name = {
        line["source_id"]: line["outcome"] for line in lines_of(tmp_path / "out" / "results.jsonl")
    }
    assert by_name[name]["reason"] == "frame_undecodable"
    assert by_name[name]["detail"]
    masks = {path.name for path in (tmp_path / "out" / "masks").iterdir()}
    assert masks == {"a_good.png", "z_good.png"}


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="boundary")
def test_tiny_still_is_withheld_with_its_size(trocar: CommandLine, tmp_path: Path) -> None:
    """It can be decoded, so this is not a partial run; but nothing is said about it."""
    write_picture(tmp_path / "tiny.png", height_px=31, width_px=64)
    answer = trocar.run(tmp_path / "tiny.png", tmp_path / "out")
    assert answer.code == 0
    (line,) = lines_of(tmp_path / "out" / "results.jsonl")
    assert line["outcome"]["reason"] == "frame_size"
    assert "64x31" in line["outcome"]["detail"]
