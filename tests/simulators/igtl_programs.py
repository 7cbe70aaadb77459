"""The example programs of the C++ library of OpenIGTLink, built from the sources of Debian."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

__all__ = ["IMAGES", "build_example", "missing_for_examples"]

_EXAMPLES: Final = Path("/usr/share/doc/openigtlink-examples/examples")
_HEADERS: Final = Path("/usr/include/openigtlink")
_SECONDS_MAX: Final = 120

IMAGES: Final = _EXAMPLES / "Imager" / "img"
"""Pictures of 256 x 256 that the image examples send."""


def missing_for_examples() -> str | None:
    """Return what is not installed, or None."""
    if not (_EXAMPLES.is_dir() and _HEADERS.is_dir()):
        return "not installed: openigtlink-examples and libopenigtlink-dev of Debian"
    return None if shutil.which("g++") else "not installed: g++"


def build_example(folder: str, name: str, into: Path) -> Path:
    """Build one example program, unchanged."""
    program = into / name
    if not program.exists():
        source = _EXAMPLES / folder / f"{name}.cxx"
        words = ["g++", "-w", "-I", str(_HEADERS), str(source), "-o", str(program)]
        subprocess.run([*words, "-lOpenIGTLink", "-lpthread"], check=True, timeout=_SECONDS_MAX)
    return program
