"""A release folder judged: who signed it, that it is whole, and whether this device may take it."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import INSTALL_RECORD_BYTES_MAX, RELEASE_SEQUENCE_STEP_MAX
from trocar.install.device_lock import LOCK_NAME, LockedWheel, locked_wheels
from trocar.install.left_out import LEFT_OUT_NAME, left_out_names
from trocar.install.release_facts import Grade, ReleaseFacts, release_facts
from trocar.install.release_folder import (
    ENVELOPE_NAME,
    check_name,
    copy_hashed,
    hash_into,
    list_release,
    read_envelope_file,
)
from trocar.install.root_folder import OPEN_TO_OTHERS
from trocar.statements.dsse import read_envelope
from trocar.statements.statement import RELEASE_TYPE, SignatureCheck, verified_statement
from trocar.statements.trust import KeyGrade, TrustedKey, read_trusted_keys

__all__ = [
    "Device",
    "Release",
    "admit",
    "check_contents",
    "read_release",
    "refuse_beside",
    "stage",
    "trusted_keys",
]

_GET_AGAIN: Final = "get the release again from its maker; do not use this copy"
_OWN_TRUST: Final = "name the trust folder that the device was provisioned with"
_KEPT_RECORDS: Final = frozenset({
    *("CHANGELOG.md", "SOUP.md", "device.lock", "manifest.json", "provenance.json"),
    *(LEFT_OUT_NAME, "sbom.cdx.json"),
})
"""What stays beside an installed release, to be read by people."""


@dataclass(frozen=True)
class Device:
    """What is known about the device before a release is taken.

    Attributes:
        today: Its date, never earlier than one it has already seen.
        sequence_highest: Highest sequence number that was installed; None where nothing was.
        python: Version of the interpreter that will run the release, such as 3.11.
        platform: Its machine, such as linux_x86_64.
    """

    today: dt.date
    sequence_highest: int | None
    python: str
    platform: str


@dataclass(frozen=True)
class Release:
    """A release whose signature was checked; the content of its files was not.

    Attributes:
        folder: Where it lies.
        facts: What it says about itself.
        signer: Whose key signed it.
        subjects: Each signed file with its SHA-256.
        sizes: Each signed file with the size that was seen.
        envelope: The bytes of the signed list.
    """

    folder: Path
    facts: ReleaseFacts
    signer: TrustedKey
    subjects: Mapping[str, str]
    sizes: Mapping[str, int]
    envelope: bytes

    @property
    def manifest_sha256(self) -> str:
        """Digest of the signed list, which names the release."""
        return hashlib.sha256(self.envelope).hexdigest()

    @property
    def is_development(self) -> bool:
        """Whether it is no release for production, by its grade or by its key."""
        is_for_production = self.facts.grade == Grade.PRODUCTION
        return not (is_for_production and self.signer.grade == KeyGrade.RELEASE)


def trusted_keys(trust: Path, release: Path) -> tuple[TrustedKey, ...]:
    """Return the keys that this device trusts.

    Args:
        trust: The folder of the keys, part of the device.
        release: The folder of the release, which must not bring its own.

    Raises:
        InstallError: The keys come with the release, other accounts may change them, or they
            cannot be looked at.
        SignatureError: There are no keys.
    """
    place = _resolved(trust)
    if place.is_relative_to(_resolved(release)):
        raise InstallError(
            "expected trusted keys of the device, these lie inside the release",
            advice=_OWN_TRUST,
        )
    try:
        owned = {path: path.stat() for path in (place, *sorted(place.iterdir()))}
    except OSError as exc:
        raise InstallError(
            f"cannot look at the trusted keys in {trust}: {exc.strerror}", advice=_OWN_TRUST
        ) from exc
    for path, status in owned.items():
        if status.st_mode & OPEN_TO_OTHERS or status.st_uid not in {0, os.geteuid()}:
            raise InstallError(
                "expected trusted keys that only root or this account may change, others may "
                f"change {path}",
                advice=f"check the keys, then: chown -R root {trust} and chmod -R go-w {trust}",
            )
    return read_trusted_keys(place)


# @need-ids: SRS_INST_001
def refuse_beside(trust: Path, release: Path, *, allow_development: bool) -> None:
    """Refuse a trust folder that lies beside a release, as the maker puts it on a medium.

    Args:
        trust: The folder of the keys.
        release: The folder of the release.
        allow_development: Whether that is taken, as on a device that never sees a patient.

    Raises:
        InstallError: It lies there.
    """
    if not allow_development and _resolved(trust).parent == _resolved(release).parent:
        raise InstallError(
            "expected trusted keys of the device, these lie beside the release and may have come "
            "with it",
            advice=_OWN_TRUST,
        )


def _resolved(path: Path) -> Path:
    """Return where a path leads, links followed."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as exc:
        raise InstallError(f"cannot follow {path} to its end: {exc}", advice=_OWN_TRUST) from exc


