"""A release folder checked again from its bytes: signature, digests, records, wheel, lock."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trocar.contracts.errors import InstallError, SignatureError, TrocarError
from trocar.install.device_lock import locked_wheels
from trocar.install.release_folder import list_release
from trocar.install.verification import read_release
from trocar.packs.signature_check import check_p256
from trocar.packs.verify import verify_pack
from trocar.statements.strict_json import parse_strict
from trocar.statements.trust import KeyGrade, TrustedKey
from trocar_lab.evidence.errors import ReleaseError
from trocar_lab.evidence.signed.release_folder import (
    ENVELOPE,
    MANIFEST,
    REBUILD,
    ReleaseFolder,
    read_release_folder,
)
from trocar_lab.evidence.signed.release_statement import SignedRelease, signed_release
from trocar_lab.release.assembly import INSTALLER
from trocar_lab.release.device_lock import LOCK
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.installer_archive import installer_bytes
from trocar_lab.release.provenance import PREDICATE_TYPE
from trocar_lab.release.release_signature import known_keys
from trocar_lab.release.wheel_content import load_allowed, read_members

__all__ = ["Verdict", "verify_release"]

_PROVENANCE: Final = "provenance.json"


class _Open(BaseModel):
    """Part of a foreign format: what it holds beside the named fields is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Digest(_Open):
    """Digest of one subject."""

    sha256: str


class _Subject(_Open):
    """One thing that was built."""

    name: str
    digest: _Digest


class _Parameters(_Open):
    """What was asked for."""

    commit: str
    grade: str


class _Definition(_Open):
    """How it was built."""

    parameters: _Parameters = Field(alias="externalParameters")


class _Predicate(_Open):
    """What is said about the build."""

    definition: _Definition = Field(alias="buildDefinition")


class _Provenance(_Open):
    """As much of a provenance statement as can be compared."""

    subject: tuple[_Subject, ...] = Field(min_length=1)
    predicate_type: str = Field(alias="predicateType")
    predicate: _Predicate


class Verdict(NamedTuple):
    """What is known about a release folder.

    Attributes:
        faults: What is wrong with it, one sentence each; none when it is sound.
        notes: What a reader must know though nothing is wrong.
        signed: What was signed; None when the signature counts nothing.
    """

    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()
    signed: SignedRelease | None = None


def verify_release(folder: Path, trust: Path, *, today: dt.date) -> Verdict:
    """Check a release folder; nothing that it says is taken for granted.

    Args:
        folder: The folder.
        trust: Folder with the public keys that are trusted.
        today: Day of the check.

    Raises:
        NotReleasableError: The trust folder holds something that is no key.
    """
    keys = known_keys(trust)
    if not keys:
        return Verdict((f"no public key in {trust}; nothing can be verified",))
    try:
        list_release(folder)  # as the installer looks at a medium: no links, no odd names
        found = read_release_folder(folder)
        if found.envelope.value is None:
            return Verdict((found.envelope.fault or f"there is no {ENVELOPE}",))
        signed = signed_release(found.envelope.value, keys)
    except InstallError as exc:
        return Verdict((exc.problem,))
    except ReleaseError as exc:
        return Verdict((str(exc),))
    faults = [*found.faults]
    faults += _subject_faults(found, signed)
    faults += _manifest_faults(found)
    faults += _wheel_faults(folder, found, signed)
    faults += _provenance_faults(folder, found, signed)
    faults += _grade_faults(signed, today)
    if not faults:
        faults += _install_faults(folder, found, keys)
        faults += _derived_faults(folder, found)
    return Verdict(tuple(faults), tuple(_notes(found, signed)), signed)


def _subject_faults(found: ReleaseFolder, signed: SignedRelease) -> Iterator[str]:
    """Yield each difference between what was signed and what is there."""
    for name in sorted({*signed.subjects, *found.files} - {ENVELOPE}):
        held = found.files.get(name)
        if held is None:
            yield f"{name} was signed, but is not in the folder"
        elif name not in signed.subjects:
            yield f"{name} is in the folder, but was not signed"
        elif signed.subjects[name] != held.sha256:
            yield f"{name} is not the file that was signed"


def _manifest_faults(found: ReleaseFolder) -> Iterator[str]:
    """Yield each file whose line in the manifest is missing or wrong."""
    if found.manifest.value is None:
        yield found.manifest.fault or f"there is no {MANIFEST}"
        return
    listed = {row.name: (row.sha256, row.size_bytes) for row in found.manifest.value.deliverables}
    held = {
        name: (file.sha256, file.size_bytes)
        for name, file in found.files.items()
        if name not in {ENVELOPE, MANIFEST, "restore_drill.json"}
    }
    for name in sorted({*listed, *held}):
        if listed.get(name) != held.get(name):
            yield f"{MANIFEST} does not fit {name}"


