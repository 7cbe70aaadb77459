"""Train a detector from scratch: resumable, seeded, logged, a checkpoint every epoch.

The learning rate warms up, stays, and falls linearly to zero over the last part of the run. The
weights that are validated and exported are the exponential moving average. How many epochs a run
has is settled before it begins; the last weights count, not the best ones on the validation side,
so that a recipe can be repeated on another split without a look at its result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from trocar_lab.training.detection_augmentation import (
    BoxedFrame,
    DetectionAugmentation,
    augment_boxed,
    change_look,
    paste_tip,
    resize_boxed,
)
from trocar_lab.training.detection_network import CELL_PX, ToolTipDetector
from trocar_lab.training.detection_targets import (
    CellTargets,
    cell_targets,
    detection_loss,
    stack_targets,
)
from trocar_lab.training.schedule import learning_rate_at

__all__ = [
    "DetectionConfig",
    "DetectionTrainer",
    "class_weights",
    "run_network",
]

_GRADIENT_NORM_MAX: Final = 5.0


@dataclass(frozen=True)
class DetectionConfig:
    """Everything that decides how a run goes; written into its log.

    Attributes:
        height_px: Height of the network's input.
        width_px: Width of the network's input.
        batch_size: Frames in a step.
        epoch_count: Epochs of the whole run.
        decay_fraction: Last share of the run over which the learning rate falls to zero.
        warmup_steps: Steps over which it rises.
        learning_rate: Plateau of the learning rate.
        weight_decay: Decoupled weight decay.
        average_decay: Decay of the moving average of the weights, per step.
        validate_every: Epochs between two validations.
        seed: Seed of torch, numpy and the order of frames.
        use_bfloat16: Run convolutions in bfloat16.
        augmentation: Ranges of the augmentation.
    """

    height_px: int = 192
    width_px: int = 352
    batch_size: int = 16
    epoch_count: int = 40
    decay_fraction: float = 0.5
    warmup_steps: int = 60
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    average_decay: float = 0.995
    validate_every: int = 5
    seed: int = 20261121
    use_bfloat16: bool = True
    augmentation: DetectionAugmentation = field(default_factory=DetectionAugmentation)


def class_weights(frames: Sequence[BoxedFrame], class_count: int) -> NDArray[np.float64]:
    """Return a weight for each class, the root of its rarity, mean 1 over the boxes there are."""
    counts = np.bincount(
        np.concatenate([frame.classes for frame in frames]), minlength=class_count
    ).astype(np.float64)
    weights = np.sqrt(counts.max() / np.maximum(counts, 1.0))
    return np.asarray(weights / (weights * counts).sum() * counts.sum(), dtype=np.float64)


@torch.no_grad()
def run_network(
    network: nn.Module, frames: Sequence[BoxedFrame], config: DetectionConfig
) -> Iterator[NDArray[np.float32]]:
    """Yield (classes + 4, rows, columns) float32 in [0, 1] for each frame at the network's size."""
    network.eval()
    for start in range(0, len(frames), config.batch_size):
        image = _to_image(frames[start : start + config.batch_size])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.use_bfloat16):
            logits = network(image)
        yield from torch.sigmoid(logits.float()).numpy()


