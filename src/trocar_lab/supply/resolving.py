"""What pip chooses for a target on a platform: versions, wheels and their digests.

pip is asked what it would install (``--dry-run --report``); nothing is installed, and no source
archive is ever taken. This is the one step that needs an index.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.licences import UNKNOWN, licence_of, supplier_of
from trocar_lab.supply.lock_file import WHEELHOUSE, Lock, LockedPackage, LockedWheel
from trocar_lab.supply.targets import PLATFORMS, Target, requirements_of

__all__ = ["Chosen", "Resolve", "download", "pip_resolve", "resolved_lock"]

_GLIBC_MINOR_MAX: Final = 35  # of Ubuntu 22.04, which the edge box has
_SUPPLIER_KEYS: Final = ("author", "maintainer", "author_email", "maintainer_email")
_OLD_TAGS: Final = ("manylinux1", "manylinux2010", "manylinux2014")


@dataclass(frozen=True)
class Chosen:
    """One package as pip chose it for one platform.

    Attributes:
        name: Normalised name.
        version: Exact version.
        wheel: File name of the wheel, or of the source archive where there is none.
        sha256: Its digest.
        requires: ``Requires-Dist`` lines.
        licence: What its metadata say.
        supplier: Who its metadata name.
    """

    name: str
    version: str
    wheel: str
    sha256: str
    requires: tuple[Requirement, ...]
    licence: str = UNKNOWN
    supplier: str = ""


Resolve = Callable[[Sequence[Requirement], str, Sequence[str]], Sequence[Chosen]]
"""(requirements, platform, packages without a wheel) -> what is chosen."""


def pip_resolve(
    requirements: Sequence[Requirement], platform: str, sources: Sequence[str]
) -> Sequence[Chosen]:
    """Return what pip chooses.

    Args:
        requirements: What is asked for.
        platform: As in ``PLATFORMS``.
        sources: Packages that have no wheel; with one, pip must run on that platform itself.

    Raises:
        SupplyError: pip found no solution, or chose something that is no wheel with a digest.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += [*_platform_options(platform, sources), "--report", str(report)]
        command += ["--target", folder]
        _run([*command, *map(str, requirements)])
        rows = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [_chosen(row) for row in rows]


def download(lines: str, *, platform: str, sources: Sequence[str], folder: Path) -> None:
    """Bring the wheels of a lock into a folder; pip compares each with its digest.

    Args:
        lines: As of ``requirement_lines``.
        platform: As in ``PLATFORMS``.
        sources: Packages that have no wheel.
        folder: Where they go; made when it is missing.

    Raises:
        SupplyError: A wheel cannot be had or has another digest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        wanted = Path(temporary) / "wanted.txt"
        wanted.write_text(lines, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
        command += [*_platform_options(platform, sources), "-d", str(folder), "-r", str(wanted)]
        _run(command)


def _platform_options(platform: str, sources: Sequence[str]) -> list[str]:
    """Return the options that make pip choose wheels of CPython 3.11 for a platform.

    Raises:
        SupplyError: A source archive is needed, for which pip knows this machine only.
    """
    machine = PLATFORMS[platform]
    options = ["--quiet", "--only-binary=:all:"]
    if sources:
        here = (sys.platform, os.uname().machine, sys.version_info[:2])
        if here != ("linux", machine, (3, 11)):
            raise SupplyError(f"{', '.join(sources)}: run this on {platform} with Python 3.11")
        return [*options, f"--no-binary={','.join(sources)}"]
    tags = [f"manylinux_2_{minor}" for minor in range(_GLIBC_MINOR_MAX, 4, -1)]
    names = [f"{tag}_{machine}" for tag in (*tags, *_OLD_TAGS)]
    options += ["--python-version=3.11", "--implementation=cp"]
    options += ["--abi=cp311", "--abi=abi3", "--abi=none"]
    return [*options, *(f"--platform={name}" for name in names)]


def _run(command: Sequence[str]) -> None:
    """Run pip.

    Raises:
        SupplyError: It failed; the text holds its last words.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise SupplyError(f"pip: {' '.join(words) or done.stderr[-500:]}")


