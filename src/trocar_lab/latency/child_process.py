"""Start another process of this toolchain that imports exactly the code that this one imports."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def command(role: str, job_file: Path) -> list[str]:
    """Return the command line of a worker or a load."""
    return [sys.executable, "-m", "trocar_lab.latency", role, str(job_file)]


def environment() -> dict[str, str]:
    """Return this process's environment with its own search path for modules."""
    search_path = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": search_path}
