"""Damaged packs, videos and pictures: a typed error or a sound result, never anything else.

``TROCAR_FUZZ_CASES`` sets the number of cases of each kind; the default keeps verification short.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import av
import numpy as np
import pytest
from PIL import Image

from simulators.packs import write_tiny_pack
from trocar.contracts.errors import PackError, SourceError
from trocar.packs.verify import verify_pack
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.image_files import read_image
from trocar.streaming.pacing import Pacing
from trocar.streaming.video_file import VideoFileSource

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
    names = [*sound.content, "manifest.json"]
    refused_count = 0
    for _ in range(CASE_COUNT):
        name = names[int(generator.integers(0, len(names)))]
        path = tmp_path / "pack" / name
        original = path.read_bytes()
        path.write_bytes(_damage(original, generator))
        try:
            found = verify_pack(tmp_path / "pack")
        except PackError:
            refused_count += 1
        else:
            assert found.content == sound.content
            assert found.manifest == sound.manifest
        path.write_bytes(original)
    assert refused_count > 0.9 * CASE_COUNT


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
