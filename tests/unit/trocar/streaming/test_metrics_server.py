"""What the server of metrics answers to the head of a request; sockets are tried elsewhere."""

from __future__ import annotations

import pytest

from trocar.streaming.health_state import HealthState
from trocar.streaming.metrics_server import answer_to


def _answer(head: bytes, state: HealthState = HealthState.READY) -> tuple[int, bytes]:
    answer = answer_to(head + b"\r\nHost: x\r\n\r\n", lambda: ("a 1\n", state))
    top, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in top
    assert b"Connection: close" in top
    return int(top.split()[1]), body


@pytest.mark.verifies("SRS_LIVE_013", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_LIVE_006")
@pytest.mark.parametrize(
    ("line", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1", 200, b"a 1\n"),
        (b"GET /metrics HTTP/1.0", 200, b"a 1\n"),
        (b"GET /healthz HTTP/1.1", 200, b"ready\n"),
        (b"GET / HTTP/1.1", 404, b"only /metrics and /healthz\n"),
        (b"GET /metrics?x=1 HTTP/1.1", 404, b"only /metrics and /healthz\n"),
        (b"GET /../etc/passwd HTTP/1.1", 404, b"only /metrics and /healthz\n"),
        (b"POST /metrics HTTP/1.1", 405, b"only GET\n"),
        (b"HEAD /metrics HTTP/1.1", 405, b"only GET\n"),
        (b"GET /metrics", 400, b"not a request of HTTP/1\n"),
        (b"GET /metrics HTTP/2", 400, b"not a request of HTTP/1\n"),
        (b"\xff\x00", 400, b"not a request of HTTP/1\n"),
    ],
)
def test_two_paths_are_served_and_nothing_else(line: bytes, status: int, body: bytes) -> None:
    """Whatever else is asked for is refused without a look at it."""
    assert _answer(line) == (status, body)


@pytest.mark.verifies("SRS_LIVE_013", extent="partial", technique="requirement")
@pytest.mark.parametrize(
    ("state", "status"),
    [
        (HealthState.STARTING, 200),
        (HealthState.READY, 200),
        (HealthState.DEGRADED, 503),
        (HealthState.FAILED, 503),
    ],
)
def test_state_of_health_is_a_status(state: HealthState, status: int) -> None:
    """A watcher that only knows status codes sees a fault."""
    assert _answer(b"GET /healthz HTTP/1.1", state) == (status, f"{state}\n".encode())
