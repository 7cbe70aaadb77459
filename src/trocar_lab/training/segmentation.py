"""Train a binary segmentation network from scratch: resumable, seeded, logged, stopped early.

The learning rate warms up, stays, and falls linearly to zero over the last part of the run
("warm-up, stable, decay"): a run that was cut off, or that is to go on for longer, continues from
its checkpoint without having spent its schedule. The weights that are validated and exported are
the exponential moving average.

Source:
    Hu et al. 2024, arXiv 2404.06395, section 4 (schedule); Milletari et al. 2016, arXiv 1606.04797,
    Eq. 3 (Dice loss).
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
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from trocar_lab.training.augmentation import AugmentationConfig, augment, paste_rectangle
from trocar_lab.training.networks import DeepNetwork
from trocar_lab.training.schedule import learning_rate_at

_DEEP_WEIGHT: Final = 0.2
_DICE_SMOOTHING: Final = 1.0

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides how a run goes; written into its log.

    Attributes:
        size: Side of the network's input in pixels.
        batch_size: Images in a step.
        epoch_count: Epochs of the whole run.
        decay_fraction: Last share of the run over which the learning rate falls to zero.
        warmup_steps: Steps over which it rises.
        learning_rate: Plateau of the learning rate.
        weight_decay: Decoupled weight decay.
        average_decay: Decay of the moving average of the weights, per step.
        validate_every: Epochs between two validations.
        patience: Validations without a better score after which the run stops.
        seed: Seed of torch, numpy and the order of images.
        use_bfloat16: Run convolutions in bfloat16.
        augmentation: Ranges of the augmentation.
    """

    size: int = 256
    batch_size: int = 16
    epoch_count: int = 300
    decay_fraction: float = 0.3
    warmup_steps: int = 200
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    average_decay: float = 0.998
    validate_every: int = 5
    patience: int = 40
    seed: int = 20261121
    use_bfloat16: bool = True
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)


def segmentation_loss(logits_by_level: Sequence[Tensor], label: Tensor) -> Tensor:
    """Return binary cross-entropy plus soft Dice loss, over the finest and the deep levels.

    Args:
        logits_by_level: (N, 1, h, w) each, finest first.
        label: (N, 1, H, W) float, 0 or 1, of the finest level's size.

    Returns:
        Scalar.
    """
    total = label.new_zeros(())
    for level, logits in enumerate(logits_by_level):
        target = (
            label
            if level == 0
            else functional.interpolate(label, size=logits.shape[2:], mode="area")
        )
        weight = 1.0 if level == 0 else _DEEP_WEIGHT
        total = total + weight * _level_loss(logits.float(), target)
    return total


