"""Addresses of OpenIGTLink become sources and sinks in the right role, or are refused."""

from __future__ import annotations

import pytest

from simulators.source import ListSource
from trocar.contracts.errors import ContractError, SinkError
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.openigtlink.opening import open_link_sink, open_link_source

CLOCK = MonotonicClock()


@pytest.mark.verifies("SRS_CLI_008", extent="full", technique="equivalence")
def test_client_is_named_by_what_it_calls() -> None:
    """Nothing is connected yet; the name stands in every record."""
    source = open_link_source("igtl", "127.0.0.1:9?device=Camera", clock=CLOCK)
    assert source.source_id == "igtl:127.0.0.1:9?device=Camera"
    source.close()


@pytest.mark.verifies("SRS_CLI_008", extent="full", technique="equivalence")
def test_listener_stays_on_the_loopback_address_unless_told_otherwise() -> None:
    """A port that is open to the room has to be asked for."""
    source = open_link_source("igtl-listen", "127.0.0.1:18999?allow=127.0.0.1", clock=CLOCK)
    try:
        assert source.source_id == "igtl-listen:18999"
        with pytest.raises(SinkError):
            open_link_sink("igtl-listen", "18999", clock=CLOCK, source=ListSource([]))
    finally:
        source.close()


@pytest.mark.verifies("SRS_CLI_008", extent="full", technique="boundary")
@pytest.mark.parametrize("version", ["1", "2", None])
def test_sink_speaks_the_version_asked_for(version: str | None) -> None:
    """None means: what the receiver itself has sent."""
    options = "" if version is None else f"?version={version}"
    source = open_link_source("igtl", "127.0.0.1:9", clock=CLOCK)
    sink = open_link_sink("igtl", f"127.0.0.1:9{options}", clock=CLOCK, source=source)
    assert sink.account is not None
    sink.close()
    source.close()


@pytest.mark.verifies("SRS_CLI_008", extent="full", technique="boundary")
@pytest.mark.parametrize(
    ("scheme", "rest"),
    [
        ("igtl", "tracker"),
        ("igtl", "tracker:1?version=3"),
        ("igtl", "tracker:1?allow=::1"),
        ("igtl-listen", "1?allow=nobody"),
    ],
)
def test_wrong_address_is_refused(scheme: str, rest: str) -> None:
    """Port missing, version unknown, an option of the other role, a network that is none."""
    with pytest.raises(ContractError, match="expected"):
        open_link_sink(scheme, rest, clock=CLOCK, source=ListSource([]))
