"""An address opens what it names and nothing else, and what is shown of it holds no secret."""

from __future__ import annotations

import pytest

from trocar.contracts.errors import ContractError
from trocar.contracts.limits import SOURCE_ID_LENGTH_MAX
from trocar.streaming.live_address import RtspTransport, camera_address, rtsp_address


@pytest.mark.verifies("SRS_LIVE_005", extent="full", technique="equivalence")
@pytest.mark.proves_effect(
    "RCM_LIVE_005", measure="characters of user, password or query that are shown", acceptance="0"
)
@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://host/path", "rtsp://host/path"),
        ("rtsp://host:8554/a/b", "rtsp://host:8554/a/b"),
        ("rtsp://user:pa55@host:1/a?token=t0k3n#f", "rtsp://host:1/a"),
        ("rtsp://user:p%40ss@10.0.0.1", "rtsp://10.0.0.1"),
        ("rtsp://user@[::1]:554/x", "rtsp://[::1]:554/x"),
        ("rtsp://a:b@c@host/x", "rtsp://host/x"),
    ],
)
def test_what_is_shown_has_no_user_no_password_and_no_query(url: str, shown: str) -> None:
    """It stands in every record."""
    address = rtsp_address(url)
    assert (address.shown, address.url) == (shown, url)
    assert url == shown or url not in repr(address)


@pytest.mark.verifies("SRS_LIVE_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "url",
    [
        "http://host/x",
        "rtsps://host/x",
        "file:///etc/passwd",
        "concat:rtsp://host/x",
        "host/x",
        "rtsp:///x",
        "rtsp://",
        "rtsp://host:port/s3cret",
        "rtsp://host:70000/s3cret",
        "rtsp://[::1/s3cret",
        "rtsp://u:s3cret@host/ x",
        "rtsp://u:s3cret@host/\nx",
        "rtsp://u:s3cret@h\u00f6st/x",
        "rtsp://host/" + "x" * SOURCE_ID_LENGTH_MAX,
    ],
)
def test_other_schemes_and_broken_addresses_are_refused(url: str) -> None:
    """Before anything is opened; and the refusal repeats no password."""
    with pytest.raises(ContractError, match="expected") as caught:
        rtsp_address(url)
    assert "s3cret" not in caught.value.diagnostics()


@pytest.mark.verifies("SRS_LIVE_004", extent="full", technique="requirement")
@pytest.mark.controls("RCM_LIVE_004")
@pytest.mark.parametrize("transport", list(RtspTransport))
def test_demultiplexer_keeps_no_buffer_and_opens_no_other_protocol(
    transport: RtspTransport,
) -> None:
    """What FFmpeg is told; a real server shows elsewhere that it works."""
    options = rtsp_address("rtsp://host/x", transport=transport).options
    assert options["rtsp_transport"] == transport.value
    assert options["protocol_whitelist"] == "rtsp,rtp,tcp,udp"
    assert options["allowed_media_types"] == "video"
    assert (options["fflags"], options["max_delay"]) == ("nobuffer", "0")
    assert options["reorder_queue_size"] == "0"


@pytest.mark.verifies("SRS_LIVE_002", extent="partial", technique="requirement")
def test_camera_is_asked_for_a_size_and_a_rate() -> None:
    """Nothing is asked for unless the user does."""
    plain = camera_address("/dev/video0")
    assert (plain.shown, plain.url) == ("/dev/video0", "/dev/video0")
    assert {"video_size", "framerate"}.isdisjoint(plain.options)
    asked = camera_address("/dev/v4l/by-id/usb-x", size_px=(1920, 1080), frame_rate=30)
    assert (asked.options["video_size"], asked.options["framerate"]) == ("1920x1080", "30")


@pytest.mark.verifies("SRS_LIVE_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "device",
    ["video0", "/etc/passwd", "/dev/../etc/passwd", "/dev/", "/dev/video 0", "rtsp://host/x", ""],
)
def test_what_is_no_device_is_refused(device: str) -> None:
    """A camera's name must not open a file or an address."""
    with pytest.raises(ContractError, match="expected a device"):
        camera_address(device)


@pytest.mark.verifies("SRS_LIVE_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(("size_px", "frame_rate"), [((0, 1), None), ((1, -1), None), (None, 0)])
def test_size_and_rate_are_above_zero(
    size_px: tuple[int, int] | None, frame_rate: int | None
) -> None:
    """A driver's answer to zero is not known."""
    with pytest.raises(ContractError, match="above zero"):
        camera_address("/dev/video0", size_px=size_px, frame_rate=frame_rate)
