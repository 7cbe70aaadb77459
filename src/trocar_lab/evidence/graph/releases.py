"""The needs as the last release archived them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar_lab.evidence.errors import GraphError
from trocar_lab.evidence.graph.metamodel import Metamodel
from trocar_lab.evidence.graph.need_graph import Graph, read_graph

RELEASES: Final = "verification/releases"
_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True)
class ArchivedRelease:
    """One archived release.

    Attributes:
        version: Name of its folder.
        graph: Its needs; None when the file cannot be judged.
        fault: Why it cannot.
    """

    version: str
    graph: Graph | None = None
    fault: str = ""


def last_release(root: Path, model: Metamodel) -> ArchivedRelease | None:
    """Return the archived release with the highest version, or None when there is none.

    Args:
        root: Repository root.
        model: Metamodel by which the archived needs are read.
    """
    paths = sorted(
        (root / RELEASES).glob("*/needs.json"), key=lambda path: _order(path.parent.name)
    )
    if not paths:
        return None
    version = paths[-1].parent.name
    try:
        return ArchivedRelease(version=version, graph=read_graph(paths[-1], model))
    except GraphError as exc:
        return ArchivedRelease(version=version, fault=str(exc))


def _order(version: str) -> tuple[tuple[int, ...], str]:
    """Return what a version is sorted by: its numbers, not its letters."""
    return tuple(int(number) for number in _NUMBER.findall(version)), version
