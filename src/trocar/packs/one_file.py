"""A pack as one file: a tar archive that can be written in exactly one way.

Each header is computed again from name and size and compared byte by byte. So nothing that a tar
archive could say besides (links, owners, times, long names, sparse files) is ever interpreted, and
two different files never hold the same pack.

Source:
    POSIX.1-1988 "ustar" interchange format: header of 512 bytes, records of 10240 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trocar.contracts.errors import PackError
from trocar.contracts.limits import PACK_FILE_COUNT_MAX

__all__ = ["ONE_FILE_SUFFIX", "one_file_of", "read_one_file"]

ONE_FILE_SUFFIX: Final = ".trocarpack"
"""Ending of the name of a pack in one file."""

_BLOCK: Final = 512
_RECORD: Final = 20 * _BLOCK
_END: Final = 2 * _BLOCK
_NAME: Final = re.compile(rb"([a-z0-9][a-z0-9_.-]{0,63})\0*")
_SIZE: Final = re.compile(rb"[0-7]{11}\0")
_ADVICE: Final = "restore the pack from a release; do not use this copy"


def one_file_of(files: Mapping[str, bytes]) -> bytes:
    """Return the one file that holds these files.

    Args:
        files: Bytes by name, names as a manifest may hold them.
    """
    parts = []
    for name in sorted(files):
        data = files[name]
        parts += [_header(name.encode("ascii"), len(data)), data, bytes(-len(data) % _BLOCK)]
    length = sum(len(part) for part in parts) + _END
    return b"".join([*parts, bytes(_END + -length % _RECORD)])


# @need-ids: SRS_SIGN_005, RCM_SIGN_001
def read_one_file(raw: bytes) -> dict[str, bytes]:
    """Return the files in one file.

    Args:
        raw: Its bytes; the caller has bounded them.

    Raises:
        PackError: It is not the canonical writing of any files.
    """
    files: dict[str, bytes] = {}
    offset, last = 0, ""
    for _ in range(PACK_FILE_COUNT_MAX + 1):
        header = raw[offset : offset + _BLOCK]
        if not header.strip(b"\0"):
            break
        name, size = _name_and_size(header)
        begin = offset + _BLOCK
        offset = begin + size + -size % _BLOCK
        if name <= last or len(raw) < offset or raw[begin + size : offset].strip(b"\0"):
            raise _not_canonical(f"at {name}")
        files[name], last = raw[begin : begin + size], name
    if len(files) > PACK_FILE_COUNT_MAX:
        raise PackError(
            f"expected at most {PACK_FILE_COUNT_MAX} files in the pack, got more", advice=_ADVICE
        )
    end = _END + -(offset + _END) % _RECORD
    if not files or len(raw) != offset + end or raw[offset:].strip(b"\0"):
        raise _not_canonical("at its end")
    return files


def _name_and_size(header: bytes) -> tuple[str, int]:
    """Return what a header says, if it says it in the one way there is."""
    name, size = _NAME.fullmatch(header[:100]), _SIZE.fullmatch(header[124:136])
    if name is not None and size is not None:
        byte_count = int(header[124:135], 8)
        if header == _header(name[1], byte_count):
            return name[1].decode("ascii"), byte_count
    raise _not_canonical("in a header")


def _header(name: bytes, byte_count: int) -> bytes:
    """Return the header of a regular file: mode 0644, owner 0, time 0, no names of persons."""
    before = b"%b0000644\0" % name.ljust(100, b"\0") + 2 * b"0000000\0"
    before += b"%011o\0" % byte_count + b"00000000000\0"
    after = b"0" + bytes(100) + b"ustar\00000" + bytes(247)
    total = sum(before) + sum(b" " * 8) + sum(after)
    return before + b"%06o\0 " % total + after


def _not_canonical(where: str) -> PackError:
    """Return the error for any other writing."""
    return PackError(
        f"expected a pack in one file as sign bundle writes it, it differs {where}", advice=_ADVICE
    )
