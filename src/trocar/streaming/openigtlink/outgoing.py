"""What is sent for one record: pictures, points, words, each said to be research only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np

from trocar import RESEARCH_NOTICE
from trocar.contracts.errors import require
from trocar.contracts.findings import (
    BoxXyxyPx,
    PolypMask,
    ToolDetections,
    ToolTracks,
    Track,
    TrackState,
)
from trocar.contracts.limits import IGTL_DETAIL_LENGTH_MAX, NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.record import FrameRecord
from trocar.streaming.jsonl import line_of
from trocar.streaming.openigtlink.geometry import ImageGeometry, mask_geometry, pixel_geometry
from trocar.streaming.openigtlink.header import DEVICE_NAME_BYTES, HeaderVersion
from trocar.streaming.openigtlink.image import ImageMessage, image_from_frame
from trocar.streaming.openigtlink.messages import Message, encode, type_name_of
from trocar.streaming.openigtlink.metadata import NO_METADATA
from trocar.streaming.openigtlink.point import Point, PointMessage, Rgba
from trocar.streaming.openigtlink.status import StatusCode, StatusMessage
from trocar.streaming.openigtlink.text import StringMessage

__all__ = [
    "INSIDE_LEVEL",
    "OUTSIDE_LEVEL",
    "WITHHELD_LEVEL",
    "Composer",
    "Encoded",
    "GeometryOf",
    "Outgoing",
    "Sending",
]

GeometryOf = Callable[[int], ImageGeometry | None]
"""Gives the place of a frame by its index, or None where it is not known."""

OUTSIDE_LEVEL: Final = 0
"""Level of a mask where nothing was found, as in the mask files."""

INSIDE_LEVEL: Final = 255
"""Level of a mask where something was found, as in the mask files."""

WITHHELD_LEVEL: Final = 128
"""All over a mask that stands for a result that was withheld: neither inside nor outside."""

_RESULT, _STATUS, _MASK, _TOOLS, _TRACKS = "Result", "Status", "Mask", "Tools", "Tracks"
_SUFFIX_BYTES_MAX: Final = max(map(len, (_RESULT, _STATUS, _MASK, _TOOLS, _TRACKS, "Notice")))
_NAME_BYTES: Final = 64
_GROUP_BYTES: Final = 32
_ERROR_NAME_BYTES: Final = 20
_SHOWN: Final[Rgba] = (0, 200, 0, 255)
_COASTING: Final[Rgba] = (255, 160, 0, 128)
_WITHHELD: Final[Rgba] = (255, 0, 0, 255)
_STATUS_CODES: Final = {
    Reason.FRAME_CORRUPT: StatusCode.CHECKSUM_ERROR,
    Reason.STALE_FRAME: StatusCode.TIME_OUT,
    Reason.FRAME_FROZEN: StatusCode.TIME_OUT,
}
"""Any other reason is sent as "not ready"; the reason itself stands in the name of the error."""


@dataclass(frozen=True, slots=True)
class Sending:
    """One message and the device under whose name it goes out."""

    device_name: str
    message: Message


@dataclass(frozen=True, slots=True)
class Encoded:
    """One message as bytes."""

    type_name: str
    parts: tuple[memoryview, ...]

    @property
    def size_bytes(self) -> int:
        """Size of header and body."""
        return sum(part.nbytes for part in self.parts)


class Outgoing:
    """Messages that belong together; turned into bytes once a version, by whoever needs it first.

    Args:
        sendings: The messages, in the order in which they go out.
        timestamp_ns: Time that the sender of the frame gave, UTC since 1970 [ns], or None.
        metadata: What goes along where the header has version 2.
        message_id: Number of the messages, in version 2.
    """

    def __init__(
        self,
        sendings: Sequence[Sending],
        *,
        timestamp_ns: int | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        message_id: int = 0,
    ) -> None:
        self.sendings = tuple(sendings)
        self._timestamp_ns = timestamp_ns
        self._metadata = metadata
        self._message_id = message_id
        self._lock = threading.Lock()
        self._encoded: dict[HeaderVersion, tuple[Encoded, ...]] = {}

    def encoded(self, version: HeaderVersion) -> tuple[Encoded, ...]:
        """Return the messages as bytes; any thread may ask."""
        with self._lock:
            if version not in self._encoded:
                self._encoded[version] = tuple(
                    Encoded(type_name_of(each.message), self._parts(each, version))
                    for each in self.sendings
                )
            return self._encoded[version]

    def _parts(self, sending: Sending, version: HeaderVersion) -> tuple[memoryview, ...]:
        """Return one message as bytes."""
        has_metadata = version != 1
        return encode(
            sending.message,
            device_name=sending.device_name,
            timestamp_ns=self._timestamp_ns,
            version=version,
            metadata=self._metadata if has_metadata else NO_METADATA,
            message_id=self._message_id if has_metadata else 0,
        )


# @need-ids: SRS_IGTL_024
class Composer:
    """Turns records into messages; for one thread.

    What a receiver shows stays until it is replaced. Where a unit has sent a mask or points and
    now withholds its result, a grey mask or one point that names the reason replaces them: an old
    result must not stand there as if it were of today, nor an empty one as if nothing was found.

    Args:
        device_prefix: Begin of the names of all devices, at most 14 characters of ASCII.
        geometry_of: Place of a frame; by default a pixel of the frame is 1 mm.
    """

    def __init__(self, *, device_prefix: str, geometry_of: GeometryOf | None = None) -> None:
        require(
            device_prefix.isascii() and len(device_prefix) <= DEVICE_NAME_BYTES - _SUFFIX_BYTES_MAX,
            f"device names that begin with {device_prefix!r} asked for",
        )
        self._prefix = device_prefix
        self._geometry_of = geometry_of
        self._shown: dict[str, tuple[str, ImageMessage | PointMessage]] = {}
        self._count = 0

    # @need-ids: SRS_IGTL_028, RCM_NOTICE_001
    def greeting(self) -> Outgoing:
        """Return what each receiver gets first."""
        return Outgoing([
            Sending(f"{self._prefix}Notice", StringMessage(RESEARCH_NOTICE)),
            Sending(f"{self._prefix}{_STATUS}", StatusMessage(StatusCode.OK, text=RESEARCH_NOTICE)),
        ])

    # @need-ids: RCM_IGTL_011
    def compose(self, record: FrameRecord) -> Outgoing:
        """Return the messages of one record.

        Their time is the one that the sender gave the frame, and 0 (not known) where there is none;
        age and verdict stand in the text and in the metadata.
        """
        outcome = record.outcome
        sendings: list[Sending] = []
        match outcome:
            case Withheld():
                sendings += self._withheld(record, outcome)
            case PolypMask() | ToolDetections() | ToolTracks():
                sendings += self._found(record, outcome)
            case _:
                assert_never(outcome)
        text = StringMessage(line_of(record).rstrip("\n"))
        sendings.append(Sending(f"{self._prefix}{_RESULT}", text))
        self._count += 1
        return Outgoing(
            sendings,
            timestamp_ns=None if record.origin is None else record.origin.sender_wall_ns,
            metadata=_metadata(record),
            message_id=self._count & 0xFFFF_FFFF,
        )

    def _found(
        self, record: FrameRecord, finding: PolypMask | ToolDetections | ToolTracks
    ) -> list[Sending]:
        """Return the messages of a finding; the status of an earlier fault does not stay."""
        unit = record.unit.unit
        status = StatusMessage(
            StatusCode.OK,
            subcode=record.frame_index,
            text=_printable(
                f"{unit}: result for frame {record.frame_index}", IGTL_DETAIL_LENGTH_MAX
            ),
        )
        geometry = self._geometry(record.frame_index, finding.frame_size_px)
        suffix, shown = _picture_of(finding, geometry)
        device_name = f"{self._prefix}{suffix}"
        self._shown[unit] = (device_name, shown)
        return [Sending(f"{self._prefix}{_STATUS}", status), Sending(device_name, shown)]

    # @need-ids: RCM_IGTL_014
    def _withheld(self, record: FrameRecord, outcome: Withheld) -> list[Sending]:
        """Return the status of a withheld result, and what replaces an earlier one."""
        unit = record.unit.unit
        status = StatusMessage(
            code=_STATUS_CODES.get(outcome.reason, StatusCode.NOT_READY),
            subcode=record.frame_index,
            error_name=outcome.reason.value[:_ERROR_NAME_BYTES],
            text=_printable(
                f"{unit}: no result for frame {record.frame_index}: {outcome.detail}",
                IGTL_DETAIL_LENGTH_MAX,
            ),
        )
        found = [Sending(f"{self._prefix}{_STATUS}", status)]
        shown = self._shown.get(unit)
        if shown is not None:
            device_name, message = shown
            found.append(Sending(device_name, _in_place_of(message, outcome.reason)))
        return found

    def _geometry(self, frame_index: int, frame_size_px: tuple[int, int]) -> ImageGeometry:
        """Return the place of a frame."""
        known = None if self._geometry_of is None else self._geometry_of(frame_index)
        return pixel_geometry(frame_size_px) if known is None else known


def _picture_of(
    finding: PolypMask | ToolDetections | ToolTracks, geometry: ImageGeometry
) -> tuple[str, ImageMessage | PointMessage]:
    """Return what a receiver can show of a finding, and the end of its device's name."""
    match finding:
        case PolypMask():
            return _MASK, _mask_image(finding, geometry)
        case ToolDetections():
            return _TOOLS, PointMessage(_detection_points(finding, geometry))
        case ToolTracks():
            return _TRACKS, PointMessage(_track_points(finding, geometry))
        case _:
            assert_never(finding)


