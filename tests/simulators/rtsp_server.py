"""A real RTSP server on the loopback address, run by the Python of the system: GstRtspServer."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import TracebackType
from typing import Final, Self

__all__ = ["RTSP_MISSING", "RtspServer"]

_PYTHON: Final = "/usr/bin/python3"
_IMPORTS: Final = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
"""
_CHECK: Final = (
    _IMPORTS
    + """
names = ("videotestsrc", "x264enc", "rtph264pay")
missing = [name for name in names if Gst.ElementFactory.find(name) is None]
if missing:
    raise SystemExit(f"elements {missing} are missing")
"""
)
_SERVE: Final = (
    _IMPORTS
    + """
import sys
port, width, height, users = sys.argv[1:5]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( videotestsrc is-live=true pattern=ball "
    f"! video/x-raw,width={width},height={height},framerate=25/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=5 "
    "! rtph264pay name=pay0 pt=96 config-interval=1 )"
)
factory.set_shared(True)
if users:
    user, word = users.split(":")
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, word), token)
    server.set_auth(auth)
    factory.add_role_from_structure(
        Gst.Structure.new_from_string(
            "user, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
        )
    )
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""
)
_WAIT_S: Final = 30.0


def _missing() -> str:
    """Return why there is no such server on this machine, or nothing."""
    if not sys.platform.startswith("linux"):
        return "the RTSP server of the tests needs Linux"
    try:
        done = subprocess.run(
            [_PYTHON, "-c", _CHECK], capture_output=True, text=True, timeout=_WAIT_S, check=False
        )
    except OSError as exc:
        return f"no system Python at {_PYTHON}: {exc}"
    return "" if done.returncode == 0 else f"GstRtspServer is not installed: {done.stderr[-200:]}"


RTSP_MISSING: Final = _missing()
"""Why tests with a real RTSP server cannot run here; empty where they can."""


class RtspServer:
    """A moving ball in H.264, 25 pictures a second, at ``rtsp://127.0.0.1:PORT/live``.

    Args:
        port: Port; 0 takes a free one.
        size_px: Width and height of the picture.
        user: Name and password, joined by a colon, that the server asks for; empty for none.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        size_px: tuple[int, int] = (320, 240),
        user: str = "",
    ) -> None:
        arguments = [str(port), str(size_px[0]), str(size_px[1]), user]
        self._process = subprocess.Popen(
            [_PYTHON, "-c", _SERVE, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        output = self._process.stdout
        self.port = int(output.readline()) if output is not None else 0

    @property
    def url(self) -> str:
        """Address of the stream."""
        return f"rtsp://127.0.0.1:{self.port}/live"

    def suspend(self) -> None:
        """Stand still with open connections, as a server that hangs does."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Die at once; may be called twice."""
        self._process.kill()
        self._process.wait(_WAIT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Die."""
        self.close()
