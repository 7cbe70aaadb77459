"""What polyp segmentation takes, gives and refuses."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.errors import IncompatiblePackError
from trocar.contracts.manifest import ModelManifest, TensorDtype

__all__ = ["LABEL", "UNIT_NAME", "PolypSegmentationConfig"]

UNIT_NAME: Final = "polyp_segmentation"
"""Name of the unit, in records and on the command line."""

LABEL: Final = "polyp"
"""What the mask shows."""

_INPUT_AXES: Final = ("batch", "height", "width", "channel")
_OUTPUT_AXES: Final = ("batch", "class", "height", "width")


class PolypSegmentationConfig(Contract):
    """Configuration of the unit; none of the fields has a default that a caller could forget.

    Attributes:
        prob_threshold: The mask is ``prob >= prob_threshold``; from the pack alone.
        height_px: Height of the network's input.
        width_px: Width of the network's input.
        frame_age_ms_max: Age above which a frame is not worth an answer.
    """

    prob_threshold: float = Field(ge=0.05, le=0.95)
    height_px: int = Field(ge=32, le=2048)
    width_px: int = Field(ge=32, le=2048)
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
        source, result = manifest.input, manifest.output
        fits = (
            manifest.unit == UNIT_NAME
            and source.axes == _INPUT_AXES
            and source.dtype is TensorDtype.UINT8
            and (source.shape[0], source.shape[3]) == (1, 3)
            and result.axes == _OUTPUT_AXES
            and result.dtype is TensorDtype.FLOAT32
            and result.shape == (1, 1, source.shape[1], source.shape[2])
        )
        if not fits:
            raise IncompatiblePackError(
                f"expected a pack for {UNIT_NAME}: uint8 (1, h, w, 3) in, float32 (1, 1, h, w) "
                "out; "
                f"got unit {manifest.unit}, {source.dtype} {source.shape} in, {result.dtype} "
                f"{result.shape} out",
                advice="name a pack of this unit",
            )
        return cls(
            prob_threshold=manifest.threshold.value,
            height_px=source.shape[1],
            width_px=source.shape[2],
            frame_age_ms_max=frame_age_ms_max,
        )
