"""What polyp segmentation takes, gives and refuses."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.limits import NETWORK_SIDE_PX_MAX, NETWORK_SIDE_PX_MIN
from trocar.contracts.manifest import ModelManifest

__all__ = ["LABEL", "UNIT_NAME", "PolypSegmentationConfig"]

UNIT_NAME: Final = "polyp_segmentation"
"""Name of the unit, in records and on the command line."""

LABEL: Final = "polyp"
"""What the mask shows."""


class PolypSegmentationConfig(Contract):
    """Configuration of the unit; none of the fields has a default that a caller could forget.

    Attributes:
        prob_threshold: The mask is ``prob >= prob_threshold``; from the pack alone.
        height_px: Height of the network's input.
        width_px: Width of the network's input.
        frame_age_ms_max: Age above which a frame is not worth an answer.
    """

    prob_threshold: float = Field(ge=0.05, le=0.95)
    height_px: int = Field(ge=NETWORK_SIDE_PX_MIN, le=NETWORK_SIDE_PX_MAX)
    width_px: int = Field(ge=NETWORK_SIDE_PX_MIN, le=NETWORK_SIDE_PX_MAX)
    frame_age_ms_max: int = Field(ge=1, le=60_000)

    # @need-ids: SRS_POLYP_003, SRS_PACK_002
    @classmethod
    def from_manifest(cls, manifest: ModelManifest, *, frame_age_ms_max: int) -> Self:
        """Return the configuration that a pack asks for.

        Args:
            manifest: Manifest of a verified pack.
            frame_age_ms_max: Age limit of the application [ms].

        Raises:
            IncompatiblePackError: The pack is for another unit, or its tensors are not those of
                this unit.
        """
        manifest.require_maps_of_frames(
            unit=UNIT_NAME, map_axis="class", map_count=1, strides_px=(1,)
        )
        source = manifest.input
        return cls(
            prob_threshold=manifest.threshold.value,
            height_px=source.shape[1],
            width_px=source.shape[2],
            frame_age_ms_max=frame_age_ms_max,
        )
