"""Rules on a release as it is delivered: F3 signature and rebuild, F4 version, F6, F8 archive."""

from __future__ import annotations

import datetime as dt
from typing import Final, TypeVar

from trocar.statements.dsse import Envelope
from trocar.statements.trust import KeyGrade
from trocar_lab.evidence.errors import ReleaseError
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.bill_of_materials import bill_is_the_lock
from trocar_lab.evidence.rules.rule import Rule, Tally
from trocar_lab.evidence.signed.release_folder import (
    DRILL,
    ENVELOPE,
    MANIFEST,
    REBUILD,
    Manifest,
    Part,
    Rebuild,
    ReleaseFolder,
    RestoreDrill,
    WheelFacts,
)
from trocar_lab.evidence.signed.release_numbers import FILE as NUMBERS
from trocar_lab.evidence.signed.release_statement import KEYS, SignedRelease, signed_release
from trocar_lab.evidence.source.project_files import UNRELEASED

DRILL_DAYS_MAX: Final = 365
NO_FOLDER: Final = "no release folder is named (--release-folder DIR)"
_NOT_LISTED: Final = frozenset({ENVELOPE, MANIFEST, DRILL})  # made after the manifest
_T = TypeVar("_T")


def release_is_signed(project: Project, tally: Tally) -> None:
    """F3: the folder is exactly what was signed, and the wheel was built again bit by bit."""
    folder = project.release
    if folder is None:
        tally.leave_open("release folder", NO_FOLDER)
        return
    tally.check("release folder", *folder.faults)
    _judge_signature(project, tally, folder)
    _judge_rebuild(project, tally, folder)
    present = project.proofs.present.wheel_sha256
    for name in folder.wheels:
        other = present and folder.files[name].sha256 != present
        tally.check(name, "is not the wheel that the evidence is about" if other else None)


def _judge_signature(project: Project, tally: Tally, folder: ReleaseFolder) -> None:
    """Count the signature and each file that it covers or should cover."""
    envelope = _usable(tally, ENVELOPE, folder.envelope)
    if envelope is None:
        return
    signed = _signed(project, tally, envelope)
    if signed is None:
        return
    _judge_predicate(project, tally, signed)
    subjects = signed.subjects
    for name in sorted({*subjects, *folder.files} - {ENVELOPE}):
        held = folder.files.get(name)
        tally.check(
            name,
            "signed, but not in the folder" if held is None else None,
            "in the folder, but not signed" if name not in subjects else None,
            "is not the file that was signed"
            if held is not None and subjects.get(name, held.sha256) != held.sha256
            else None,
        )


def _signed(project: Project, tally: Tally, envelope: Envelope) -> SignedRelease | None:
    """Return what was signed; None when the signature counts nothing, which is then a row."""
    try:
        if not project.release_keys:
            tally.leave_open(ENVELOPE, f"no public key in {KEYS} to verify it with")
            return None
        return signed_release(envelope, project.release_keys)
    except ReleaseError as exc:
        tally.check(ENVELOPE, str(exc))
        return None


def _judge_predicate(project: Project, tally: Tally, signed: SignedRelease) -> None:
    """Count which release was signed: its version, sequence number, grade, days and commit."""
    said, numbers = signed.predicate, project.release_numbers
    tag = f"v{said.version}"
    wanted = numbers.of.get(said.version)
    tally.check(NUMBERS, *numbers.faults)
    tally.check(
        "signed release",
        f"is of version {said.version}, pyproject.toml says {project.files.version}"
        if said.version != project.files.version
        else None,
        f"has sequence number {said.sequence}, {NUMBERS} says {wanted or 'none'}"
        if said.sequence != wanted
        else None,
        f"expired on {said.expires}" if said.expires < project.today else None,
        f"is of commit {said.commit[:12]}, but {tag} is {project.commits.tags[tag][:12]}"
        if project.commits.tags.get(tag, said.commit) != said.commit
        else None,
    )
    if said.grade != "production":
        tally.leave_open("signed release", f"is of grade {said.grade}")
    if signed.key.grade is not KeyGrade.RELEASE:
        tally.leave_open(ENVELOPE, "is signed by a development key")


def _judge_rebuild(project: Project, tally: Tally, folder: ReleaseFolder) -> None:
    """Count the record of the second build."""
    found: Rebuild | None = _usable(tally, REBUILD, folder.rebuild)
    if found is None:
        return
    wheel, tag = folder.files.get(found.wheel), f"v{project.files.version}"
    tally.check(
        REBUILD,
        f"{found.wheel} rebuilt from {found.tag} differs: {found.rebuilt_sha256[:12]} instead of"
        f" {found.sha256[:12]}"
        if found.sha256 != found.rebuilt_sha256
        else None,
        f"names {found.wheel}, which is not in the folder" if wheel is None else None,
        f"is about another {found.wheel} than that in the folder"
        if wheel is not None and wheel.sha256 != found.sha256
        else None,
        f"rebuilt from {found.tag}, not from {tag}" if found.tag != tag else None,
        _commit_fault(project, found),
        f"dated {found.date}, in the future" if found.date > project.today else None,
    )


def _commit_fault(project: Project, found: Rebuild) -> str | None:
    """Return why the commit of a rebuild is not that of its tag, as far as git knows the tag."""
    tagged = project.commits.tags.get(found.tag)
    if tagged in {None, found.commit}:
        return None
    return f"rebuilt from commit {found.commit[:12]}, but {found.tag} is {str(tagged)[:12]}"


