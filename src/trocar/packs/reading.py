"""Read a pack from its place: regular files only, bounded, no link followed, no pipe waited for.

Sizes are looked at before the first byte is read, so that a sparse file of many gigabytes costs
nothing. A hard link is read like any other regular file: what is checked afterwards are the bytes
that were read, whoever else has a name for them.
"""

from __future__ import annotations

import os
import re
import stat
from itertools import islice
from pathlib import Path
from typing import Final

from trocar.contracts.errors import PackError
from trocar.contracts.limits import (
    MANIFEST_BYTES_MAX,
    PACK_BYTES_MAX,
    PACK_FILE_BYTES_MAX,
    PACK_FILE_COUNT_MAX,
    PACK_SIGNATURE_BYTES_MAX,
)
from trocar.contracts.manifest import MANIFEST_NAME
from trocar.packs.one_file import ONE_FILE_SUFFIX, read_one_file

__all__ = ["SIGNATURE_NAME", "read_bounded", "read_pack_files"]

SIGNATURE_NAME: Final = "model.sig"
"""Name of the signature inside a pack."""

_REPLACE: Final = "restore the pack from a release; do not use this copy"
_NAME_ADVICE: Final = f"name the folder of a pack, or a pack in one file (*{ONE_FILE_SUFFIX})"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


# @need-ids: SRS_PACK_003, SRS_SIGN_001, SRS_SIGN_005, RCM_SIGN_001
def read_pack_files(place: Path) -> dict[str, bytes]:
    """Return the bytes of each file of a pack.

    Args:
        place: Folder of a pack, or a pack in one file.

    Returns:
        Bytes by name; manifest and signature among them.

    Raises:
        PackError: It is something else, holds something else than regular files with names of a
            pack, or is larger than the limits allow.
    """
    try:
        mode = place.lstat().st_mode
        if stat.S_ISDIR(mode):
            files = _read_folder(place)
        elif stat.S_ISREG(mode) and place.name.endswith(ONE_FILE_SUFFIX):
            raw = read_bounded(place, bytes_max=PACK_BYTES_MAX)
            files = read_one_file(raw)
            for name, data in files.items():
                _require_size(name, len(data))
        else:
            raise PackError(
                f"expected a folder or a file *{ONE_FILE_SUFFIX}, got {place}", advice=_NAME_ADVICE
            )
    except OSError as exc:
        raise PackError(
            f"cannot read the pack {place}: {exc.strerror}", advice="check path and permissions"
        ) from exc
    if MANIFEST_NAME not in files:
        raise PackError(f"expected {MANIFEST_NAME} in {place}, found none", advice=_NAME_ADVICE)
    return files


# @need-ids: RCM_SIGN_003
def read_bounded(path: Path | str, *, bytes_max: int, folder: int | None = None) -> bytes:
    """Return the bytes of one regular file.

    Args:
        path: The file; a link is not followed, a pipe not waited for.
        bytes_max: Larger ones are refused before a byte is read.
        folder: Descriptor of the folder that a relative path belongs to.

    Raises:
        PackError: It is no regular file, or larger.
        OSError: It cannot be read.
    """
    handle = os.open(path, _READ, dir_fd=folder)
    with os.fdopen(handle, "rb") as stream:
        state = os.fstat(handle)
        _require_regular(Path(path).name, state, bytes_max=bytes_max)
        raw = stream.read(state.st_size + 1)
    if len(raw) != state.st_size:
        raise PackError(
            f"expected {Path(path).name} to stay as it is while it is read, its size changed",
            advice=_REPLACE,
        )
    return raw


def _read_folder(place: Path) -> dict[str, bytes]:
    """Return the files of a folder, which stays the same one while it is read."""
    folder = os.open(place, _READ | os.O_DIRECTORY)
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, PACK_FILE_COUNT_MAX + 1))
        if len(names) > PACK_FILE_COUNT_MAX:
            raise PackError(
                f"expected at most {PACK_FILE_COUNT_MAX} files, got more", advice=_REPLACE
            )
        total = 0
        for name in names:
            state = os.stat(name, dir_fd=folder, follow_symlinks=False)
            _require_regular(name, state, bytes_max=_bytes_max(name))
            total += state.st_size
        if total > PACK_BYTES_MAX:
            raise PackError(
                f"expected a pack of at most {PACK_BYTES_MAX} bytes, got {total}", advice=_REPLACE
            )
        return {
            name: read_bounded(name, bytes_max=_bytes_max(name), folder=folder) for name in names
        }
    finally:
        os.close(folder)


def _require_regular(name: str, state: os.stat_result, *, bytes_max: int) -> None:
    """Refuse what is no regular file, or too large."""
    if not stat.S_ISREG(state.st_mode):
        raise PackError(f"expected a regular file, got {name!r}", advice=_REPLACE)
    if state.st_size > bytes_max:
        raise PackError(
            f"expected {name!r} to have at most {bytes_max} bytes, got {state.st_size}",
            advice=_REPLACE,
        )


def _require_size(name: str, byte_count: int) -> None:
    """Refuse a file of a pack in one file that would be too large in a folder."""
    if byte_count > _bytes_max(name):
        raise PackError(
            f"expected {name!r} to have at most {_bytes_max(name)} bytes, got {byte_count}",
            advice=_REPLACE,
        )


def _bytes_max(name: str) -> int:
    """Return how large a file of this name may be.

    Raises:
        PackError: A pack has no file of such a name: lower case only, so that no two names collide
            on another file system; no folder; no leading dot.
    """
    if _NAME.fullmatch(name) is None:
        raise PackError(f"expected only files of a pack, got {name!r}", advice=_REPLACE)
    limits = {MANIFEST_NAME: MANIFEST_BYTES_MAX, SIGNATURE_NAME: PACK_SIGNATURE_BYTES_MAX}
    return limits.get(name, PACK_FILE_BYTES_MAX)
