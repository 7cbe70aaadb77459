"""What tool detection takes, gives and refuses."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.errors import IncompatiblePackError
from trocar.contracts.limits import NETWORK_SIDE_PX_MAX, NETWORK_SIDE_PX_MIN
from trocar.contracts.manifest import Label, ModelManifest

__all__ = ["EDGE_COUNT", "UNIT_NAME", "ToolDetectionConfig"]

UNIT_NAME: Final = "tool_detection"
"""Name of the unit, in records and on the command line."""

EDGE_COUNT: Final = 4
"""Maps of the model's output beside those of the classes: distance to the left, upper, right and
lower edge of the box."""

_STRIDES_PX: Final = range(1, 33)


class ToolDetectionConfig(Contract):
    """Configuration of the unit; none of the fields has a default that a caller could forget.

    Attributes:
        labels: Name of each class, in the order of the model's maps; from the pack alone.
        score_shown_min: Score from which a detection is shown and tracked; from the pack alone.
        height_px: Height of the network's input.
        width_px: Width of the network's input.
        frame_age_ms_max: Age above which a frame is not worth an answer.
    """

    labels: tuple[Label, ...] = Field(min_length=1)
    score_shown_min: float = Field(ge=0.05, le=0.95)
    height_px: int = Field(ge=NETWORK_SIDE_PX_MIN, le=NETWORK_SIDE_PX_MAX)
    width_px: int = Field(ge=NETWORK_SIDE_PX_MIN, le=NETWORK_SIDE_PX_MAX)
    frame_age_ms_max: int = Field(ge=1, le=60_000)

    # @need-ids: SRS_TOOL_003, SRS_PACK_002
    @classmethod
    def from_manifest(cls, manifest: ModelManifest, *, frame_age_ms_max: int) -> Self:
        """Return the configuration that a pack asks for.

        Args:
            manifest: Manifest of a verified pack.
            frame_age_ms_max: Age limit of the application [ms].

        Raises:
            IncompatiblePackError: The pack is for another unit, names no class, or its tensors are
                not those of this unit.
        """
        if not manifest.labels:
            raise IncompatiblePackError(
                f"expected a pack for {UNIT_NAME} that names its classes, got none from "
                f"{manifest.pack_id}",
                advice="name a pack of this unit",
            )
        manifest.require_maps_of_frames(
            unit=UNIT_NAME,
            map_axis="channel",
            map_count=len(manifest.labels) + EDGE_COUNT,
            strides_px=_STRIDES_PX,
        )
        source = manifest.input
        return cls(
            labels=manifest.labels,
            score_shown_min=manifest.threshold.value,
            height_px=source.shape[1],
            width_px=source.shape[2],
            frame_age_ms_max=frame_age_ms_max,
        )
