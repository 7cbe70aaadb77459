"""Packs that are not signed yet: the toolchain's own drafts, which no device opens."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trocar.packs.content import CheckedPack, check_content
from trocar.packs.reading import SIGNATURE_NAME, read_pack_files


def read_draft(place: Path) -> CheckedPack:
    """Return a pack whose files agree with its manifest; who made it is not looked at.

    Args:
        place: Folder of the pack, or the pack in one file.

    Raises:
        PackError: They do not agree, or it is no pack.
    """
    return check_content(*files_and_digests(place))


def files_and_digests(place: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return bytes and SHA-256 of every file of a pack but its signature."""
    files = read_pack_files(place)
    files.pop(SIGNATURE_NAME, None)
    return files, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
