"""What was under test: digests of the device source, commit, platform, tools."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path

from pydantic import Field

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.provenance.code_identity import folder_sha256, git_output, package_versions
from trocar_lab.provenance.platform_record import AGX, read_platform


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
    status = git_output(root, "status", "--porcelain")
    return RunIdentity(
        commit=git_output(root, "rev-parse", "--verify", "HEAD") or "",
        clean=status == "",
        device_sha256=folder_sha256(root / "src" / "trocar"),
        lab_sha256=folder_sha256(root / "src" / "trocar_lab"),
        wheel_sha256=file_sha256(Path(wheel)) if wheel else "",
        lock_sha256=file_sha256(root / "pylock.toml"),
        platform=platform_record(),
        python=sys.version.split()[0],
        packages=package_versions(),
        operator=os.environ.get("TROCAR_OPERATOR", ""),
    )
