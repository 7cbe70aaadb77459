"""STATUS: how a device is."""

from __future__ import annotations

import pytest

from trocar.contracts.errors import ContractError, ProtocolError
from trocar.contracts.limits import IGTL_TEXT_BYTES_MAX
from trocar.streaming.openigtlink.status import (
    StatusCode,
    StatusMessage,
    decode_status,
    encode_status,
)

SAMPLE = StatusMessage(StatusCode.NOT_READY, -2, "Warming up", "engine is built")
BYTES = b"\x00\x0d" + b"\xff" * 7 + b"\xfe" + b"Warming up".ljust(20, b"\0") + b"engine is built\0"


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="requirement")
def test_bytes_of_a_status() -> None:
    """Written out by hand from the specification; the library ends the text with NUL."""
    assert encode_status(SAMPLE) == BYTES
    assert decode_status(memoryview(BYTES)) == SAMPLE


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0\0\0"])
def test_text_may_end_in_any_number_of_nul(tail: bytes) -> None:
    """The text is optional, and the specification asks for no NUL."""
    assert decode_status(memoryview(BYTES[:30] + tail)).text == ""
    assert decode_status(memoryview(BYTES[:-1] + tail)).text == "engine is built"


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize("code", [0, 1, 19, 65_535])
@pytest.mark.parametrize("subcode", [-(1 << 63), 0, (1 << 63) - 1])
def test_numbers_at_their_borders(code: int, subcode: int) -> None:
    """Senders use groups that the specification has not."""
    message = StatusMessage(code, subcode)
    assert decode_status(memoryview(encode_status(message))) == message


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BYTES[:29], "STATUS: expected at least 30 bytes, got 29"),
        (BYTES + b"more", "text of STATUS: expected nothing behind its end"),
        (BYTES[:-1] + b"\xe4\0", "text of STATUS: expected printable ASCII"),
        (BYTES[:10] + b"\x1b" + BYTES[11:], "error name of STATUS"),
    ],
)
def test_lie_is_refused(content: bytes, words: str) -> None:
    """A status is shown to a person."""
    with pytest.raises(ProtocolError, match=words):
        decode_status(memoryview(content))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("code", "subcode"), [(-1, 0), (65_536, 0), (1, 1 << 63), (1, -(1 << 63) - 1)]
)
def test_number_that_does_not_fit_is_not_made(code: int, subcode: int) -> None:
    """Refused where it is made."""
    with pytest.raises(ContractError, match="STATUS"):
        StatusMessage(code, subcode)


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
def test_text_that_does_not_fit_is_not_sent() -> None:
    """Neither too long nor in another alphabet."""
    assert len(encode_status(StatusMessage(1, text="x" * (IGTL_TEXT_BYTES_MAX - 1)))) == 65_565
    for text in ("x" * IGTL_TEXT_BYTES_MAX, "Größe", "a\0b"):
        with pytest.raises(ContractError, match="text of STATUS"):
            encode_status(StatusMessage(1, text=text))
    with pytest.raises(ContractError, match="error name of STATUS"):
        encode_status(StatusMessage(1, error_name="x" * 21))
