"""The data sets that verification has registered: a figure holds for these bytes and no others.

The register is ``verification/datasets.toml`` of the checkout. Whoever reads a real data set to
train on it, to pack a model or to measure one asks here first.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

REGISTER: Final = Path(__file__).resolve().parents[3] / "verification" / "datasets.toml"


class UnregisteredDataError(ValueError):
    """The data on this machine are not those that are registered.

    Args:
        dataset_id: Need id of the data set.
        expected: Registered SHA-256, or None where the register has no single entry for it.
        found: SHA-256 of the data on this machine.
    """

    def __init__(self, dataset_id: str, *, expected: str | None, found: str) -> None:
        super().__init__(
            f"{dataset_id}: expected the digest {expected or 'of one entry'} in {REGISTER.name}, "
            f"found {found}; restore the data, or register them anew and repeat what was measured"
        )
        self.dataset_id = dataset_id
        self.expected = expected
        self.found = found


def registered_digest(dataset_id: str) -> str | None:
    """Return the registered SHA-256 of a data set, or None where it has not exactly one entry."""
    table = tomllib.loads(REGISTER.read_text(encoding="utf-8"))
    found = [str(one["sha256"]) for one in table["dataset"] if one["id"] == dataset_id]
    return found[0] if len(found) == 1 else None


def require_registered(dataset_id: str, *, found: str) -> None:
    """Go on only with the data that are registered.

    Args:
        dataset_id: Need id of the data set.
        found: SHA-256 of the data on this machine.

    Raises:
        UnregisteredDataError: The digests differ, or there is none to compare with.
    """
    expected = registered_digest(dataset_id)
    if found != expected:
        raise UnregisteredDataError(dataset_id, expected=expected, found=found)