# @need-ids: SRS_INST_001, RCM_INST_001
def read_release(folder: Path, keys: Sequence[TrustedKey], check: SignatureCheck) -> Release:
    """Return a release that is signed by a trusted key and holds exactly the signed files.

    Args:
        folder: The release folder.
        keys: Who is trusted.
        check: Checks one signature.

    Raises:
        SignatureError: It is not signed by a trusted key as a release.
        InstallError: Its files are not those that were signed, or it is described in another way.
    """
    sizes = list_release(folder)
    envelope = read_envelope_file(folder)
    what = f"the release {folder.name}"
    statement, signer = verified_statement(
        read_envelope(envelope, what=what), keys, check, predicate_type=RELEASE_TYPE, what=what
    )
    subjects = {one.name: one.sha256 for one in statement.subjects}
    for name in subjects:
        check_name(name)
    sizes.pop(ENVELOPE_NAME, None)
    if differing := sorted(subjects.keys() ^ sizes.keys()):
        name = differing[0]
        state = "is missing" if name in subjects else "was not signed"
        raise InstallError(
            f"expected exactly the {len(subjects)} signed files, {name} {state} "
            f"({len(differing)} such files)",
            advice=_GET_AGAIN,
        )
    facts = release_facts(statement.predicate)
    if facts.grade == Grade.PRODUCTION and signer.grade == KeyGrade.DEVELOPMENT:
        raise InstallError(
            "expected a release key under a production release, a development key signed it",
            advice="get the release that was signed with the release key",
        )
    return Release(folder, facts, signer, subjects, sizes, envelope)


# @need-ids: SRS_INST_013, RCM_INST_004
def admit(release: Release, device: Device, *, allow_development: bool) -> tuple[str, ...]:
    """Refuse a release that this device must not take; return what is worth saying about it.

    Args:
        release: The release.
        device: The device.
        allow_development: Whether releases for development are taken.

    Raises:
        InstallError: It is for development, expired, not newer, too far ahead, or for another
            Python or machine.
    """
    facts, highest = release.facts, device.sequence_highest
    if release.is_development and not allow_development:
        raise InstallError(
            "expected a production release, this one is for development",
            advice="use --allow-development on a device that never sees a patient",
        )
    if facts.expires < device.today:
        raise InstallError(
            f"expected a release that may still be installed, it expired on {facts.expires} and "
            f"today is {device.today}",
            advice="get a newer release, or set the clock of the device right",
        )
    remarks = _check_sequence(facts.sequence, highest)
    if (facts.python, facts.platform) != (device.python, device.platform):
        raise InstallError(
            f"expected a release for Python {device.python} on {device.platform}, this one is for "
            f"Python {facts.python} on {facts.platform}",
            advice="get the release for this device, or name another interpreter with --python",
        )
    return remarks


def _check_sequence(sequence: int, highest: int | None) -> tuple[str, ...]:
    """Refuse a sequence number that is not above the highest one, or too far above it."""
    if highest is None:
        return ()
    if sequence <= highest:
        raise InstallError(
            f"expected a sequence number above {highest}, got {sequence}: this release is "
            + ("installed already" if sequence == highest else "older than one installed before"),
            advice="get a newer release; to return to the one before, use rollback",
        )
    step = sequence - highest
    if step > RELEASE_SEQUENCE_STEP_MAX:
        raise InstallError(
            f"expected a sequence number up to {highest + RELEASE_SEQUENCE_STEP_MAX}, got "
            f"{sequence}: the device could take none below it afterwards",
            advice="ask the maker whether this number is right",
        )
    return (f"{step - 1} releases in between were not installed here",) if step > 1 else ()


