"""A real RTSP server on loopback: pictures, restart, standstill, end, password, another size."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise

import pytest
import structlog

from simulators.rtsp_server import RTSP_MISSING, RtspServer
from simulators.sink import RecordingSink
from simulators.unit import ScriptedUnit
from trocar.contracts.errors import SourceLostError
from trocar.contracts.limits import LINK_GIVE_UP_MS_DEFAULT, LINK_RETRY_MS_MAX, NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.record import FrameRecord
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.health_state import HealthState
from trocar.streaming.ledger import DropLedger
from trocar.streaming.live_address import RtspTransport, rtsp_address
from trocar.streaming.live_video import LiveVideoSource
from trocar.streaming.monitor import MonitorConfig
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import EndedBecause, StreamConfig, StreamSummary

pytestmark = pytest.mark.skipif(bool(RTSP_MISSING), reason=RTSP_MISSING or "there is a server")

WAIT_S = 60.0


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Servers that die with the test."""
    with ExitStack() as stack:
        yield stack


class LiveRun:
    """One run in real time in a thread of its own, ended by ``finish``."""

    def __init__(self, source: LiveVideoSource) -> None:
        self.sink = RecordingSink()
        self.ledger = DropLedger()
        self.summary: StreamSummary | None = None
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._news = threading.Condition()
        self._source = source
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.summary = run_stream(
                self._source,
                [ScriptedUnit()],
                [self.sink],
                clock=MonotonicClock(),
                config=StreamConfig(pacing=Pacing.REALTIME, deadline_ms=1000),
                stop=self._stop.is_set,
                progress=lambda *_: self._tell(),
                ledger=self.ledger,
                monitor=MonitorConfig(on_change=lambda _: self._tell()),
            )
        except SourceLostError as exc:
            self.error = exc
        self._tell()

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()

    def wait(self, is_there: Callable[[list[FrameRecord]], bool]) -> None:
        """Wait until the records fulfil a condition, or fail."""
        with self._news:
            assert self._news.wait_for(lambda: is_there(self.sink.records), timeout=WAIT_S)

    def finish(self) -> StreamSummary:
        """Stop and return the account."""
        self._stop.set()
        self._thread.join(WAIT_S)
        assert self.summary is not None, self.error
        return self.summary

    def failure(self) -> SourceLostError:
        """Wait for the end by an error."""
        self._thread.join(WAIT_S)
        assert isinstance(self.error, SourceLostError)
        return self.error


def _source(
    url: str,
    *,
    transport: RtspTransport = RtspTransport.TCP,
    give_up_ms: int = LINK_GIVE_UP_MS_DEFAULT,
) -> LiveVideoSource:
    """Return a source with the limits of time that users get."""
    return LiveVideoSource(
        rtsp_address(url, transport=transport), clock=MonotonicClock(), give_up_ms=give_up_ms
    )


