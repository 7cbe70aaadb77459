"""Events are handed over without waiting; what the disk refuses is held, counted, and told."""

from __future__ import annotations

import pytest

from simulators.failing_disk import INSTALLED, NOW, HeldLog, full_disk_error
from trocar.audit.writer import AuditWriter
from trocar.contracts.errors import AuditError, InvariantError, SinkError

REFUSED = {"code": "PACK", "exit_code": 66}


@pytest.mark.verifies("SRS_AUDIT_006", extent="full", technique="requirement")
def test_events_are_written_in_their_order_with_their_time() -> None:
    """The thread may be late; the record is not."""
    log = HeldLog()
    writer = AuditWriter(log)
    writer.put("installed", INSTALLED)
    writer.put("refused", REFUSED)
    head = writer.flush()
    assert head is not None
    assert head == writer.head
    assert head.seq == 2
    assert [one[0] for one in log.records] == ["installed", "refused"]
    assert log.records[0][2] == NOW
    assert not writer.is_held
    writer.close()
    writer.close()


@pytest.mark.verifies("SRS_AUDIT_006", extent="full", technique="boundary")
@pytest.mark.controls("RCM_AUDIT_004")
def test_handing_over_waits_for_nobody_and_the_queue_is_bounded() -> None:
    """The disk hangs: the thread that answers for frames goes on, and memory does not grow."""
    log = HeldLog(is_open=False)
    writer = AuditWriter(log, held_count_max=3)
    for _ in range(10):
        writer.put("installed", INSTALLED)
    log.await_call()
    log.let_go()
    with pytest.raises(SinkError, match="7 events are missing"):
        writer.close()
    assert len(log.records) == 3


@pytest.mark.verifies("SRS_AUDIT_006", extent="partial", technique="boundary")
def test_flush_and_close_wait_for_a_bounded_time() -> None:
    """A disk that hangs must not hang the end of a run."""
    log = HeldLog(is_open=False)
    writer = AuditWriter(log, close_ms_max=1)
    assert writer.flush() is None
    assert writer.head is None
    writer.put("installed", INSTALLED)
    assert writer.flush() is None
    with pytest.raises(SinkError, match="1 events are missing"):
        writer.close()
    log.let_go()
    writer._thread.join()


@pytest.mark.verifies("SRS_AUDIT_007", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_AUDIT_004",
    measure="events that are in the log after a full disk, and what the log says of the others",
    acceptance="each held event in its order, and one gap with the numbers held and lost",
)
@pytest.mark.parametrize(
    ("error", "cause"),
    [(full_disk_error(), "disk_full"), (SinkError("no", advice="yes"), "not_writable")],
)
def test_what_is_held_is_written_later_and_the_gap_is_told(error: SinkError, cause: str) -> None:
    """A log that goes on as if nothing had been would hide what is missing."""
    log = HeldLog(None, error, error, is_open=False)
    writer = AuditWriter(log, held_count_max=3, retry_ms=1)
    writer.put("installed", INSTALLED)
    writer.put("installed", INSTALLED)
    writer.put("refused", REFUSED)
    for _ in range(4):
        writer.put("refused", REFUSED)
    log.let_go()
    for _ in range(4):
        log.await_call()
    with pytest.raises(SinkError, match="4 events are missing"):
        writer.close()
    assert [one[0] for one in log.records] == ["installed", "installed", "refused", "gap"]
    assert log.records[-1][1] == {"cause": cause, "held_count": 2, "lost_count": 4}


@pytest.mark.verifies("SRS_AUDIT_007", extent="full", technique="fault_injection")
def test_each_gap_has_its_own_numbers() -> None:
    """What was lost in the first one is not told again in the second one."""
    log = HeldLog(full_disk_error(), None, None, full_disk_error(), is_open=False)
    writer = AuditWriter(log, held_count_max=1, retry_ms=1)
    writer.put("installed", INSTALLED)
    writer.put("installed", INSTALLED)
    log.let_go()
    for _ in range(3):
        log.await_call()
    assert writer.flush() is not None
    writer.put("installed", INSTALLED)
    for _ in range(3):
        log.await_call()
    with pytest.raises(SinkError, match="1 events are missing"):
        writer.close()
    gaps = [fields for event, fields, _ in log.records if event == "gap"]
    assert [(one["held_count"], one["lost_count"]) for one in gaps] == [(1, 1), (1, 0)]


@pytest.mark.verifies("SRS_AUDIT_007", extent="full", technique="fault_injection")
def test_what_was_only_held_is_no_failure() -> None:
    """There was room again in time: nothing is missing, and the gap stands in the log."""
    log = HeldLog(full_disk_error())
    writer = AuditWriter(log, retry_ms=1)
    writer.put("installed", INSTALLED)
    for _ in range(3):
        log.await_call()
    writer.close()
    assert [one[0] for one in log.records] == ["installed", "gap"]
    assert log.records[-1][1] == {"cause": "disk_full", "held_count": 1, "lost_count": 0}
    assert not writer.is_held


@pytest.mark.verifies("SRS_AUDIT_007", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_AUDIT_004")
def test_log_that_stays_full_is_seen_and_fails_at_the_end() -> None:
    """The run asks whether something is held, and its exit code says that records are missing."""
    log = HeldLog(*[full_disk_error()] * 1000)
    writer = AuditWriter(log, retry_ms=60_000)
    writer.put("installed", INSTALLED)
    log.await_call()
    assert writer.flush() is None
    assert writer.is_held
    with pytest.raises(SinkError, match="1 events are missing"):
        writer.close()
    writer.put("installed", INSTALLED)


@pytest.mark.verifies("SRS_AUDIT_003", extent="partial", technique="fault_injection")
def test_log_that_is_changed_meanwhile_ends_the_writing() -> None:
    """Nothing is appended to it, the run is degraded, and its end says why."""
    log = HeldLog(AuditError("changed", advice="look"))
    writer = AuditWriter(log)
    writer.put("installed", INSTALLED)
    log.await_call()
    writer._thread.join()
    assert writer.is_held
    assert writer.flush() is None
    writer.put("installed", INSTALLED)
    with pytest.raises(AuditError):
        writer.close()
    assert log.records == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_dies_is_our_own_fault() -> None:
    """A fault of ours must not end as a log that looks complete."""
    log = HeldLog(RuntimeError("a fault"))
    writer = AuditWriter(log)
    writer.put("installed", INSTALLED)
    writer._thread.join()
    assert writer.is_held
    with pytest.raises(InvariantError, match="before its time"):
        writer.close()


@pytest.mark.verifies("SRS_AUDIT_005", extent="partial", technique="requirement")
def test_value_without_its_form_is_refused_by_the_caller_thread() -> None:
    """Where the fault is, and not in a thread that nobody looks at."""
    log = HeldLog()
    writer = AuditWriter(log)
    with pytest.raises(InvariantError):
        writer.put("installed", {**INSTALLED, "version": "DOE^JANE"})
    writer.close()
    assert log.records == []
