"""The one door through which a model pack comes in: signed, approved, whole; or not at all.

Order of the checks, each before the next:

1. the place is a folder or one file, holds regular files with names of a pack only, no link, no
   pipe, no more and no larger ones than the limits allow; one file is the canonical archive;
2. ``model.sig`` is strictly what a signature of a pack is, and is by a key of the trust folder;
3. the files are exactly those that were signed, each with the SHA-256 that was signed;
4. the manifest is strict JSON without repeated keys, of a known format, and says what this device
   can do; the files are exactly those that it lists;
5. the pack was signed under its own name;
6. the list of approved packs, signed by a key of the same folder, names this very pack.

No variable and no option leaves a check out. What is returned are the bytes that were hashed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Final

from trocar.contracts.errors import SignatureError
from trocar.packs.approved import read_approved_packs, require_approved
from trocar.packs.content import CheckedPack, check_content
from trocar.packs.reading import SIGNATURE_NAME, read_pack_files
from trocar.packs.signature import verify_signature
from trocar.statements.trust import KeyGrade, TrustedKey, read_trusted_keys

__all__ = ["SHIPPED_TRUST", "Signer", "TrustOrigin", "VerifiedPack", "verify_pack"]

SHIPPED_TRUST: Final = Path(str(resources.files("trocar") / "assets" / "trust"))
"""The trust folder that comes with this release."""


class TrustOrigin(StrEnum):
    """Whose decision it is which keys and packs are trusted."""

    RELEASE = "release"
    SITE = "site"


@dataclass(frozen=True)
class Signer:
    """Who signed.

    Attributes:
        key_id: SHA-256 of the public key.
        grade: What the key may vouch for.
    """

    key_id: str
    grade: KeyGrade


# @need-ids: SRS_PACK_001
@dataclass(frozen=True)
class VerifiedPack(CheckedPack):
    """A pack whose every byte, maker and approval was checked.

    Attributes:
        signed_by: Who signed the pack.
        approval: Who signed the list that approves it.
        trust: Whether both are trusted by the release, or by a folder that the user named.
    """

    signed_by: Signer
    approval: Signer
    trust: TrustOrigin

    @property
    def is_for_development(self) -> bool:
        """Whether a development key vouches for the pack."""
        return self.grade is KeyGrade.DEVELOPMENT

    @property
    def grade(self) -> KeyGrade:
        """The lower grade of both signatures."""
        grades = {self.signed_by.grade, self.approval.grade}
        return KeyGrade.RELEASE if grades == {KeyGrade.RELEASE} else KeyGrade.DEVELOPMENT


# @need-ids: SRS_SIGN_001, SRS_SIGN_002, SRS_SIGN_003, SRS_SIGN_004, RCM_SIGN_001, RCM_SIGN_003
def verify_pack(place: Path, trust: Path | None = None) -> VerifiedPack:
    """Check a pack and return its bytes.

    Args:
        place: Folder of the pack, or the pack in one file.
        trust: Folder with the trusted keys and the list of approved packs; None for the one that
            comes with this release.

    Returns:
        The verified pack.

    Raises:
        SignatureError: The pack is not signed, not by a trusted key, under another name, or not
            approved.
        HashMismatchError: A file differs from what was signed, or from the manifest.
        IncompatiblePackError: The manifest is of another format or asks for what this device cannot
            do.
        PackError: A file is missing, extra, linked, not regular or too large, or the manifest is
            not strict JSON.
    """
    files = read_pack_files(place)
    raw = files.pop(SIGNATURE_NAME, None)
    if raw is None:
        raise SignatureError(
            f"expected {SIGNATURE_NAME} in {place}, found none: the pack is not signed",
            advice="use a pack of a release, or let its maker sign it",
        )
    folder = SHIPPED_TRUST if trust is None else trust
    keys = read_trusted_keys(folder)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    signed_name, maker = verify_signature(raw, digests, keys)
    pack = check_content(files, digests)
    own_name = pack.manifest.pack_id.replace(" ", "-")
    if signed_name != own_name:
        raise SignatureError(
            f"expected the pack to be signed as {own_name}, it is signed as {signed_name!r}",
            advice="get the pack again from its maker",
        )
    approved, approver = read_approved_packs(folder, keys)
    require_approved(pack.manifest.pack_id, pack.digest, approved)
    return VerifiedPack(
        manifest=pack.manifest,
        digest=pack.digest,
        content=pack.content,
        signed_by=_signer(maker),
        approval=_signer(approver),
        trust=TrustOrigin.RELEASE if trust is None else TrustOrigin.SITE,
    )


def _signer(key: TrustedKey) -> Signer:
    """Return who owns a key."""
    return Signer(key_id=key.key_id, grade=key.grade)
