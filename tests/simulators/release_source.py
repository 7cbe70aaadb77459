"""A repository that is small enough to be released in a second, and wheels that are not sound."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import stat
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from simulators.signing import write_trust_folder
from trocar_lab.provenance.code_identity import file_sha256

VERSION: Final = "0.3.0"
NUMBERS: Final = "verification/release_numbers.toml"
_PROJECT: Final = f"""\
[build-system]
requires = ["hatchling==1.33.0"]
build-backend = "hatchling.build"

[project]
name = "trocar"
version = "{VERSION}"
description = "A small stand-in"
requires-python = ">=3.11"
license-files = ["LICENSE"]
dependencies = ["numpy>=2.2,<3"]

[project.optional-dependencies]
cpu = ["onnxruntime==1.31.1"]
check = ["coverage[toml]>=7.10,<8"]

[project.scripts]
trocar = "trocar:main"

[tool.hatch.build.targets.wheel]
packages = ["src/trocar"]
"""
_PACKAGES: Final = ("contracts", "audit", "install", "statements")
SOURCE: Final[Mapping[str, str]] = {
    ".gitignore": "*.log\n",
    "pyproject.toml": _PROJECT,
    "LICENSE": "Apache License\n",
    "SECURITY.md": "Report it.\n",
    "SOUP.md": "# Software of others\n",
    "CHANGELOG.md": f"# Changelog\n\n## [{VERSION}] - unreleased\n\nFirst.\n",
    "docs/how.rst": f"Install trocar-{VERSION}-py3-none-any.whl.\n",
    "src/trocar/__init__.py": f'from typing import Final\n\n__version__: Final = "{VERSION}"\n',
    "src/trocar/py.typed": "",
    "src/trocar_lab/__init__.py": "",
    **{f"src/trocar/{name}/__init__.py": "" for name in _PACKAGES},
    "src/trocar/contracts/errors.py": "",
    "src/trocar/contracts/limits.py": "",
    NUMBERS: f'[[release]]\nversion = "0.2.0"\nsequence = 6\n\n'
    f'[[release]]\nversion = "{VERSION}"\nsequence = 7\n',
}


def git(root: Path, *words: str) -> str:
    """Run git in a repository, as nobody in particular; return what it says."""
    done = subprocess.run(
        ["git", "-C", str(root), "-c", "user.name=T", "-c", "user.email=t@example.org", *words],
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def write_files(root: Path, files: Mapping[str, str]) -> None:
    """Write files under a root."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def commit(root: Path, files: Mapping[str, str] | None = None) -> str:
    """Write files, commit everything that is not ignored, and return the hash."""
    write_files(root, files or {})
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "Change")
    return git(root, "rev-parse", "HEAD")


def small_repository(root: Path) -> Path:
    """Make a repository with one commit; no tag, a development key for packs, none for releases."""
    root.mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    write_trust_folder(root / "src/trocar/assets/trust", grade="development")
    commit(root, SOURCE)
    return root


def wheel_of(root: Path, target: Path, extra: Mapping[str, bytes] | None = None) -> Path:
    """Write a sound wheel of a repository's files, with more files where a test asks for them."""
    package = root / "src" / "trocar"
    files = {
        f"trocar/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file()
    }
    info = f"trocar-{VERSION}.dist-info"
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.4\nName: trocar\nVersion: {VERSION}\n".encode()
    )
    files |= extra or {}
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        writer.writerow((name, f"sha256={digest}", len(content)))
    writer.writerow((f"{info}/RECORD", "", ""))
    files[f"{info}/RECORD"] = rows.getvalue().encode()
    path = target / f"trocar-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(_entry(name), content)
    return path


def add_link(wheel: Path, name: str, target: str) -> None:
    """Put a symbolic link into a wheel."""
    with zipfile.ZipFile(wheel, "a") as archive:
        entry = _entry(name)
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, target)


def package_wheel(folder: Path, name: str, content: bytes = b"wheel") -> tuple[Path, str]:
    """Write a file that is called a wheel; return it with its digest."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path, file_sha256(path)


def _entry(name: str) -> zipfile.ZipInfo:
    """Return the head of one regular file."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry
