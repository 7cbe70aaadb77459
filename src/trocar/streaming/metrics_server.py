"""Metrics and state of health over HTTP, on the loopback address only."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Final

import structlog

from trocar.contracts.errors import SinkError
from trocar.contracts.limits import (
    METRICS_CLIENT_COUNT_MAX,
    METRICS_REQUEST_BYTES_MAX,
    METRICS_WAIT_MS_MAX,
    NS_PER_MS,
    NS_PER_S,
    THREAD_JOIN_MS_MAX,
)
from trocar.streaming.health_state import HealthState
from trocar.streaming.metrics import CONTENT_TYPE

__all__ = ["Look", "MetricsServer", "answer_to"]

_LOOPBACK: Final = "127.0.0.1"
_END: Final = b"\r\n\r\n"
_WAIT_S: Final = METRICS_WAIT_MS_MAX * NS_PER_MS / NS_PER_S
_POLL_S: Final = 0.1
_PLAIN: Final = "text/plain; charset=utf-8"


class _Status(Enum):
    """The answers there are: code and words of HTTP."""

    OK = "200 OK"
    BAD_REQUEST = "400 Bad Request"
    NOT_FOUND = "404 Not Found"
    METHOD_NOT_ALLOWED = "405 Method Not Allowed"
    SERVICE_UNAVAILABLE = "503 Service Unavailable"


Look = Callable[[], tuple[str, HealthState]]
"""Returns the text of the metrics and the state of health."""


# @need-ids: SRS_LIVE_013, RCM_LIVE_006
class MetricsServer:
    """``GET /metrics`` and ``GET /healthz`` on 127.0.0.1; everything else is refused.

    ``/healthz`` says the state, with status 200 while starting or ready and 503 otherwise.

    Args:
        port: Port; 0 takes a free one.
        look: Asked at each request, in a thread of the server.

    Raises:
        SinkError: The port cannot be taken.
    """

    def __init__(self, port: int, *, look: Look) -> None:
        try:
            self._server = _Server(port, look)
        except (OSError, OverflowError) as exc:
            raise SinkError(
                f"expected a free port for metrics, got {port}: {exc}",
                advice="name another one with --metrics-port",
            ) from exc
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": _POLL_S},
            name="trocar-metrics",
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening; may be called twice. Requests at work end by themselves within 2 s."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(THREAD_JOIN_MS_MAX * NS_PER_MS / NS_PER_S)


class _Server(socketserver.ThreadingTCPServer):
    """One thread a request, at most ``METRICS_CLIENT_COUNT_MAX`` of them."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = METRICS_CLIENT_COUNT_MAX

    def __init__(self, port: int, look: Look) -> None:
        self.look = look
        self._places = threading.Semaphore(METRICS_CLIENT_COUNT_MAX)
        super().__init__((_LOOPBACK, port), _Handler)

    def verify_request(self, request: object, client_address: object) -> bool:
        """Take a place; one more than there are is closed at once."""
        del request, client_address
        return self._places.acquire(blocking=False)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Serve one request and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log a request that broke off; the client's address is of no interest."""
        del request, client_address
        structlog.get_logger().info("metrics_request_broken_off")


class _Handler(socketserver.BaseRequestHandler):
    """One request: read its head within the limits, answer, close."""

    server: _Server
    request: socket.socket

    def handle(self) -> None:
        """Answer one request; a client that is too slow or too long gets no answer."""
        due_s = time.monotonic() + _WAIT_S
        head = b""
        while _END not in head:
            left_s = due_s - time.monotonic()
            if left_s <= 0 or len(head) >= METRICS_REQUEST_BYTES_MAX:
                return
            self.request.settimeout(left_s)
            part = self.request.recv(METRICS_REQUEST_BYTES_MAX - len(head))
            if not part:
                return
            head += part
        self.request.settimeout(max(_POLL_S, due_s - time.monotonic()))
        self.request.sendall(answer_to(head, self.server.look))


def answer_to(head: bytes, look: Look) -> bytes:
    """Return the whole answer to the head of one request.

    Args:
        head: Request line and headers; only the line is looked at.
        look: Asked for the metrics and the state of health.
    """
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return _answer(_Status.BAD_REQUEST, "not a request of HTTP/1\n", _PLAIN)
    if words[0] != b"GET":
        return _answer(_Status.METHOD_NOT_ALLOWED, "only GET\n", _PLAIN, "Allow: GET\r\n")
    if words[1] == b"/metrics":
        return _answer(_Status.OK, look()[0], CONTENT_TYPE)
    if words[1] == b"/healthz":
        state = look()[1]
        is_well = state in {HealthState.STARTING, HealthState.READY}
        status = _Status.OK if is_well else _Status.SERVICE_UNAVAILABLE
        return _answer(status, f"{state.value}\n", _PLAIN)
    return _answer(_Status.NOT_FOUND, "only /metrics and /healthz\n", _PLAIN)


def _answer(status: _Status, text: str, content_type: str, extra: str = "") -> bytes:
    """Return status line, headers and body; the connection ends with it."""
    body = text.encode("utf-8")
    head = (
        f"HTTP/1.1 {status.value}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"{extra}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
