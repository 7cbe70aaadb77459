"""The checksum against a CRC written out bit by bit, and its verdict."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import numpy as np
import pytest

from trocar.contracts.errors import SourceError
from trocar.contracts.frame import CrcVerdict
from trocar.streaming.openigtlink import crc64 as module
from trocar.streaming.openigtlink.crc64 import crc64, crc_verdict

GENERATOR: Final = 0x42F0E1EBA9EA3693
LARGEST: Final = (1 << 64) - 1


def _table() -> list[int]:
    """Return the remainders of all bytes, by division."""
    found = []
    for byte in range(256):
        rest = byte << 56
        for _ in range(8):
            rest = (rest << 1) & LARGEST ^ (GENERATOR if rest >> 63 else 0)
        found.append(rest)
    return found


def _slow_crc(data: bytes) -> int:
    """Return the remainder of a division, byte by byte."""
    table, rest = _table(), 0
    for byte in data:
        rest = (rest << 8) & LARGEST ^ table[(rest >> 56) ^ byte]
    return rest


@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="requirement")
def test_published_check_value() -> None:
    """The catalogues of CRCs give this value for CRC-64/ECMA-182."""
    assert crc64(b"123456789") == 0x6C40DF5F0B497347


@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="equivalence")
def test_equals_a_plain_division_at_every_short_length() -> None:
    """Fast methods switch with the length and the alignment of a buffer."""
    data = np.random.default_rng(1).integers(0, 256, 400, dtype=np.uint8).tobytes()
    view = memoryview(data)
    for length in range(300):
        for begin in (0, 1, 7):
            assert crc64(view[begin : begin + length]) == _slow_crc(data[begin : begin + length])


@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize("length", [16_383, 16_384, 16_385, 100_003])
def test_equals_a_plain_division_where_the_lock_is_released(length: int) -> None:
    """From 16 KiB on the library takes another path."""
    data = np.random.default_rng(length).integers(0, 256, length, dtype=np.uint8).tobytes()
    assert crc64(data) == _slow_crc(data)


@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="property")
@pytest.mark.parametrize("cuts", [(0,), (1,), (100,), (50, 50), (1, 2, 3), (20_000,)])
def test_buffers_count_as_one(cuts: tuple[int, ...]) -> None:
    """A message is sent as header, pixels and metadata, which lie in different places."""
    data = np.random.default_rng(2).integers(0, 256, 40_000, dtype=np.uint8).tobytes()
    parts, begin = [], 0
    for cut in cuts:
        parts.append(data[begin : begin + cut])
        begin += cut
    assert crc64(*parts, memoryview(data)[begin:]) == crc64(data)
    assert crc64() == 0


@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("sent_is_right", "sent_is_zero", "verdict"),
    [
        (True, False, CrcVerdict.VERIFIED),
        (False, False, CrcVerdict.MISMATCH),
        (False, True, CrcVerdict.NOT_SENT),
    ],
)
@pytest.mark.controls("RCM_IGTL_001")
def test_verdict(*, sent_is_right: bool, sent_is_zero: bool, verdict: CrcVerdict) -> None:
    """Zero is what senders without a checksum write; it is said and not taken for a proof."""
    body = b"some pixels"
    wrong = 0 if sent_is_zero else crc64(body) ^ 1
    assert crc_verdict(crc64(body) if sent_is_right else wrong, body) is verdict


@pytest.mark.verifies("SRS_IGTL_002", extent="partial", technique="boundary")
def test_a_body_whose_checksum_is_zero_is_verified_by_it() -> None:
    """Such as an empty one: there the zero is right."""
    assert crc_verdict(0) is CrcVerdict.VERIFIED
    assert crc_verdict(0, bytes(100)) is CrcVerdict.VERIFIED


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="fault_injection")
def test_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who did not install the extra reads what to install, not a traceback."""
    monkeypatch.setitem(sys.modules, "fastcrc.crc64", None)
    with pytest.raises(SourceError, match="fastcrc") as caught:
        importlib.reload(module)
    assert "trocar[openigtlink]" in caught.value.advice
    monkeypatch.undo()
    importlib.reload(module)