class DetectionTrainer:
    """One training run in one folder: checkpoint, log.

    Args:
        class_count: Number of classes.
        train_frames: Frames of the training side; at least one batch.
        validation_frames: Frames of the validation side, never augmented; may be empty.
        score: Judges the cells of the validation frames, at the network's size; the higher the
            better.
        config: The run.
        folder: Where ``last.pt`` and ``log.jsonl`` are written; created if missing.

    Raises:
        ValueError: Fewer training frames than a batch.
    """

    def __init__(
        self,
        class_count: int,
        train_frames: Sequence[BoxedFrame],
        validation_frames: Sequence[BoxedFrame],
        *,
        score: Callable[[Sequence[NDArray[np.float32]]], float],
        config: DetectionConfig,
        folder: Path,
    ) -> None:
        """Prepare a fresh run; ``resume`` continues the one in the folder."""
        if len(train_frames) < config.batch_size:
            raise ValueError(
                f"expected at least {config.batch_size} training frames, got {len(train_frames)}"
            )
        torch.manual_seed(config.seed)
        self._config, self._folder, self._score = config, folder, score
        self._train = train_frames
        self._validation = [
            resize_boxed(one, height_px=config.height_px, width_px=config.width_px)
            for one in validation_frames
        ]
        self._class_count = class_count
        self._class_weights = class_weights(train_frames, class_count)
        self.network = _build(class_count)
        self.average = _build(class_count)
        self.average.load_state_dict(self.network.state_dict())
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._epoch = 0
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> bool:
        """Continue from ``last.pt``; return False when the folder holds none."""
        path = self._folder / "last.pt"
        if not path.exists():
            return False
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._epoch = int(state["epoch"])
        return True

    def start_from(self, folder: Path) -> None:
        """Begin with the averaged weights of another run.

        Args:
            folder: Folder of that run.
        """
        state: dict[str, Any] = torch.load(
            folder / "last.pt", map_location="cpu", weights_only=True
        )
        self.network.load_state_dict(state["average"])
        self.average.load_state_dict(state["average"])
        self._log({"event": "initial", "epoch": 0, "initial": f"the weights of run {folder.name}"})

    def run(self) -> float:
        """Train to the last epoch; return the score of the last weights, NaN without validation."""
        config = self._config
        steps_per_epoch = len(self._train) // config.batch_size
        step_count = steps_per_epoch * config.epoch_count
        self._log({"event": "start", "epoch": self._epoch, "config": asdict(config)})
        score = float("nan")
        for epoch in tqdm(range(self._epoch, config.epoch_count), unit="epoch"):
            started = time.monotonic()
            # Dropout draws from torch's generator: seeded anew, a continued run draws the same.
            torch.manual_seed(config.seed + epoch)
            losses = [
                self._step(batch, epoch * steps_per_epoch + index, step_count)
                for index, batch in enumerate(self._batches(epoch))
            ]
            self._epoch = epoch + 1
            record: dict[str, Any] = {"epoch": self._epoch, "loss": float(np.mean(losses))}
            is_due = self._epoch % config.validate_every == 0 or self._epoch == config.epoch_count
            if self._validation and is_due:
                score = self._score(list(run_network(self.average, self._validation, config)))
                record["validation_score"] = score
            record["seconds"] = round(time.monotonic() - started, 1)
            self._log(record)
            self._save()
        return score

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, CellTargets]]:
        """Yield augmented batches of one epoch; frames of rare classes come more often.

        The order and the variants follow from seed and epoch.
        """
        config = self._config
        generator = np.random.default_rng([config.seed, epoch])
        weights = np.array([
            max((self._class_weights[int(one)] for one in frame.classes), default=1.0)
            for frame in self._train
        ])
        count = len(self._train) // config.batch_size * config.batch_size
        order = generator.choice(len(self._train), size=count, p=weights / weights.sum())
        for start in range(0, count, config.batch_size):
            variants = [
                self._variant(int(index), generator)
                for index in order[start : start + config.batch_size]
            ]
            frames = self._finished(variants, generator)
            yield _to_image(frames), self._targets(frames)

    def _variant(self, index: int, generator: Generator) -> BoxedFrame:
        """Return a random variant of one training frame."""
        config = self._config
        return augment_boxed(
            self._train[index],
            height_px=config.height_px,
            width_px=config.width_px,
            config=config.augmentation,
            generator=generator,
        )

    def _finished(self, variants: Sequence[BoxedFrame], generator: Generator) -> list[BoxedFrame]:
        """Paste tips of the neighbour in the batch, then change each picture's look."""
        augmentation = self._config.augmentation
        finished = []
        for index, variant in enumerate(variants):
            mixed = variant
            if generator.random() < augmentation.paste_probability:
                mixed = paste_tip(
                    variant,
                    variants[index - 1],
                    weights=list(self._class_weights),
                    generator=generator,
                )
            rgb = change_look(mixed.rgb, config=augmentation, generator=generator)
            finished.append(BoxedFrame(rgb, mixed.boxes, mixed.classes))
        return finished

    def _targets(self, frames: Sequence[BoxedFrame]) -> CellTargets:
        """Return the targets of a batch."""
        rows, columns = self._config.height_px // CELL_PX, self._config.width_px // CELL_PX
        return stack_targets([
            cell_targets(frame, class_count=self._class_count, rows=rows, columns=columns)
            for frame in frames
        ])

    def _step(self, batch: tuple[Tensor, CellTargets], step: int, step_count: int) -> float:
        """Take one optimiser step and update the average; return the loss."""
        self.network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate_at(step, step_count, self._config)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._config.use_bfloat16):
            logits = self.network(batch[0])
        loss = detection_loss(logits, batch[1])
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.network.parameters(), _GRADIENT_NORM_MAX)
        self._optimizer.step()
        self._update_average(step)
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        """Move the average towards the weights, faster in the first steps."""
        decay = min(self._config.average_decay, (1 + step) / (10 + step))
        for mean, value in zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def _save(self) -> None:
        """Write the checkpoint so that a cut leaves the old or the new one, never half of it."""
        path = self._folder / "last.pt"
        draft = path.with_suffix(".tmp")
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "epoch": self._epoch,
            },
            draft,
        )
        draft.replace(path)

    def _log(self, record: dict[str, Any]) -> None:
        """Append one line to ``log.jsonl``."""
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")


def _build(class_count: int) -> ToolTipDetector:
    """Return a network with the memory layout that CPUs convolve fastest."""
    network = ToolTipDetector(class_count)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # no overload for channels_last
    return network


def _to_image(frames: Sequence[BoxedFrame]) -> Tensor:
    """Return (N, 3, H, W) float32 in [0, 1], channels last in memory."""
    stacked = torch.from_numpy(np.stack([frame.rgb for frame in frames])).permute(0, 3, 1, 2)
    return (stacked.float() / 255.0).contiguous(memory_format=torch.channels_last)
