"""Rule F6: the bill of materials against lock and wheel; the vulnerability part of rule F2."""

from __future__ import annotations

from typing import Final

from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.rule import Tally
from trocar_lab.evidence.signed.release_folder import AUDIT, SBOM, Component, Sbom
from trocar_lab.evidence.source.device_source import normalised_name
from trocar_lab.evidence.source.project_files import LockedPackage
from trocar_lab.evidence.source.versions import is_inside, parse_requirement
from trocar_lab.evidence.store.identity import file_sha256

SUPPORT_LEVEL: Final = "trocar:support_level"
END_OF_SUPPORT: Final = "trocar:end_of_support"
LOCK: Final = "trocar:lock"
DATABASE_DAYS_MAX: Final = 30
NO_LOCK: Final = "pylock.device-*.toml"


def locks_were_compared(project: Project, tally: Tally) -> None:
    """Part of F2: the present locks were compared with a fresh database of vulnerabilities."""
    part = project.release.audit if project.release is not None else None
    if part is None or (part.value is None and not part.fault):
        tally.leave_open(AUDIT, "the locks were compared with no database of vulnerabilities")
        return
    tally.check(AUDIT, part.fault or None)
    if part.value is None:
        return
    present = {path.name: file_sha256(path) for path in project.root.glob("pylock.*.toml")}
    age = (project.today - part.value.database.newest.date()).days
    stale = f"the database was {age} days old; at most {DATABASE_DAYS_MAX}"
    tally.check(
        AUDIT,
        None if dict(part.value.locks) == present else "is about other locks than the present ones",
        stale if age > DATABASE_DAYS_MAX else None,
        "the database is of the future" if age < -1 else None,
        *part.value.findings,
    )


def bill_is_the_lock(project: Project, tally: Tally) -> None:
    """F6: each locked package is a complete component, and the wheel asks for nothing else."""
    if project.release is None or (
        project.release.sbom.value is None and not project.release.sbom.fault
    ):
        folder = "no release folder is named" if project.release is None else "not in the folder"
        tally.leave_open(SBOM, folder)
        return
    part = project.release.sbom
    tally.check(SBOM, part.fault or None)
    if part.value is None:
        return
    by_name = _by_name(tally, part.value)
    for name, component in by_name.items():
        tally.check(name, *_incomplete(component))
    _judge_lock(project, tally, part.value, by_name)
    _judge_wheels(project, tally, by_name)


def _by_name(tally: Tally, sbom: Sbom) -> dict[str, Component]:
    """Return each component by its normalised name; one that is named twice is red."""
    found: dict[str, Component] = {}
    for component in sbom.components:
        name = normalised_name(component.name)
        tally.check(name, "named twice in the bill of materials" if name in found else None)
        found[name] = component
    tally.check(SBOM, None if found else "names no component")
    return found


def _incomplete(component: Component) -> list[str]:
    """Return what a component does not say."""
    said = {
        "version": component.version,
        "supplier": component.supplier.name,
        "SHA-256": component.sha256,
        SUPPORT_LEVEL: component.value_of(SUPPORT_LEVEL),
        END_OF_SUPPORT: component.value_of(END_OF_SUPPORT),
    }
    return [f"names no {name}" for name, value in said.items() if not value]


def _judge_lock(project: Project, tally: Tally, sbom: Sbom, by_name: dict[str, Component]) -> None:
    """Compare the bill of materials with the lock that it names, both ways."""
    files = project.files
    if not files.locks:
        tally.leave_open(NO_LOCK, "there is no lock yet")
        return
    lock = sbom.value_of(LOCK)
    if lock not in files.locks:
        known = ", ".join(files.locks)
        tally.check(SBOM, f"is of the lock {lock or 'of no name'}; there are {known}")
        return
    if lock in files.faults:
        tally.check(lock, f"cannot be read: {files.faults[lock]}")
        return
    locked: dict[str, list[LockedPackage]] = {}
    for package in files.locks[lock]:
        locked.setdefault(package.name, []).append(package)
    tally.check(lock)
    for name in sorted({*locked, *by_name}):
        tally.check(name, *_lock_faults(by_name.get(name), locked.get(name, []), lock))


def _lock_faults(
    component: Component | None, packages: list[LockedPackage], lock: str
) -> list[str]:
    """Return how one component and the entries of the lock with its name differ."""
    if component is None:
        needed = [package for package in packages if not package.is_optional]
        return [f"in {lock}, but not in the bill of materials"] if needed else []
    if not packages:
        return [f"in the bill of materials, but not in {lock}"]
    versions = [package.version for package in packages]
    same = next((p for p in packages if p.version == component.version), None)
    if same is None:
        return [f"version {component.version}, but {lock} has {' and '.join(versions)}"]
    if component.sha256 and not component.sha256 <= same.sha256:
        return [f"names a SHA-256 that {lock} does not hold"]
    return []


def _judge_wheels(project: Project, tally: Tally, by_name: dict[str, Component]) -> None:
    """Compare the bill of materials with what each wheel of the folder asks for."""
    wheels = project.release.wheels if project.release is not None else {}
    if not wheels:
        tally.leave_open("wheel", "no wheel in the release folder to compare with")
    for file_name, part in wheels.items():
        if "/" in file_name:  # a wheel of others, which the lock speaks for
            continue
        if part.value is None:
            tally.check(file_name, part.fault)
            continue
        tally.check(file_name)
        for line in part.value.requires:
            _judge_requirement(tally, line, by_name)


def _judge_requirement(tally: Tally, line: str, by_name: dict[str, Component]) -> None:
    """Count one requirement of a wheel; one of an extra may be absent, never of another version."""
    parsed = parse_requirement(line)
    if parsed is None:
        tally.check(line, "not a requirement that can be read")
        return
    name, specifier, marker = normalised_name(parsed[0]), parsed[1], parsed[2]
    component = by_name.get(name)
    if component is None:
        if "extra" not in marker:
            tally.check(name, "the wheel asks for it, but it is not in the bill of materials")
        return
    inside = is_inside(component.version, specifier)
    tally.check(
        name,
        f"version {component.version} is outside {specifier} that the wheel asks for"
        if inside is False
        else None,
        f"version {component.version} cannot be compared with {specifier}"
        if inside is None
        else None,
    )
