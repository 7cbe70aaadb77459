"""A detector of surgical tools that fails in chosen ways, for sequences without pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from trocar.contracts.findings import BoxXyxyPx, Detection

__all__ = ["LABELS", "DetectorSettings", "FaultyDetector", "TrueBox"]

LABELS: Final = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator")
"""The classes of CholecT50, in its order."""

_SIDE_PX_MIN: Final = 4.0


@dataclass(frozen=True, slots=True)
class TrueBox:
    """One tool as it really is.

    Attributes:
        visible_number: Identity of this stay in view, from 1; a new one after a longer absence.
        tool_number: Identity of the instrument, from 1; the same after an absence.
        class_index: Position of its class in ``LABELS``.
        box_xyxy_px: Its box inside the frame.
        visible_fraction: Share of the box that no nearer tool hides.
    """

    visible_number: int
    tool_number: int
    class_index: int
    box_xyxy_px: BoxXyxyPx
    visible_fraction: float


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """How the detector fails.

    Attributes:
        score_shown_min: Its operating point.
        miss_probability: Chance that a row of misses of a tool that is in plain view begins.
        miss_length: Mean length of such a row, in frames.
        jitter: Standard deviation of each edge, as a share of the side of the box.
        ghost_rate: Tools a frame that are seen where none is.
        ghost_length: Mean number of frames for which such a one stays.
        flicker_probability: Chance that a row of frames with the wrong class begins.
        twin_probability: Chance of a second box, of another class, on the same tool.
    """

    score_shown_min: float = 0.5
    miss_probability: float = 0.05
    miss_length: float = 2.5
    jitter: float = 0.035
    ghost_rate: float = 0.02
    ghost_length: float = 2.5
    flicker_probability: float = 0.015
    twin_probability: float = 0.01


class FaultyDetector:
    """Says of each true frame what a detector would say.

    Args:
        settings: How it fails.
        frame_size_px: Width and height of the frame.
        generator: Source of all randomness.
    """

    def __init__(
        self, settings: DetectorSettings, frame_size_px: tuple[int, int], generator: Generator
    ) -> None:
        self._settings = settings
        self._size_px = frame_size_px
        self._generator = generator
        self._missing: dict[int, int] = {}
        self._mistaken: dict[int, tuple[int, int]] = {}
        self._ghosts: list[tuple[BoxXyxyPx, int, int]] = []

    def look(self, truth: Sequence[TrueBox]) -> list[Detection]:
        """Return the detections of the next frame, in no order.

        Args:
            truth: The tools in view.
        """
        found = [item for tool in truth for item in self._see(tool)]
        return found + self._see_ghosts()

    def _see(self, tool: TrueBox) -> list[Detection]:
        """Return what is seen of one tool."""
        draw, settings = self._generator, self._settings
        left = self._missing.get(tool.visible_number, 0)
        if left == 0 and draw.random() < settings.miss_probability:
            left = int(draw.geometric(1.0 / settings.miss_length))
        self._missing[tool.visible_number] = max(left - 1, 0)
        doubt = 0.55 * (1.0 - tool.visible_fraction)
        score = 0.8 - doubt + 0.09 * float(draw.normal())
        if left > 0:
            # Half of the missed tools are still seen, with a score below the operating point.
            score = float(draw.uniform(0.0, settings.score_shown_min - 0.02))
            if score < 0.25:
                return []
        seen = [self._detection(tool.box_xyxy_px, self._class_of(tool), score)]
        if draw.random() < settings.twin_probability:
            other = (tool.class_index + int(draw.integers(1, len(LABELS)))) % len(LABELS)
            seen.append(
                self._detection(tool.box_xyxy_px, other, score - float(draw.random()) * 0.2)
            )
        return seen

    def _class_of(self, tool: TrueBox) -> int:
        """Return the class that the detector takes a tool for, wrong for a while at times."""
        draw = self._generator
        class_index, left = self._mistaken.get(tool.visible_number, (tool.class_index, 0))
        if left == 0:
            class_index = tool.class_index
            if draw.random() < self._settings.flicker_probability:
                class_index = int(draw.integers(len(LABELS)))
                left = int(draw.geometric(0.35))
        self._mistaken[tool.visible_number] = class_index, max(left - 1, 0)
        return class_index

    def _see_ghosts(self) -> list[Detection]:
        """Return what is seen where no tool is."""
        draw = self._generator
        self._ghosts = [(box, index, left - 1) for box, index, left in self._ghosts if left > 1]
        for _ in range(int(draw.poisson(self._settings.ghost_rate))):
            centre = draw.uniform((0.1, 0.1), (0.9, 0.9)) * self._size_px
            half = 0.5 * draw.uniform(0.08, 0.2, 2) * self._size_px[0]
            box = (*(centre - half).tolist(), *(centre + half).tolist())
            length = int(draw.geometric(1.0 / self._settings.ghost_length))
            self._ghosts.append((box, int(draw.integers(len(LABELS))), length))
        return [
            self._detection(box, index, 0.5 + 0.14 * float(draw.normal()))
            for box, index, _ in self._ghosts
        ]

    def _detection(self, box: BoxXyxyPx, class_index: int, score: float) -> Detection:
        """Return a shifted box inside the frame."""
        width, height = box[2] - box[0], box[3] - box[1]
        noise = self._generator.normal(0.0, self._settings.jitter, 4)
        edges = np.asarray(box) + noise * np.array([width, height, width, height])
        left = float(np.clip(edges[0], 0.0, self._size_px[0] - _SIDE_PX_MIN))
        top = float(np.clip(edges[1], 0.0, self._size_px[1] - _SIDE_PX_MIN))
        return Detection(
            label=LABELS[class_index],
            class_index=class_index,
            score=float(np.clip(score, 0.01, 0.99)),
            box_xyxy_px=(
                left,
                top,
                float(np.clip(edges[2], left + _SIDE_PX_MIN, self._size_px[0])),
                float(np.clip(edges[3], top + _SIDE_PX_MIN, self._size_px[1])),
            ),
        )
