"""Queries, their answers, and capabilities."""

from __future__ import annotations

import pytest

from trocar.contracts.errors import ContractError, ProtocolError
from trocar.contracts.limits import IGTL_CAPABILITY_COUNT_MAX
from trocar.streaming.openigtlink.message_types import QUERY_TYPES, Verb
from trocar.streaming.openigtlink.query import (
    CapabilityMessage,
    QueryMessage,
    Start,
    decode_capability,
    decode_query,
    encode_capability,
    encode_query,
    query_type_name,
)

START_BYTES = b"\0\0\0\x32" + b"Tracker".ljust(32, b"\0")


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="requirement")
def test_bytes_of_a_capability() -> None:
    """Names of twelve bytes, one after the other."""
    message = CapabilityMessage(("IMAGE", "GET_TRANSFOR"))
    content = b"IMAGE\0\0\0\0\0\0\0GET_TRANSFOR"
    assert encode_capability(message) == content
    assert decode_capability(memoryview(content)) == message
    assert decode_capability(memoryview(b"")) == CapabilityMessage(())


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
def test_capability_at_its_longest() -> None:
    """One name more is neither read nor sent."""
    names = ("IMAGE",) * IGTL_CAPABILITY_COUNT_MAX
    content = encode_capability(CapabilityMessage(names))
    assert decode_capability(memoryview(content)).type_names == names
    with pytest.raises(ProtocolError, match="CAPABILITY: expected at most 256 names"):
        decode_capability(memoryview(content + content[:12]))
    with pytest.raises(ContractError, match="CAPABILITY"):
        encode_capability(CapabilityMessage((*names, "IMAGE")))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("content", [b"IMAGE", bytes(13), b"\xffMAGE".ljust(12, b"\0")])
def test_capability_that_lies_is_refused(content: bytes) -> None:
    """Half a name, or none in ASCII."""
    with pytest.raises(ProtocolError, match="CAPABILITY"):
        decode_capability(memoryview(content))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="requirement")
@pytest.mark.parametrize("type_name", sorted(QUERY_TYPES))
def test_query_without_content_comes_back(type_name: str) -> None:
    """With its verb and its subject; of two spellings one is written."""
    message = decode_query(type_name, memoryview(b""))
    assert (message.verb, message.subject) == QUERY_TYPES[type_name]
    assert encode_query(message) == b""
    assert QUERY_TYPES[query_type_name(message)] == QUERY_TYPES[type_name]
    assert query_type_name(message) == type_name.replace("TRANSFOR", "TRANS")


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="requirement")
def test_bytes_of_start_and_result() -> None:
    """Time between messages and coordinates; 0 for success."""
    start = QueryMessage(Verb.START, "TDATA", start=Start(50, "Tracker"))
    assert encode_query(start) == START_BYTES
    assert decode_query("STT_TDATA", memoryview(START_BYTES)) == start
    result = QueryMessage(Verb.RESULT, "IMAGE", result=1)
    assert encode_query(result) == b"\1"
    assert decode_query("RTS_IMAGE", memoryview(b"\1")) == result


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("type_name", "content"),
    [
        ("GET_IMAGE", b"\0"),
        ("STP_TDATA", b"\0"),
        ("RTS_TDATA", b"\0\0"),
        ("STT_TDATA", START_BYTES[:-1]),
        ("STT_TDATA", START_BYTES + b"\0"),
        ("GET_IMAGE", START_BYTES),
        ("RTS_IMAGE", START_BYTES),
        ("STT_TDATA", START_BYTES[:4] + b"\xff" * 32),
    ],
)
def test_query_that_lies_is_refused(type_name: str, content: bytes) -> None:
    """More, less or something else than such a query has."""
    with pytest.raises(ProtocolError, match=type_name):
        decode_query(type_name, memoryview(content))


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    "message",
    [
        QueryMessage(Verb.GET, "IMAGE", result=0),
        QueryMessage(Verb.GET, "IMAGE", start=Start(1, "")),
        QueryMessage(Verb.RESULT, "IMAGE", start=Start(1, "")),
        QueryMessage(Verb.START, "TDATA", result=0),
        QueryMessage(Verb.START, "TDATA", start=Start(1, ""), result=0),
        QueryMessage(Verb.RESULT, "TDATA", start=Start(1, ""), result=0),
        QueryMessage(Verb.RESULT, "IMAGE", result=256),
        QueryMessage(Verb.RESULT, "IMAGE", result=-1),
        QueryMessage(Verb.START, "TDATA", start=Start(-1, "")),
        QueryMessage(Verb.START, "TDATA", start=Start(1 << 32, "")),
        QueryMessage(Verb.START, "TDATA", start=Start(1, "x" * 33)),
    ],
)
def test_query_that_has_no_form_is_not_sent(message: QueryMessage) -> None:
    """Refused where it is made."""
    with pytest.raises(ContractError):
        encode_query(message)


@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="boundary")
def test_query_that_does_not_exist_has_no_name() -> None:
    """A peer could not answer it."""
    with pytest.raises(ContractError, match="got STP_CAPABILITY"):
        query_type_name(QueryMessage(Verb.STOP, "CAPABILITY"))
