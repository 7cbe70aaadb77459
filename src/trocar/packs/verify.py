"""Verify a model pack and return the very bytes that were hashed.

Order of the checks, each before the next:

1. the pack is a folder, not a link to one;
2. it holds regular files only, no links, no more and no larger ones than the limits allow;
3. the manifest is strict JSON without repeated keys, of a known format, and says what this device
    can do;
4. the files are exactly those that the manifest lists;
5. each file has the size and the SHA-256 that the manifest says.

A signature over the manifest has its place between 2 and 3 (``manifest.sig``); this format version
carries none yet, and a pack that has such a file is refused rather than accepted without checking
it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from trocar.contracts.errors import HashMismatchError, IncompatiblePackError, PackError
from trocar.contracts.limits import MANIFEST_BYTES_MAX, PACK_FILE_BYTES_MAX, PACK_FILE_COUNT_MAX
from trocar.contracts.manifest import FORMAT_VERSION, MANIFEST_NAME, ModelManifest

__all__ = ["VerifiedPack", "verify_pack"]

_REPLACE: Final = "restore the pack from a release; do not use this copy"


@dataclass(frozen=True)
class VerifiedPack:
    """A pack whose every byte was checked.

    Attributes:
        manifest: The manifest.
        digest: SHA-256 of the manifest's bytes, which stands for the whole pack.
        content: Bytes of each file by name; what was hashed is what is used.
    """

    manifest: ModelManifest
    digest: str
    content: dict[str, bytes]

    @property
    def model(self) -> bytes:
        """Bytes of the ONNX model."""
        return self.content[self.manifest.model_file]

    @property
    def card(self) -> str:
        """Text of the model card."""
        return self.content[self.manifest.card_file].decode("utf-8")


# @need-ids: SRS_PACK_001, SRS_PACK_002, SRS_PACK_003, SRS_SECURITY_001, RCM_PACK_001
def verify_pack(folder: Path) -> VerifiedPack:
    """Check a pack and return its bytes.

    Args:
        folder: Folder of the pack.

    Returns:
        The verified pack.

    Raises:
        HashMismatchError: A file differs from the manifest.
        IncompatiblePackError: The manifest is of another format or asks for what this device cannot
            do.
        PackError: A file is missing, extra, linked, not regular or too large, or the manifest is
            not strict JSON.
    """
    content = _read_regular_files(folder)
    raw_manifest = content.pop(MANIFEST_NAME, None)
    if raw_manifest is None:
        raise PackError(
            f"expected {MANIFEST_NAME} in {folder}, found none", advice="name the folder of a pack"
        )
    if len(raw_manifest) > MANIFEST_BYTES_MAX:
        raise PackError(
            f"expected a manifest of at most {MANIFEST_BYTES_MAX} bytes, got {len(raw_manifest)}",
            advice=_REPLACE,
        )
    manifest = _parse_manifest(raw_manifest)
    _check_files(manifest, content)
    return VerifiedPack(
        manifest=manifest, digest=hashlib.sha256(raw_manifest).hexdigest(), content=content
    )


def _read_regular_files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file; steps 1 and 2 of the module's list."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise PackError(f"expected a folder, got {folder}", advice="name the folder of a pack")
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        if len(listed) > PACK_FILE_COUNT_MAX:
            raise PackError(
                f"expected at most {PACK_FILE_COUNT_MAX} files, got {len(listed)}", advice=_REPLACE
            )
        return {entry.name: _read_regular_file(Path(entry.path)) for entry in listed}
    except OSError as exc:
        raise PackError(
            f"cannot read the pack {folder}: {exc}", advice="check path and permissions"
        ) from exc


def _read_regular_file(path: Path) -> bytes:
    """Read one file without following links, blocking on a pipe, or exceeding the limit."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as stream:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise PackError(f"expected a regular file, got {path.name}", advice=_REPLACE)
        if state.st_size > PACK_FILE_BYTES_MAX:
            raise PackError(
                f"expected {path.name} to have at most {PACK_FILE_BYTES_MAX} bytes, got "
                f"{state.st_size}",
                advice=_REPLACE,
            )
        return stream.read(PACK_FILE_BYTES_MAX + 1)


def _parse_manifest(raw: bytes) -> ModelManifest:
    """Parse strictly: UTF-8, no repeated key, known format, known fields only."""
    try:
        parsed = json.loads(raw.decode("utf-8"), object_pairs_hook=_refuse_repeated_keys)
    except (ValueError, RecursionError) as exc:
        raise PackError(f"the manifest is not strict JSON: {exc}", advice=_REPLACE) from exc
    version = parsed.get("format_version") if isinstance(parsed, dict) else None
    if type(version) is not int or version != FORMAT_VERSION:
        raise IncompatiblePackError(
            f"expected manifest format {FORMAT_VERSION}, got {version!r}",
            advice="use the release of Trocar that belongs to this pack",
        )
    try:
        return ModelManifest.model_validate_json(raw)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise IncompatiblePackError(
            f"the manifest breaks its contract at {where}: {first['msg']}", advice=_REPLACE
        ) from exc


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a key twice: readers disagree on which one counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key is repeated among {sorted({key for key, _ in pairs})}")
    return found


def _check_files(manifest: ModelManifest, content: dict[str, bytes]) -> None:
    """Compare the folder with the manifest; steps 4 and 5 of the module's list."""
    listed = {entry.name: entry for entry in manifest.files}
    for name in sorted(content.keys() ^ listed.keys()):
        kind = "is missing from the folder" if name in listed else "is not listed in the manifest"
        raise PackError(f"{name} {kind}", advice=_REPLACE)
    for name, entry in listed.items():
        found = hashlib.sha256(content[name]).hexdigest()
        if len(content[name]) != entry.size_bytes or found != entry.sha256:
            raise HashMismatchError(
                f"{name} differs from the manifest: expected sha256 {entry.sha256}, got {found}",
                advice=_REPLACE,
                file=name,
            )
