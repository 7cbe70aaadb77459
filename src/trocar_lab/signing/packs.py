"""Sign packs, approve them, and write them as one file."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from trocar import __version__
from trocar.packs.approved import VERSION_FIELD
from trocar.packs.content import CheckedPack, check_content
from trocar.packs.one_file import ONE_FILE_SUFFIX, one_file_of
from trocar.packs.reading import SIGNATURE_NAME, read_pack_files
from trocar.packs.signature import BUNDLE_TYPE, SERIALIZATION, key_hint, root_digest
from trocar.packs.verify import VerifiedPack, verify_pack
from trocar.statements.dsse import PAYLOAD_TYPE, envelope_text, pae
from trocar.statements.statement import APPROVED_PACKS_TYPE, MODEL_SIGNING_TYPE, STATEMENT_TYPE
from trocar.statements.trust import APPROVED_PACKS_NAME, read_trusted_keys
from trocar_lab.packing.drafts import files_and_digests
from trocar_lab.signing.errors import SigningError
from trocar_lab.signing.keys import SigningKey


class Draft(NamedTuple):
    """A pack that is about to be signed or approved: all of one single read.

    Attributes:
        place: Where it was read.
        pack: What it says.
        digests: SHA-256 of each file by name, without the signature.
    """

    place: Path
    pack: CheckedPack
    digests: Mapping[str, str]


def read_to_sign(place: Path) -> Draft:
    """Return a pack whose files agree with its manifest.

    Args:
        place: Folder of the pack, or the pack in one file.

    Raises:
        PackError: They do not agree, or it is no pack.
    """
    files, digests = files_and_digests(place)
    return Draft(place, check_content(files, digests), digests)


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
        SigningError: The key did not sign, or the pack is no folder.
    """
    draft = read_to_sign(folder)
    _write_whole(_signature_place(folder), _signature_of(draft, key))
    return draft.pack


# @need-ids: SRS_SIGN_008
def sign_and_approve(
    places: Sequence[Path], trust: Path, key: SigningKey, *, keep_signatures: bool = False
) -> tuple[VerifiedPack, ...]:
    """Sign packs and approve exactly these; nothing is written before all can be.

    The list of approved packs is written last, and only where the device would open each pack.

    Args:
        places: The packs.
        trust: The trust folder.
        key: A key whose public half lies there.
        keep_signatures: Leave the signatures of the packs as they are.

    Returns:
        The packs as the device sees them.

    Raises:
        PackError: A pack is not whole, or, with its own signature, not by a key of the folder.
        SigningError: A pack was named twice or is no folder, or a file cannot be written.
    """
    drafts = [read_to_sign(place) for place in places]
    text = _list_of([draft.pack for draft in drafts], key, version=__version__)
    if not keep_signatures:
        signatures = [(_signature_place(one.place), _signature_of(one, key)) for one in drafts]
        for path, signature in signatures:
            _write_whole(path, signature)
    with tempfile.TemporaryDirectory() as private:
        staged = Path(private)
        for number, one in enumerate(read_trusted_keys(trust)):
            (staged / f"key{number}.{one.grade.value}.pem").write_bytes(one.pem)
        (staged / APPROVED_PACKS_NAME).write_text(text, encoding="ascii")
        verified = tuple(verify_pack(place, staged) for place in places)
    _write_whole(trust / APPROVED_PACKS_NAME, text)
    return verified


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

    Raises:
        SigningError: Two packs have the same name and version, or the list cannot be written.
    """
    path = trust / APPROVED_PACKS_NAME
    _write_whole(path, _list_of(packs, key, version=version))
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


def _signature_place(place: Path) -> Path:
    """Return the file of the signature; a pack in one file has no place for one."""
    if not place.is_dir():
        raise SigningError(
            f"expected the folder of a pack, got {place}; sign the folder and write one file of it "
            "with sign bundle, or add --keep-signatures to approve it as it was signed"
        )
    return place / SIGNATURE_NAME


def _signature_of(draft: Draft, key: SigningKey) -> str:
    """Return the signature over a pack under its own name."""
    return signature_text(draft.pack.manifest.pack_id.replace(" ", "-"), draft.digests, key)


def _list_of(packs: Sequence[CheckedPack], key: SigningKey, *, version: str) -> str:
    """Return the signed list of packs, each of them once."""
    digests: dict[str, str] = {}
    for pack in packs:
        if pack.manifest.pack_id in digests:
            raise SigningError(
                f"expected each pack once, got {pack.manifest.pack_id} twice; name one of them"
            )
        digests[pack.manifest.pack_id] = pack.digest
    return approved_text(digests, key, version=version)


def _write_whole(path: Path, text: str) -> None:
    """Write a file by its new name, so that it is never there by half."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        try:
            fresh.write_text(text, encoding="ascii")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as exc:
        raise SigningError(
            f"cannot write {path}: {exc.strerror}; check its folder and your rights"
        ) from exc


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
