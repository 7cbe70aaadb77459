"""An address names one host, one port and known options, or is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trocar.contracts.errors import ContractError
from trocar.streaming.network_addresses import network_place


@pytest.mark.verifies("SRS_CLI_008", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tracker:18944", "tracker", 18944),
        ("//tracker:18944", "tracker", 18944),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[::1]:65535", "::1", 65535),
        ("18944", "127.0.0.1", 18944),
        (":18944", "127.0.0.1", 18944),
    ],
)
def test_address_names_host_and_port(text: str, host: str, port: int) -> None:
    """A listener may leave the host out; then it is the one given by default."""
    place = network_place(text, known_options=(), host_default="127.0.0.1")
    assert (place.host, place.port, place.options) == (host, port, ())


@pytest.mark.verifies("SRS_CLI_008", extent="full", technique="boundary")
@pytest.mark.parametrize(
    "text",
    [
        "", "tracker", "tracker:", "tracker:0", "tracker:65536", "tracker:x", "18944", ":18944",
        "user:word@tracker:1", "tracker:1/path", "tracker:1#part", "[::1:1", "tracker:-1",
        "tracker:1?device", "tracker:1?device=", "tracker:1?colour=red",
        "tracker:1?" + "&".join("device=a" for _ in range(9)),
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    """No host, no port, a port out of range, a path, a password, an unknown or empty option."""
    with pytest.raises(ContractError, match="expected"):
        network_place(text, known_options=("device",))


@pytest.mark.verifies("SRS_CLI_008", extent="full", technique="equivalence")
def test_options_are_read_once_or_as_a_list() -> None:
    """What may be given once cannot be given twice with two meanings."""
    place = network_place(
        "a:1?device=Camera%201&allow=10.0.0.0/8&allow=::1", known_options=("device", "allow")
    )
    assert place.option("device") == "Camera 1"
    assert place.values_of("allow") == ("10.0.0.0/8", "::1")
    assert place.option("version") is None
    with pytest.raises(ContractError, match="expected allow once, got it 2 times"):
        place.option("allow")


@pytest.mark.verifies("SRS_CLI_008", extent="partial", technique="property")
@given(st.text(max_size=60))
def test_no_text_ends_in_another_error(text: str) -> None:
    """Whatever is typed, the answer is a place or a refusal."""
    try:
        place = network_place(text, known_options=("device",), host_default="h")
    except ContractError:
        return
    assert 0 < place.port <= 65_535