def version_is_one(project: Project, tally: Tally) -> None:
    """F4: project table, change log, wheel, tag and texts name the same version."""
    files = project.files
    for name in ("pyproject.toml", "CHANGELOG.md", "README.md", "SECURITY.md"):
        if name in files.faults:
            tally.check(name, f"cannot be read: {files.faults[name]}")
    tally.check("pyproject.toml", None if files.version else "names no version")
    _judge_change_log(project, tally)
    for name, version in files.mentions:
        differs = f"names version {version}, pyproject.toml {files.version}"
        tally.check(name, differs if version != files.version else None)
    _judge_wheels(project, tally)
    tag, commits = f"v{files.version}", project.commits
    key = f"tag {tag}"
    if tag not in commits.tags:
        tally.leave_open(key, "no such tag yet")
    elif commits.tags[tag] != commits.head:
        tally.leave_open(key, f"is commit {commits.tags[tag][:12]}, not this one; a new version?")
    else:
        tally.check(key)


def _judge_change_log(project: Project, tally: Tally) -> None:
    """Count the newest heading of the change log."""
    key, version, headings = "CHANGELOG.md", project.files.version, project.files.headings
    if not headings:
        tally.check(key, "has no heading '## [version] - date'")
        return
    newest, rest = headings[0]
    if newest.casefold() == UNRELEASED:
        below = headings[1][0] if len(headings) > 1 else "nothing"
        tally.leave_open(key, f"the newest heading is {newest}, below it {below}")
        return
    differs = f"newest heading is {newest}, pyproject.toml says {version}"
    tally.check(key, differs if newest != version else None)
    if UNRELEASED in rest.casefold():
        tally.leave_open(key, f"heading {newest} still says {rest}")


def _judge_wheels(project: Project, tally: Tally) -> None:
    """Count the wheel that was named and those in the release folder."""
    parts: list[tuple[str, Part[WheelFacts]]] = []
    if project.wheel is not None:
        parts.append((project.wheel.name, project.wheel_facts))
    if project.release is not None:
        parts += project.release.wheels.items()
    if not parts:
        tally.leave_open("wheel", "no wheel is named and none lies in a release folder")
    for name, part in parts:
        facts, version = part.value, project.files.version
        if facts is None:
            tally.check(name, part.fault)
            continue
        tally.check(
            name,
            f"file name says version {facts.file_version or 'nothing'}, pyproject.toml {version}"
            if facts.file_version != version
            else None,
            f"METADATA says version {facts.version or 'nothing'}, pyproject.toml {version}"
            if facts.version != version
            else None,
        )


def archive_is_whole(project: Project, tally: Tally) -> None:
    """F8: the manifest lists every file with its digest, and the archive was restored lately."""
    folder = project.release
    if folder is None:
        tally.leave_open("release folder", NO_FOLDER)
        return
    manifest: Manifest | None = _usable(tally, MANIFEST, folder.manifest)
    if manifest is not None:
        _judge_manifest(tally, manifest, folder)
    drill: RestoreDrill | None = _usable(tally, DRILL, folder.drill)
    if drill is not None:
        tally.check(DRILL, *_drill_faults(drill, today=project.today))


def _judge_manifest(tally: Tally, manifest: Manifest, folder: ReleaseFolder) -> None:
    """Count each deliverable and each file that is none."""
    names = [row.name for row in manifest.deliverables]
    tally.check(MANIFEST, "lists a file twice" if len(set(names)) != len(names) else None)
    for row in manifest.deliverables:
        held = folder.files.get(row.name)
        if held is None:
            tally.check(row.name, "listed, but not in the folder")
            continue
        tally.check(
            row.name,
            f"digest {held.sha256[:12]} is not the listed {row.sha256[:12]}"
            if held.sha256 != row.sha256
            else None,
            f"{held.size_bytes} bytes, listed with {row.size_bytes}"
            if held.size_bytes != row.size_bytes
            else None,
        )
    for name in sorted(set(folder.files) - set(names) - _NOT_LISTED):
        tally.check(name, f"in the folder, but not listed in {MANIFEST}")


def _drill_faults(drill: RestoreDrill, *, today: dt.date) -> list[str]:
    """Return what is wrong with the record of a restore.

    Args:
        drill: The record.
        today: Day of the check.
    """
    age = (today - drill.date).days
    faults = []
    if age < 0:
        faults.append(f"dated {drill.date}, in the future")
    if age > DRILL_DAYS_MAX:
        faults.append(f"{drill.name} restored it {age} days ago; at most {DRILL_DAYS_MAX}")
    if drill.result != "restored":
        faults.append(f"{drill.name} could not restore it on {drill.date}")
    return faults


def _usable(tally: Tally, key: str, part: Part[_T]) -> _T | None:
    """Return what a part says; a damaged one is red, a missing one is open.

    Args:
        tally: Where it is counted.
        key: Name of the file.
        part: The part.
    """
    tally.check(key, part.fault or None)
    if part.value is None and not part.fault:
        tally.leave_open(key, "not in the release folder")
    return part.value


RELEASE_RULES = (
    Rule("F3", "The release is signed and its wheel was rebuilt", release_is_signed),
    Rule("F4", "One version everywhere", version_is_one),
    Rule("F6", "The bill of materials is the lock and the wheel's needs", bill_is_the_lock),
    Rule("F8", "The archive is whole and was restored within a year", archive_is_whole),
)
