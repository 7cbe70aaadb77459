"""What is said of who made and who approved a pack: on the screen, and in the account of a run."""

from __future__ import annotations

from typing import Any

from trocar.packs.verify import Signer, TrustOrigin, VerifiedPack

__all__ = ["signature_fields", "signature_lines", "warning_lines"]


# @need-ids: SRS_SIGN_006, RCM_SIGN_002
def signature_fields(pack: VerifiedPack) -> dict[str, Any]:
    """Return who signed and who approved a pack, for machines."""
    return {
        **_signer_fields(pack.signed_by),
        "approval": _signer_fields(pack.approval),
        "trust": pack.trust.value,
    }


# @need-ids: SRS_SIGN_006, RCM_SIGN_002
def signature_lines(pack: VerifiedPack) -> list[str]:
    """Return who signed and who approved a pack, for people."""
    return [
        f"signed by key {pack.signed_by.key_id}",
        f"approved by key {pack.approval.key_id}",
        *warning_lines(pack),
    ]


# @need-ids: SRS_SIGN_006
def warning_lines(pack: VerifiedPack) -> list[str]:
    """Return what has to be said of a pack whenever it runs; nothing for one of a release."""
    lines = []
    if pack.is_for_development:
        lines.append(
            f"{pack.manifest.pack_id}: signed with a development key: not for use outside "
            "development"
        )
    if pack.trust is TrustOrigin.SITE:
        lines.append(
            f"{pack.manifest.pack_id}: trusted by the folder that was named, not by this release"
        )
    return lines


def _signer_fields(signer: Signer) -> dict[str, str]:
    """Return one signer."""
    return {"key_id": signer.key_id, "grade": signer.grade.value}
