"""An open-loop source: frames from memory at a fixed rate, whether or not anybody is ready."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import (
    BLACK_LEVEL_MAX,
    NS_PER_MS,
    SATURATED_FRACTION_MAX,
)
from trocar.contracts.ports import Clock, StopSignal
from trocar.imaging.quality import measure
from trocar.imaging.resize import RgbResizer
from trocar.streaming.pacing import wait_until
from trocar_lab.latency.manifest import InputIdentity
from trocar_lab.latency.settings import RecordSettings

PICTURE_COUNT: Final = 24
"""Pictures kept in memory and shown in turn."""

_LEAD_MS: Final = 50
_TEXTURE_CELLS: Final = (18, 32)


@dataclass(frozen=True)
class PictureBank:
    """Pictures of the asked size, decoded before the first frame."""

    pictures: tuple[NDArray[np.uint8], ...]
    identity: InputIdentity


def open_bank(clip: Path, settings: RecordSettings) -> PictureBank:
    """Return pictures of a clip where it exists, else of a seeded texture."""
    if clip.is_file():
        pictures = _clip_pictures(clip, settings)
        kind, name = "clip", clip.name
        file_sha256: str | None = hashlib.sha256(clip.read_bytes()).hexdigest()
    else:
        pictures = _texture_pictures(settings)
        kind, name, file_sha256 = "texture", f"texture seed {settings.seed}", None
    total = hashlib.sha256()
    for picture in pictures:
        total.update(picture.tobytes())
    identity = InputIdentity(
        kind=kind,
        name=name,
        file_sha256=file_sha256,
        pictures_sha256=total.hexdigest(),
        picture_count=len(pictures),
    )
    return PictureBank(pictures, identity)


def _clip_pictures(clip: Path, settings: RecordSettings) -> tuple[NDArray[np.uint8], ...]:
    """Return pictures spread over the clip; one that the device would withhold is left out."""
    resizer = RgbResizer(height_px=settings.height_px, width_px=settings.width_px)
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        step = max(1, (stream.frames or PICTURE_COUNT) // PICTURE_COUNT)
        decoded: list[NDArray[np.uint8]] = [
            np.ascontiguousarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
            for number, frame in enumerate(container.decode(video=0))
            if number % step == 0
        ]
    usable = [picture for picture in decoded if _is_usable(picture)][:PICTURE_COUNT]
    if len(usable) < 2:
        return _texture_pictures(settings)
    return tuple(resizer.resize(picture) for picture in usable)


def _is_usable(picture: NDArray[np.uint8]) -> bool:
    """Return whether the device would answer for this picture."""
    quality = measure(picture)
    is_dark = quality.level_mean <= 2.0 * BLACK_LEVEL_MAX
    return not is_dark and quality.saturated_fraction <= 0.5 * SATURATED_FRACTION_MAX


def _texture_pictures(settings: RecordSettings) -> tuple[NDArray[np.uint8], ...]:
    """Return smooth coloured noise that drifts from picture to picture."""
    generator = np.random.default_rng(settings.seed)
    cells = generator.integers(40, 200, (*_TEXTURE_CELLS, 3), dtype=np.uint8)
    resizer = RgbResizer(height_px=settings.height_px, width_px=settings.width_px)
    return tuple(
        resizer.resize(np.ascontiguousarray(np.roll(cells, shift, axis=1)))
        for shift in range(PICTURE_COUNT)
    )


class PacedMemorySource:
    """``ports.FrameSource`` of one stretch; a frame's acquisition is its scheduled time.

    A source that is itself held up still stamps the time at which the frame was due, so that the
    delay counts.

    Args:
        bank: Pictures.
        settings: Rate.
        clock: Time of the device.
        first_index: Index of the first frame.
        frame_count: Frames to send.
    """

    def __init__(
        self,
        bank: PictureBank,
        settings: RecordSettings,
        *,
        clock: Clock,
        first_index: int,
        frame_count: int,
    ) -> None:
        self._pictures = bank.pictures
        self._settings = settings
        self._clock = clock
        self._first_index = first_index
        self._frame_count = frame_count

    @property
    def source_id(self) -> str:
        """Name of the source."""
        return "memory"

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return self._frame_count

    def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield each frame at its time."""
        origin_ns = self._clock.now_ns() + _LEAD_MS * NS_PER_MS
        for count in range(self._frame_count):
            due_ns = origin_ns + self._settings.offset_ns(count)
            if not wait_until(due_ns, clock=self._clock, stop=stop):
                return
            index = self._first_index + count
            yield RawFrame(
                pixels=self._pictures[index % len(self._pictures)],
                frame_index=index,
                captured_at_ns=due_ns,
                media_time_ns=None,
                source_id=self.source_id,
            )

    def close(self) -> None:
        """Hold nothing."""
