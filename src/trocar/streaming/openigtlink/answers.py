"""What is answered to the queries that 3D Slicer, PLUS and the example programs send."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, assert_never

from trocar.streaming.openigtlink.message_types import DECODED_TYPES, QUERY_TYPES, Verb
from trocar.streaming.openigtlink.messages import Message, NoDataMessage
from trocar.streaming.openigtlink.query import CapabilityMessage, QueryMessage
from trocar.streaming.openigtlink.status import StatusCode, StatusMessage

__all__ = ["answer_to"]

_SUCCESS, _FAILURE = 0, 1
_CAPABILITIES: Final = tuple(sorted(DECODED_TYPES))
_HAS_RESULT: Final = frozenset(
    subject for verb, subject in QUERY_TYPES.values() if verb is Verb.RESULT
)
_CAN_BE_EMPTY: Final = frozenset({"IMAGE", "TRANSFORM", "STRING", "STATUS"})


# @need-ids: SRS_IGTL_025
def answer_to(
    query: QueryMessage,
    *,
    offered: Collection[str],
    newest: Callable[[str], Message | None],
) -> Message | None:
    """Return the answer to a query, or None where a peer expects none.

    Args:
        query: What a peer asks.
        offered: Types of message that this link sends by itself.
        newest: Gives the newest message of a type that was sent, or None.
    """
    match query.verb:
        case Verb.GET:
            return _get(query.subject, newest)
        case Verb.START | Verb.STOP:
            if query.subject not in _HAS_RESULT:
                return _not_known(query)
            result = _SUCCESS if query.subject in offered else _FAILURE
            return QueryMessage(Verb.RESULT, query.subject, result=result)
        case Verb.RESULT:
            return None
        case _:
            assert_never(query.verb)


def _get(subject: str, newest: Callable[[str], Message | None]) -> Message:
    """Return what was asked for, or the answer that there is none."""
    match subject:
        case "CAPABILITY":
            return CapabilityMessage(_CAPABILITIES)
        case "STATUS":
            return newest("STATUS") or StatusMessage(StatusCode.OK)
    found = newest(subject)
    if found is not None:
        return found
    if subject in _CAN_BE_EMPTY:
        return NoDataMessage(subject)
    return StatusMessage(StatusCode.NOT_FOUND, error_name="not found", text=f"no {subject}")


def _not_known(query: QueryMessage) -> Message:
    """Return the answer to an order that has no result of its own."""
    return StatusMessage(
        StatusCode.UNKNOWN_INSTRUCTION, error_name="not known", text=f"{query.verb}{query.subject}"
    )
