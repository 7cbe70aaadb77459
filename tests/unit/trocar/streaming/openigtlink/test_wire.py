"""Texts and numbers as they stand on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.igtl_messages import UNTIMED
from trocar.contracts.errors import ContractError, ProtocolError
from trocar.contracts.limits import IGTL_POSITION_MM_MAX, IGTL_TEXT_BYTES_MAX
from trocar.streaming.openigtlink.wire import (
    TextEncoding,
    broken,
    check_mm,
    decode_text,
    encode_text,
    is_mm,
    read_text,
    unsendable,
    write_ascii,
    write_text,
)

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="property")
@UNTIMED
@given(text=PRINTABLE)
def test_name_that_was_written_is_read(text: str) -> None:
    """Also one that fills its field and so has no NUL behind it."""
    data = write_text(text, 20, "name")
    assert len(data) == 20
    assert read_text(data, "name") == text


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="equivalence")
def test_what_lies_behind_a_nul_is_not_part_of_a_name() -> None:
    """Programs in C leave there what was in their memory."""
    assert read_text(b"Probe\0\xff\x01rest", "name") == "Probe"


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("data", [b"\xc3\xa4", b"a\x1b[2J", b"\n", b"\x7f", b"tab\t"])
def test_name_that_is_not_printable_is_refused(data: bytes) -> None:
    """It would reach a terminal or a record."""
    with pytest.raises(ProtocolError, match="device name: expected printable ASCII"):
        read_text(data, "device name")


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="boundary")
@pytest.mark.parametrize("text", ["Gerät", "a\0b", "x" * 21, "\n"])
def test_name_that_has_no_place_is_not_sent(text: str) -> None:
    """It is not cut in silence: two devices could then have one name."""
    with pytest.raises(ContractError):
        write_text(text, 20, "device name")


@pytest.mark.verifies("SRS_IGTL_001", extent="partial", technique="boundary")
def test_text_without_filling() -> None:
    """As at the end of a message, where no field has a size."""
    assert write_ascii("abc", 3, "text") == b"abc"


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="property")
@UNTIMED
@given(text=st.text(max_size=200))
def test_text_with_encoding_comes_back(text: str) -> None:
    """ASCII says ASCII, all else UTF-8."""
    try:
        encoding, data = encode_text(text, "text")
    except ContractError:
        assert any("\ud800" <= letter <= "\udfff" for letter in text)
        return
    assert encoding is (TextEncoding.ASCII if text.isascii() else TextEncoding.UTF8)
    assert decode_text(data, encoding, "text") == text


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="boundary")
def test_lone_surrogate_is_not_sent() -> None:
    """Python has such texts, UTF-8 has not."""
    with pytest.raises(ContractError, match="expected text"):
        encode_text("\ud800", "text")


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
def test_text_at_its_longest() -> None:
    """The length of a STRING has 16 bits."""
    assert len(encode_text("x" * IGTL_TEXT_BYTES_MAX, "text")[1]) == IGTL_TEXT_BYTES_MAX
    with pytest.raises(ContractError, match="at most 65535 bytes, got 65536"):
        encode_text("x" * (IGTL_TEXT_BYTES_MAX + 1), "text")


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("data", "encoding", "words"),
    [
        (b"abc", 4, "3 .ASCII. or 106"),
        (b"abc", 0, "got 0"),
        (b"\xe4", 3, "text in ascii"),
        (b"\xe4", 106, "text in utf-8"),
    ],
)
def test_text_in_another_encoding_is_refused(data: bytes, encoding: int, words: str) -> None:
    """A text is not guessed."""
    with pytest.raises(ProtocolError, match=words):
        decode_text(data, encoding, "text")


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("value", "is_fine"),
    [
        (0.0, True),
        (IGTL_POSITION_MM_MAX, True),
        (-IGTL_POSITION_MM_MAX, True),
        (IGTL_POSITION_MM_MAX * 1.0001, False),
        (float("nan"), False),
        (float("inf"), False),
        (-float("inf"), False),
    ],
)
def test_numbers_that_can_be_positions(value: float, *, is_fine: bool) -> None:
    """A matrix with one such number puts a picture nowhere."""
    assert is_mm((0.0, value)) is is_fine
    if is_fine:
        assert check_mm((value,), "matrix") == (value,)
    else:
        with pytest.raises(ProtocolError, match="matrix: expected finite numbers"):
            check_mm((value,), "matrix")


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="requirement")
def test_refusals_name_field_expected_and_got() -> None:
    """The person who connects two programs has nothing else."""
    refusal = broken("body", expected="at most 5 bytes", got=7)
    assert refusal.problem == "body: expected at most 5 bytes, got 7"
    assert refusal.context["field"] == "body"
    assert unsendable("name", expected="ASCII", got="x").problem == "name: expected ASCII, got x"
