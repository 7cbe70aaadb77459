"""The list of approved packs: which models may run with this version of the software.

A signature says who made a pack, not that it is the one to run: an older pack of the same maker is
signed as well. The list, signed by a trusted key, names for one version of Trocar the digest of
each pack that was released with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trocar import __version__
from trocar.contracts.errors import PackError, SignatureError
from trocar.contracts.limits import STATEMENT_BYTES_MAX
from trocar.packs.reading import read_bounded
from trocar.packs.signature_check import check_p256
from trocar.statements.dsse import read_envelope
from trocar.statements.statement import APPROVED_PACKS_TYPE, Statement, verified_statement
from trocar.statements.trust import APPROVED_PACKS_NAME, TrustedKey

__all__ = ["VERSION_FIELD", "read_approved_packs", "require_approved"]

VERSION_FIELD: Final = "trocar_version"
"""Field of the predicate: the version that the list was made for."""

_WHAT: Final = "the list of approved packs"


# @need-ids: SRS_SIGN_003, RCM_SIGN_002
def read_approved_packs(
    trust: Path, keys: tuple[TrustedKey, ...]
) -> tuple[dict[str, str], TrustedKey]:
    """Return the approved packs.

    Args:
        trust: Trust folder that holds the list.
        keys: Its keys.

    Returns:
        SHA-256 of the manifest by id of the pack, and the key that signed the list.

    Raises:
        SignatureError: There is none, nobody who is trusted has signed it, or it was made for
            another version of Trocar.
    """
    statement, key = verified_statement(
        read_envelope(_read(trust / APPROVED_PACKS_NAME), what=_WHAT),
        keys,
        check_p256,
        predicate_type=APPROVED_PACKS_TYPE,
        what=_WHAT,
    )
    _require_version(statement)
    return {subject.name: subject.sha256 for subject in statement.subjects}, key


# @need-ids: SRS_SIGN_003, RCM_SIGN_002
def require_approved(pack_id: str, digest: str, approved: dict[str, str]) -> None:
    """Refuse a pack that is not on the list.

    Args:
        pack_id: Name and version of the pack.
        digest: SHA-256 of its manifest.
        approved: The list.

    Raises:
        SignatureError: Its id is not on the list, or stands there with another digest.
    """
    wanted = approved.get(pack_id)
    if wanted is None:
        raise SignatureError(
            f"expected an approved pack ({', '.join(sorted(approved))}), got {pack_id}",
            advice="use the packs of this release; a site approves its own with sign packs and "
            "names its folder with --trust",
        )
    if wanted != digest:
        raise SignatureError(
            f"expected {pack_id} with the approved digest {wanted}, got {digest}",
            advice="use the pack of this release; an older or other one may be signed as well",
        )


def _read(path: Path) -> bytes:
    """Return the bytes of the list."""
    try:
        return read_bounded(path, bytes_max=STATEMENT_BYTES_MAX)
    except OSError as exc:
        raise SignatureError(
            f"cannot read {path}: {exc.strerror}",
            advice="name a trust folder that holds the list of approved packs",
        ) from exc
    except PackError as exc:
        raise SignatureError(exc.problem, advice="restore the trust folder") from exc


def _require_version(statement: Statement) -> None:
    """Refuse a list that was made for another version: it may approve what was withdrawn since."""
    if statement.predicate != {VERSION_FIELD: __version__}:
        raise SignatureError(
            f"expected {_WHAT} to be made for Trocar {__version__}, it is for "
            f"{statement.predicate.get(VERSION_FIELD)!r}",
            advice="use the list that came with this version",
        )
