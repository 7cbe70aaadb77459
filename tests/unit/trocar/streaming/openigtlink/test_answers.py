"""Each query has its answer: a peer that asks must not wait in vain."""

from __future__ import annotations

import pytest

from trocar.streaming.openigtlink.answers import answer_to
from trocar.streaming.openigtlink.message_types import QUERY_TYPES, Verb
from trocar.streaming.openigtlink.messages import Message, NoDataMessage, encode
from trocar.streaming.openigtlink.query import CapabilityMessage, QueryMessage
from trocar.streaming.openigtlink.status import StatusCode, StatusMessage
from trocar.streaming.openigtlink.text import StringMessage

TEXT = StringMessage("newest")


def _answer(verb: Verb, subject: str, **newest: Message) -> Message | None:
    """Return the answer of a link that offers images and texts."""
    query = QueryMessage(verb, subject)
    return answer_to(query, offered={"IMAGE", "STRING"}, newest=newest.get)


@pytest.mark.verifies("SRS_IGTL_025", extent="partial", technique="equivalence")
@pytest.mark.parametrize("type_name", sorted(QUERY_TYPES))
def test_each_query_has_an_answer_that_can_be_sent(type_name: str) -> None:
    """Also those on types that this link knows nothing about; a result is an answer itself."""
    verb, subject = QUERY_TYPES[type_name]
    answer = _answer(verb, subject)
    assert (answer is None) == (verb is Verb.RESULT)
    if answer is not None:
        assert encode(answer, device_name="x", timestamp_ns=None)


@pytest.mark.verifies("SRS_IGTL_025", extent="partial", technique="example")
def test_list_of_types_is_given() -> None:
    """3D Slicer asks for it after connecting."""
    answer = _answer(Verb.GET, "CAPABILITY")
    assert isinstance(answer, CapabilityMessage)
    assert {"IMAGE", "STATUS", "GET_CAPABIL"} <= set(answer.type_names)


@pytest.mark.verifies("SRS_IGTL_025", extent="partial", technique="example")
def test_newest_message_of_a_type_is_given() -> None:
    """A client that comes late asks for what it missed."""
    bad = StatusMessage(StatusCode.NOT_READY)
    assert _answer(Verb.GET, "STRING", STRING=TEXT) is TEXT
    assert _answer(Verb.GET, "STRING") == NoDataMessage("STRING")
    assert _answer(Verb.GET, "STATUS", STATUS=bad) is bad
    assert _answer(Verb.GET, "STATUS") == StatusMessage(StatusCode.OK)
    missing = _answer(Verb.GET, "TDATA")
    assert isinstance(missing, StatusMessage)
    assert missing.code == StatusCode.NOT_FOUND


@pytest.mark.verifies("SRS_IGTL_025", extent="partial", technique="equivalence")
@pytest.mark.parametrize("verb", [Verb.START, Verb.STOP])
def test_orders_have_a_result(verb: Verb) -> None:
    """Success only for what is really sent."""
    assert _answer(verb, "IMAGE") == QueryMessage(Verb.RESULT, "IMAGE", result=0)
    assert _answer(verb, "TDATA") == QueryMessage(Verb.RESULT, "TDATA", result=1)
    unknown = _answer(verb, "STRING")
    assert isinstance(unknown, StatusMessage)
    assert unknown.code == StatusCode.UNKNOWN_INSTRUCTION
