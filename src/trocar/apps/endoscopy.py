"""Colonoscopy: polyp segmentation on live or recorded frames."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trocar.apps.opening import ASSETS, OpenedUnit, open_pack
from trocar.backends.request import BackendRequest
from trocar.units.polyp_segmentation.contract import UNIT_NAME, PolypSegmentationConfig
from trocar.units.polyp_segmentation.unit import PolypSegmenter

__all__ = ["DEMO_CLIP", "SHIPPED_PACK", "open_unit"]

SHIPPED_PACK: Final = ASSETS / "packs" / UNIT_NAME
"""The pack that comes with this release."""

DEMO_CLIP: Final = ASSETS / "demo" / "colonoscopy.mp4"
"""Rendered colonoscopy clip: no patient."""


# @need-ids: SRS_POLYP_003
def open_unit(
    pack_folder: Path,
    request: BackendRequest,
    *,
    frame_age_ms_max: int,
    trust: Path | None = None,
) -> OpenedUnit:
    """Open polyp segmentation; see ``apps.opening.open_pack``.

    Args:
        pack_folder: Folder of the pack.
        request: Engine, precision and threads that must run.
        frame_age_ms_max: Age above which a frame is not answered [ms].
        trust: Folder with trusted keys and approved packs; None for that of this release.

    Returns:
        The unit, ready.

    Raises:
        PackError: The pack is not sound, or is not for this unit.
        BackendUnavailableError: The engine is missing, would run something else, or differs from
            the reference case.
    """
    return open_pack(
        pack_folder,
        request,
        configure=lambda manifest: PolypSegmentationConfig.from_manifest(
            manifest, frame_age_ms_max=frame_age_ms_max
        ),
        build=lambda config, backend, pack: PolypSegmenter(
            config, backend, pack_id=pack.manifest.pack_id, pack_digest=pack.digest
        ),
        trust=trust,
    )
