"""The model card of polyp segmentation: on which patients, how well, and for what not.

Every figure in the card comes from an argument; the words are in ``card_template.md`` beside this.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from trocar_lab.export.onnx_export import ExportParity
from trocar_lab.metrics.overlap import MeanInterval

_MIRROR: Final = " The graph looks at the image and at its mirror image."


@dataclass(frozen=True)
class CardFigures:
    """What was measured for the card.

    Attributes:
        test: Figures on the test side.
        validation: Figures on the validation side.
        parity: Agreement of the ONNX file with torch.
        weights: Number of weights.
        model_bytes: Size of the ONNX file.
    """

    test: dict[str, MeanInterval]
    validation: dict[str, MeanInterval]
    parity: ExportParity
    weights: int
    model_bytes: int


def write_card(
    facts: dict[str, Any], figures: CardFigures, *, use_mirror: bool, run_folders: Sequence[Path]
) -> str:
    """Return the card in Markdown.

    Args:
        facts: Facts of the manifest.
        figures: What was measured.
        use_mirror: Whether the graph averages over the mirror image.
        run_folders: Folders of the training runs, for their logs.
    """
    source = facts["trained_on"][0]
    template = resources.files(__package__) / "card_template.md"
    return template.read_text(encoding="utf-8").format(
        **{key: facts[key] for key in ("pack_name", "pack_version", "intended_use", "not_for")},
        **vars(figures.parity),
        data_id=source["data_id"],
        data_digest=source["digest"],
        split=source["split"],
        licence=source["licence"],
        threshold=facts["threshold"]["value"],
        chosen_by=facts["threshold"]["chosen_by"],
        weights=figures.weights,
        model_mb=figures.model_bytes / 1e6,
        network_count=len(run_folders),
        mirror=_MIRROR if use_mirror else "",
        training="; ".join(_training(run_folder) for run_folder in run_folders),
        test_table=_table(figures.test),
        validation_table=_table(figures.validation),
    )


def _training(run_folder: Path) -> str:
    """Return what the log of one run says of it."""
    lines = (run_folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    log = [json.loads(line) for line in lines]
    config = next(entry["config"] for entry in reversed(log) if entry.get("event") == "start")
    epoch_count = max(entry["epoch"] for entry in log)
    start = next((entry["initial"] for entry in log if entry.get("initial")), "random weights")
    return f"{epoch_count} epochs from {start}, batch {config['batch_size']}, seed {config['seed']}"


def _table(figures: dict[str, MeanInterval]) -> str:
    """Return figures as a Markdown table."""
    rows = [
        f"| {name} | {one.mean:.4f} | {one.lower:.4f} to {one.upper:.4f} "
        f"| {one.item_count} | {one.group_count} |"
        for name, one in figures.items()
    ]
    head = ["| figure | value | 95 % interval | images | groups |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])
