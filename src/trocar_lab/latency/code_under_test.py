"""The device that this process imports: commit and tree, or wheel; and the packages under it."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

import trocar
from trocar_lab.latency.manifest import CodeIdentity
from trocar_lab.provenance.code_identity import (
    file_sha256,
    folder_sha256,
    package_versions,
)
from trocar_lab.provenance.git import git_output

DEVICE_FOLDER: Final = Path(trocar.__file__).parent


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


def _installed_wheel_sha256() -> str | None:
    """Return the digest of the wheel that the installer noted, or None."""
    try:
        noted = metadata.distribution("trocar").read_text("direct_url.json")
        digest = json.loads(noted or "{}").get("archive_info", {}).get("hashes", {}).get("sha256")
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    return digest if isinstance(digest, str) else None
