"""The checksum of OpenIGTLink: CRC-64 of ECMA-182, from zero, not reflected."""

from __future__ import annotations

from trocar.contracts.errors import SourceError
from trocar.contracts.frame import CrcVerdict
from trocar.streaming.openigtlink.wire import Bytes

try:
    from fastcrc.crc64 import ecma_182
except ImportError as exc:
    raise SourceError(
        "expected the package fastcrc for OpenIGTLink, got an environment without it",
        advice="install Trocar with the extra openigtlink: pip install 'trocar[openigtlink]'",
    ) from exc

__all__ = ["crc64", "crc_verdict"]


# @need-ids: SRS_IGTL_002
def crc64(*buffers: Bytes) -> int:
    """Return the checksum of buffers as if they were one; nothing is copied.

    The interpreter lock is released for buffers of 16 KiB and more.

    Source:
        ECMA-182, annex B: generator 0x42F0E1EBA9EA3693; OpenIGTLink, header: over the whole body.
    """
    value = 0
    for buffer in buffers:
        value = ecma_182(buffer, value)
    return value


# @need-ids: SRS_IGTL_002
def crc_verdict(sent: int, *body: Bytes) -> CrcVerdict:
    """Return whether a body is the one that was sent.

    Args:
        sent: Checksum of the header.
        body: All bytes behind the header, in one or more buffers.

    Returns:
        ``NOT_SENT`` where the header holds 0 and the body's checksum is another one: senders that
        leave the checksum out write 0. A damage that turns the field itself into 0 looks the same.
    """
    # @need-ids: RCM_IGTL_001
    if crc64(*body) == sent:
        return CrcVerdict.VERIFIED
    return CrcVerdict.NOT_SENT if sent == 0 else CrcVerdict.MISMATCH