def _chosen(row: Mapping[str, Any]) -> Chosen:
    """Return one row of pip's report."""
    metadata, source = row["metadata"], row["download_info"]
    name = unquote(Path(urlsplit(source["url"]).path).name)
    digest = source.get("archive_info", {}).get("hashes", {}).get("sha256", "")
    if not name.endswith((".whl", ".tar.gz")) or not digest:
        raise SupplyError(f"{metadata['name']}: {name} is no wheel with a SHA-256")
    return Chosen(
        name=canonicalize_name(metadata["name"]),
        version=metadata["version"],
        wheel=name,
        sha256=digest,
        requires=tuple(Requirement(line) for line in metadata.get("requires_dist", ())),
        licence=licence_of(
            metadata.get("license_expression", ""),
            metadata.get("license", ""),
            metadata.get("classifier", ()),
        ),
        supplier=supplier_of(*(metadata.get(key, "") for key in _SUPPLIER_KEYS)),
    )


def resolved_lock(
    target: Target,
    declared: Mapping[str, tuple[Requirement, ...]],
    *,
    omitted: Iterable[str],
    resolve: Resolve = pip_resolve,
) -> Lock:
    """Return the lock of a target: the same versions on each platform.

    Args:
        target: The target.
        declared: What pyproject.toml asks for, by extra.
        omitted: Packages that a device runs without.
        resolve: What chooses.

    Raises:
        SupplyError: No solution, or other versions on one platform than on another.
    """
    roots = requirements_of(target, declared)
    left_out = set(omitted) if target.is_device else set()
    merged: dict[str, LockedPackage] = {}
    for platform in target.platforms:
        chosen = {c.name: c for c in resolve(roots, platform, target.sources)}
        pairs = _reached(roots, chosen, platform)
        for name, extra in _parts(target, declared, chosen, platform=platform).items():
            wanted = [r for n, e in pairs if n == name for r in _wanted(chosen[n], platform, e)]
            package = _locked(chosen[name], wanted, extra=extra)
            if name not in left_out:
                merged[name] = _merge(merged.get(name), package)
    return Lock(
        packages=tuple(merged[name] for name in sorted(merged)),
        requirements=tuple(map(str, roots)),
        omitted=tuple(sorted(left_out)),
        extras=target.choices,
        platforms=target.platforms,
    )


def _parts(
    target: Target,
    declared: Mapping[str, tuple[Requirement, ...]],
    chosen: Mapping[str, Chosen],
    *,
    platform: str,
) -> dict[str, str]:
    """Return each package that is reached, with the extra that brings it; empty for always."""
    base = requirements_of(target, declared, choices=False)
    found = {name: "" for name, _ in _reached(base, chosen, platform)}
    for extra in target.choices:
        for name, _ in _reached(declared.get(extra, ()), chosen, platform):
            if found.setdefault(name, extra) not in {"", extra}:
                raise SupplyError(f"{name} comes with two extras; add it to the base of the lock")
    return found


def _reached(
    roots: Iterable[Requirement], chosen: Mapping[str, Chosen], platform: str
) -> list[tuple[str, str]]:
    """Return what a set of requirements leads to: (package, extra of it), empty for none."""
    waiting, found = list(roots), list[tuple[str, str]]()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in chosen:
            raise SupplyError(f"{name} is asked for, but was not chosen for {platform}")
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) not in found:
                found.append((name, extra))
                waiting += _wanted(chosen[name], platform, extra)
    return sorted(found)


def _wanted(package: Chosen, platform: str, extra: str) -> list[Requirement]:
    """Return the requirements of a package that hold on a platform."""
    environment = {
        "extra": extra,
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": PLATFORMS[platform],
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": "3.11.7",
        "python_version": "3.11",
        "sys_platform": "linux",
    }
    return [r for r in package.requires if r.marker is None or r.marker.evaluate(environment)]


def _locked(package: Chosen, wanted: Iterable[Requirement], *, extra: str) -> LockedPackage:
    """Return one package for one platform."""
    path = f"{WHEELHOUSE}/{package.wheel}"
    return LockedPackage(
        name=package.name,
        version=package.version,
        wheels=(LockedWheel(name=package.wheel, sha256=package.sha256, path=path),),
        dependencies=tuple(sorted({str(canonicalize_name(r.name)) for r in wanted})),
        extra=extra,
        licence=package.licence,
        supplier=package.supplier,
    )


def _merge(one: LockedPackage | None, other: LockedPackage) -> LockedPackage:
    """Return a package with the wheels of both platforms."""
    if one is None:
        return other
    if (one.version, one.extra) != (other.version, other.extra):
        raise SupplyError(
            f"{one.name} is {one.version} on one platform and {other.version} on another"
        )
    return replace(
        one,
        wheels=tuple(sorted({*one.wheels, *other.wheels}, key=lambda w: w.name)),
        dependencies=tuple(sorted({*one.dependencies, *other.dependencies})),
    )
