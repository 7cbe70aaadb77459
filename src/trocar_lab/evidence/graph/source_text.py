"""Text files of the repository, read with an error that names the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from trocar_lab.evidence.errors import SourceTextError


def read_source(path: Path) -> str:
    """Return the text of a file.

    Raises:
        SourceTextError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise SourceTextError(f"{path}: not UTF-8 at byte {exc.start}; save it as UTF-8") from exc
    except OSError as exc:
        raise SourceTextError(f"{path}: cannot be read: {exc.strerror}") from exc


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table of a TOML file.

    Raises:
        SourceTextError: It cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(read_source(path))
    except tomllib.TOMLDecodeError as exc:
        raise SourceTextError(f"{path}: not TOML: {exc}") from exc
