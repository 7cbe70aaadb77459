"""The unit: contract, preprocess, model, postprocess, result; once per frame."""

from __future__ import annotations

import numpy as np

from trocar import __version__
from trocar.contracts.errors import require
from trocar.contracts.findings import Mask, PolypMask
from trocar.contracts.frame import Frame
from trocar.contracts.outcome import Withheld
from trocar.contracts.ports import Backend
from trocar.contracts.record import UnitInfo
from trocar.contracts.refusal import ask_model, refuse_by_age
from trocar.imaging.resize import RgbResizer
from trocar.units.polyp_segmentation.contract import LABEL, UNIT_NAME, PolypSegmentationConfig
from trocar.units.polyp_segmentation.postprocess import threshold
from trocar.units.polyp_segmentation.preprocess import to_batch

__all__ = ["PolypSegmenter"]


class PolypSegmenter:
    """Segment polyps in colonoscopy frames.

    Args:
        config: Limits and operating point.
        backend: A warmed-up model.
        pack_id: Name and version of the pack, for the record.
        pack_digest: Its digest, for the record.
    """

    def __init__(
        self, config: PolypSegmentationConfig, backend: Backend, *, pack_id: str, pack_digest: str
    ) -> None:
        self._config = config
        self._backend = backend
        self._resizer = RgbResizer(height_px=config.height_px, width_px=config.width_px)
        self._info = UnitInfo(
            unit=UNIT_NAME,
            unit_version=__version__,
            pack_id=pack_id,
            pack_digest=pack_digest,
            backend=backend.info,
        )

    @property
    def info(self) -> UnitInfo:
        """Provenance of every result of this unit."""
        return self._info

    # @need-ids: SRS_POLYP_001, SRS_POLYP_004, RCM_FRAMEID_001
    def run(self, frame: Frame, *, now_ns: int) -> PolypMask | Withheld:
        """Segment one frame; never raises for a bad image and never answers for a late one.

        Args:
            frame: An admitted frame.
            now_ns: Monotonic time [ns].

        Returns:
            The mask at the network's resolution, or the reason for none.

        Raises:
            ContractError: The backend is not the one that the configuration was made for.
        """
        # @need-ids: RCM_STALE_001
        refusal = refuse_by_age(
            frame, now_ns=now_ns, frame_age_ms_max=self._config.frame_age_ms_max
        )
        if refusal is not None:
            return refusal
        # @need-ids: SRS_POLYP_005, RCM_NONFINITE_001
        output = ask_model(
            self._backend,
            to_batch(frame.pixels, self._resizer),
            frame_index=frame.frame_index,
        )
        if isinstance(output, Withheld):
            return output
        require(output.shape[:2] == (1, 1), f"model gave {output.shape}")
        prob = output[0, 0]
        pixels = threshold(prob, self._config.prob_threshold)
        return PolypMask(
            frame_index=frame.frame_index,
            mask=Mask(
                pixels=pixels,
                prob=prob,
                prob_threshold=self._config.prob_threshold,
                frame_height_px=frame.height_px,
                frame_width_px=frame.width_px,
                label=LABEL,
            ),
            # The mean of booleans would convert each of them to float64 first.
            area_fraction=float(np.count_nonzero(pixels)) / pixels.size,
            prob_max=float(prob.max()),
        )
