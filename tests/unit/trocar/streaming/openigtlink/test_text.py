"""STRING: one text."""

from __future__ import annotations

import pyigtl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.igtl_messages import UNTIMED
from trocar.contracts.errors import ContractError, ProtocolError
from trocar.contracts.limits import IGTL_TEXT_BYTES_MAX
from trocar.streaming.openigtlink.text import StringMessage, decode_string, encode_string


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize("text", ["", "x", "polyp at 12 mm", '{"a": 1}'])
def test_bytes_are_those_of_pyigtl(text: str) -> None:
    """It writes ASCII only."""
    theirs = pyigtl.StringMessage(text)._pack_content()
    assert encode_string(StringMessage(text)) == theirs
    assert decode_string(memoryview(theirs)) == StringMessage(text)


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="equivalence")
def test_pyigtl_reads_utf8() -> None:
    """Which it cannot write."""
    theirs = pyigtl.StringMessage()
    theirs._unpack_content(encode_string(StringMessage("Größe: 5 °C")))
    assert theirs.string == "Größe: 5 °C"


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="property")
@UNTIMED
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_text_comes_back(text: str) -> None:
    """Any text that UTF-8 has."""
    message = StringMessage(text)
    assert decode_string(memoryview(encode_string(message))) == message


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "STRING: expected at least 4 bytes, got 0"),
        (b"\0\3\0", "got 3"),
        (b"\0\3\0\5abcd", "text of STRING: expected 5 bytes, got 4"),
        (b"\0\3\0\3abcd", "text of STRING: expected 3 bytes, got 4"),
        (b"\0\4\0\1a", "encoding of text of STRING"),
        (b"\0\3\0\1\xe4", "text in ascii"),
        (b"\0\x6a\0\1\xe4", "text in utf-8"),
    ],
)
def test_lie_is_refused(content: bytes, words: str) -> None:
    """Length, encoding and bytes must agree."""
    with pytest.raises(ProtocolError, match=words):
        decode_string(memoryview(content))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
def test_text_at_its_longest() -> None:
    """The length has 16 bits."""
    assert len(encode_string(StringMessage("x" * IGTL_TEXT_BYTES_MAX))) == 4 + IGTL_TEXT_BYTES_MAX
    with pytest.raises(ContractError, match="text of STRING"):
        encode_string(StringMessage("x" * (IGTL_TEXT_BYTES_MAX + 1)))
