"""A slow output never holds up a live run silently, and its error is never lost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from conformance.sink_suite import SinkSuite
from simulators.sink import RecordingSink
from simulators.unit import frame_record
from trocar.contracts.errors import InvariantError, SinkError
from trocar.contracts.ports import Sink
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.sink_queue import QueuedSink, QueuePolicy

WAIT_S = 10.0
DISK_FULL = "disk full"


def _error() -> SinkError:
    return SinkError(DISK_FULL, advice="free space")


@pytest.mark.verifies("SRS_SINK_002", extent="partial", technique="conformance")
class TestQueuedSink(SinkSuite):
    """A sink behind a queue keeps what every sink promises."""

    def make_sink(self, folder: Path) -> Sink:
        """Return a record behind a queue."""
        return QueuedSink(JsonlSink(folder / "r.jsonl"), policy=QueuePolicy.BLOCK)

    def read_record_count(self, folder: Path) -> int:
        """Return the number of its lines."""
        return len((folder / "r.jsonl").read_text().splitlines())


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="requirement")
@pytest.mark.parametrize("policy", list(QueuePolicy))
def test_records_arrive_in_order_and_the_sink_is_closed(policy: QueuePolicy) -> None:
    """What waits at the end is still written."""
    inner = RecordingSink()
    sink = QueuedSink(inner, policy=policy)
    for index in range(8):
        sink.write(frame_record(index), None)
    sink.close()
    sink.close()
    assert [r.frame_index for r in inner.records] == list(range(8))
    assert (inner.close_count, sink.dropped_count) == (1, 0)


@pytest.mark.verifies("SRS_STREAM_008", extent="full", technique="boundary")
def test_full_queue_leaves_out_the_oldest_and_counts_it() -> None:
    """A live overlay shows the newest answers; what it left out is known."""
    gate = threading.Event()
    inner = RecordingSink(gate=gate)
    sink = QueuedSink(inner, policy=QueuePolicy.DROP_OLDEST, length_max=2)
    sink.write(frame_record(0), None)
    assert inner.began.wait(WAIT_S)
    for index in range(1, 5):
        sink.write(frame_record(index), None)
    gate.set()
    sink.close()
    assert [r.frame_index for r in inner.records] == [0, 3, 4]
    assert sink.dropped_count == 2


@pytest.mark.verifies("SRS_STREAM_008", extent="partial", technique="boundary")
def test_full_queue_that_blocks_waits_for_its_place() -> None:
    """Where nothing is timed, every answer is written."""
    gate = threading.Event()
    inner = RecordingSink(gate=gate)
    sink = QueuedSink(inner, policy=QueuePolicy.BLOCK, length_max=1)
    opener = threading.Timer(0.05, gate.set)
    opener.start()
    for index in range(6):
        sink.write(frame_record(index), None)
    sink.close()
    opener.join(WAIT_S)
    assert len(inner.records) == 6


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_sink_that_hangs_is_an_error_and_not_a_wait_for_ever() -> None:
    """A dead share must not stop the run without a word."""
    gate = threading.Event()
    inner = RecordingSink(gate=gate)
    sink = QueuedSink(inner, policy=QueuePolicy.BLOCK, length_max=1, wait_ms_max=20)
    sink.write(frame_record(0), None)
    assert inner.began.wait(WAIT_S)
    sink.write(frame_record(1), None)
    with pytest.raises(SinkError, match="expected a place"):
        sink.write(frame_record(2), None)
    with pytest.raises(SinkError, match="1 results still wait"):
        sink.close()
    gate.set()
    sink._worker.join(WAIT_S)


@pytest.mark.verifies("SRS_SINK_004", extent="full", technique="fault_injection")
def test_error_surfaces_at_the_next_write_once() -> None:
    """The run learns of it, and what was written so far is closed."""
    inner = RecordingSink(write_errors={0: _error()})
    sink = QueuedSink(inner, policy=QueuePolicy.DROP_OLDEST)
    sink.write(frame_record(0), None)
    sink._worker.join(WAIT_S)
    with pytest.raises(SinkError, match=DISK_FULL):
        sink.write(frame_record(1), None)
    with pytest.raises(SinkError, match="closed one"):
        sink.write(frame_record(2), None)
    sink.close()
    assert inner.close_count == 1


@pytest.mark.verifies("SRS_SINK_004", extent="full", technique="fault_injection")
def test_error_of_the_last_record_surfaces_at_the_close() -> None:
    """No error is lost because nothing comes after it; a second one is logged."""
    inner = RecordingSink(write_errors={0: _error()}, close_error=SinkError("later", advice="-"))
    sink = QueuedSink(inner, policy=QueuePolicy.BLOCK)
    sink.write(frame_record(0), None)
    with pytest.raises(SinkError, match=DISK_FULL):
        sink.close()
    sink.close()


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_worker_that_dies_is_noticed() -> None:
    """A fault of ours in the worker ends the run instead of the output."""
    inner = RecordingSink(write_errors={0: ZeroDivisionError("bug")})
    sink = QueuedSink(inner, policy=QueuePolicy.BLOCK)
    sink.write(frame_record(0), None)
    with pytest.raises(SinkError, match="ended before its time"):
        sink.close()


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="requirement")
def test_write_after_close_is_an_error() -> None:
    """A record that went nowhere must not look as if it was kept."""
    sink = QueuedSink(RecordingSink(), policy=QueuePolicy.DROP_OLDEST)
    sink.close()
    with pytest.raises(SinkError, match="closed one"):
        sink.write(frame_record(0), None)


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
def test_queue_without_a_place_is_refused() -> None:
    """It would drop every answer."""
    with pytest.raises(InvariantError):
        QueuedSink(RecordingSink(), policy=QueuePolicy.BLOCK, length_max=0)