def _mask_image(finding: PolypMask, geometry: ImageGeometry) -> ImageMessage:
    """Return a mask at the network's resolution, lying where its frame lies."""
    pixels = finding.mask.pixels
    levels = np.where(pixels, np.uint8(INSIDE_LEVEL), np.uint8(OUTSIDE_LEVEL))
    height, width = pixels.shape
    place = mask_geometry(
        geometry, frame_size_px=finding.frame_size_px, mask_size_px=(width, height)
    )
    return image_from_frame(levels, place)


def _detection_points(finding: ToolDetections, geometry: ImageGeometry) -> tuple[Point, ...]:
    """Return one point in the middle of each box that is strong enough to be shown."""
    return tuple(
        _box_point(
            item.box_xyxy_px,
            name=f"{item.label} {item.score:.2f}",
            group=item.label,
            rgba=_SHOWN,
            geometry=geometry,
            size_px=finding.frame_size_px,
        )
        for item in finding.detections
        if item.score >= finding.score_shown_min
    )


def _track_points(finding: ToolTracks, geometry: ImageGeometry) -> tuple[Point, ...]:
    """Return one point in the middle of each track's box; a guessed place has another colour."""
    return tuple(
        _box_point(
            item.box_xyxy_px,
            name=f"{item.label} #{item.track_id}{_state_of(item)}",
            group=item.state.value,
            rgba=_COASTING if item.state is TrackState.COASTING else _SHOWN,
            geometry=geometry,
            size_px=finding.frame_size_px,
        )
        for item in finding.tracks
    )


