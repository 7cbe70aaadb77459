"""Laparoscopy: tool detection, alone or followed by the tracker, on live or recorded frames."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trocar import __version__
from trocar.apps.opening import ASSETS, OpenedUnit, open_pack
from trocar.backends.request import BackendRequest
from trocar.contracts.findings import ToolTracks
from trocar.contracts.frame import Frame
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.outcome import Withheld
from trocar.contracts.ports import Backend
from trocar.contracts.record import UnitInfo
from trocar.packs.verify import VerifiedPack
from trocar.units.tool_detection.contract import UNIT_NAME as DETECTION_NAME
from trocar.units.tool_detection.contract import ToolDetectionConfig
from trocar.units.tool_detection.unit import ToolDetector
from trocar.units.tool_tracking.contract import STANDARD
from trocar.units.tool_tracking.contract import UNIT_NAME as TRACKING_NAME
from trocar.units.tool_tracking.unit import ToolTracker

__all__ = ["DEMO_CLIP", "SHIPPED_PACK", "TrackedDetector", "open_detection", "open_tracking"]

SHIPPED_PACK: Final = ASSETS / "packs" / DETECTION_NAME
"""The pack that comes with this release: the tracker has no model of its own."""

DEMO_CLIP: Final = ASSETS / "demo" / "laparoscopy.mp4"
"""Rendered laparoscopy clip: no patient."""


class TrackedDetector:
    """The detector with the tracker behind it, as one unit.

    Like the tracker it keeps what it knows from one frame to the next: one stream, one thread.

    Args:
        detector: Marks the tools of one frame.
        tracker: Keeps their identities.
    """

    def __init__(self, detector: ToolDetector, tracker: ToolTracker) -> None:
        self._detector = detector
        self._tracker = tracker
        self._info = UnitInfo(
            unit=TRACKING_NAME,
            unit_version=__version__,
            pack_id=detector.info.pack_id,
            pack_digest=detector.info.pack_digest,
            backend=detector.info.backend,
        )

    @property
    def info(self) -> UnitInfo:
        """Provenance: this unit, with the pack and the engine of the detector."""
        return self._info

    # @need-ids: SRS_TOOL_011, RCM_TOOL_001
    def run(self, frame: Frame, *, now_ns: int) -> ToolTracks | Withheld:
        """Detect, then track; where there are no detections the tracker learns that, and why.

        Args:
            frame: An admitted frame.
            now_ns: Monotonic time [ns].

        Returns:
            The tracks of this frame with the detections that they rest on, or the reason for none.

        Raises:
            ContractError: The backend is not the one that the detector was made for.
        """
        found = self._detector.run(frame, now_ns=now_ns)
        if isinstance(found, Withheld):
            self._tracker.skip(frame.frame_index, captured_at_ns=frame.captured_at_ns)
            return found
        return self._tracker.update(found, captured_at_ns=frame.captured_at_ns)


# @need-ids: SRS_TOOL_003
def open_detection(
    pack_folder: Path,
    request: BackendRequest,
    *,
    frame_age_ms_max: int,
    trust: Path | None = None,
) -> OpenedUnit:
    """Open tool detection; see ``apps.opening.open_pack``.

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
        configure=lambda manifest: _configure(manifest, frame_age_ms_max),
        build=_detector,
        trust=trust,
    )


# @need-ids: SRS_TOOL_003, SRS_TOOL_011
def open_tracking(
    pack_folder: Path,
    request: BackendRequest,
    *,
    frame_age_ms_max: int,
    trust: Path | None = None,
) -> OpenedUnit:
    """Open tool detection with a new tracker behind it; see ``open_detection``.

    Args:
        pack_folder: Folder of a pack for tool detection.
        request: Engine, precision and threads that must run.
        frame_age_ms_max: Age above which a frame is not answered [ms].
        trust: Folder with trusted keys and approved packs; None for that of this release.

    Returns:
        The unit, ready; for one stream.

    Raises:
        PackError: The pack is not sound, or is not for tool detection.
        BackendUnavailableError: The engine is missing, would run something else, or differs from
            the reference case.
    """
    return open_pack(
        pack_folder,
        request,
        configure=lambda manifest: _configure(manifest, frame_age_ms_max),
        build=lambda config, backend, pack: TrackedDetector(
            _detector(config, backend, pack), ToolTracker(STANDARD)
        ),
        trust=trust,
    )


def _configure(manifest: ModelManifest, frame_age_ms_max: int) -> ToolDetectionConfig:
    """Return what the pack asks for, with the age limit of the application."""
    return ToolDetectionConfig.from_manifest(manifest, frame_age_ms_max=frame_age_ms_max)


def _detector(config: ToolDetectionConfig, backend: Backend, pack: VerifiedPack) -> ToolDetector:
    """Return the detector with its provenance."""
    return ToolDetector(config, backend, pack_id=pack.manifest.pack_id, pack_digest=pack.digest)
