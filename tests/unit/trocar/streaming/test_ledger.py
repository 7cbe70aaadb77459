"""Every frame is answered or entered as dropped, and the ledger stays bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.source import raw_frame
from trocar.contracts.errors import InvariantError, SinkError
from trocar.streaming.ledger import DropLedger, DroppedFrame, DropReason


@pytest.mark.verifies("SRS_STREAM_002", extent="full", technique="requirement")
@pytest.mark.controls("RCM_LEDGER_001")
def test_dropped_frames_are_listed_with_time_and_reason() -> None:
    """Who reads the record can tell which frames nobody looked at."""
    ledger = DropLedger()
    ledger.drop(raw_frame(4, captured_at_ns=11), DropReason.DISPLACED)
    ledger.drop(raw_frame(9, captured_at_ns=22), DropReason.STOPPED)
    assert list(ledger.dropped_frames()) == [
        DroppedFrame(4, 11, DropReason.DISPLACED),
        DroppedFrame(9, 22, DropReason.STOPPED),
    ]
    totals = ledger.totals()
    assert (totals.displaced_count, totals.stopped_count, totals.dropped_count) == (1, 1, 2)


@pytest.mark.verifies("SRS_STREAM_008", extent="partial", technique="boundary")
def test_list_is_bounded_and_the_count_goes_on() -> None:
    """A run of days must not fill the memory with its own losses."""
    ledger = DropLedger(length_max=2)
    for index in range(5):
        ledger.drop(raw_frame(index), DropReason.DISPLACED)
    assert [d.frame_index for d in ledger.dropped_frames()] == [0, 1]
    assert (ledger.totals().displaced_count, ledger.totals().unlisted_count) == (5, 3)


@pytest.mark.verifies("SRS_STREAM_002", extent="full", technique="boundary")
@pytest.mark.proves_effect(
    "RCM_LEDGER_001", measure="one frame missing from the account", acceptance="error"
)
def test_account_that_does_not_balance_is_an_error() -> None:
    """A frame that is neither answered nor dropped would be lost silently."""
    ledger = DropLedger()
    for _ in range(3):
        ledger.receive()
    ledger.process()
    ledger.drop(raw_frame(1), DropReason.DISPLACED)
    with pytest.raises(InvariantError, match="3 frames received"):
        ledger.require_balanced()
    ledger.process()
    ledger.require_balanced()


@pytest.mark.verifies("SRS_STREAM_002", extent="partial", technique="requirement")
def test_saved_list_can_be_read_again(tmp_path: Path) -> None:
    """The list is part of the record of a run."""
    ledger = DropLedger(length_max=1)
    ledger.drop(raw_frame(4, captured_at_ns=11), DropReason.DISPLACED)
    ledger.drop(raw_frame(5, captured_at_ns=12), DropReason.DISPLACED)
    ledger.save(tmp_path / "dropped.csv")
    text = (tmp_path / "dropped.csv").read_text()
    assert text == "frame_index,captured_at_ns,reason\n4,11,displaced\n# unlisted,1\n"


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_list_that_cannot_be_saved_is_a_typed_error(tmp_path: Path) -> None:
    """The user learns that the record is not complete."""
    path = tmp_path / "missing" / "dropped.csv"
    with pytest.raises(SinkError) as caught:
        DropLedger().save(path)
    assert caught.value.problem == (
        f"the ledger of dropped frames could not be written to {path}: No such file or directory"
    )
    assert caught.value.advice == "free disk space or choose another output folder"


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
def test_ledger_without_a_line_is_refused() -> None:
    """A ledger that lists nothing is a mistake of ours."""
    with pytest.raises(InvariantError, match="ledger of 0 lines asked for"):
        DropLedger(length_max=0)


@pytest.mark.verifies("SRS_STREAM_002", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_LEDGER_001")
def test_faulty_index_and_time_are_listed_as_they_came() -> None:
    """A source at fault may deliver numbers below zero; its frame is entered all the same."""
    ledger = DropLedger()
    ledger.drop(raw_frame(-1, captured_at_ns=-5), DropReason.STOPPED)
    assert list(ledger.dropped_frames()) == [DroppedFrame(-1, -5, DropReason.STOPPED)]