def _level_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the loss of one level.

    Dice per image, so that a small polyp counts as much as a large one.
    """
    prob = torch.sigmoid(logits)
    overlap = (prob * target).sum(dim=(1, 2, 3))
    mass = prob.square().sum(dim=(1, 2, 3)) + target.square().sum(dim=(1, 2, 3))
    dice = (2 * overlap + _DICE_SMOOTHING) / (mass + _DICE_SMOOTHING)
    return functional.binary_cross_entropy_with_logits(logits, target) + (1 - dice).mean()


class Trainer:
    """One training run in one folder: checkpoint, best weights, log.

    Args:
        build_network: Makes the network; its ``forward_deep`` returns logits, finest first.
        train_pairs: (RGB uint8, label uint8 0 or 1) of the training side.
        validation_pairs: The same of the validation side; never augmented.
        config: The run.
        folder: Where ``last.pt``, ``best.pt`` and ``log.jsonl`` are written; created if missing.

    Raises:
        ValueError: One of the sides is empty.
    """

    def __init__(
        self,
        build_network: Callable[[], DeepNetwork],
        train_pairs: Sequence[Pair],
        validation_pairs: Sequence[Pair],
        *,
        config: TrainingConfig,
        folder: Path,
    ) -> None:
        """Prepare a fresh run; ``resume`` continues the one in the folder."""
        if not train_pairs or not validation_pairs:
            raise ValueError("expected images on both sides of the split, got an empty side")
        torch.manual_seed(config.seed)
        self._config = config
        self._folder = folder
        self._train = train_pairs
        self._validation = _validation_tensors(validation_pairs, config.size)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = build_network().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # no overload for channels_last
        self.average = build_network().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # no overload for channels_last
        self.average.load_state_dict(self.network.state_dict())
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._epoch = 0
        self._best = -1.0
        self._stale_count = 0
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> bool:
        """Continue from ``last.pt``; return False when the folder holds none."""
        path = self._folder / "last.pt"
        if not path.exists():
            return False
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._epoch, self._best = int(state["epoch"]), float(state["best"])
        self._stale_count = int(state["stale_count"])
        return True

    def start_from(self, weights: Path) -> None:
        """Begin with the averaged weights of another run, for a further cycle.

        Args:
            weights: ``best.pt`` of that run.
        """
        state: dict[str, Any] = torch.load(weights, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["average"])
        self.average.load_state_dict(state["average"])
        self._log({"event": "initial", "epoch": 0, "initial": "the weights of the run before"})

    def run(self) -> float:
        """Train until the last epoch or until validation no longer improves.

        Return the best validation Dice.
        """
        config = self._config
        steps_per_epoch = len(self._train) // config.batch_size
        step_count = steps_per_epoch * config.epoch_count
        self._log({"event": "start", "epoch": self._epoch, "config": asdict(config)})
        bar = tqdm(total=config.epoch_count, initial=self._epoch, unit="epoch", dynamic_ncols=True)
        while self._epoch < config.epoch_count and self._stale_count < config.patience:
            started = time.monotonic()
            losses = [
                self._step(batch, self._epoch * steps_per_epoch + index, step_count)
                for index, batch in enumerate(self._batches())
            ]
            self._epoch += 1
            record: dict[str, Any] = {"epoch": self._epoch, "loss": float(np.mean(losses))}
            if self._epoch % config.validate_every == 0 or self._epoch == config.epoch_count:
                record["validation_dice"] = self._validate()
                self._keep_best(record["validation_dice"])
            record["seconds"] = round(time.monotonic() - started, 1)
            self._log(record)
            self._save(self._folder / "last.pt")
            bar.set_postfix(loss=f"{record['loss']:.3f}", best=f"{self._best:.4f}")
            bar.update()
        bar.close()
        return self._best

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield augmented batches of one epoch.

        The order and the variants follow from seed and epoch.
        """
        config = self._config
        generator = np.random.default_rng([config.seed, self._epoch])
        order = generator.permutation(len(self._train))
        for start in range(0, len(order) - config.batch_size + 1, config.batch_size):
            samples = [
                augment(
                    *self._train[int(index)],
                    size=config.size,
                    config=config.augmentation,
                    generator=generator,
                )
                for index in order[start : start + config.batch_size]
            ]
            mixed = [
                paste_rectangle(*sample, *samples[position - 1], generator=generator)
                if generator.random() < config.augmentation.paste_probability
                else sample
                for position, sample in enumerate(samples)
            ]
            yield _to_tensors(mixed)

    def _step(self, batch: tuple[Tensor, Tensor], step: int, step_count: int) -> float:
        """Take one optimiser step and update the average; return the loss."""
        self.network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate_at(step, step_count, self._config)
        image = batch[0].to(self.device, memory_format=torch.channels_last)
        label = batch[1].to(self.device)
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self._config.use_bfloat16
        ):
            logits_by_level = self.network.forward_deep(image)
        loss = segmentation_loss(logits_by_level, label)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self._optimizer.step()
        self._update_average(step)
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        """Move the average towards the weights.

        Faster in the first steps, so that it forgets the start.
        """
        decay = min(self._config.average_decay, (1 + step) / (10 + step))
        for mean, value in zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    @torch.no_grad()
    def _validate(self) -> float:
        """Return the averaged network's mean Dice at threshold 0.5 on the validation side."""
        self.average.eval()
        image, label = self._validation
        scores: list[Tensor] = []
        for start in range(0, len(image), self._config.batch_size):
            part = slice(start, start + self._config.batch_size)
            x = image[part].to(self.device, memory_format=torch.channels_last)
            with torch.autocast(
                self.device.type, dtype=torch.bfloat16, enabled=self._config.use_bfloat16
            ):
                prediction = self.average(x) > 0
            reference = label[part].to(self.device) > 0
            both = (prediction & reference).sum(dim=(1, 2, 3))
            total = prediction.sum(dim=(1, 2, 3)) + reference.sum(dim=(1, 2, 3))
            scores.append(torch.where(total == 0, 1.0, 2.0 * both / total.clamp(min=1)))
        return float(torch.cat(scores).mean())

    def _keep_best(self, score: float) -> None:
        """Write ``best.pt`` when the score is the best so far.

        Else count one validation without gain.
        """
        if score > self._best:
            self._best, self._stale_count = score, 0
            _write_whole(
                self._folder / "best.pt",
                {"average": self.average.state_dict(), "epoch": self._epoch},
            )
        else:
            self._stale_count += 1

    def _save(self, path: Path) -> None:
        """Write the checkpoint so that a cut leaves the old or the new one, never half of it."""
        _write_whole(
            path,
            {
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "epoch": self._epoch,
                "best": self._best,
                "stale_count": self._stale_count,
            },
        )

    def _log(self, record: dict[str, Any]) -> None:
        """Append one line to ``log.jsonl``."""
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")


def _write_whole(path: Path, state: dict[str, Any]) -> None:
    """Write beside the target, then rename."""
    draft = path.with_suffix(".tmp")
    torch.save(state, draft)
    draft.replace(path)


def _to_tensors(samples: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Return ((N, 3, H, W) float32 in [0, 1], (N, 1, H, W) float32 of 0 or 1)."""
    rgb = (
        torch.from_numpy(np.stack([sample[0] for sample in samples])).permute(0, 3, 1, 2).float()
        / 255.0
    )
    label = torch.from_numpy(np.stack([sample[1] for sample in samples]))[:, None].float()
    return rgb, label


def _validation_tensors(pairs: Sequence[Pair], size: int) -> tuple[Tensor, Tensor]:
    """Resize the validation pairs once: area for pixels, nearest for labels."""
    rgb = [
        torch.from_numpy(np.array(pair[0])).permute(2, 0, 1)[None].float() / 255.0 for pair in pairs
    ]
    label = [torch.from_numpy(np.array(pair[1]))[None, None].float() for pair in pairs]
    return (
        torch.cat([functional.interpolate(x, size=(size, size), mode="area") for x in rgb]),
        torch.cat([
            functional.interpolate(x, size=(size, size), mode="nearest-exact") for x in label
        ]),
    )