def _wheel_faults(folder: Path, found: ReleaseFolder, signed: SignedRelease) -> Iterator[str]:
    """Yield what is wrong with the wheel of the device and the record of its second build."""
    own = [name for name in found.wheels if "/" not in name]
    rebuild = found.rebuild.value
    if len(own) != 1 or rebuild is None:
        yield found.rebuild.fault or f"expected one wheel and {REBUILD}, got {len(own)} wheels"
        return
    part = found.wheels[own[0]]
    if part.value is None:
        yield part.fault
        return
    facts, version = part.value, signed.predicate.version
    if {facts.version, facts.file_version} != {version}:
        yield f"{own[0]} says version {facts.version}, signed is {version}"
    if (rebuild.wheel, rebuild.sha256, rebuild.rebuilt_sha256) != (own[0], *[facts.sha256] * 2):
        yield f"{REBUILD} does not say that {own[0]} was built twice alike"
    if rebuild.commit != signed.predicate.commit:
        yield f"{REBUILD} is about commit {rebuild.commit[:12]}, signed is another"
    if signed.subjects.get(own[0]) != facts.sha256:
        return  # nobody vouches for these bytes: that is said already, and they are not unpacked
    allowed = load_allowed()
    members, broken = read_members(folder / own[0])
    yield from broken
    yield from (
        f"{name} in the wheel is not on the list" for name in members if not allowed.allows(name)
    )
    developing = [name for name in members if name.endswith(".development.pem")]
    if developing and signed.predicate.grade == "production":
        yield f"a production release trusts {', '.join(developing)}"


def _provenance_faults(folder: Path, found: ReleaseFolder, signed: SignedRelease) -> Iterator[str]:
    """Yield where the provenance is not about these files and this commit."""
    if _PROVENANCE not in found.files:
        yield f"there is no {_PROVENANCE}"
        return
    try:
        found_there = _Provenance.model_validate(
            parse_strict((folder / _PROVENANCE).read_bytes(), what=_PROVENANCE)
        )
    except (SignatureError, ValidationError) as exc:
        yield f"{_PROVENANCE} cannot be read: {str(exc).splitlines()[0]}"
        return
    if found_there.predicate_type != PREDICATE_TYPE:
        yield f"{_PROVENANCE} is of type {found_there.predicate_type!r}, expected {PREDICATE_TYPE}"
    subjects = {one.name: one.digest.sha256 for one in found_there.subject}
    for name in found.wheels:
        if "/" not in name and name not in subjects:
            yield f"{_PROVENANCE} does not name {name}"
    said = found_there.predicate.definition.parameters
    for name, digest in subjects.items():
        if name not in found.files or found.files[name].sha256 != digest:
            yield f"{_PROVENANCE} is about another {name}"
    if (said.commit, said.grade) != (signed.predicate.commit, signed.predicate.grade):
        yield f"{_PROVENANCE} is about another commit or grade"


def _install_faults(
    folder: Path, found: ReleaseFolder, keys: tuple[TrustedKey, ...]
) -> Iterator[str]:
    """Yield what the installer would refuse: its own readers are asked."""
    try:
        release = read_release(folder, keys, check_p256)
        if LOCK in found.files:
            locked_wheels((folder / LOCK).read_text(encoding="utf-8"), release.subjects)
    except TrocarError as exc:
        yield f"the installer refuses it: {exc.problem}"
    except UnicodeDecodeError as exc:
        yield f"{LOCK} is no text: {exc.reason}"


def _derived_faults(folder: Path, found: ReleaseFolder) -> Iterator[str]:
    """Yield each pack that the wheel does not approve, and an installer of other sources."""
    (wheel,) = found.wheels
    members, _ = read_members(folder / wheel)
    with tempfile.TemporaryDirectory() as private:
        source = Path(private)
        for name, content in members.items():
            if not name.endswith(".onnx"):
                path = source / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        for name in sorted(found.files):
            if name.startswith("packs/"):
                try:
                    verify_pack(folder / name, source / "trocar" / "assets" / "trust")
                except TrocarError as exc:
                    yield f"{name}: {exc.problem}"
        try:
            is_own = installer_bytes(source) == (folder / INSTALLER).read_bytes()
        except (NotReleasableError, OSError) as exc:
            yield f"{INSTALLER} cannot be compared with the wheel: {exc}"
        else:
            if not is_own:
                yield f"{INSTALLER} is not made of the sources in the wheel"


def _grade_faults(signed: SignedRelease, today: dt.date) -> Iterator[str]:
    """Yield why a release must not be taken on this day, or with this key."""
    said = signed.predicate
    if said.expires < today:
        yield f"it expired on {said.expires}"
    if said.grade == "production" and signed.key.grade is not KeyGrade.RELEASE:
        yield "it says production, but a development key signed it"


def _notes(found: ReleaseFolder, signed: SignedRelease) -> Iterator[str]:
    """Yield what a reader must know."""
    if signed.predicate.grade != "production":
        yield "development grade: for trying out, not for use"
    if LOCK not in found.files:
        yield f"no {LOCK} and no wheelhouse: it cannot be installed offline"
