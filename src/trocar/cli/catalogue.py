"""The units that this release offers, and the application behind each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from trocar.apps import endoscopy, surgical_tools
from trocar.apps.opening import OpenedUnit
from trocar.contracts.base import Contract
from trocar.contracts.errors import ContractError
from trocar.contracts.findings import PolypMask, ToolDetections, ToolTracks
from trocar.contracts.frame import Frame
from trocar.contracts.outcome import Withheld
from trocar.units.polyp_segmentation import contract as polyp_segmentation
from trocar.units.tool_detection import contract as tool_detection
from trocar.units.tool_tracking import contract as tool_tracking

__all__ = ["UNITS", "UnitEntry", "find_unit", "need_ids"]

_NEED_COMMENT: Final = re.compile(r"^\s*# @need-ids:\s*(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class UnitEntry:
    """One unit as the command line knows it.

    Attributes:
        name: Name of the unit.
        application: Application that wires it.
        summary: One sentence.
        pack: The pack that comes with this release.
        pack_unit: The unit that its packs name: another one where it has no model of its own.
        demo_clip: Rendered clip that comes with this release.
        open: Opens the unit; see ``apps.endoscopy.open_unit``.
        contracts: What the unit takes, gives and is configured by.
    """

    name: str
    application: str
    summary: str
    pack: Path
    pack_unit: str
    demo_clip: Path
    open: Callable[..., OpenedUnit]
    contracts: dict[str, type[Contract]]


UNITS: Final = (
    UnitEntry(
        name=polyp_segmentation.UNIT_NAME,
        application="endoscopy",
        summary="outline polyps in colonoscopy frames, live or recorded",
        pack=endoscopy.SHIPPED_PACK,
        pack_unit=polyp_segmentation.UNIT_NAME,
        demo_clip=endoscopy.DEMO_CLIP,
        open=endoscopy.open_unit,
        contracts={
            "input": Frame,
            "finding": PolypMask,
            "withheld": Withheld,
            "configuration": polyp_segmentation.PolypSegmentationConfig,
        },
    ),
    UnitEntry(
        name=tool_detection.UNIT_NAME,
        application="surgical_tools",
        summary="box the tips of tools in laparoscopic frames, live or recorded",
        pack=surgical_tools.SHIPPED_PACK,
        pack_unit=tool_detection.UNIT_NAME,
        demo_clip=surgical_tools.DEMO_CLIP,
        open=surgical_tools.open_detection,
        contracts={
            "input": Frame,
            "finding": ToolDetections,
            "withheld": Withheld,
            "configuration": tool_detection.ToolDetectionConfig,
        },
    ),
    UnitEntry(
        name=tool_tracking.UNIT_NAME,
        application="surgical_tools",
        summary="box the tips of tools and number them over time, in a video or live",
        pack=surgical_tools.SHIPPED_PACK,
        pack_unit=tool_detection.UNIT_NAME,
        demo_clip=surgical_tools.DEMO_CLIP,
        open=surgical_tools.open_tracking,
        contracts={
            "input": Frame,
            "finding": ToolTracks,
            "withheld": Withheld,
            "configuration": tool_tracking.ToolTrackingConfig,
        },
    ),
)
"""Every unit of this release."""


def find_unit(name: str) -> UnitEntry:
    """Return a unit by name.

    Raises:
        ContractError: There is no such unit.
    """
    for entry in UNITS:
        if entry.name == name:
            return entry
    raise ContractError(
        f"expected a unit, one of {[entry.name for entry in UNITS]}, got {name!r}",
        advice="type: trocar units",
    )


def need_ids(unit: str) -> dict[str, list[str]]:
    """Return the requirements and risk controls that the unit's own source carries.

    From its comments.

    Args:
        unit: Name of the unit.
    """
    found: set[str] = set()
    folder = resources.files("trocar") / "units" / unit
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if path.name.endswith(".py"):
            for match in _NEED_COMMENT.finditer(path.read_text(encoding="utf-8")):
                found.update(part.strip() for part in match.group(1).split(","))
    return {
        "requirements": sorted(name for name in found if name.startswith("SRS_")),
        "risk_controls": sorted(name for name in found if name.startswith("RCM_")),
    }
