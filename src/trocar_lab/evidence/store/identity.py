"""What was under test and where: digests of source and packs, commit, machine, tools, operator."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.provenance.code_identity import folder_sha256, package_versions
from trocar_lab.provenance.git import git_output
from trocar_lab.provenance.platform_record import AGX, platform_class, read_platform, read_text
from trocar_lab.provenance.platform_record import PlatformRecord as MachineFacts

HOST: Final = "host"
PACKS: Final = "src/trocar/assets/packs"
_TOOL_SECONDS_MAX: Final = 20
_TOOL_TEXT_MAX: Final = 2000
_GPU_FIELDS: Final = (
    "name,driver_version,compute_cap,memory.total,power.limit,clocks.sm,clocks.mem,"
    "clocks.max.sm,temperature.gpu,persistence_mode,mig.mode.current"
)
_ACCELERATOR_TOOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "gpu": ("nvidia-smi", f"--query-gpu={_GPU_FIELDS}", "--format=csv"),
    "cuda": ("nvcc", "--version"),
    "tensorrt": ("dpkg-query", "--show", "libnvinfer*"),
    "jetpack": ("dpkg-query", "--show", "nvidia-jetpack"),
}


class PlatformRecord(Frozen):
    """The machine that ran the tests.

    Attributes:
        host_class: agx or host, as the run wrote it down; what counts is ``found_class``.
        system: Operating system.
        release: Release of its kernel.
        machine: Instruction set.
        cpu_count: Logical processors.
        tegra_release: Release text of a Jetson image; only version 1 of the format has it here.
        machine_sha256: Digest of the machine's id and name, so that its runs are known as one row.
        boot_id: Name of the time between two starts of the machine.
        facts: What the machine's own files and tools say; None in version 1 of the format.
        accelerator: What the tools of a GPU say, where they are installed.
    """

    host_class: str
    system: str
    release: str
    machine: str
    cpu_count: int
    tegra_release: str = ""
    machine_sha256: str = ""
    boot_id: str = ""
    facts: MachineFacts | None = None
    accelerator: dict[str, str] = Field(default_factory=dict)

    @property
    def found_class(self) -> str:
        """Return agx only where the recorded files of the machine say so; a typed word is none."""
        if self.facts is None:
            return HOST
        found = platform_class(
            tegra_release=self.facts.tegra_release,
            board_model=self.facts.board_model,
            machine=self.facts.machine,
        )
        return AGX if found == AGX else HOST

    @property
    def contradiction(self) -> str | None:
        """Return why the record cannot be that of one machine, or None."""
        if self.host_class != self.found_class:
            why = f"the recorded facts of the machine say {self.found_class}"
            return f"labelled {self.host_class}, but {why}"
        if self.facts is None:
            return None
        label = AGX if self.facts.platform_class == AGX else HOST
        if label != self.found_class or self.facts.machine != self.machine:
            return "the recorded facts of the machine contradict each other"
        return None


class RunIdentity(Frozen):
    """What one run was made on.

    Attributes:
        commit: Commit of the working tree.
        clean: Nothing in the tree differed from it.
        device_sha256: Digest of the device's source.
        lab_sha256: Digest of the toolchain's source.
        wheel_sha256: Digest of the wheel under test, where one was named.
        lock_sha256: Digest of the locks.
        packs: Folder of each shipped model pack to the digest of its manifest, which lists the
            digests of its files; None in version 1 of the format.
        platform: The machine.
        python: Version of Python.
        packages: Versions of the packages that can change a result.
        operator: Who started the run.
        ci: Which job of a continuous integration started it.
    """

    commit: str
    clean: bool
    device_sha256: str
    lab_sha256: str = ""
    wheel_sha256: str = ""
    lock_sha256: str = ""
    packs: dict[str, str] | None = None
    platform: PlatformRecord
    python: str
    packages: dict[str, str] = Field(default_factory=dict)
    operator: str = ""
    ci: str = ""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file; empty when there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def locks_sha256(root: Path) -> str:
    """Return one digest over the locks of a repository, by name; empty when there is none."""
    locks = sorted(root.glob("pylock*.toml"))
    lines = [f"{file_sha256(path)}  {path.name}\n" for path in locks]
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""


def pack_digests(root: Path) -> dict[str, str]:
    """Return the digest of the manifest of each model pack that the device ships."""
    manifests = sorted((root / PACKS).glob("*/manifest.json"))
    return {path.parent.name: file_sha256(path) for path in manifests}


def platform_record(root: Path = Path("/")) -> PlatformRecord:
    """Return the record of this machine.

    Args:
        root: Root of the file system; another one in tests.
    """
    facts = read_platform(root)
    name = f"{read_text(root / 'etc/machine-id')}\n{platform.node()}\n{facts.cpu_model}"
    return PlatformRecord(
        host_class=AGX if facts.platform_class == AGX else HOST,
        system=platform.system(),
        release=platform.release(),
        machine=platform.machine(),
        cpu_count=os.cpu_count() or 0,
        machine_sha256=hashlib.sha256(name.encode()).hexdigest(),
        boot_id=read_text(root / "proc/sys/kernel/random/boot_id"),
        facts=facts,
        accelerator=_accelerator(),
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
        lock_sha256=locks_sha256(root),
        packs=pack_digests(root),
        platform=platform_record(),
        python=sys.version.split()[0],
        packages=package_versions(),
        operator=os.environ.get("TROCAR_OPERATOR", ""),
        ci=ci_identity(os.environ),
    )


def ci_identity(environment: Mapping[str, str]) -> str:
    """Return the address of the continuous integration job that runs this, or nothing.

    Args:
        environment: Environment variables.
    """
    number = environment.get("GITHUB_RUN_ID")
    if number:
        server = environment.get("GITHUB_SERVER_URL", "")
        place = environment.get("GITHUB_REPOSITORY", "")
        attempt = environment.get("GITHUB_RUN_ATTEMPT", "1")
        return f"{server}/{place}/actions/runs/{number}/attempts/{attempt}"
    return environment.get("CI_JOB_URL") or environment.get("BUILD_URL") or ""


def _accelerator() -> dict[str, str]:
    """Return what the tools of a GPU say; a tool that is missing or fails says nothing."""
    found: dict[str, str] = {}
    for name, words in _ACCELERATOR_TOOLS.items():
        if shutil.which(words[0]) is None:
            continue
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, timeout=_TOOL_SECONDS_MAX, check=False
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if done.returncode == 0 and done.stdout.strip():
            found[name] = done.stdout.strip()[:_TOOL_TEXT_MAX]
    return found
