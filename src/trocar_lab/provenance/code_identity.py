"""Which code was under test: commit and tree, or the wheel; and the packages under it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

import trocar
from trocar_lab.latency.manifest import CodeIdentity

DEVICE_FOLDER: Final = Path(trocar.__file__).parent
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
_GIT_SECONDS_MAX: Final = 30


def read_code_identity(wheel: Path | None) -> CodeIdentity:
    """Return the identity of the device that this process imports.

    Args:
        wheel: The wheel that was installed, or None to ask the installation.
    """
    commit = git_output(DEVICE_FOLDER, "rev-parse", "--verify", "HEAD")
    status = git_output(DEVICE_FOLDER, "status", "--porcelain") if commit else None
    return CodeIdentity(
        commit=commit or "",
        is_dirty=None if status is None else bool(status),
        device_version=trocar.__version__,
        device_sha256=folder_sha256(DEVICE_FOLDER),
        wheel_sha256=_installed_wheel_sha256() if wheel is None else file_sha256(wheel),
        python=sys.version.split()[0],
        packages=package_versions(),
    )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_sha256(folder: Path) -> str:
    """Return one digest over names and bytes of every file of a package."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\n".encode())
    return total.hexdigest()


def git_output(folder: Path, *words: str) -> str | None:
    """Return the output of one git command, or None where it fails or git is missing."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_SECONDS_MAX,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _installed_wheel_sha256() -> str | None:
    """Return the digest of the wheel that the installer noted, or None."""
    try:
        noted = metadata.distribution("trocar").read_text("direct_url.json")
        digest = json.loads(noted or "{}").get("archive_info", {}).get("hashes", {}).get("sha256")
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    return digest if isinstance(digest, str) else None


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that can change a result."""
    found = {}
    for name in KEY_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
