"""What a variant of each unit is judged by: the unit's own figure, on sides of its own data.

Frames go through the device's unit; only the network's answers come from the variant, so that
resizing, thresholds and refusals are those of the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.manifest import ModelManifest
from trocar.contracts.ports import Unit
from trocar.contracts.record import BackendInfo
from trocar.units.polyp_segmentation.contract import PolypSegmentationConfig
from trocar.units.polyp_segmentation.unit import PolypSegmenter
from trocar.units.tool_detection.contract import ToolDetectionConfig
from trocar.units.tool_detection.unit import ToolDetector
from trocar_lab.datasets import cholect50, kvasir_seg
from trocar_lab.datasets.data_root import require_data_root
from trocar_lab.datasets.splits import Split
from trocar_lab.metrics.average_precision import (
    FrameMatch,
    average_precision,
    match_frame,
)
from trocar_lab.polyp import evaluate as polyp_evaluate
from trocar_lab.tool_detection import evaluate as tool_evaluate

__all__ = [
    "TASKS",
    "Calibration",
    "Difference",
    "NoModelError",
    "Side",
    "Task",
    "open_task",
    "thinned",
]

_Item = TypeVar("_Item")
_AGE_MS_MAX: Final = 60_000
_RESAMPLES: Final = 1000
_SEED: Final = 20261121


class NoModelError(ValueError):
    """The unit has no model, so there is nothing to optimise."""


@dataclass(frozen=True)
class Calibration:
    """Frames of the training side by which ranges are chosen.

    Attributes:
        data_id: Need of the data set.
        ids: Ids of the frames, in order.
        side: From where they were taken.
        frames: Inputs of the network, (1, H, W, 3) uint8 each.
    """

    data_id: str
    ids: tuple[str, ...]
    side: str
    frames: tuple[NDArray[np.uint8], ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the ids, one a line."""
        return hashlib.sha256("".join(f"{one}\n" for one in self.ids).encode()).hexdigest()


@dataclass(frozen=True)
class Difference:
    """A variant's figure beside that of the original, on the same items.

    Attributes:
        original: Figure of the original in FP32.
        variant: Figure of the variant.
        value: Variant less original.
        lower: Lower end of its 95 % interval, groups drawn for both at once.
        upper: Upper end.
        item_count: Number of items.
        group_count: Number of groups that were resampled.
    """

    original: float
    variant: float
    value: float
    lower: float
    upper: float
    item_count: int
    group_count: int


Figure = Callable[[Sequence[int]], float]


@dataclass(frozen=True)
class Side:
    """Items of one side of a split.

    Attributes:
        name: What it is, for the tables.
        inputs: Inputs of the network, (N, H, W, 3) uint8.
        groups: Group of each item.
        judge: Makes, of the network's answers, the figure over any drawing of the items.
    """

    name: str
    inputs: NDArray[np.uint8]
    groups: tuple[str, ...]
    judge: Callable[[NDArray[np.float32]], Figure]

    def difference(self, original: Figure, variant: Figure) -> Difference:
        """Return both figures and their difference, resampled by group."""
        names = sorted(set(self.groups))
        members = [[i for i, one in enumerate(self.groups) if one == name] for name in names]
        every = range(len(self.groups))
        generator = np.random.default_rng(_SEED)
        values = []
        for _ in range(_RESAMPLES):
            drawn = [i for g in generator.integers(len(names), size=len(names)) for i in members[g]]
            values.append(variant(drawn) - original(drawn))
        lower, upper = np.nanpercentile(values, [2.5, 97.5])
        whole = original(every), variant(every)
        return Difference(
            original=whole[0],
            variant=whole[1],
            value=whole[1] - whole[0],
            lower=float(lower),
            upper=float(upper),
            item_count=len(self.groups),
            group_count=len(names),
        )


class Task(Protocol):
    """What a unit's variants are measured by."""

    metric: str

    def calibration(self, count: int) -> Calibration:
        """Return frames of the training side, chosen by id."""
        ...

    def validation(self) -> Side:
        """Return the side on which variants are chosen."""
        ...

    def test(self) -> Side:
        """Return the side that is read once, for the variants that were chosen."""
        ...


