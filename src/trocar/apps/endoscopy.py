"""Colonoscopy: polyp segmentation on live or recorded frames."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from trocar.backends.reference_case import (
    ReferenceCaseReport,
    replay_reference_case,
    require_parity,
)
from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.packs.verify import VerifiedPack, verify_pack
from trocar.units.polyp_segmentation.contract import UNIT_NAME, PolypSegmentationConfig
from trocar.units.polyp_segmentation.unit import PolypSegmenter

__all__ = ["DEMO_CLIP", "SHIPPED_PACK", "OpenedUnit", "open_unit"]

_ASSETS: Final = Path(str(resources.files("trocar") / "assets"))
SHIPPED_PACK: Final = _ASSETS / "packs" / UNIT_NAME
"""The pack that comes with this release."""

DEMO_CLIP: Final = _ASSETS / "demo" / "colonoscopy.mp4"
"""Rendered colonoscopy clip: no patient."""


@dataclass(frozen=True)
class OpenedUnit:
    """A unit that is ready for its first frame.

    Attributes:
        unit: The unit.
        pack: The verified pack behind it.
        reference_case: Agreement with the pack's reference case, already within its limits.
    """

    unit: PolypSegmenter
    pack: VerifiedPack
    reference_case: ReferenceCaseReport


# @need-ids: SRS_PACK_001, SRS_PACK_004, SRS_BACKEND_001, SRS_BACKEND_005
def open_unit(pack_folder: Path, request: BackendRequest, *, frame_age_ms_max: int) -> OpenedUnit:
    """Verify the pack, start the engine, warm it up, replay the reference case.

    Args:
        pack_folder: Folder of the pack.
        request: Engine, precision and threads that must run.
        frame_age_ms_max: Age above which a frame is not answered [ms].

    Returns:
        The unit, ready.

    Raises:
        PackError: The pack is not sound, or is not for this unit.
        BackendUnavailableError: The engine is missing, would run something else, or differs from
            the reference case.
    """
    pack = verify_pack(pack_folder)
    config = PolypSegmentationConfig.from_manifest(pack.manifest, frame_age_ms_max=frame_age_ms_max)
    backend = open_backend(pack.model, pack.manifest, request)
    report = replay_reference_case(
        backend,
        pack.manifest,
        reference_input=pack.content[pack.manifest.reference_input],
        reference_output=pack.content[pack.manifest.reference_output],
    )
    require_parity(report, backend)
    unit = PolypSegmenter(config, backend, pack_id=pack.manifest.pack_id, pack_digest=pack.digest)
    return OpenedUnit(unit=unit, pack=pack, reference_case=report)
