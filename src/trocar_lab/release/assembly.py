"""The files of a release folder: what there is goes in, what there is not is said by name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trocar.contracts.errors import TrocarError
from trocar_lab.evidence.signed.release_folder import AUDIT, ENVELOPE, MANIFEST, SBOM
from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.release.device_lock import LOCK, PYLOCK, lock_text, read_locked, wheels_of
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.installer_archive import write_installer
from trocar_lab.signing.packs import write_bundle

__all__ = ["INSTALLER", "MISSING", "Assembly", "Given", "assemble", "write_manifest"]

INSTALLER: Final = "trocar-install.pyz"
MISSING: Final = "MISSING.md"
_SBOM_LAB: Final = "sbom-lab.cdx.json"
_TEXTS: Final = ("CHANGELOG.md", "LICENSE", "SECURITY.md", "SOUP.md")
_LEFT_OUT: Final = "device.leftout"
_SECONDS_MAX: Final = 300


@dataclass(frozen=True)
class Given:
    """What the caller names beside the source.

    Attributes:
        wheelhouse: Wheels of the packages that the device installs.
        evidence: Folder with evidence files.
        report: Folder of the report.
        needs: The needs as Sphinx read them, by which the trace judges a production release.
        drill: Record of a restore.
        lab_wheelhouse: Wheels of the packages of the toolchain, for its bill of materials.
        advisories: Database of known vulnerabilities.
        packs: Further packs, such as variants, that the trust folder of the source approves.
    """

    wheelhouse: Path | None = None
    evidence: Path | None = None
    report: Path | None = None
    needs: Path | None = None
    drill: Path | None = None
    lab_wheelhouse: Path | None = None
    advisories: Path | None = None
    packs: tuple[Path, ...] = ()


@dataclass
class Assembly:
    """A release folder while it is made.

    Attributes:
        folder: Where it is made.
        tree: Unpacked source.
        committed_at: Time of the commit [s since 1970, UTC]; written where a time is asked for.
        missing: What is not in it, one sentence each.
    """

    folder: Path
    tree: Path
    committed_at: int
    missing: list[str] = field(default_factory=list)


def assemble(made: Assembly, wheel: Path, given: Given) -> None:
    """Put everything but the records of the build and the signature into the folder.

    Args:
        made: The folder, empty.
        wheel: The wheel.
        given: What the caller names.

    Raises:
        NotReleasableError: Something that is named is not there or is not sound.
    """
    shutil.copyfile(wheel, made.folder / wheel.name)
    for name in _TEXTS:
        if (made.tree / name).is_file():
            shutil.copyfile(made.tree / name, made.folder / name)
        else:
            made.missing.append(f"{name}: not in the commit")
    locks = sorted(made.tree.glob("pylock.*.toml"))
    for lock in locks:
        shutil.copyfile(lock, made.folder / lock.name)
    if not locks:
        made.missing.append("pylock.*.toml: the commit holds no lock")
    _add_wheelhouse(made, given.wheelhouse)
    _add_bills(made, given)
    _add_comparison(made, given.advisories)
    _add_packs(made, given.packs)
    write_installer(made.tree / "src", made.folder / INSTALLER)
    _add_copy(made, given.evidence, "evidence", "run `tox -e verify` and name its folder")
    _add_copy(made, given.report, "report", "run `tox -e verify` and name out/report")
    if given.drill is not None:
        shutil.copyfile(given.drill, made.folder / "restore_drill.json")


def write_manifest(folder: Path) -> None:
    """Write name, size and digest of every file that is there."""
    rows = [
        {
            "name": path.relative_to(folder).as_posix(),
            "sha256": file_sha256(path),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in {ENVELOPE, MANIFEST, "restore_drill.json"}
    ]
    text = json.dumps({"deliverables": rows}, indent=1) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _add_wheelhouse(made: Assembly, wheelhouse: Path | None) -> None:
    """Copy the wheels of the wheelhouse and write the lock of the device."""
    if wheelhouse is None:
        made.missing.append(
            f"wheelhouse and {LOCK}: no wheelhouse was named, so nothing can be installed offline"
        )
        return
    pylock = made.tree / PYLOCK
    locked = read_locked(pylock) if pylock.is_file() else None
    if locked is None:
        made.missing.append(f"{PYLOCK}: not in the commit; the wheelhouse was compared with none")
    wheels = wheels_of(wheelhouse)
    text = lock_text(wheels, locked)
    (made.folder / "wheelhouse").mkdir()
    for path in wheels:
        shutil.copyfile(path, made.folder / "wheelhouse" / path.name)
    (made.folder / LOCK).write_text(text, encoding="utf-8")
    _add_left_out(made)


def _add_left_out(made: Assembly) -> None:
    """Write the list of files that the device leaves out, from the wheels of the folder."""
    machine = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    words = ["--root", str(made.tree), "left-out", "--platform", machine]
    words += ["--wheelhouse", str((made.folder / "wheelhouse").resolve())]
    reason = _run([*words, "--output", str(made.folder / _LEFT_OUT)], made.committed_at)
    if reason:
        made.missing.append(f"{_LEFT_OUT}: {reason}")


def _add_bills(made: Assembly, given: Given) -> None:
    """Write the bills of materials; what lies inside a wheel is read from the wheel."""
    for name, scope, wheels in (
        (SBOM, "--device", given.wheelhouse),
        (_SBOM_LAB, "--lab", given.lab_wheelhouse),
    ):
        if wheels is None:
            made.missing.append(f"{name}: no wheelhouse was named to read the packages from")
            continue
        words = ["--root", str(made.tree), "sbom", scope, "--wheelhouse", str(wheels.resolve())]
        reason = _run([*words, "--output", str(made.folder / name)], made.committed_at)
        if reason:
            (made.folder / name).unlink(missing_ok=True)
            made.missing.append(f"{name}: {reason}")


def _add_comparison(made: Assembly, advisories: Path | None) -> None:
    """Write the record of a comparison of the locks with known vulnerabilities."""
    if advisories is None:
        made.missing.append(f"{AUDIT}: no database of vulnerabilities was named")
        return
    words = ["--root", str(made.tree), "audit", "--database", str(advisories.resolve())]
    reason = _run([*words, "--output", str(made.folder / AUDIT)], made.committed_at)
    if reason:  # a record with findings stays, so that it is seen what they are
        made.missing.append(f"{AUDIT}: {reason}")


def _add_packs(made: Assembly, further: Sequence[Path]) -> None:
    """Write each pack as one file; one that the trust folder does not approve is left out.

    Raises:
        NotReleasableError: A pack that the caller names is not approved.
    """
    source = made.tree / "src"
    assets = source / "trocar" / "assets"
    # Variants are kept beside the toolchain: with them the wheel would be too large.
    variants = source / "trocar_lab" / "assets" / "packs"
    own = (*sorted((assets / "packs").glob("*")), *sorted(variants.glob("*")))
    for place in (*own, *further):
        try:
            write_bundle(place, made.folder / "packs", assets / "trust")
        except TrocarError as exc:
            if place in further:
                raise NotReleasableError(f"pack {place}: {exc.problem}") from exc
            made.missing.append(f"pack {place.name}: {exc.problem}")


def _add_copy(made: Assembly, source: Path | None, name: str, advice: str) -> None:
    """Copy a folder of files, or say that it is missing."""
    if source is None:
        made.missing.append(f"{name}/: none was named; {advice}")
        return
    if not source.is_dir():
        raise NotReleasableError(f"no folder at {source}; {advice}")
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise NotReleasableError(f"{path} is a link or a device; a release is made of files")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(source).parts):
            target = made.folder / name / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _run(words: Sequence[str], committed_at: int) -> str:
    """Run a command of the supply part; return why it failed, or nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "trocar_lab.supply", *words],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(committed_at)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_SECONDS_MAX,
    )
    if done.returncode == 0:
        return ""
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
