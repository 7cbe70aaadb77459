"""Extended header and metadata of version 2."""

from __future__ import annotations

import struct

import pyigtl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.igtl_messages import UNTIMED
from trocar.contracts.errors import ContractError, ProtocolError
from trocar.contracts.limits import (
    IGTL_EXTENSION_BYTES_MAX,
    IGTL_METADATA_COUNT_MAX,
    IGTL_TEXT_BYTES_MAX,
)
from trocar.streaming.openigtlink.metadata import pack_extension, split_extension

KEYS = st.text(st.characters(max_codepoint=0x7F), min_size=1, max_size=12)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def _body(
    extended: bytes = b"", content: bytes = b"content", index: bytes = b"\0\0", texts: bytes = b""
) -> memoryview:
    """Return a body of version 2, with a right extended header unless another one is given."""
    right = struct.pack(">HHII", 12, len(index), len(texts), 7)
    return memoryview((extended or right) + content + index + texts)


def _pairs(*pairs: tuple[bytes, int, bytes]) -> tuple[bytes, bytes]:
    """Return index and texts of pairs of key, encoding and value."""
    index = struct.pack(">H", len(pairs)) + b"".join(
        struct.pack(">HHI", len(key), encoding, len(value)) for key, encoding, value in pairs
    )
    return index, b"".join(key + value for key, _, value in pairs)


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="property")
@UNTIMED
@given(
    metadata=st.dictionaries(KEYS, VALUES, max_size=8),
    message_id=st.integers(0, 0xFFFF_FFFF),
    content=st.binary(max_size=40),
)
def test_pairs_come_back(metadata: dict[str, str], message_id: int, content: bytes) -> None:
    """With their order, and with the content between them untouched."""
    extended, tail = pack_extension(metadata, message_id)
    found = split_extension(memoryview(extended + content + tail))
    assert list(found.metadata.items()) == list(metadata.items())
    assert (bytes(found.content), found.message_id) == (content, message_id)


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="equivalence")
def test_bytes_are_those_of_pyigtl() -> None:
    """A second implementation of the same words."""
    message = pyigtl.StringMessage("x", device_name="d", timestamp=1)
    message.header_version, message.message_id = 2, 5
    message.metadata = {"FrameNumber": "12", "Status": "OK"}
    extended, tail = pack_extension(message.metadata, 5)
    assert message.pack()[58:] == extended + message._pack_content() + tail


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="equivalence")
def test_longer_extended_header_is_skipped() -> None:
    """A later version of the protocol may put more there, and says how much."""
    extended = struct.pack(">HHII", 16, 2, 0, 7) + b"more"
    assert bytes(split_extension(_body(extended)).content) == b"content"


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="equivalence")
def test_no_metadata_block_at_all() -> None:
    """Some senders leave even the count out."""
    found = split_extension(_body(index=b""))
    assert (dict(found.metadata), bytes(found.content)) == ({}, b"content")


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (memoryview(b"\0\x0c\0\0\0\0\0\0\0\0\0"), "extended header: expected 12 bytes, got 11"),
        (_body(struct.pack(">HHII", 11, 2, 0, 7)), "extended header: expected 12 bytes, got 11"),
        (_body(struct.pack(">HHII", 20, 2, 0, 7)), "at most the body of 21 bytes, got 22"),
        (_body(struct.pack(">HHII", 12, 2, 8, 7)), "at most the body of 21 bytes, got 22"),
        (_body(struct.pack(">HHII", 12, 2, 0xFFFF_FFFF, 7)), "at most the body"),
        (_body(index=b"\0"), "a count of 2 bytes, got 1"),
        (_body(index=b"", texts=b"rest"), "a count of 2 bytes, got 0"),
        (_body(index=b"\0\1"), "index of metadata: expected 10, got 2"),
        (_body(index=b"\0\0\0"), "index of metadata: expected 2, got 3"),
        (_body(index=b"\1\1" + bytes(8 * 257)), "at most 256 pairs, got 257"),
        (_body(texts=b"rest"), "metadata: expected 0 bytes, got 4"),
        (_body(b"", b"", struct.pack(">HHHI", 1, 1, 3, 9), b"kv"), "at most 2 bytes, got 10"),
        (_body(b"", b"", *_pairs((b"k", 3, b"1"), (b"k", 3, b"2"))), "only once"),
        (_body(b"", b"", *_pairs((b"", 3, b"1"))), "not empty"),
        (_body(b"", b"", *_pairs((b"\xe4", 3, b"1"))), "key of metadata: expected text in ascii"),
        (_body(b"", b"", *_pairs((b"k", 106, b"\xe4"))), "value of metadata"),
        (_body(b"", b"", *_pairs((b"k", 5, b"1"))), "encoding of value of metadata"),
    ],
)
def test_lie_is_refused(body: memoryview, words: str) -> None:
    """Each size and count that stands in the message can be wrong."""
    with pytest.raises(ProtocolError, match=words):
        split_extension(body)


@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="boundary")
def test_extension_has_a_limit_of_its_own() -> None:
    """Inside of a body that may be as large as an image."""
    size = IGTL_EXTENSION_BYTES_MAX - 12 - 2 - 8 - 1
    index, texts = _pairs((b"k", 3, b"v" * size))
    assert len(split_extension(_body(b"", b"", index, texts)).metadata["k"]) == size
    index, texts = _pairs((b"k", 3, b"v" * (size + 1)))
    with pytest.raises(ProtocolError, match="at most 131072 bytes, got 131073"):
        split_extension(_body(b"", b"", index, texts))


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("metadata", "message_id", "words"),
    [
        ({"": "x"}, 0, "key of metadata"),
        ({"Größe": "x"}, 0, "key of metadata"),
        ({"k" * 65_536: "x"}, 0, "key of metadata"),
        ({"k": "x" * (IGTL_TEXT_BYTES_MAX + 1)}, 0, "at most 65535 bytes"),
        ({str(i): "x" * 60_000 for i in range(3)}, 0, "at most 131072 bytes"),
        ({str(i): "" for i in range(IGTL_METADATA_COUNT_MAX + 1)}, 0, "at most 256 pairs"),
        ({}, -1, "message id"),
        ({}, 1 << 32, "message id"),
    ],
)
def test_what_does_not_fit_is_not_sent(
    metadata: dict[str, str], message_id: int, words: str
) -> None:
    """It is refused where it is made, not by the peer."""
    with pytest.raises(ContractError, match=words):
        pack_extension(metadata, message_id)


@pytest.mark.verifies("SRS_IGTL_006", extent="partial", technique="boundary")
def test_most_that_fits_is_sent_and_read() -> None:
    """256 pairs, and 128 KiB with the extended header, the index and the texts."""
    pairs = {f"{index:03}": "" for index in range(IGTL_METADATA_COUNT_MAX)}
    extended, tail = pack_extension(pairs, 0)
    assert dict(split_extension(memoryview(extended + tail)).metadata) == pairs
    rest = IGTL_EXTENSION_BYTES_MAX - 12 - 2 - 3 * 8 - 3 - 60_000
    full = {"a": "x" * 60_000, "b": "x" * 60_000, "c": "x" * (rest - 60_000)}
    extended, tail = pack_extension(full, 0)
    assert len(extended) + len(tail) == IGTL_EXTENSION_BYTES_MAX
    assert dict(split_extension(memoryview(extended + tail)).metadata) == full
    with pytest.raises(ContractError, match="at most 131072 bytes, got 131073"):
        pack_extension(full | {"c": full["c"] + "x"}, 0)
