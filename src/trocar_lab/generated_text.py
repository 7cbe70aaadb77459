"""Text files written from data: ``--write`` puts them there, ``--check`` finds a stale one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["is_current", "parse_mode", "write_texts"]


def parse_mode(
    program: str, description: str | None, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """Return the options: ``write`` or ``check``, and ``root``."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write what is missing or stale")
    mode.add_argument(
        "--check", action="store_true", help="write nothing; red when anything is stale"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="repository (here)"
    )
    return parser.parse_args(arguments)


def is_current(path: Path, text: str) -> bool:
    """Return whether a file is there and holds this text."""
    return path.is_file() and path.read_text(encoding="utf-8") == text


def write_texts(texts: Mapping[Path, str]) -> list[Path]:
    """Write each file that is not current; return those that were written."""
    stale = [path for path, text in texts.items() if not is_current(path, text)]
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path], encoding="utf-8")
    return stale
