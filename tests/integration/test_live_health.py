"""Health of a real run with real threads: metrics over a socket, a service manager, a slow sink."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from simulators.clock import FakeClock
from simulators.scripted_run import START_NS, timed_frames
from simulators.sink import RecordingSink
from simulators.source import ListSource
from simulators.unit import ScriptedUnit
from trocar.contracts.errors import SinkError
from trocar.contracts.limits import (
    METRICS_CLIENT_COUNT_MAX,
    METRICS_REQUEST_BYTES_MAX,
    NS_PER_MS,
    PART_BUSY_MS_MAX,
)
from trocar.streaming import metrics_server, monitor
from trocar.streaming.health_state import HealthChange, HealthState
from trocar.streaming.metrics_server import MetricsServer
from trocar.streaming.monitor import MonitorConfig
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.sink_queue import QueuedSink, QueuePolicy
from trocar.streaming.summary import StreamConfig

WAIT_S = 20.0
TEXT = "trocar_frames_received_total 1\n"


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    """A server on a free port."""
    with closing(MetricsServer(0, look=lambda: (TEXT, HealthState.READY))) as opened:
        yield opened


def _get(port: int, path: str) -> tuple[int, str]:
    """Return status and text of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def _until(is_true: Callable[[], bool]) -> None:
    """Wait until something that another thread does is done, or fail."""
    due_s = time.monotonic() + WAIT_S
    while not is_true():
        assert time.monotonic() < due_s
        time.sleep(0.005)


@pytest.mark.verifies("SRS_LIVE_013", extent="partial", technique="requirement")
def test_collector_reads_metrics_on_loopback(server: MetricsServer) -> None:
    """A client of HTTP that knows nothing of Trocar; and the port is on no other address."""
    assert _get(server.port, "/metrics") == (200, TEXT)
    assert _get(server.port, "/healthz") == (200, "ready\n")
    with pytest.raises(SinkError, match="expected a free port"):
        MetricsServer(server.port, look=lambda: (TEXT, HealthState.READY))
    with pytest.raises(ConnectionRefusedError), socket.socket() as plug:
        plug.connect(("127.0.0.2", server.port))


@pytest.mark.verifies("SRS_LIVE_013", extent="partial", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_LIVE_006",
    measure="clients that are served beyond time, size or number",
    acceptance="0, and the next one is served",
)
def test_bad_clients_are_left_and_the_next_one_is_served(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silent, endless, broken off, and too many at a time."""
    monkeypatch.setattr(metrics_server, "_WAIT_S", 0.3)
    place = ("127.0.0.1", server.port)
    with socket.create_connection(place) as silent:
        silent.settimeout(WAIT_S)
        assert silent.recv(1) == b""
    with socket.create_connection(place) as endless:
        endless.settimeout(WAIT_S)
        endless.sendall(b"x" * METRICS_REQUEST_BYTES_MAX)
        assert endless.recv(1) == b""
    with socket.create_connection(place) as half:
        half.sendall(b"GET /metrics HTT")
    held = [socket.create_connection(place) for _ in range(METRICS_CLIENT_COUNT_MAX)]
    _until(lambda: server._server._places._value == 0)
    with socket.create_connection(place) as surplus:
        surplus.settimeout(WAIT_S)
        assert surplus.recv(1) == b""
    for plug in held:
        plug.close()
    _until(lambda: server._server._places._value == METRICS_CLIENT_COUNT_MAX)
    assert _get(server.port, "/metrics") == (200, TEXT)


@pytest.mark.verifies("SRS_LIVE_010", extent="partial", technique="requirement")
@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="requirement")
def test_run_tells_its_health_to_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run, asked over HTTP while it goes on, with a service manager and a file of metrics."""
    monkeypatch.setattr(monitor, "WATCHDOG_PERIOD_MS_MAX", 10)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(WAIT_S)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    answers: list[tuple[int, str]] = []
    notices: list[str] = []

    def ask() -> None:
        while "WATCHDOG=1" not in notices or "READY=1" not in notices:
            notices.append(manager.recv(4096).decode())
        answers.append(_get(port, "/healthz"))

    frames = timed_frames(2)
    told: list[HealthChange] = []
    run_stream(
        ListSource([frames[0], ask, frames[1]]),
        [ScriptedUnit()],
        [],
        clock=FakeClock(START_NS + 1000),
        config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
        stop=lambda: False,
        monitor=MonitorConfig(
            on_change=told.append,
            metrics_path=tmp_path / "trocar.prom",
            metrics_port=port,
            notify_address=str(tmp_path / "notify"),
        ),
    )
    with manager:
        while "STOPPING=1" not in notices:
            notices.append(manager.recv(4096).decode())
    assert answers == [(200, "ready\n")]
    assert [change.state for change in told] == [HealthState.READY]
    assert "STATUS=ready" in notices
    assert "trocar_frames_answered_total 2" in (tmp_path / "trocar.prom").read_text()
    with pytest.raises(ConnectionRefusedError):
        _get(port, "/metrics")


@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="fault_injection")
def test_queued_sink_that_hangs_is_seen_while_it_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on, and the state says that an output does not."""
    monkeypatch.setattr(monitor, "WATCHDOG_PERIOD_MS_MAX", 5)
    gate, seen = threading.Event(), threading.Event()
    clock = FakeClock(START_NS + 1000)
    slow = RecordingSink(gate=gate)
    queued = QueuedSink(slow, policy=QueuePolicy.DROP_OLDEST, clock=clock)

    def on_change(change: HealthChange) -> None:
        if "sink_stalled" in change.reasons:
            seen.set()

    def hang() -> None:
        slow.began.wait(WAIT_S)
        clock.advance_ns((PART_BUSY_MS_MAX + 1) * NS_PER_MS)
        assert seen.wait(WAIT_S)
        gate.set()

    frames = timed_frames(2)
    summary = run_stream(
        ListSource([frames[0], hang, frames[1]]),
        [ScriptedUnit()],
        [queued],
        clock=clock,
        config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE),
        stop=lambda: False,
        monitor=MonitorConfig(on_change=on_change),
    )
    assert len(slow.records) == 2
    assert any("sink_stalled" in change.reasons for change in summary.health_changes)
