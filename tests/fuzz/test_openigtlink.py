"""Lying OpenIGTLink messages: a message or a ``ProtocolError``, never anything else.

``TROCAR_FUZZ_MESSAGES`` sets the number of messages; the default takes seconds, ``tox -e fuzz``
reads a million of each kind.
"""

from __future__ import annotations

import contextlib
import os
import resource
import tracemalloc
from collections import Counter
from typing import Final

import pytest

from simulators.igtl_messages import Liar
from trocar.contracts.errors import ProtocolError
from trocar.streaming.openigtlink.header import parse_header
from trocar.streaming.openigtlink.image import ImageMessage, rgb_frame
from trocar.streaming.openigtlink.message_types import body_limit
from trocar.streaming.openigtlink.messages import decode

MESSAGE_COUNT: Final = int(os.environ.get("TROCAR_FUZZ_MESSAGES", "10000"))
MEMORY_KIB: Final = 64 * 1024
"""Growth of the process that is allowed over all messages: far below one promised image."""


def _resident_kib() -> int:
    """Return the largest memory of this process so far [KiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.timeout(3600)
@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="fault_injection")
@pytest.mark.verifies("SRS_IGTL_005", extent="partial", technique="fault_injection")
def test_a_lying_body_is_read_or_refused() -> None:
    """Fields at and beyond their borders, cut and extended bodies, with a right checksum."""
    liar = Liar(seed=21)
    outcomes: Counter[str] = Counter()
    before_kib = _resident_kib()
    for _ in range(MESSAGE_COUNT):
        header, body = liar.message()
        try:
            message = decode(header, body).message
            if isinstance(message, ImageMessage):
                rgb_frame(message)
        except ProtocolError:
            outcomes["refused"] += 1
        else:
            outcomes[type(message).__name__] += 1
    assert outcomes["refused"] > 0.3 * MESSAGE_COUNT
    assert len(outcomes) >= 8, outcomes
    assert _resident_kib() - before_kib < MEMORY_KIB


@pytest.mark.timeout(3600)
@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="fault_injection")
def test_a_lying_header_promises_no_more_than_its_type_may() -> None:
    """What a header promises is what the transport reads: it is bounded when it is accepted."""
    liar = Liar(seed=22)
    accepted_count = 0
    before_kib = _resident_kib()
    for _ in range(MESSAGE_COUNT):
        try:
            header = parse_header(liar.header())
        except ProtocolError:
            continue
        else:
            accepted_count += 1
            assert header.body_bytes <= body_limit(header.type_name)
    assert 0.05 * MESSAGE_COUNT < accepted_count < 0.95 * MESSAGE_COUNT
    assert _resident_kib() - before_kib < MEMORY_KIB


@pytest.mark.verifies("SRS_IGTL_004", extent="partial", technique="fault_injection")
def test_no_lie_makes_the_codec_take_more_memory_than_the_message_has() -> None:
    """Counted for each message: a promise of sizes must not be believed before it is checked."""
    liar = Liar(seed=23)
    largest_bytes = 0
    tracemalloc.start()
    try:
        for _ in range(2000):
            header, body = liar.message()
            tracemalloc.reset_peak()
            before_bytes, _ = tracemalloc.get_traced_memory()
            with contextlib.suppress(ProtocolError):
                decode(header, body)
            _, peak_bytes = tracemalloc.get_traced_memory()
            largest_bytes = max(largest_bytes, peak_bytes - before_bytes)
    finally:
        tracemalloc.stop()
    assert largest_bytes < 64 * 1024