class _StoredAnswers:
    """A backend that keeps what it was asked and gives answers computed elsewhere."""

    def __init__(self, manifest: ModelManifest, answers: NDArray[np.float32] | None) -> None:
        self.asked: list[NDArray[np.uint8]] = []
        self.info = BackendInfo(engine="stored", provider="CPU", precision="fp32", thread_count=1)
        self._empty = np.zeros(manifest.output.shape, np.float32)
        self._answers = answers

    def infer(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return the next answer."""
        self.asked.append(batch.copy())
        if self._answers is None:
            return self._empty
        answer: NDArray[np.float32] = self._answers[len(self.asked) - 1][np.newaxis]
        return answer

    def close(self) -> None:
        """Hold nothing."""


class PolypTask:
    """Mean Dice of polyp segmentation on Kvasir-SEG."""

    metric = "mean Dice"

    def __init__(self, manifest: ModelManifest) -> None:
        """Read the registered data."""
        self._manifest = manifest
        self._items = kvasir_seg.read_registered(require_data_root())

    def calibration(self, count: int) -> Calibration:
        """Return frames of the training side, chosen by id."""
        items = kvasir_seg.select(self._items, Split.TRAIN)
        chosen = thinned({one.item_id: one for one in items}, count)
        frames = self._inputs(list(chosen.values()))
        return Calibration(
            kvasir_seg.DATASET_ID,
            tuple(chosen),
            f"training side of split {kvasir_seg.SALT}",
            tuple(frames[:, np.newaxis]),
        )

    def validation(self) -> Side:
        """Return the validation side; it chose the weights and the threshold too."""
        return self._side(Split.VALIDATION, "validation side")

    def test(self) -> Side:
        """Return the test side."""
        return self._side(Split.TEST, "test side")

    def _side(self, split: Split, name: str) -> Side:
        """Return one side."""
        items = kvasir_seg.select(self._items, split)

        def judge(answers: NDArray[np.float32]) -> Figure:
            backend = _StoredAnswers(self._manifest, answers)
            dices = np.array([one.dice for one in polyp_evaluate.score(self._unit(backend), items)])
            return lambda drawn: float(dices[list(drawn)].mean())

        return Side(
            f"Kvasir-SEG, {name} of split {kvasir_seg.SALT}",
            self._inputs(items),
            tuple(one.group for one in items),
            judge,
        )

    def _inputs(self, items: Sequence[kvasir_seg.KvasirItem]) -> NDArray[np.uint8]:
        """Return what the device's unit gives its network."""
        backend = _StoredAnswers(self._manifest, None)
        polyp_evaluate.score(self._unit(backend), items)
        return np.concatenate(backend.asked)

    def _unit(self, backend: _StoredAnswers) -> Unit:
        """Return the device's unit on stored answers."""
        config = PolypSegmentationConfig.from_manifest(self._manifest, frame_age_ms_max=_AGE_MS_MAX)
        return PolypSegmenter(config, backend, pack_id="stored", pack_digest="0" * 64)


class ToolTask:
    """Mean AP50 of tool detection on CholecT50.

    The weights were trained on VID68 and VID74 and figures hold for VID73. No operation is left
    that these weights have not seen and that is not the test: variants are chosen on VID68, which
    the weights know, with ranges from VID74.
    """

    metric = "mean AP50"

    def __init__(self, manifest: ModelManifest) -> None:
        """Read the registered data."""
        self._manifest = manifest
        self._items = cholect50.read_registered(require_data_root())

    def calibration(self, count: int) -> Calibration:
        """Return frames of the training side, chosen by id."""
        items = cholect50.select(self._items, ["VID74"])
        chosen = thinned({one.item_id: one for one in items}, count)
        frames = self._inputs(list(chosen.values()))
        side = "VID74, which the weights were trained on"
        return Calibration(cholect50.DATASET_ID, tuple(chosen), side, tuple(frames[:, np.newaxis]))

    def validation(self) -> Side:
        """Return the side on which variants are chosen; the weights were trained on it."""
        return self._side("VID68", "CholecT50 VID68, which the weights were trained on")

    def test(self) -> Side:
        """Return the test operation."""
        return self._side("VID73", "CholecT50 VID73, never trained on")

    def _side(self, procedure: str, name: str) -> Side:
        """Return one operation."""
        items = cholect50.select(self._items, [procedure])

        def judge(answers: NDArray[np.float32]) -> Figure:
            backend = _StoredAnswers(self._manifest, answers)
            judged = tool_evaluate.score(self._unit(backend), items)
            matches = [
                [match_frame(one.truth, one.found, index) for one in judged]
                for index in range(len(self._manifest.labels))
            ]
            return lambda drawn: _mean_ap50(matches, drawn)

        return Side(name, self._inputs(items), tuple(one.group for one in items), judge)

    def _inputs(self, items: Sequence[cholect50.ToolFrameItem]) -> NDArray[np.uint8]:
        """Return what the device's unit gives its network."""
        backend = _StoredAnswers(self._manifest, None)
        tool_evaluate.score(self._unit(backend), items)
        return np.concatenate(backend.asked)

    def _unit(self, backend: _StoredAnswers) -> Unit:
        """Return the device's unit on stored answers."""
        config = ToolDetectionConfig.from_manifest(self._manifest, frame_age_ms_max=_AGE_MS_MAX)
        return ToolDetector(config, backend, pack_id="stored", pack_digest="0" * 64)


def _mean_ap50(matches: Sequence[Sequence[FrameMatch]], drawn: Sequence[int]) -> float:
    """Return the mean AP50 over the classes that the drawn frames hold."""
    values = [average_precision([row[index] for index in drawn])[0] for row in matches]
    return float(np.nanmean(values))


def thinned(items: Mapping[str, _Item], count: int) -> dict[str, _Item]:
    """Return at most ``count`` items, evenly spaced in the order of their ids."""
    names = sorted(items)
    step = max(len(names) / count, 1.0)
    chosen = [names[int(index * step)] for index in range(min(count, len(names)))]
    return {name: items[name] for name in chosen}


TASKS: Final[Mapping[str, Callable[[ModelManifest], Task]]] = {
    "polyp_segmentation": PolypTask,
    "tool_detection": ToolTask,
}
"""Every unit that has a model, by name."""


def open_task(manifest: ModelManifest) -> Task:
    """Return what a pack's variants are measured by.

    Raises:
        NoModelError: There is no measure for this unit.
        DataRootMissingError: The real data is not on this machine.
        UnregisteredDataError: They are not the data that verification registered.
    """
    if manifest.unit not in TASKS:
        raise NoModelError(f"expected one of {', '.join(TASKS)}, got {manifest.unit}")
    return TASKS[manifest.unit](manifest)
