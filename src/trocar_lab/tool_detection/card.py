"""The model card of tool detection: on which operations, how well each class, and for what not.

Every figure in the card comes from an argument; the words are in ``card_template.md`` beside this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from trocar_lab.datasets.cholect50 import LABELS, PROCEDURES, ToolFrameItem
from trocar_lab.metrics.average_precision import ClassFigure

__all__ = ["CardFacts", "write_card"]

_MIRROR: Final = " The graph looks at the frame and at its mirror image."


@dataclass(frozen=True)
class CardFacts:
    """What the card says beside the manifest.

    Attributes:
        train_on: Procedures that the weights were trained on.
        choose_on: Procedure that the threshold and the recipe were chosen on.
        test_on: Procedure that the figures hold for.
        test: Figures there.
        validation: Figures on the procedure chosen on, by weights that had not seen it.
        difference: Largest difference of one output value between ONNX Runtime and torch.
        weights: Number of weights.
        model_bytes: Size of the ONNX file.
        use_mirror: Whether the graph averages over the mirror image.
        rendered_note: What the comparison with and without rendered scenes showed.
        chooser: Folder of the run whose weights chose.
    """

    train_on: Sequence[str]
    choose_on: str
    test_on: str
    test: Mapping[str, ClassFigure]
    validation: Mapping[str, ClassFigure]
    difference: float
    weights: int
    model_bytes: int
    use_mirror: bool
    rendered_note: str
    chooser: Path


def write_card(
    manifest: dict[str, Any],
    facts: CardFacts,
    *,
    items: Sequence[ToolFrameItem],
    run_folders: Sequence[Path],
) -> str:
    """Return the card in Markdown.

    Args:
        manifest: Facts of the manifest.
        facts: What was measured.
        items: All frames, for the number of boxes.
        run_folders: Folders of the runs behind the weights, first to last, for their logs.
    """
    source = manifest["trained_on"][0]
    channels, rows, columns = manifest["output"]["shape"][1:]
    template = resources.files(__package__) / "card_template.md"
    return template.read_text(encoding="utf-8").format(
        **{key: manifest[key] for key in ("pack_name", "pack_version", "intended_use", "not_for")},
        rows=rows,
        columns=columns,
        class_count=channels - 4,
        height_px=manifest["input"]["shape"][1],
        width_px=manifest["input"]["shape"][2],
        weights=f"{facts.weights:,}",
        model_mb=facts.model_bytes / 1e6,
        mirror=_MIRROR if facts.use_mirror else "",
        training="; then ".join(_training(folder) for folder in run_folders),
        rendered_note=facts.rendered_note,
        chooser=facts.chooser.name,
        chooser_training=_training(facts.chooser),
        data_id=source["data_id"],
        data_digest=source["digest"],
        licence=source["licence"],
        train_on=", ".join(facts.train_on),
        choose_on=facts.choose_on,
        test_on=facts.test_on,
        balance_table=_balance(items),
        test_table=_table(facts.test),
        validation_table=_table(facts.validation),
        threshold=manifest["threshold"]["value"],
        chosen_by=manifest["threshold"]["chosen_by"],
        difference=facts.difference,
    )


def _training(folder: Path) -> str:
    """Return what the log of one run says of it."""
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    log = [json.loads(line) for line in lines]
    config = next(entry["config"] for entry in reversed(log) if entry.get("event") == "start")
    epoch_count = max(entry["epoch"] for entry in log)
    start = next((entry["initial"] for entry in log if entry.get("initial")), "random weights")
    return (
        f"run {folder.name}: {epoch_count} epochs from {start} at {config['height_px']} x "
        f"{config['width_px']}, batch {config['batch_size']}, seed {config['seed']}"
    )


def _balance(items: Sequence[ToolFrameItem]) -> str:
    """Return the number of boxes of each class in each procedure as a Markdown table."""
    head = ["| class | " + " | ".join(PROCEDURES) + " |", "|---|" + "---|" * len(PROCEDURES)]
    counts = {
        name: np.bincount(
            np.concatenate([
                np.zeros(0, dtype=np.int64),
                *(item.classes for item in items if item.procedure == name),
            ]),
            minlength=len(LABELS),
        )
        for name in PROCEDURES
    }
    rows = [
        f"| {label} | " + " | ".join(str(counts[name][index]) for name in PROCEDURES) + " |"
        for index, label in enumerate(LABELS)
    ]
    return "\n".join([*head, *rows])


def _table(figures: Mapping[str, ClassFigure]) -> str:
    """Return figures as a Markdown table."""
    head = [
        "| class | AP50 | 95 % interval | AP50:95 | 95 % interval | boxes | frames | runs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = [
        f"| {name} | {one.ap50:.3f} | {_span(one.ap50_interval)} | {one.ap50_95:.3f} "
        f"| {_span(one.ap50_95_interval)} | {one.box_count} | {one.frame_count} "
        f"| {one.group_count} |"
        for name, one in figures.items()
    ]
    return "\n".join([*head, *rows])


def _span(interval: tuple[float, float]) -> str:
    """Return an interval in words."""
    return f"{interval[0]:.3f} to {interval[1]:.3f}"
