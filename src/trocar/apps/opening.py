"""What every application does to open a unit with a model: verify, open, replay, build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, TypeVar

from trocar.backends.reference_case import (
    ReferenceCaseReport,
    replay_reference_case,
    require_parity,
)
from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.ports import Backend, Unit
from trocar.packs.verify import VerifiedPack, verify_pack

__all__ = ["ASSETS", "OpenedUnit", "open_pack"]

ASSETS: Final = Path(str(resources.files("trocar") / "assets"))
"""What comes with this release: packs and clips."""

_Config = TypeVar("_Config")


@dataclass(frozen=True)
class OpenedUnit:
    """A unit that is ready for its first frame.

    Attributes:
        unit: The unit.
        pack: The verified pack behind it.
        reference_case: Agreement with the pack's reference case, already within its limits.
    """

    unit: Unit
    pack: VerifiedPack
    reference_case: ReferenceCaseReport


# @need-ids: SRS_PACK_001, SRS_PACK_004, SRS_BACKEND_001, SRS_BACKEND_005, SRS_START_002
def open_pack(
    pack_folder: Path,
    request: BackendRequest,
    *,
    configure: Callable[[ModelManifest], _Config],
    build: Callable[[_Config, Backend, VerifiedPack], Unit],
    trust: Path | None = None,
) -> OpenedUnit:
    """Verify a pack, start the engine, warm it up, replay the reference case, build the unit.

    Args:
        pack_folder: Folder of the pack, or the pack in one file.
        request: Engine, precision and threads that must run.
        configure: Makes the unit's configuration of a verified manifest, or refuses the pack;
            called before an engine sees the model.
        build: Makes the unit; called when everything before it has succeeded.
        trust: Folder with trusted keys and approved packs; None for that of this release.

    Returns:
        The unit, ready.

    Raises:
        PackError: The pack is not sound, not signed and approved, or not for this unit.
        BackendUnavailableError: The engine is missing, would run something else, or differs from
            the reference case.
    """
    pack = verify_pack(pack_folder, trust)
    config = configure(pack.manifest)
    backend = open_backend(pack.model, pack.manifest, request)
    report = replay_reference_case(
        backend,
        pack.manifest,
        reference_input=pack.content[pack.manifest.reference_input],
        reference_output=pack.content[pack.manifest.reference_output],
    )
    require_parity(report, backend)
    return OpenedUnit(unit=build(config, backend, pack), pack=pack, reference_case=report)
