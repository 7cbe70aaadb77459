"""Which code was under test: digests, answers of git, versions of the packages under it."""

from __future__ import annotations

import hashlib
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Final

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


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that can change a result."""
    found = {}
    for name in KEY_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
