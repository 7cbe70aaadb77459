"""The units of a recording, opened as the command line opens them: through the catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from trocar.backends.reference_case import ReferenceCaseReport
from trocar.cli.catalogue import UNITS, find_unit
from trocar.contracts.ports import Unit
from trocar.packs.verify import VerifiedPack
from trocar_lab.latency.manifest import UnitFacts
from trocar_lab.latency.settings import RecordSettings


class OpenedUnit(Protocol):
    """What an application hands out; a unit without a model has neither pack nor case."""

    @property
    def unit(self) -> Unit:
        """The unit, ready for its first frame."""
        ...

    @property
    def pack(self) -> VerifiedPack | None:
        """The verified pack behind it."""
        ...

    @property
    def reference_case(self) -> ReferenceCaseReport | None:
        """Agreement with the pack's reference case."""
        ...


def unit_names() -> tuple[str, ...]:
    """Return the names of all units of this release."""
    return tuple(entry.name for entry in UNITS)


# @need-ids: SRS_LATE_002
def open_units(
    settings: RecordSettings, pack: Path | None, trust: Path | None = None
) -> tuple[OpenedUnit, ...]:
    """Open every unit of the settings, in their order.

    Args:
        settings: Units, engine, precision, threads, deadline.
        pack: Pack of the first unit, or None for the one that comes with the release; the units
            beside it always run on theirs.
        trust: Trust folder of a site, or None for that of the release.

    Raises:
        ContractError: There is no such unit.
        PackError: A pack is not sound, or is not for its unit.
        BackendUnavailableError: The engine is missing, or would run something else.
    """
    opened: list[OpenedUnit] = []
    for number, name in enumerate(settings.units):
        entry = find_unit(name)
        folder = entry.pack if pack is None or number else pack
        request = settings.request()
        opened.append(
            entry.open(folder, request, frame_age_ms_max=settings.deadline_ms, trust=trust)
        )
    return tuple(opened)


def facts_of(opened: Sequence[OpenedUnit]) -> tuple[UnitFacts, ...]:
    """Return provenance and digests of each unit."""
    return tuple(
        UnitFacts(
            info=one.unit.info,
            model_sha256=None if one.pack is None else hashlib.sha256(one.pack.model).hexdigest(),
            reference_difference_max=(
                None if one.reference_case is None else one.reference_case.prob_difference_max
            ),
        )
        for one in opened
    )
