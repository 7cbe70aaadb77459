"""Trackers of others behind one form, for comparison; they are installed by ``tox -e peers`` only.

Each runs with its default settings. Which detections it gets is tried both ways, all of them or
those at or above the operating point, since not every package says which it wants; so is handing
it the time of each frame where it takes one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, Final, Protocol

import numpy as np

from trocar.contracts.findings import BoxXyxyPx, Detection, ToolDetections, ToolTracks, TrackState
from trocar.units.tool_tracking.contract import STANDARD
from trocar.units.tool_tracking.unit import ToolTracker

__all__ = ["PEERS", "Tracker", "make_own", "make_peer", "peer_versions"]

Boxes = dict[int, BoxXyxyPx]

PEERS: Final = ("SORT", "ByteTrack", "OC-SORT", "C-BIoU", "BoT-SORT", "norfair")
"""Names of the peers; all but norfair come from the package ``trackers``."""


class Tracker(Protocol):
    """A tracker as the comparison sees it."""

    def prepare(self, detections: ToolDetections, captured_at_ns: int) -> object:
        """Return the input of one frame in the tracker's own form; this is not timed."""
        ...

    def update(self, prepared: Any) -> Any:  # noqa: ANN401 - each package has a type of its own
        """Take one frame; this is timed."""
        ...

    def seen(self, answer: Any) -> Boxes:  # noqa: ANN401 - each package has a type of its own
        """Return the boxes that the tracker gives as seen, by number."""
        ...


def make_own() -> Tracker:
    """Return Trocar's tracker as the application uses it."""
    return _Own()


def make_peer(name: str, *, is_shown_only: bool, has_time: bool) -> Tracker:
    """Return a peer with its default settings.

    Args:
        name: One of ``PEERS``.
        is_shown_only: Hand over only detections at or above the operating point.
        has_time: Hand over the time of each frame; norfair takes none.

    Raises:
        ImportError: The package is not installed.
    """
    if name == "norfair":
        return _Norfair(is_shown_only=is_shown_only)
    return _Roboflow(_makers()[name](), is_shown_only=is_shown_only, has_time=has_time)


def peer_versions() -> dict[str, str]:
    """Return the versions of the packages that are compared."""
    return {name: metadata.version(name) for name in ("trackers", "norfair", "supervision")}


def _makers() -> Mapping[str, Callable[[], Any]]:
    """Return the makers of the trackers of the package ``trackers``."""
    import trackers  # noqa: PLC0415 - loaded where it is asked for: most environments lack it

    # Compensation of the camera's motion needs pixels, which these sequences do not have.
    return {
        "SORT": trackers.SORTTracker,
        "ByteTrack": trackers.ByteTrackTracker,
        "OC-SORT": trackers.OCSORTTracker,
        "C-BIoU": trackers.CBIoUTracker,
        "BoT-SORT": lambda: trackers.BoTSORTTracker(enable_cmc=False),
    }


def _wanted(detections: ToolDetections, *, is_shown_only: bool) -> Sequence[Detection]:
    """Return the detections that a peer gets."""
    least = detections.score_shown_min if is_shown_only else 0.0
    return [item for item in detections.detections if item.score >= least]


class _Own:
    """Trocar's tracker."""

    def __init__(self) -> None:
        self._tracker = ToolTracker(STANDARD)

    def prepare(self, detections: ToolDetections, captured_at_ns: int) -> object:
        """Return the input as it is."""
        return detections, captured_at_ns

    def update(self, prepared: Any) -> Any:  # noqa: ANN401 - see Tracker
        """Take one frame."""
        return self._tracker.update(prepared[0], captured_at_ns=prepared[1])

    def seen(self, answer: Any) -> Boxes:  # noqa: ANN401 - see Tracker
        """Return confirmed tracks: what is tentative or coasting is not claimed."""
        if not isinstance(answer, ToolTracks):
            return {}
        return {
            track.track_id: track.box_xyxy_px
            for track in answer.tracks
            if track.state is TrackState.CONFIRMED
        }


class _Roboflow:
    """A tracker of the package ``trackers``."""

    def __init__(self, tracker: Any, *, is_shown_only: bool, has_time: bool) -> None:  # noqa: ANN401 - untyped package
        import supervision  # noqa: PLC0415 - as above

        self._tracker = tracker
        self._make = supervision.Detections
        self._is_shown_only = is_shown_only
        self._has_time = has_time

    def prepare(self, detections: ToolDetections, captured_at_ns: int) -> object:
        """Return boxes, scores and classes as arrays."""
        items = _wanted(detections, is_shown_only=self._is_shown_only)
        boxes = np.array([item.box_xyxy_px for item in items], dtype=np.float64).reshape(-1, 4)
        return self._make(
            xyxy=boxes,
            confidence=np.array([item.score for item in items], dtype=np.float64),
            class_id=np.array([item.class_index for item in items], dtype=int),
        ), captured_at_ns / 1e9

    def update(self, prepared: Any) -> Any:  # noqa: ANN401 - see Tracker
        """Take one frame."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._has_time:
                return self._tracker.update(prepared[0], timestamp=prepared[1])
            return self._tracker.update(prepared[0])

    def seen(self, answer: Any) -> Boxes:  # noqa: ANN401 - see Tracker
        """Return what has a number; -1 is none."""
        numbers = () if answer.tracker_id is None else answer.tracker_id
        return {
            int(number): (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
            for number, box in zip(numbers, answer.xyxy, strict=True)
            if number >= 0
        }


class _Norfair:
    """norfair with its own distance of boxes and the threshold of its examples."""

    def __init__(self, *, is_shown_only: bool) -> None:
        import norfair  # noqa: PLC0415 - as above

        self._tracker = norfair.Tracker(distance_function="iou", distance_threshold=0.5)
        self._make = norfair.Detection
        self._is_shown_only = is_shown_only

    def prepare(self, detections: ToolDetections, captured_at_ns: int) -> object:
        """Return boxes as two points each."""
        del captured_at_ns
        return [
            self._make(
                points=np.array(item.box_xyxy_px).reshape(2, 2), scores=np.full(2, item.score)
            )
            for item in _wanted(detections, is_shown_only=self._is_shown_only)
        ]

    def update(self, prepared: Any) -> Any:  # noqa: ANN401 - see Tracker
        """Take one frame."""
        return self._tracker.update(prepared)

    def seen(self, answer: Any) -> Boxes:  # noqa: ANN401 - see Tracker
        """Return all active objects; norfair does not say which of them it saw."""
        found: Boxes = {}
        for item in answer:
            left, top, right, bottom = (float(edge) for edge in item.estimate.reshape(-1))
            found[int(item.id)] = (left, top, right, bottom)
        return found
