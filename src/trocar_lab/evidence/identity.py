"""What was under test: digests of the device source, commit, platform, tools."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

from pydantic import Field

from trocar_lab.evidence.metamodel import Frozen
from trocar_lab.latency.platform_record import AGX, read_platform

KEY_PACKAGES: Final = (
    "av",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "pillow",
    "pydantic",
    "pytest",
    "structlog",
    "tensorrt",
)


class PlatformRecord(Frozen):
    """The machine that ran the tests; ``host_class`` is agx only on a Jetson image."""

    host_class: str
    system: str
    release: str
    machine: str
    cpu_count: int
    tegra_release: str = ""


class RunIdentity(Frozen):
    """What one run was made on."""

    commit: str
    clean: bool
    device_sha256: str
    lab_sha256: str = ""
    wheel_sha256: str = ""
    lock_sha256: str = ""
    platform: PlatformRecord
    python: str
    packages: dict[str, str] = Field(default_factory=dict)
    operator: str = ""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file; empty when there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def tree_sha256(folder: Path) -> str:
    """Return one digest over every file of a source tree."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(folder).as_posix()
            total.update(f"{name}\0{file_sha256(path)}\n".encode())
    return total.hexdigest()


def platform_record() -> PlatformRecord:
    """Return the record of this machine."""
    facts = read_platform()
    is_agx = facts.platform_class == AGX
    return PlatformRecord(
        host_class="agx" if is_agx else "host",
        system=platform.system(),
        release=platform.release(),
        machine=platform.machine(),
        cpu_count=os.cpu_count() or 0,
        tegra_release=facts.tegra_release if is_agx else "",
    )


def run_identity(root: Path) -> RunIdentity:
    """Return the identity of a run that starts now in ``root``."""
    wheel = os.environ.get("TROCAR_WHEEL", "")
    status = _git(root, "status", "--porcelain")
    return RunIdentity(
        commit=_git(root, "rev-parse", "--verify", "HEAD") or "",
        clean=status == "",
        device_sha256=tree_sha256(root / "src" / "trocar"),
        lab_sha256=tree_sha256(root / "src" / "trocar_lab"),
        wheel_sha256=file_sha256(Path(wheel)) if wheel else "",
        lock_sha256=file_sha256(root / "pylock.toml"),
        platform=platform_record(),
        python=sys.version.split()[0],
        packages=_package_versions(),
        operator=os.environ.get("TROCAR_OPERATOR", ""),
    )


def _package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that can change a result."""
    found: dict[str, str] = {}
    for name in KEY_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(root: Path, *arguments: str) -> str | None:
    """Return the output of one git command, or None when it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
