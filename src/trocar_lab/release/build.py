"""From a commit to a signed release folder."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from trocar_lab.evidence.signed.release_folder import REBUILD, WheelFacts, read_wheel
from trocar_lab.evidence.signed.release_numbers import read_release_numbers
from trocar_lab.evidence.signed.release_statement import KEYS, ReleaseDevice, ReleasePredicate
from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.release.assembly import MISSING, Assembly, Given, assemble, write_manifest
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.gate import early_reasons, trust_reasons, verdict_reasons
from trocar_lab.release.provenance import BuildFacts, provenance_text
from trocar_lab.release.release_signature import (
    ReleaseKey,
    known_keys,
    release_key,
    sign_folder,
    write_trust,
)
from trocar_lab.release.source_tree import Source, chosen_source, unpack_source
from trocar_lab.release.wheel_build import FIRST, SECOND, build_wheel, check_backend
from trocar_lab.release.wheel_content import content_faults
from trocar_lab.release.wheel_metadata import requirement_faults, version_faults

__all__ = ["PROVENANCE", "Order", "ReleaseMade", "build_release"]

PROVENANCE: Final = "provenance.json"
_DAYS_VALID: Final[Mapping[str, int]] = {"production": 730, "development": 90}
"""Grade -> days for which an installer takes it; a device offline has only its own clock."""


@dataclass(frozen=True)
class Order:
    """What is to be built.

    Attributes:
        root: Repository.
        out: Release folder; must not be there.
        tag: Tag to build.
        commit: Commit to build, where no tag is named.
        grade: production or development.
        given: What the caller names beside the source.
        environment: Variables that name the key.
        now: Time of the build, UTC.
    """

    root: Path
    out: Path
    tag: str = ""
    commit: str = ""
    grade: Literal["production", "development"] = "development"
    given: Given = field(default_factory=Given)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(tz=dt.UTC))


class ReleaseMade(NamedTuple):
    """What was built.

    Attributes:
        folder: The release folder.
        wheel: The wheel in it.
        wheel_bytes: Its size.
        wheel_sha256: Its digest, the same in both builds.
        sequence: Sequence number.
        key: Who signed.
        trust: Folder with the public half of a development key; None for a release key.
        missing: What is not in it.
    """

    folder: Path
    wheel: Path
    wheel_bytes: int
    wheel_sha256: str
    sequence: int
    key: ReleaseKey
    trust: Path | None
    missing: tuple[str, ...]


class _Built(NamedTuple):
    """The wheel and where it is from."""

    tree: Path
    wheel: Path
    facts: WheelFacts
    backend: str
    rebuilt_sha256: str


def build_release(order: Order) -> ReleaseMade:
    """Build, check, assemble and sign a release.

    Args:
        order: What is to be built.

    Raises:
        NotReleasableError: With every reason that is known at that point; nothing is left behind.
    """
    if order.out.exists():
        raise NotReleasableError(f"{order.out} is there already; name a new folder")
    source = chosen_source(order.root, tag=order.tag, commit=order.commit)
    key = release_key(order.environment, known_keys(order.root / KEYS))
    reasons = early_reasons(source, key) if order.grade == "production" else []
    if reasons:
        raise NotReleasableError(*reasons)
    order.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=order.out.parent.resolve(), prefix=".release-") as private:
        built = _build_twice(order, source, Path(private))
        made = _assembled(order, source, built, key, Path(private))
        made.folder.rename(order.out)
    trust = None
    if order.grade == "development":
        trust = order.out.with_name(f"{order.out.name}.trust")
        write_trust(trust, key.key)
    return made._replace(folder=order.out, wheel=order.out / made.wheel.name, trust=trust)


def _build_twice(order: Order, source: Source, private: Path) -> _Built:
    """Build the wheel in two surroundings and check it from every side."""
    trees, wheels, backend = [], [], ""
    for number, around in enumerate((FIRST, SECOND), start=1):
        tree = private / str(number) / around.folder
        tree.parent.mkdir(parents=True, exist_ok=True)
        unpack_source(order.root, source.commit, tree, backwards=around.backwards)
        backend = check_backend(tree)
        wheels.append(build_wheel(tree, private / f"wheel-{number}", around))
        trees.append(tree)
    digests = [file_sha256(wheel) for wheel in wheels]
    part = read_wheel(wheels[0])
    if part.value is None:
        raise NotReleasableError(part.fault)
    faults = content_faults(wheels[0], trees[0])
    faults += requirement_faults(part.value, trees[0])
    faults += version_faults(part.value, trees[0], tag=source.tag)
    if digests[0] != digests[1] or wheels[0].name != wheels[1].name:
        faults.append(f"two builds differ: {digests[0][:12]} and {digests[1][:12]}")
    if order.grade == "production":
        faults += trust_reasons(trees[0])
    if faults:
        raise NotReleasableError(*faults)
    return _Built(trees[0], wheels[0], part.value, backend, digests[1])


def _assembled(
    order: Order, source: Source, built: _Built, key: ReleaseKey, private: Path
) -> ReleaseMade:
    """Make the folder, sign it, and let the trace judge a production release."""
    predicate = _predicate(order, source, built)
    made = Assembly(private / "folder", built.tree, source.committed_at)
    made.folder.mkdir()
    assemble(made, built.wheel, order.given)
    if order.grade == "production" and made.missing:
        raise NotReleasableError(*(f"missing: {text}" for text in made.missing))
    if made.missing:
        _write_missing(made)
    _write_records(order, source, built, made.folder)
    write_manifest(made.folder)
    sign_folder(made.folder, key.key, predicate)
    wheel = made.folder / built.wheel.name
    if order.grade == "production":
        reasons = verdict_reasons(order.root, made.folder, wheel, order.given)
        if reasons:
            raise NotReleasableError(*reasons)
    return ReleaseMade(
        folder=made.folder,
        wheel=wheel,
        wheel_bytes=wheel.stat().st_size,
        wheel_sha256=built.facts.sha256,
        sequence=predicate.sequence,
        key=key,
        trust=None,
        missing=tuple(made.missing),
    )


def _predicate(order: Order, source: Source, built: _Built) -> ReleasePredicate:
    """Return which release it is."""
    numbers = read_release_numbers(built.tree)
    sequence = numbers.of.get(built.facts.version)
    if numbers.faults or sequence is None:
        lacks = () if numbers.faults else (f"no sequence number for {built.facts.version}",)
        raise NotReleasableError(*numbers.faults, *lacks)
    return ReleasePredicate(
        version=built.facts.version,
        sequence=sequence,
        grade=order.grade,
        expires=order.now.date() + dt.timedelta(days=_DAYS_VALID[order.grade]),
        commit=source.commit,
        device=ReleaseDevice(
            python="3.11",
            platform=sysconfig.get_platform().replace("-", "_").replace(".", "_"),
        ),
        minimum_sequence=numbers.minimum,
    )


def _write_records(order: Order, source: Source, built: _Built, folder: Path) -> None:
    """Write the record of the second build and the provenance."""
    rebuild = {
        "wheel": built.wheel.name,
        "sha256": built.facts.sha256,
        "rebuilt_sha256": built.rebuilt_sha256,
        "tag": source.tag or "none",
        "commit": source.commit,
        "machine": f"{platform.system()} {platform.machine()}, both builds on one machine",
        "date": order.now.date().isoformat(),
    }
    (folder / REBUILD).write_text(json.dumps(rebuild, indent=1) + "\n", encoding="utf-8")
    locks = sorted((*folder.glob("pylock.*.toml"), *folder.glob("device.lock")))
    packs = sorted(folder.glob("packs/*"))
    facts = BuildFacts(
        commit=source.commit,
        tag=source.tag,
        grade=order.grade,
        backend=built.backend,
        subjects={
            path.relative_to(folder).as_posix(): file_sha256(path)
            for path in (folder / built.wheel.name, *packs)
        },
        locks={path.name: file_sha256(path) for path in locks},
        started=order.now,
        finished=dt.datetime.now(tz=dt.UTC),
    )
    (folder / PROVENANCE).write_text(provenance_text(facts), encoding="utf-8")


def _write_missing(made: Assembly) -> None:
    """Write what the folder lacks, so that whoever opens it sees it."""
    lines = [
        "# What this release does not hold",
        "",
        "It is of development grade: for trying out, not for use. Research use only; Trocar is not",
        "a medical device.",
        "",
        *(f"* {text}" for text in made.missing),
    ]
    (made.folder / MISSING).write_text("\n".join(lines) + "\n", encoding="utf-8")
