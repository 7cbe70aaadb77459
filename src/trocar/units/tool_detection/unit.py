"""The unit: contract, preprocess, model, postprocess, result; once per frame."""

from __future__ import annotations

from trocar import __version__
from trocar.contracts.errors import require
from trocar.contracts.findings import ToolDetections
from trocar.contracts.frame import Frame
from trocar.contracts.outcome import Withheld
from trocar.contracts.ports import Backend
from trocar.contracts.record import UnitInfo
from trocar.contracts.refusal import ask_model, refuse_by_age
from trocar.imaging.resize import RgbResizer
from trocar.units.tool_detection.contract import EDGE_COUNT, UNIT_NAME, ToolDetectionConfig
from trocar.units.tool_detection.postprocess import detections_of
from trocar.units.tool_detection.preprocess import to_batch

__all__ = ["ToolDetector"]


class ToolDetector:
    """Detect the tips of tools in laparoscopic frames.

    Args:
        config: Limits, classes and operating point.
        backend: A warmed-up model.
        pack_id: Name and version of the pack, for the record.
        pack_digest: Its digest, for the record.
    """

    def __init__(
        self, config: ToolDetectionConfig, backend: Backend, *, pack_id: str, pack_digest: str
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

    # @need-ids: SRS_TOOL_001, SRS_TOOL_007, RCM_TOOL_001
    def run(self, frame: Frame, *, now_ns: int) -> ToolDetections | Withheld:
        """Mark the tools of one frame; never raises for a bad image, never answers for a late one.

        Args:
            frame: An admitted frame.
            now_ns: Monotonic time [ns].

        Returns:
            The detections in pixels of this frame, or the reason for none.

        Raises:
            ContractError: The backend is not the one that the configuration was made for.
        """
        # @need-ids: RCM_STALE_001
        refusal = refuse_by_age(
            frame, now_ns=now_ns, frame_age_ms_max=self._config.frame_age_ms_max
        )
        if refusal is not None:
            return refusal
        # @need-ids: SRS_TOOL_008, RCM_NONFINITE_001
        output = ask_model(
            self._backend, to_batch(frame.pixels, self._resizer), frame_index=frame.frame_index
        )
        if isinstance(output, Withheld):
            return output
        labels = self._config.labels
        require(output.shape[:2] == (1, len(labels) + EDGE_COUNT), f"model gave {output.shape}")
        # @need-ids: SRS_TOOL_006, RCM_TOOL_002
        return ToolDetections(
            frame_index=frame.frame_index,
            detections=detections_of(
                output[0], labels, height_px=frame.height_px, width_px=frame.width_px
            ),
            score_shown_min=self._config.score_shown_min,
            frame_height_px=frame.height_px,
            frame_width_px=frame.width_px,
        )