@pytest.mark.verifies("SRS_LIVE_002", extent="partial", technique="requirement")
@pytest.mark.verifies("SRS_LIVE_004", extent="partial", technique="requirement")
@pytest.mark.parametrize("transport", list(RtspTransport))
def test_pictures_of_a_real_server_are_answered(
    servers: ExitStack, transport: RtspTransport
) -> None:
    """From the network to the record: times go forward, ages are those of a live picture."""
    server = servers.enter_context(RtspServer())
    run = LiveRun(_source(server.url, transport=transport))
    run.wait(lambda records: len(records) >= 20)
    summary = run.finish()
    records = run.sink.records
    media_ms = [(record.media_time_ns or 0) / NS_PER_MS for record in records]
    assert media_ms[0] == 0.0
    assert all(late > early for early, late in pairwise(media_ms))
    indices = [record.frame_index for record in records]
    dropped = [row.frame_index for row in run.ledger.dropped_frames()]
    assert sorted(indices + dropped) == list(range(summary.received_count))
    assert all(not isinstance(record.outcome, Withheld) for record in records)
    assert summary.health_changes[1].state is HealthState.READY


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_LIVE_002")
def test_server_that_dies_and_returns_is_found_again(servers: ExitStack) -> None:
    """Indices and media times go on; the loss is in the log and in the state of health."""
    server = servers.enter_context(RtspServer())
    with structlog.testing.capture_logs() as logged:
        run = LiveRun(_source(server.url))
        run.wait(lambda records: len(records) >= 5)
        server.close()
        run.wait(lambda _: any(line["event"] == "source_lost" for line in logged))
        count = len(run.sink.records)
        servers.enter_context(RtspServer(port=server.port))
        run.wait(lambda records: len(records) >= count + 5)
        summary = run.finish()
    indices = [record.frame_index for record in run.sink.records]
    assert indices == sorted(set(indices))
    assert not {Reason.FRAME_OUT_OF_ORDER} & summary.withheld_counts.keys()
    (again,) = (line for line in logged if line.get("reconnect_count") == 1)
    assert again["event"] == "source_connected"


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_LIVE_002",
    measure="runs that stay ready or stand still without a word while the server hangs",
    acceptance="0",
)
def test_server_that_stands_still_with_an_open_connection_is_a_loss(servers: ExitStack) -> None:
    """A half-open connection gives no error of its own; the limit of time does."""
    server = servers.enter_context(RtspServer())
    with structlog.testing.capture_logs() as logged:
        run = LiveRun(_source(server.url, give_up_ms=LINK_RETRY_MS_MAX))
        run.wait(lambda records: len(records) >= 5)
        server.suspend()
        error = run.failure()
    server.resume()
    assert error.code == "SOURCE_LOST"
    assert "got none for" in error.problem
    states = [line["state"] for line in logged if line["event"] == "health"]
    assert states[0] == "ready"
    assert states[-1] == "failed"
    assert [line["event"] for line in logged].count("source_lost") == 1


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="fault_injection")
def test_stream_that_ends_for_good_is_given_up(servers: ExitStack) -> None:
    """A live stream has no end of its own: what stops coming is lost."""
    server = servers.enter_context(RtspServer())
    run = LiveRun(_source(server.url, give_up_ms=300))
    run.wait(lambda records: len(records) >= 1)
    server.close()
    assert run.failure().code == "SOURCE_LOST"


@pytest.mark.verifies("SRS_LIVE_002", extent="partial", technique="fault_injection")
def test_server_that_comes_back_with_another_size_is_withheld(servers: ExitStack) -> None:
    """What answers at the address after a loss may be another device."""
    server = servers.enter_context(RtspServer())
    run = LiveRun(_source(server.url))
    run.wait(lambda records: len(records) >= 3)
    server.close()
    servers.enter_context(RtspServer(port=server.port, size_px=(640, 480)))
    # The last bytes of the old stream may be withheld as undecodable before the new one is seen.
    run.wait(lambda records: _reasons(records) >= {Reason.FRAME_SIZE_CHANGED})
    summary = run.finish()
    assert Reason.FRAME_SIZE_CHANGED in summary.withheld_counts


def _reasons(records: Sequence[FrameRecord]) -> set[Reason]:
    """Return why frames were withheld so far."""
    return {one.outcome.reason for one in records if isinstance(one.outcome, Withheld)}


@pytest.mark.verifies("SRS_LIVE_005", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_LIVE_005")
def test_password_opens_the_stream_and_is_told_nobody(
    servers: ExitStack, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither record, nor log, nor error, nor what native code prints may hold it."""
    server = servers.enter_context(RtspServer(user="viewer:s3cr3tword"))
    open_url = server.url.replace("//", "//viewer:s3cr3tword@")
    log = io.StringIO()
    with structlog.testing.capture_logs() as logged:
        run = LiveRun(_source(open_url))
        run.wait(lambda records: len(records) >= 3)
        summary = run.finish()
        refused = LiveRun(_source(server.url.replace("//", "//viewer:wr0ngw0rd@"))).failure()
    log.write(f"{logged} {summary} {refused.diagnostics()} {refused.context}")
    log.write("".join(capfd.readouterr()))
    log.write(run.sink.records[0].model_dump_json(exclude={"outcome"}))
    assert summary.ended_because is EndedBecause.STOPPED
    assert summary.source_id == server.url
    for secret in ("s3cr3tword", "wr0ngw0rd", "viewer"):
        assert secret not in log.getvalue()


@pytest.mark.verifies("SRS_LIVE_003", extent="partial", technique="fault_injection")
def test_address_without_a_server_is_told_at_once(servers: ExitStack) -> None:
    """A mistyped address must not look like a server that is about to come back."""
    server = servers.enter_context(RtspServer())
    server.close()
    assert "Connection refused" in LiveRun(_source(server.url)).failure().problem
