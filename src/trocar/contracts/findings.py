"""What a unit may find in a frame."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from trocar.contracts.base import ArrayOf, Contract
from trocar.contracts.frame import FrameIndex

__all__ = ["Finding", "Mask", "PolypMask", "UnitInterval"]

UnitInterval = Annotated[float, Field(ge=0.0, le=1.0)]
"""A share or a probability."""


class Mask(Contract):
    """A binary mask at the network's resolution, covering the whole frame.

    Attributes:
        pixels: (h, w) bool; row 0 is the top of the frame.
        prob: (h, w) float32 in [0, 1], from which ``pixels`` was cut.
        prob_threshold: ``pixels`` is ``prob >= prob_threshold``.
        frame_height_px: Height of the frame that the mask covers.
        frame_width_px: Width of that frame.
        label: What the mask shows.
    """

    pixels: Annotated[NDArray[np.bool_], ArrayOf(axes=("height", "width"), dtype=np.bool_)]
    prob: Annotated[NDArray[np.float32], ArrayOf(axes=("height", "width"), dtype=np.float32)]
    prob_threshold: UnitInterval
    frame_height_px: int = Field(ge=1)
    frame_width_px: int = Field(ge=1)
    label: str = Field(min_length=1, max_length=64)

    @model_validator(mode="after")
    def _same_shape(self) -> Self:
        """Refuse a mask that does not belong to its probabilities."""
        if self.pixels.shape != self.prob.shape:
            shapes = f"{self.pixels.shape} and {self.prob.shape}"
            msg = f"expected mask and probabilities of one shape, got {shapes}"
            raise ValueError(msg)
        return self


class PolypMask(Contract):
    """Result of polyp segmentation for one frame.

    Attributes:
        frame_index: The frame.
        mask: Polyp against background; may be empty, which means that no polyp was found.
        area_fraction: Share of the frame covered by the mask.
        prob_max: Largest probability in the frame: not calibrated, not a diagnosis.
    """

    kind: Literal["polyp_mask"] = "polyp_mask"
    frame_index: FrameIndex
    mask: Mask
    area_fraction: UnitInterval
    prob_max: UnitInterval


Finding = PolypMask
"""Every finding there is; a union once there is more than one."""
