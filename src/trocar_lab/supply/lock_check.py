"""Whether the locks agree with pyproject.toml, with the register and with themselves; offline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.licences import UNKNOWN, same_licence
from trocar_lab.supply.lock_file import (
    WHEELHOUSE,
    Lock,
    LockedPackage,
    LockedWheel,
    lock_text,
    read_lock,
)
from trocar_lab.supply.register import Register, Reviewed
from trocar_lab.supply.targets import TARGETS, Target, declared_by_extra, requirements_of

__all__ = ["check_locks", "lock_faults", "locks_of", "register_faults"]

_DEVICE: Final = frozenset(target.name for target in TARGETS if target.is_device)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def check_locks(root: Path, register: Register) -> list[str]:
    """Return every fault of every lock of a repository, one sentence each.

    Args:
        root: Repository.
        register: What was reviewed.
    """
    declared = declared_by_extra(root)
    found: list[str] = []
    locks: dict[str, Lock] = {}
    for target in TARGETS:
        try:
            lock = read_lock(root / target.file_name)
        except SupplyError as exc:
            found.append(str(exc))
            continue
        locks[target.name] = lock
        faults = lock_faults(target, lock, declared, register)
        if (root / target.file_name).read_text(encoding="utf-8") != lock_text(lock):
            faults.append("is not written as `supply lock` writes it; an address or a hand edit?")
        found += [f"{target.file_name}: {fault}" for fault in faults]
    return found + register_faults(locks, register, root=root)


def locks_of(root: Path) -> dict[str, Lock]:
    """Return each lock of a repository by the name of its target.

    Raises:
        SupplyError: One is missing or damaged.
    """
    return {target.name: read_lock(root / target.file_name) for target in TARGETS}


def lock_faults(
    target: Target,
    lock: Lock,
    declared: Mapping[str, tuple[Requirement, ...]],
    register: Register,
) -> list[str]:
    """Return the faults of one lock.

    Args:
        target: What it is for.
        lock: The lock.
        declared: What pyproject.toml asks for, by extra.
        register: What was reviewed.
    """
    roots = requirements_of(target, declared)
    left_out = {o.package for o in register.omitted} if target.is_device else set()
    names = [package.name for package in lock.packages]
    found = [f"{name} stands twice" for name in sorted({n for n in names if names.count(n) > 1})]
    found += [fault for package in lock.packages for fault in _package_faults(package, target)]
    if lock.requirements != tuple(map(str, roots)):
        found.append("was made from other requirements than those of pyproject.toml; write it anew")
    if set(lock.omitted) != left_out:
        found.append("leaves out other packages than risk/soup.toml says; write it anew")
    if lock.platforms != target.platforms or lock.extras != target.choices:
        found.append("is for other platforms or extras than its target; write it anew")
    found += _range_faults(lock, roots)
    return found + _closure_faults(lock, roots, left_out)


def _package_faults(package: LockedPackage, target: Target) -> list[str]:
    """Return what is not exact about one package."""
    found = [f"names {source}, not only wheels" for source in package.other_sources]
    if not package.version:
        found.append("is not pinned")
    if package.extra not in {"", *target.choices}:
        found.append(f"belongs to the extra {package.extra}, which the lock does not offer")
    for wheel in package.wheels:
        name, version = _named(wheel)
        if wheel.is_source and package.name not in target.sources:
            found.append(f"{wheel.name} is a source archive")
        if (name, str(version)) != (package.name, package.version):
            found.append(f"{wheel.name} is not {package.name} {package.version}")
        if not _SHA256.fullmatch(wheel.sha256):
            found.append(f"{wheel.name} has no SHA-256")
        if wheel.path != f"{WHEELHOUSE}/{wheel.name}":
            found.append(f"{wheel.name} does not lie in {WHEELHOUSE}/")
    for platform in target.platforms:
        try:
            package.wheel_for(platform)
        except SupplyError as exc:
            found.append(str(exc).removeprefix(f"{package.name}: "))
    return [f"{package.name}: {fault}" for fault in found]


def _named(file: LockedWheel) -> tuple[str, Version]:
    """Return the package and version that a file name says."""
    if file.is_source:
        return parse_sdist_filename(file.name)
    return parse_wheel_filename(file.name)[:2]


def _range_faults(lock: Lock, roots: Iterable[Requirement]) -> list[str]:
    """Return each requirement of pyproject.toml that the lock does not meet."""
    found = []
    for requirement in roots:
        version = lock.version_of(canonicalize_name(requirement.name))
        if version is None:
            found.append(f"{requirement} is declared in pyproject.toml, but not locked")
        elif not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{requirement.name} {version} is outside {requirement.specifier}")
    return found


def _closure_faults(lock: Lock, roots: Iterable[Requirement], left_out: set[str]) -> list[str]:
    """Return what the lock lacks and what nothing in it asks for."""
    packages = {package.name: package for package in lock.packages}
    waiting, reached = [str(canonicalize_name(r.name)) for r in roots], set[str]()
    found = [f"{name} is locked and left out" for name in sorted(left_out & set(packages))]
    while waiting:
        name = waiting.pop()
        if name in reached or name not in packages:
            continue
        reached.add(name)
        for dependency in packages[name].dependencies:
            waiting.append(dependency)
            if dependency not in packages and dependency not in left_out:
                found.append(f"{name} asks for {dependency}, which is neither locked nor left out")
    return [*found, *(f"nothing asks for {name}" for name in sorted(set(packages) - reached))]


def register_faults(locks: Mapping[str, Lock], register: Register, *, root: Path) -> list[str]:
    """Compare the locks with the register, both ways.

    Args:
        locks: Lock by the name of its target.
        register: What was reviewed.
        root: Repository, for the tests that are named as proof.
    """
    locked = _locked_versions(locks)
    found = [
        f"{package.name}: in pylock.{name}.toml, no [[soup]] entry"
        for name, lock in locks.items()
        for package in lock.packages
        if name in _DEVICE and not _is_device(register.of(package.name))
    ]
    for entry in register.reviewed:
        found += _entry_faults(entry, locked.get(entry.package, set()))
    found += [
        fault
        for lock in locks.values()
        for package in lock.packages
        for fault in _licence_faults(package, register)
    ]
    found += [
        f"{omitted.package}: left out without a reason and a test that is there"
        for omitted in register.omitted
        if not (omitted.reason and _has_proof(root, omitted.proof))
    ]
    device = {package.name for name in _DEVICE if name in locks for package in locks[name].packages}
    for rule in register.left_out_files:
        if rule.package not in device:
            found.append(f"{rule.package}: files of it are left out, and no device has it")
        if not (rule.patterns and rule.reason and _has_proof(root, rule.proof)):
            found.append(f"{rule.package}: files left out without patterns, a reason and a test")
    return sorted(dict.fromkeys(found))


def _has_proof(root: Path, proof: str) -> bool:
    """Return whether the file of a test is there."""
    return (root / proof.partition("::")[0]).is_file()


def _licence_faults(package: LockedPackage, register: Register) -> list[str]:
    """Return whether nobody knows a licence, or the register says another than the metadata."""
    entry = register.of(package.name)
    if package.licence in {"", UNKNOWN}:
        is_read = entry is not None or package.name in register.read_licences
        return [] if is_read else [f"{package.name}: nobody knows its licence"]
    if entry is not None and not same_licence(package.licence, entry["licence"]):
        return [f"{package.name}: metadata say {package.licence}, reviewed was {entry['licence']}"]
    return []


def _is_device(entry: Reviewed | None) -> bool:
    """Return whether a package was reviewed as one of the device."""
    return entry is not None and entry.is_device


def _locked_versions(locks: Mapping[str, Lock]) -> dict[str, set[str]]:
    """Return the public version that each package is locked at."""
    found: dict[str, set[str]] = {}
    for lock in locks.values():
        for package in lock.packages:
            found.setdefault(package.name, set()).add(package.version.partition("+")[0])
    return found


def _entry_faults(entry: Reviewed, versions: set[str]) -> list[str]:
    """Return how one entry of the register and the locks differ."""
    found = []
    if not versions and not entry["not_locked"]:
        found.append("has an entry, is in no lock, and not_locked is empty")
    if versions and entry["not_locked"]:
        found.append("is in a lock, but its entry says not_locked")
    reviewed = entry["reviewed_version"]
    found += [
        f"{version} is locked, reviewed was {reviewed or 'none'}"
        for version in sorted(versions - {reviewed})
    ]
    return [f"{entry.package}: {fault}" for fault in found]
