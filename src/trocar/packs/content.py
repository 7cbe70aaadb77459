"""Manifest and files of a pack agree: necessary, and not enough to load it.

Who made the pack is checked in ``packs.verify`` only; nothing else of the device may import this
module (contract "packs are opened through verify" of the import linter). The toolchain looks at its
own drafts with it, before they are signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from trocar.contracts.errors import HashMismatchError, IncompatiblePackError, PackError
from trocar.contracts.manifest import FORMAT_VERSIONS, MANIFEST_NAME, ModelManifest

__all__ = ["CheckedPack", "check_content"]

_REPLACE: Final = "restore the pack from a release; do not use this copy"


@dataclass(frozen=True)
class CheckedPack:
    """A pack whose files are those that its manifest lists.

    Attributes:
        manifest: The manifest.
        digest: SHA-256 of the manifest's bytes, which stands for the whole pack.
        content: Bytes of each file but manifest and signature by name; what was hashed is what is
            used.
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
def check_content(files: Mapping[str, bytes], digests: Mapping[str, str]) -> CheckedPack:
    """Compare files with their manifest.

    Args:
        files: Bytes by name, the manifest among them, the signature not.
        digests: SHA-256 of each of them.

    Raises:
        HashMismatchError: A file differs from the manifest.
        IncompatiblePackError: The manifest is of another format or asks for what this device cannot
            do.
        PackError: A file is missing or extra, or the manifest is not strict JSON.
    """
    content = dict(files)
    manifest = _parse_manifest(content.pop(MANIFEST_NAME))
    _check_files(manifest, content, digests)
    _require_text(content[manifest.card_file])
    return CheckedPack(manifest=manifest, digest=digests[MANIFEST_NAME], content=content)


# @need-ids: SRS_SIGN_007
def _parse_manifest(raw: bytes) -> ModelManifest:
    """Parse strictly: UTF-8, no repeated key, known format, known fields only."""
    try:
        parsed = json.loads(raw.decode("utf-8"), object_pairs_hook=_refuse_repeated_keys)
    except (ValueError, RecursionError) as exc:
        raise PackError(f"the manifest is not strict JSON: {exc}", advice=_REPLACE) from exc
    version = parsed.get("format_version") if isinstance(parsed, dict) else None
    if type(version) is not int or version not in FORMAT_VERSIONS:
        raise IncompatiblePackError(
            f"expected manifest format {' or '.join(map(str, FORMAT_VERSIONS))}, got {version!r}",
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


def _check_files(
    manifest: ModelManifest, content: Mapping[str, bytes], digests: Mapping[str, str]
) -> None:
    """Compare the files with the manifest."""
    listed = {entry.name: entry for entry in manifest.files}
    for name in sorted(content.keys() ^ listed.keys()):
        kind = "is missing from the pack" if name in listed else "is not listed in the manifest"
        raise PackError(f"{name} {kind}", advice=_REPLACE)
    for name, entry in listed.items():
        if len(content[name]) != entry.size_bytes or digests[name] != entry.sha256:
            raise HashMismatchError(
                f"{name} differs from the manifest: expected sha256 {entry.sha256}, got "
                f"{digests[name]}",
                advice=_REPLACE,
                file=name,
            )


def _require_text(card: bytes) -> None:
    """Refuse a card that nobody could read."""
    try:
        card.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise PackError(f"the model card is not UTF-8 text: {exc}", advice=_REPLACE) from exc
