"""The installer as one file that runs on a bare machine, made from the sources byte by byte alike.

Nothing is compressed, since what a compressor writes differs between its versions.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

from trocar_lab.release.errors import NotReleasableError

__all__ = ["installer_bytes", "installer_sources", "write_installer"]

_FILES: Final = (
    "trocar/__init__.py",
    "trocar/contracts/__init__.py",
    "trocar/contracts/errors.py",
    "trocar/contracts/limits.py",
)
_PACKAGES: Final = ("trocar/audit", "trocar/install", "trocar/statements")
_FIRST_LINE: Final = b"#!/usr/bin/python3.11 -IS\n"
_MAIN: Final = b"import sys\n\nfrom trocar.install.main import main\n\nsys.exit(main())\n"
_OLDEST: Final = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE: Final = 0o100644 << 16
_EXECUTABLE: Final = 0o755
_UNIX: Final = 3


def write_installer(source: Path, target: Path) -> None:
    """Write the installer.

    Args:
        source: Folder with the package ``trocar``.
        target: The file; nothing is there yet.

    Raises:
        NotReleasableError: A source is missing.
    """
    content = installer_bytes(source)
    with target.open("xb") as stream:
        stream.write(content)
    target.chmod(_EXECUTABLE)


def installer_bytes(source: Path) -> bytes:
    """Return the installer; the same sources give the same bytes, on every machine.

    Args:
        source: Folder with the package ``trocar``.

    Raises:
        NotReleasableError: A source is missing.
    """
    buffer = io.BytesIO()
    buffer.write(_FIRST_LINE)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry("__main__.py"), _MAIN)
        for name in installer_sources(source):
            archive.writestr(_entry(name), (source / name).read_bytes())
    return buffer.getvalue()


def installer_sources(source: Path) -> tuple[str, ...]:
    """Return the files of the installer, by name.

    Args:
        source: Folder with the package ``trocar``.

    Raises:
        NotReleasableError: A source is missing.
    """
    found = {
        path.relative_to(source).as_posix()
        for package in _PACKAGES
        for path in (source / package).glob("*.py")
        if path.is_file() and not path.is_symlink()
    }
    found |= {name for name in _FILES if (source / name).is_file()}
    wanted = (*_FILES, *(f"{package}/__init__.py" for package in _PACKAGES))
    if missing := sorted(set(wanted) - found):
        raise NotReleasableError(f"the installer cannot be made: {', '.join(missing)} is missing")
    return tuple(sorted(found))


def _entry(name: str) -> zipfile.ZipInfo:
    """Return the head of one entry: no time, no owner, one mode."""
    entry = zipfile.ZipInfo(name, _OLDEST)
    entry.create_system = _UNIX
    entry.external_attr = _PLAIN_FILE
    return entry