# @need-ids: SRS_INST_001
def check_contents(release: Release) -> None:
    """Check each file of a release against its signed digest; nothing is copied.

    Args:
        release: The release.

    Raises:
        InstallError: A file differs, the lock does not fit the wheels, or the list of what is left
            out has another form.
    """
    _checked_wheels(release)
    take = _taker(release)
    for name in release.subjects:
        take(name, None)


# @need-ids: SRS_INST_003, RCM_INST_003
def stage(release: Release, staging: Path) -> tuple[LockedWheel, ...]:
    """Copy what will be installed into a private folder, and check each file of the release.

    What is hashed are the bytes that are copied: a change of the medium afterwards has no effect.

    Args:
        release: The release.
        staging: A folder that nobody else may write to; filled with wheels, packs and records.

    Returns:
        The wheels to install; they lie in ``staging / "wheels"``.

    Raises:
        InstallError: A file differs from what was signed, the lock does not fit the wheels, or the
            list of what is left out has another form.
        OSError: A copy cannot be written.
    """
    wheels = _checked_wheels(release)
    take = _taker(release)
    for name in ("wheels", "packs", "records"):
        (staging / name).mkdir(mode=0o700)
    installed = {wheel.file for wheel in wheels}
    for name in sorted(release.subjects):
        take(name, _place(staging, name, installed))
    (staging / "records" / ENVELOPE_NAME).write_bytes(release.envelope)
    return wheels


def _checked_wheels(release: Release) -> tuple[LockedWheel, ...]:
    """Return the wheels of the lock; the lists of a release are read in the same way each time."""
    if LOCK_NAME not in release.subjects:
        raise InstallError(f"expected {LOCK_NAME} in the release", advice=_GET_AGAIN)
    try:
        lock = _signed_bytes(release, LOCK_NAME).decode("ascii")
    except UnicodeDecodeError as exc:
        raise InstallError(f"expected plain text in {LOCK_NAME}", advice=_GET_AGAIN) from exc
    if LEFT_OUT_NAME in release.subjects:
        left_out_names(_signed_bytes(release, LEFT_OUT_NAME))
    return locked_wheels(lock, release.subjects)


def _signed_bytes(release: Release, name: str) -> bytes:
    """Return a small file of a release, as it was signed."""
    size_bytes = release.sizes[name]
    if size_bytes > INSTALL_RECORD_BYTES_MAX:
        raise InstallError(
            f"expected at most {INSTALL_RECORD_BYTES_MAX} bytes in {name}, got {size_bytes}",
            advice=_GET_AGAIN,
        )
    content = io.BytesIO()
    _require_signed(release, name, hash_into(release.folder / name, content, size_bytes=size_bytes))
    return content.getvalue()


def _require_signed(release: Release, name: str, found: str) -> None:
    """Refuse a file whose digest is not the signed one."""
    if found != release.subjects[name]:
        raise InstallError(
            f"expected {name} as it was signed, its content differs", advice=_GET_AGAIN
        )


def _taker(release: Release) -> Callable[[str, Path | None], None]:
    """Return what takes one file of a release over, or only checks it."""

    def take(name: str, target: Path | None) -> None:
        found = copy_hashed(release.folder / name, target, size_bytes=release.sizes[name])
        _require_signed(release, name, found)

    return take


def _place(staging: Path, name: str, installed: set[str]) -> Path | None:
    """Return where the copy of a file goes; None for one that is only checked."""
    folder, _, last = name.rpartition("/")
    if name in installed:
        return staging / "wheels" / last
    if folder == "packs" and last.endswith(".trocarpack"):
        return staging / "packs" / last
    return staging / "records" / name if name in _KEPT_RECORDS else None
