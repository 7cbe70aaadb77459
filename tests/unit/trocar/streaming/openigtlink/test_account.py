"""The account of a link counts everything and grows with nothing."""

from __future__ import annotations

import pytest
import structlog

from trocar.contracts.limits import IGTL_LOG_COUNT_MAX, IGTL_TYPE_NAME_COUNT_MAX
from trocar.streaming.openigtlink.account import OTHER_TYPES, LinkAccount, LinkEvent


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="example")
def test_messages_and_events_are_counted() -> None:
    """What came, what went, what was wrong: nothing is lost in silence."""
    account = LinkAccount("link")
    account.receive("IMAGE", 100)
    account.receive("IMAGE", 50)
    account.send("STATUS", 7)
    account.count(LinkEvent.CRC_MISMATCH)
    totals = account.totals()
    assert totals.received == {"IMAGE": 2}
    assert totals.sent == {"STATUS": 1}
    assert (totals.received_bytes, totals.sent_bytes) == (150, 7)
    assert totals.count_of(LinkEvent.CRC_MISMATCH) == 1
    assert totals.count_of(LinkEvent.CONNECTED) == 0


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="boundary")
def test_invented_types_share_one_line() -> None:
    """A peer may invent a new type with each message; the account must not grow with them."""
    account = LinkAccount("link")
    for index in range(IGTL_TYPE_NAME_COUNT_MAX + 10):
        account.receive(f"T{index}", 1)
    account.receive("T0", 1)
    totals = account.totals()
    assert len(totals.received) == IGTL_TYPE_NAME_COUNT_MAX + 1
    assert totals.received[OTHER_TYPES] == 10
    assert totals.received["T0"] == 2


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="boundary")
def test_log_of_one_event_is_bounded() -> None:
    """A storm of connections must not fill the disk with lines about it."""
    account = LinkAccount("link")
    with structlog.testing.capture_logs() as lines:
        for _ in range(IGTL_LOG_COUNT_MAX + 10):
            account.count(LinkEvent.PEER_REFUSED, peer="x")
    assert len(lines) == IGTL_LOG_COUNT_MAX
    assert lines[0] == {
        "event": "igtl_peer_refused",
        "link": "link",
        "number": 1,
        "peer": "x",
        "log_level": "warning",
    }


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="example")
def test_what_is_no_fault_is_not_logged_one_by_one() -> None:
    """Images of another device come with each frame; a new connection is news, no warning."""
    account = LinkAccount("link")
    with structlog.testing.capture_logs() as lines:
        account.count(LinkEvent.OTHER_DEVICE)
        account.count(LinkEvent.CONNECTED)
    assert [line["log_level"] for line in lines] == ["info"]


@pytest.mark.verifies("SRS_IGTL_026", extent="partial", technique="example")
def test_account_is_logged_at_the_end() -> None:
    """A run without a summary leaves its totals in the log."""
    account = LinkAccount("link")
    account.receive("IMAGE", 3)
    with structlog.testing.capture_logs() as lines:
        account.log_totals()
    assert lines[0]["received"] == {"IMAGE": 1}
