"""The open-loop source sends every frame at its time, from pictures that can be named again."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from trocar_lab.latency.settings import RecordSettings
from trocar_lab.latency.source import PICTURE_COUNT, PacedMemorySource, open_bank

pytestmark = pytest.mark.verifies("SRS_LATENCY_001", extent="partial", technique="requirement")

SETTINGS = RecordSettings(fps=10, height_px=96, width_px=128)


class SteppedClock:
    """Clock that jumps to every time that is waited for, and may be late."""

    def __init__(self, late_ns: int = 0) -> None:
        self._now_ns = 1_000
        self._late_ns = late_ns

    def now_ns(self) -> int:
        """Return the time."""
        return self._now_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Jump."""
        self._now_ns = max(self._now_ns, deadline_ns + self._late_ns)


def test_late_source_still_stamps_the_time_that_was_due(tmp_path: Path) -> None:
    """What the source loses is part of the age, else waiting would vanish from the record."""
    bank = open_bank(tmp_path / "none.mp4", SETTINGS)
    clock = SteppedClock(late_ns=250_000_000)
    source = PacedMemorySource(bank, SETTINGS, clock=clock, first_index=5, frame_count=4)
    frames = list(source.frames(lambda: False))
    assert [frame.frame_index for frame in frames] == [5, 6, 7, 8]
    steps = {b.captured_at_ns - a.captured_at_ns for a, b in pairwise(frames)}
    assert steps == {100_000_000}
    assert source.frame_count == 4
    source.close()


def test_stop_ends_the_source(tmp_path: Path) -> None:
    """A stop is seen before the next frame."""
    bank = open_bank(tmp_path / "none.mp4", SETTINGS)
    source = PacedMemorySource(bank, SETTINGS, clock=SteppedClock(), first_index=0, frame_count=4)
    assert not list(source.frames(lambda: True))


def test_texture_is_seeded_and_moves(tmp_path: Path) -> None:
    """The same seed gives the same digest, and neighbours differ."""
    first, again = (open_bank(tmp_path / "none.mp4", SETTINGS) for _ in range(2))
    assert first.identity == again.identity
    assert first.identity.kind == "texture"
    assert len(first.pictures) == PICTURE_COUNT
    assert not np.array_equal(first.pictures[0], first.pictures[1])
    other = open_bank(tmp_path / "none.mp4", RecordSettings(height_px=96, width_px=128, seed=2))
    assert other.identity.pictures_sha256 != first.identity.pictures_sha256


def test_clip_is_named_and_its_black_frames_left_out(tmp_path: Path) -> None:
    """A frame that the device would withhold would cost no computation."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in (0, 80, 120, 160):
            picture = np.full((48, 64, 3), level, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    bank = open_bank(path, SETTINGS)
    assert (bank.identity.kind, bank.identity.name) == ("clip", "clip.mp4")
    assert bank.identity.file_sha256 is not None
    assert [picture.shape for picture in bank.pictures] == [(96, 128, 3)] * 3
