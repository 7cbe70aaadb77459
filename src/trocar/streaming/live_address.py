"""Where a live source is found, and what of it may be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from trocar.contracts.errors import ContractError
from trocar.contracts.limits import FRAME_PIXEL_COUNT_MAX, SOURCE_ID_LENGTH_MAX

__all__ = ["LiveAddress", "RtspTransport", "camera_address", "rtsp_address"]

_PROTOCOLS: Final = "rtsp,rtp,tcp,udp"
_DEVICE: Final = re.compile(r"/dev/[A-Za-z0-9._/-]{1,128}")
_ADVICE_RTSP: Final = "name it as rtsp://HOST:PORT/PATH, or rtsp://USER:PASSWORD@HOST:PORT/PATH"


class RtspTransport(StrEnum):
    """How pictures travel from an RTSP server."""

    TCP = "tcp"
    """Inside the connection: nothing is lost, a bad network delays."""

    UDP = "udp"
    """Beside it: nothing waits, a bad network damages pictures."""


@dataclass(frozen=True, slots=True)
class LiveAddress:
    """What is opened, and how it is called.

    Attributes:
        shown: Name for records, logs and errors: without user, password and query.
        url: What is opened; never shown.
        container_format: Name of the demultiplexer, so that nothing is guessed from data.
        options: Options of the demultiplexer.
    """

    shown: str
    url: str = field(repr=False)
    container_format: str
    options: Mapping[str, str]


# @need-ids: SRS_LIVE_004, SRS_LIVE_005, RCM_LIVE_004, RCM_LIVE_005
def rtsp_address(url: str, *, transport: RtspTransport = RtspTransport.TCP) -> LiveAddress:
    """Return an RTSP address, confined to the protocols of RTSP and without buffers.

    Raises:
        ContractError: Another scheme, no host, a port that is none, or a character that no address
            has. The text names no part of the address but its scheme, because it may hold a
            password.
    """
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > SOURCE_ID_LENGTH_MAX:
        raise ContractError(
            f"expected an RTSP address of at most {SOURCE_ID_LENGTH_MAX} printable ASCII"
            f" characters without blanks, got {len(url)} characters that are not",
            advice=_ADVICE_RTSP,
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise ContractError("expected an RTSP address, got none", advice=_ADVICE_RTSP) from exc
    if parts.scheme != "rtsp" or not host:
        raise ContractError(
            f"expected rtsp:// and a host, got scheme {parts.scheme!r}"
            f" and {'a' if host else 'no'} host",
            advice=_ADVICE_RTSP,
        )
    place = f"[{host}]" if ":" in host else host
    shown = f"rtsp://{place}{'' if port is None else f':{port}'}{parts.path}"
    return LiveAddress(
        shown=shown,
        url=url,
        container_format="rtsp",
        options={
            "rtsp_transport": transport.value,
            "protocol_whitelist": _PROTOCOLS,
            "allowed_media_types": "video",
            "fflags": "nobuffer",
            "max_delay": "0",
            "reorder_queue_size": "0",
            "max_pixels": str(FRAME_PIXEL_COUNT_MAX),
        },
    )


def camera_address(
    device: str, *, size_px: tuple[int, int] | None = None, frame_rate: int | None = None
) -> LiveAddress:
    """Return the address of a video device of Linux (V4L2).

    Args:
        device: Path of the device, under ``/dev``.
        size_px: Width and height to ask the device for [px]; its own choice where None.
        frame_rate: Rate to ask for [1/s]; its own choice where None.

    Raises:
        ContractError: The path is not one of a device, or a number is not above zero.
    """
    if not _DEVICE.fullmatch(device) or ".." in device:
        raise ContractError(
            f"expected a device such as /dev/video0, got {device!r}",
            advice="name the device with its whole path under /dev",
        )
    asked = [*(size_px or ()), *(() if frame_rate is None else (frame_rate,))]
    if any(value <= 0 for value in asked):
        raise ContractError(
            f"expected a size and a rate above zero, got {asked}",
            advice="name a size and a rate that the device offers",
        )
    options = {"fflags": "nobuffer", "max_pixels": str(FRAME_PIXEL_COUNT_MAX)}
    if size_px is not None:
        options["video_size"] = f"{size_px[0]}x{size_px[1]}"
    if frame_rate is not None:
        options["framerate"] = str(frame_rate)
    return LiveAddress(
        shown=device, url=device, container_format="video4linux2,v4l2", options=options
    )
