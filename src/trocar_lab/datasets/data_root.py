"""Where the real data lies.

The environment variable ``TROCAR_DATA``, or ``../shared/data`` beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "TROCAR_DATA"
DEFAULT: Final = Path(__file__).resolve().parents[4] / "shared" / "data"


class DataRootMissingError(FileNotFoundError):
    """The real data is not on this machine."""


def find_data_root() -> Path | None:
    """Return the data root, or None when this machine has none."""
    configured = os.environ.get(VARIABLE)
    root = Path(configured) if configured else DEFAULT
    return root if root.is_dir() else None


def require_data_root() -> Path:
    """Return the data root.

    Raises:
        DataRootMissingError: There is none; the message says how to name it.
    """
    root = find_data_root()
    if root is None:
        raise DataRootMissingError(
            f"no data root: set {VARIABLE} to the folder that holds the real data"
        )
    return root
