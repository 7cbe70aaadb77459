"""Sequence numbers of releases: one committed file, each number higher than all before it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from trocar_lab.evidence.errors import SourceTextError
from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.source_text import read_toml

FILE: Final = "verification/release_numbers.toml"


class _Row(Frozen):
    """One release."""

    version: Annotated[str, Field(min_length=1)]
    sequence: Annotated[int, Field(ge=1, strict=True)]


class _Table(Frozen):
    """The file."""

    minimum_sequence: Annotated[int, Field(ge=0, strict=True)] = 0
    release: Annotated[tuple[_Row, ...], Field(min_length=1)]


class ReleaseNumbers(Frozen):
    """What the file says.

    Attributes:
        of: Version to its sequence number, oldest first.
        minimum: No release with a lower number may run any more; 0 for none.
        faults: Why it cannot be relied on.
    """

    of: Mapping[str, int] = Field(default_factory=dict)
    minimum: int = 0
    faults: tuple[str, ...] = ()


def read_release_numbers(root: Path) -> ReleaseNumbers:
    """Return the sequence numbers under a root; without a file that is a fault.

    Args:
        root: Repository, or an unpacked source.
    """
    if not (root / FILE).is_file():
        return ReleaseNumbers(faults=(f"there is no {FILE}",))
    try:
        table = _Table.model_validate(read_toml(root / FILE))
    except (SourceTextError, ValidationError) as exc:
        return ReleaseNumbers(faults=(f"{FILE} cannot be read: {str(exc).splitlines()[0]}",))
    rows = table.release
    faults = [
        f"{later.version} has sequence number {later.sequence}, not above {earlier.sequence} of"
        f" {earlier.version}"
        for earlier, later in pairwise(rows)
        if later.sequence <= earlier.sequence
    ]
    found = {row.version: row.sequence for row in rows}
    if len(found) != len(rows):
        faults.append("a version stands twice")
    if table.minimum_sequence > rows[-1].sequence:
        faults.append(f"minimum_sequence {table.minimum_sequence} allows no release at all")
    return ReleaseNumbers(of=found, minimum=table.minimum_sequence, faults=tuple(faults))
