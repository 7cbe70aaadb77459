"""Throwaway keys, trust folders, and signatures over whatever lies in a folder, sound or not."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from trocar import __version__
from trocar.packs.verify import SHIPPED_TRUST
from trocar.statements.trust import APPROVED_PACKS_NAME
from trocar_lab.signing.keys import FileKey, SigningKey, new_file_key
from trocar_lab.signing.packs import approved_text, signature_text


@functools.cache
def throwaway_key() -> FileKey:
    """Return the key of this test run; nobody keeps it."""
    return new_file_key()


def trust_of(place: Path) -> Path:
    """Return the trust folder that belongs to a pack of the simulators: it lies beside it."""
    return place.with_name(f"{place.name}.trust")


def write_trust(
    folder: Path,
    approved: Mapping[str, str],
    *,
    key: SigningKey | None = None,
    keys: Sequence[SigningKey] = (),
    grade: str = "release",
    version: str = __version__,
) -> Path:
    """Write a trust folder.

    Args:
        folder: Made, or filled anew.
        approved: Digest of each approved pack by its id.
        key: Signs the list; the throwaway key when left out.
        keys: Further keys that are trusted.
        grade: Grade of all of them.
        version: Version that the list is for.
    """
    signer = key or throwaway_key()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, one in enumerate([signer, *keys]):
        (folder / f"key{number}.{grade}.pem").write_bytes(one.public_pem)
    text = approved_text(approved, signer, version=version)
    (folder / APPROVED_PACKS_NAME).write_text(text, encoding="ascii")
    return folder


def sign_files(folder: Path, *, key: SigningKey | None = None, name: str | None = None) -> None:
    """Sign what lies in a folder as it is, whether or not it is a pack.

    Args:
        folder: The folder.
        key: The throwaway key when left out.
        name: What the pack is called; what its manifest says when left out.
    """
    (folder / "model.sig").unlink(missing_ok=True)
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }
    text = signature_text(
        name or _pack_id(folder).replace(" ", "-"), digests, key or throwaway_key()
    )
    (folder / "model.sig").write_text(text, encoding="ascii")


def sign_and_trust(folder: Path) -> None:
    """Sign what lies in a folder, and write the trust folder beside it that approves it.

    The packs of the release and their key are trusted there too, for runs with several units.
    """
    sign_files(folder)
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    trust = write_trust(trust_of(folder), {**shipped_packs(), _pack_id(folder): digest})
    for path in SHIPPED_TRUST.glob("*.pem"):
        shutil.copy(path, trust / path.name)


def copy_with_trust(source: Path, target: Path) -> Path:
    """Copy a pack of the simulators together with its trust folder; return the copy."""
    shutil.copytree(source, target)
    shutil.copytree(trust_of(source), trust_of(target))
    return target


@functools.cache
def shipped_packs() -> Mapping[str, str]:
    """Return digest by id of the packs that come with the release."""
    packs = SHIPPED_TRUST.parent / "packs"
    return {
        _pack_id(path.parent): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in packs.glob("*/manifest.json")
    }


def _pack_id(folder: Path) -> str:
    """Return what a manifest says, or a name of its own where it says nothing."""
    try:
        facts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return f"{facts['pack_name']} {facts['pack_version']}"
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        return "no manifest"
