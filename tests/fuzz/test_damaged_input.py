"""Damaged packs, videos and pictures: a typed error or a sound result, never anything else.

``TROCAR_FUZZ_CASES`` sets the number of cases of each kind; the default keeps verification short.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import pytest
from PIL import Image

from simulators.packs import write_detector_pack, write_tiny_pack
from simulators.trust import sign_and_trust, trust_of
from trocar.contracts.errors import PackError, SourceError
from trocar.packs.verify import verify_pack
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.image_files import read_image
from trocar.streaming.pacing import Pacing
from trocar.streaming.video_file import VideoFileSource
from trocar.units.tool_detection.contract import ToolDetectionConfig

CASE_COUNT: Final = int(os.environ.get("TROCAR_FUZZ_CASES", "150"))


def _damage(data: bytes, generator: np.random.Generator) -> bytes:
    """Flip, cut, insert or repeat bytes at random places."""
    changed = bytearray(data)
    for _ in range(int(generator.integers(1, 6))):
        place = int(generator.integers(0, max(1, len(changed))))
        match int(generator.integers(0, 4)):
            case 0 if changed:
                changed[place] ^= int(generator.integers(1, 256))
            case 1:
                del changed[place : place + int(generator.integers(1, 400))]
            case 2:
                changed[place:place] = generator.bytes(int(generator.integers(1, 40)))
            case _:
                changed[place:place] = changed[place : place + int(generator.integers(1, 200))]
    return bytes(changed)


@pytest.mark.verifies("SRS_PACK_001", extent="partial", technique="fault_injection")
def test_damaged_pack_is_refused_or_unchanged(tmp_path: Path) -> None:
    """No alteration of any file is accepted unless it gives back the very same bytes."""
    sound = write_tiny_pack(tmp_path / "pack")
    generator = np.random.default_rng(11)
    names = [*sound.content, "manifest.json", "model.sig"]
    refused_count = 0
    for _ in range(CASE_COUNT):
        name = names[int(generator.integers(0, len(names)))]
        path = tmp_path / "pack" / name
        original = path.read_bytes()
        path.write_bytes(_damage(original, generator))
        try:
            found = verify_pack(tmp_path / "pack", trust_of(tmp_path / "pack"))
        except PackError:
            refused_count += 1
        else:
            assert found.content == sound.content
            assert found.manifest == sound.manifest
        path.write_bytes(original)
    assert refused_count > 0.9 * CASE_COUNT


def _altered(value: object, generator: np.random.Generator) -> object:
    """Return a value of JSON with one part of it replaced by something else that JSON can hold."""
    others: list[object] = [None, True, -1, 0, 3, 2**70, 1.5, "", "x" * 5000, [], {}, ["hook"]]
    if isinstance(value, dict | list) and value and generator.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = keys[int(generator.integers(0, len(keys)))]
        changed: Any = dict(value) if isinstance(value, dict) else list(value)
        match int(generator.integers(0, 6)):
            case 0:
                del changed[key]
            case 1 if isinstance(changed, dict):
                changed[f"{key}_more"] = changed[key]
            case 2 if isinstance(changed, list):
                changed.append(changed[key])
            case _:
                changed[key] = _altered(changed[key], generator)
        return changed
    return others[int(generator.integers(0, len(others)))]


@pytest.mark.verifies("SRS_PACK_002", "SRS_TOOL_003", extent="partial", technique="fuzz")
def test_altered_manifest_of_a_detector_is_refused_or_still_means_a_detector(
    tmp_path: Path,
) -> None:
    """A maker signs what a maker wrote: valid JSON of any other content, signed and approved.

    What is accepted must still fit the unit in each tensor, class and limit, or be refused there.
    """
    write_detector_pack(tmp_path / "pack")
    path = tmp_path / "pack" / "manifest.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    generator = np.random.default_rng(14)
    refused_count = 0
    for _ in range(2 * CASE_COUNT):
        path.write_text(json.dumps(_altered(facts, generator)), encoding="utf-8")
        sign_and_trust(tmp_path / "pack")
        try:
            manifest = verify_pack(tmp_path / "pack", trust_of(tmp_path / "pack")).manifest
            config = ToolDetectionConfig.from_manifest(manifest, frame_age_ms_max=100)
        except PackError as exc:
            refused_count += 1
            if not exc.advice:
                raise
        else:
            assert config.labels == manifest.labels
            assert manifest.output.shape == (1, len(config.labels) + 4, 8, 12)
            assert 0.05 <= config.score_shown_min <= 0.95
    assert refused_count > CASE_COUNT


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_damaged_video_ends_in_frames_or_a_typed_error(tmp_path: Path) -> None:
    """No foreign exception, no hang, and never more frames than the limits allow."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        for level in range(12):
            pixels = np.full((64, 64, 3), level * 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    original = path.read_bytes()
    generator = np.random.default_rng(12)
    advices: list[str] = []
    for _ in range(CASE_COUNT):
        path.write_bytes(_damage(original, generator))
        try:
            source = VideoFileSource(
                path, pacing=Pacing.AS_FAST_AS_POSSIBLE, clock=MonotonicClock()
            )
        except SourceError:
            continue
        try:
            indices = [raw.frame_index for raw in source.frames(lambda: False)]
            assert indices == sorted(set(indices))
        except SourceError as exc:
            advices.append(exc.advice)
        finally:
            source.close()
    assert all(advices)


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
def test_damaged_picture_is_read_or_refused(tmp_path: Path, suffix: str) -> None:
    """Each kind of file that is accepted, damaged anywhere."""
    path = tmp_path / f"picture.{suffix}"
    generator = np.random.default_rng(13)
    Image.fromarray(generator.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(path)
    original = path.read_bytes()
    advices: list[str] = []
    for _ in range(CASE_COUNT // 3):
        path.write_bytes(_damage(original, generator))
        try:
            pixels = read_image(path)
        except SourceError as exc:
            advices.append(exc.advice)
        else:
            assert pixels.dtype == np.uint8
            assert pixels.shape[2] == 3
    assert all(advices)
