"""Which types of message are decoded, and how large one may be: asked before memory is spent."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from trocar.contracts.limits import (
    IGTL_CAPABILITY_COUNT_MAX,
    IGTL_EXTENSION_BYTES_MAX,
    IGTL_IMAGE_BYTES_MAX,
    IGTL_POINT_COUNT_MAX,
    IGTL_TEXT_BYTES_MAX,
    IGTL_UNKNOWN_BYTES_MAX,
)

__all__ = [
    "DECODED_TYPES",
    "IMAGE_HEAD_BYTES",
    "POINT_BYTES",
    "QUERY_TYPES",
    "START_BYTES",
    "STATUS_HEAD_BYTES",
    "TRANSFORM_BYTES",
    "TYPE_NAME_BYTES",
    "Verb",
    "body_limit",
    "is_known",
]

TYPE_NAME_BYTES: Final = 12
"""Size of the name of a message type."""

IMAGE_HEAD_BYTES: Final = 72
"""What stands before the pixels of an IMAGE."""

TRANSFORM_BYTES: Final = 48
"""Twelve numbers of 32 bits."""

STATUS_HEAD_BYTES: Final = 30
"""What stands before the text of a STATUS."""

POINT_BYTES: Final = 136
"""One point of a POINT message."""

START_BYTES: Final = 36
"""Resolution and name of coordinates in a STT_TDATA."""


class Verb(StrEnum):
    """What a query asks for; the value is the prefix of its type name."""

    GET = "GET_"
    START = "STT_"
    STOP = "STP_"
    RESULT = "RTS_"


QUERY_TYPES: Final[dict[str, tuple[Verb, str]]] = {
    **{
        f"{verb}{subject}": (verb, subject)
        for verb, subjects in (
            (Verb.GET, ("IMAGE", "STATUS", "STRING", "POINT", "TDATA", "IMGMETA", "LBMETA")),
            (Verb.START, ("IMAGE", "TDATA")),
            (Verb.STOP, ("IMAGE", "TDATA")),
            (Verb.RESULT, ("IMAGE", "STATUS", "POINT", "TDATA")),
        )
        for subject in subjects
    },
    # The library writes TRANS where the documents write TRANSFOR, cut at twelve characters; the
    # first spelling of a pair is the one that is sent.
    **{
        f"{verb}{spelling}": (verb, "TRANSFORM")
        for verb in Verb
        for spelling in ("TRANS", "TRANSFOR")
    },
    "GET_CAPABIL": (Verb.GET, "CAPABILITY"),
    "RTS_CAPABIL": (Verb.RESULT, "CAPABILITY"),
}
"""Verb and subject of each query, by the name of its type on the wire."""

_CONTENT_BYTES_MAX: Final = {
    "IMAGE": IMAGE_HEAD_BYTES + IGTL_IMAGE_BYTES_MAX,
    "TRANSFORM": TRANSFORM_BYTES,
    "STRING": 4 + IGTL_TEXT_BYTES_MAX,
    "STATUS": STATUS_HEAD_BYTES + IGTL_TEXT_BYTES_MAX,
    "CAPABILITY": TYPE_NAME_BYTES * IGTL_CAPABILITY_COUNT_MAX,
    "POINT": POINT_BYTES * IGTL_POINT_COUNT_MAX,
    **dict.fromkeys(QUERY_TYPES, START_BYTES),
}

DECODED_TYPES: Final = frozenset(_CONTENT_BYTES_MAX)
"""Names of the types that are decoded; any other message is read past."""


# @need-ids: SRS_IGTL_004
def is_known(type_name: str) -> bool:
    """Return whether messages of a type are decoded; any other is read past and counted."""
    return type_name in DECODED_TYPES


# @need-ids: SRS_IGTL_004
def body_limit(type_name: str) -> int:
    """Return the largest body of a type in bytes, extended header and metadata included."""
    return _CONTENT_BYTES_MAX.get(type_name, IGTL_UNKNOWN_BYTES_MAX) + IGTL_EXTENSION_BYTES_MAX
