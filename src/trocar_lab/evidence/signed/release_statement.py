"""What is signed about a release: its files by digest, and which release it is.

The envelope and the statement are read by the device's own reader (``trocar.statements``), so that
the trace, the release tool and the installer cannot come to different results.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field, ValidationError

from trocar.contracts.errors import SignatureError
from trocar.packs.signature_check import check_p256
from trocar.statements.dsse import Envelope
from trocar.statements.statement import RELEASE_TYPE, STATEMENT_TYPE, verified_statement
from trocar.statements.trust import TrustedKey, read_trusted_keys
from trocar_lab.evidence.errors import ReleaseError
from trocar_lab.evidence.graph.metamodel import Frozen

KEYS: Final = "verification/keys"
"""Folder with the public keys of releases; not those of packs, which lie in the wheel."""

_WHAT: Final = "release.dsse.json"


class ReleaseDevice(Frozen):
    """What the wheels of a release are for."""

    python: Annotated[str, Field(pattern=r"^3\.\d+$")]
    platform: Annotated[str, Field(min_length=1)]


class ReleasePredicate(Frozen):
    """Which release was signed.

    Attributes:
        version: Version of the device.
        sequence: Rises with each release; an installer never goes back.
        grade: production, or development, which no patient-near machine may run.
        expires: Last day on which an installer may take it.
        commit: Commit that it was built from.
        device: What its wheels are for.
        minimum_sequence: Below it, no release may run after this one; 0 for none.
    """

    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+[0-9a-z.]*$")]
    sequence: Annotated[int, Field(ge=1, strict=True)]
    grade: Literal["production", "development"]
    expires: dt.date
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
    device: ReleaseDevice
    minimum_sequence: Annotated[int, Field(ge=0, strict=True)] = 0


class SignedRelease(NamedTuple):
    """What the holder of a trusted key has signed.

    Attributes:
        subjects: File name to SHA-256.
        predicate: Which release it is.
        key: Whose signature it is.
    """

    subjects: Mapping[str, str]
    predicate: ReleasePredicate
    key: TrustedKey


def read_release_keys(folder: Path) -> tuple[TrustedKey, ...]:
    """Return the keys of releases; none where there is no folder.

    Args:
        folder: Trust folder.

    Raises:
        ReleaseError: A file in it is no key.
    """
    if not folder.is_dir():
        return ()
    try:
        return read_trusted_keys(folder)
    except SignatureError as exc:
        raise ReleaseError(f"{exc.problem}; {exc.advice}") from exc


def signed_release(envelope: Envelope, keys: Sequence[TrustedKey]) -> SignedRelease:
    """Return what was signed about a release.

    Args:
        envelope: What was read; nothing in it is trusted before.
        keys: Who is trusted.

    Raises:
        ReleaseError: No signature by a trusted key, or no statement about a release.
    """
    try:
        statement, key = verified_statement(
            envelope, keys, check_p256, predicate_type=RELEASE_TYPE, what=_WHAT
        )
        predicate = ReleasePredicate.model_validate(statement.predicate)
    except SignatureError as exc:
        raise ReleaseError(f"{exc.problem}; {exc.advice}") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ReleaseError(f"{_WHAT} signs a predicate whose {place}: {first['msg']}") from exc
    subjects = {subject.name: subject.sha256 for subject in statement.subjects}
    return SignedRelease(subjects, predicate, key)


def release_payload(subjects: Mapping[str, str], predicate: ReleasePredicate) -> bytes:
    """Return the statement about a release, as it is signed.

    Args:
        subjects: File name to SHA-256.
        predicate: Which release it is.
    """
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": n, "digest": {"sha256": subjects[n]}} for n in sorted(subjects)],
        "predicateType": RELEASE_TYPE,
        "predicate": predicate.model_dump(mode="json", exclude_defaults=True),
    }
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
