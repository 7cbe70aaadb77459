"""Sign packs, approve them, and write them as one file."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from trocar import __version__
from trocar.packs.approved import VERSION_FIELD
from trocar.packs.content import CheckedPack
from trocar.packs.one_file import ONE_FILE_SUFFIX, one_file_of
from trocar.packs.reading import SIGNATURE_NAME, read_pack_files
from trocar.packs.signature import BUNDLE_TYPE, SERIALIZATION, key_hint, root_digest
from trocar.packs.verify import VerifiedPack, verify_pack
from trocar.statements.dsse import PAYLOAD_TYPE, envelope_text, pae
from trocar.statements.statement import APPROVED_PACKS_TYPE, MODEL_SIGNING_TYPE, STATEMENT_TYPE
from trocar.statements.trust import APPROVED_PACKS_NAME
from trocar_lab.packing.drafts import files_and_digests, read_draft
from trocar_lab.signing.keys import SigningKey


# @need-ids: SRS_SIGN_008
def sign_pack(folder: Path, key: SigningKey) -> CheckedPack:
    """Write the signature of a pack; one that is there already is replaced.

    Args:
        folder: Folder of the pack.
        key: The key.

    Returns:
        What was signed.

    Raises:
        PackError: The pack is not whole, so that there is nothing to sign.
        SigningError: The key did not sign.
    """
    pack = read_draft(folder)
    _, digests = files_and_digests(folder)
    (folder / SIGNATURE_NAME).write_text(
        signature_text(pack.manifest.pack_id.replace(" ", "-"), digests, key), encoding="ascii"
    )
    return pack


def signature_text(name: str, digests: Mapping[str, str], key: SigningKey) -> str:
    """Return the signature over files, as model-signing writes it with a key.

    Args:
        name: Name of the pack.
        digests: SHA-256 of each file by name.
        key: The key.
    """
    resources = [
        {"name": file, "algorithm": "sha256", "digest": digests[file]} for file in sorted(digests)
    ]
    payload = _statement(
        {name: root_digest(digests)},
        MODEL_SIGNING_TYPE,
        {"serialization": SERIALIZATION, "resources": resources},
    )
    bundle = {
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {
            "publicKey": {"hint": key_hint(key.public_pem)},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode("ascii"),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {"sig": base64.b64encode(key.sign(pae(payload))).decode("ascii"), "keyid": ""}
            ],
        },
    }
    return json.dumps(bundle, indent=2) + "\n"


# @need-ids: SRS_SIGN_008
def write_approved(
    packs: Sequence[CheckedPack], trust: Path, key: SigningKey, *, version: str = __version__
) -> Path:
    """Write the list of approved packs of a trust folder anew.

    Args:
        packs: All that may run; what is not among them no longer may.
        trust: The trust folder.
        key: A key whose public half lies there.
        version: Version of Trocar that the list is for.

    Returns:
        The list.
    """
    digests = {pack.manifest.pack_id: pack.digest for pack in packs}
    if len(digests) != len(packs):
        raise ValueError("expected each pack once: two have the same name and version")
    path = trust / APPROVED_PACKS_NAME
    path.write_text(approved_text(digests, key, version=version), encoding="ascii")
    return path


def approved_text(digests: Mapping[str, str], key: SigningKey, *, version: str) -> str:
    """Return a signed list of approved packs.

    Args:
        digests: SHA-256 of the manifest of each pack by its id.
        key: The key.
        version: Version of Trocar that the list is for.
    """
    payload = _statement(digests, APPROVED_PACKS_TYPE, {VERSION_FIELD: version})
    return envelope_text(payload, key.sign(pae(payload)))


# @need-ids: SRS_SIGN_008
def write_bundle(place: Path, output: Path, trust: Path | None) -> tuple[Path, VerifiedPack]:
    """Write a signed and approved pack as one file, and verify it as the device would.

    Args:
        place: The pack.
        output: Folder that the file is written to.
        trust: Trust folder; None for the one that comes with this release.

    Returns:
        The file, and the pack as the device sees it.

    Raises:
        PackError: The pack does not verify.
    """
    pack = verify_pack(place, trust)
    path = output / f"{pack.manifest.pack_id.replace(' ', '-')}{ONE_FILE_SUFFIX}"
    output.mkdir(parents=True, exist_ok=True)
    path.write_bytes(one_file_of(read_pack_files(place)))
    return path, verify_pack(path, trust)


def _statement(
    subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, object]
) -> bytes:
    """Return an in-toto statement."""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": subjects[name]}} for name in sorted(subjects)
        ],
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    return json.dumps(statement, indent=2).encode("ascii")
