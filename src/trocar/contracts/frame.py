"""One frame of a live stream, before and after the border of the device."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trocar.contracts.base import ArrayOf, Contract
from trocar.contracts.limits import SOURCE_ID_LENGTH_MAX

__all__ = [
    "ColourOrder",
    "CrcVerdict",
    "Frame",
    "FrameIndex",
    "FrameOrigin",
    "MonotonicNs",
    "RawFrame",
    "RgbPixels",
    "SourceId",
]

RgbPixels = Annotated[
    NDArray[np.uint8],
    ArrayOf(axes=("height", "width", "channel"), dtype=np.uint8, sizes={"channel": 3}),
]
"""(H, W, 3) uint8, channels red, green, blue."""

FrameIndex = Annotated[int, Field(ge=0)]
"""Position of a frame in its source, from 0; never reused within a run."""

MonotonicNs = Annotated[int, Field(ge=0)]
"""Nanoseconds of the monotonic clock of this machine."""

SourceId = Annotated[str, Field(min_length=1, max_length=SOURCE_ID_LENGTH_MAX)]
"""Name of a source, as it stands in every record."""


class ColourOrder(StrEnum):
    """Order of the channels of a frame; anything else is converted at the border."""

    RGB = "RGB"


class CrcVerdict(StrEnum):
    """Whether a message arrived as it was sent."""

    VERIFIED = "verified"
    MISMATCH = "mismatch"
    NOT_SENT = "not_sent"
    """The sender left the checksum out: nothing is known."""


class FrameOrigin(Contract):
    """What a message from the network says of the frame in it.

    Attributes:
        device_name: Name of the device that the sender gave.
        sender_wall_ns: Wall-clock time that the sender gave, UTC since 1970 [ns]; None where the
            sender said that it does not know. The sender's clock is not this machine's: the age of
            a result is never computed from it.
        crc: Whether the message arrived as it was sent.
    """

    device_name: str = Field(max_length=SOURCE_ID_LENGTH_MAX)
    sender_wall_ns: Annotated[int, Field(ge=0)] | None
    crc: CrcVerdict


@dataclass(frozen=True, slots=True)
class RawFrame:
    """What a source delivers, unchecked: admission turns it into a ``Frame`` or a ``Withheld``.

    Attributes:
        pixels: Any array; a source makes no promise about it.
        frame_index: Position in the source, from 0.
        captured_at_ns: Monotonic time of acquisition, or of arrival where the source carries none
            [ns].
        media_time_ns: Presentation time inside the recording [ns], or None for a live source
            without one.
        source_id: Name of the source.
        origin: What its message says of it, where it came as one.
    """

    pixels: NDArray[Any]
    frame_index: int
    captured_at_ns: int
    media_time_ns: int | None
    source_id: str
    origin: FrameOrigin | None = None


# @need-ids: SRS_CONTRACT_001
class Frame(Contract):
    """One admitted frame.

    Attributes:
        pixels: (H, W, 3) uint8 RGB [0, 255], C-contiguous, a read-only view on the source's buffer.
        frame_index: Position in the source, from 0.
        captured_at_ns: Monotonic time of acquisition or arrival [ns].
        media_time_ns: Presentation time inside a recording [ns], or None.
        source_id: Name of the source.
        colour_order: Order of the channels.
        origin: What its message says of it, where it came as one.

    Raises:
        pydantic.ValidationError: A field is not as described.
    """

    pixels: RgbPixels
    frame_index: FrameIndex
    captured_at_ns: MonotonicNs
    source_id: SourceId
    media_time_ns: MonotonicNs | None = None
    colour_order: ColourOrder = ColourOrder.RGB
    origin: FrameOrigin | None = None

    @property
    def height_px(self) -> int:
        """Number of rows."""
        return int(self.pixels.shape[0])

    @property
    def width_px(self) -> int:
        """Number of columns."""
        return int(self.pixels.shape[1])