def _state_of(track: Track) -> str:
    """Return what a name adds for a track that is not seen or not sure."""
    return "" if track.state is TrackState.CONFIRMED else f" ({track.state.value})"


def _box_point(
    box: BoxXyxyPx,
    *,
    name: str,
    group: str,
    rgba: Rgba,
    geometry: ImageGeometry,
    size_px: tuple[int, int],
) -> Point:
    """Return the middle of a box, with its longer side as diameter."""
    left, top, right, bottom = box
    # Boxes have edges, and indices are centres of pixels: half a pixel lies between them.
    middle = ((left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5, 0.0)
    sides_mm = (
        (right - left) * _length(geometry.axis_i),
        (bottom - top) * _length(geometry.axis_j),
    )
    return Point(
        name=_printable(name, _NAME_BYTES),
        group=_printable(group, _GROUP_BYTES),
        rgba=rgba,
        position=geometry.position_mm(middle, (*size_px, 1)),
        diameter_mm=max(sides_mm),
    )


def _in_place_of(
    message: ImageMessage | PointMessage, reason: Reason
) -> ImageMessage | PointMessage:
    """Return what replaces a result that is no longer of today."""
    if isinstance(message, PointMessage):
        point = Point(
            name=_printable(f"WITHHELD: {reason.value}", _NAME_BYTES),
            group="withheld",
            rgba=_WITHHELD,
            position=message.points[0].position if message.points else (0.0, 0.0, 0.0),
        )
        return PointMessage((point,))
    levels = np.full(message.pixels.shape[1:3], WITHHELD_LEVEL, dtype=np.uint8)
    return image_from_frame(levels, message.geometry)


def _metadata(record: FrameRecord) -> Mapping[str, str]:
    """Return what goes along with each message of version 2."""
    origin = record.origin
    sender_ns = None if origin is None else origin.sender_wall_ns
    return {
        "Notice": RESEARCH_NOTICE,
        "FrameIndex": str(record.frame_index),
        "SourceId": record.source_id,
        "SourceDevice": "" if origin is None else origin.device_name,
        "SenderTimeNs": "unknown" if sender_ns is None else str(sender_ns),
        "Crc": "none" if origin is None else origin.crc.value,
        "AgeSinceArrivalMs": f"{record.times.age_ns / NS_PER_MS:.3f}",
        "Verdict": record.verdict.value,
        "Unit": f"{record.unit.unit} {record.unit.unit_version}",
        "Pack": record.unit.pack_id,
        "PackSha256": record.unit.pack_digest,
    }


def _printable(text: str, length_max: int) -> str:
    """Return a text as printable ASCII of a bounded length."""
    data = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if c.isprintable() else "?" for c in data)[:length_max]


def _length(vector: tuple[float, float, float]) -> float:
    """Return the length of a vector [mm]."""
    return float(np.linalg.norm(vector))
