"""The model card of polyp segmentation: on which patients, how well, and for what not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trocar_lab.metrics.overlap import MeanInterval


def write_card(
    facts: dict[str, Any],
    *,
    test: dict[str, MeanInterval],
    validation: dict[str, MeanInterval],
    parity: dict[str, Any],
    weights: int,
    model_bytes: int,
    use_mirror: bool,
    run_folder: Path,
) -> str:
    """Return the card in Markdown; every figure in it comes from an argument.

    Args:
        facts: Facts of the manifest.
        test: Figures on the test side.
        validation: Figures on the validation side.
        parity: Agreement of ONNX and torch.
        weights: Number of weights.
        model_bytes: Size of the ONNX file.
        use_mirror: Whether the graph averages over the mirror image.
        run_folder: Folder of the training run, for its log.
    """
    log = [json.loads(line) for line in (run_folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    epochs = [entry for entry in log if "loss" in entry]
    config = next(entry["config"] for entry in reversed(log) if entry.get("event") == "start")
    source = facts["trained_on"][0]
    mirror = " The graph averages the image and its mirror image." if use_mirror else ""
    return f"""# Model card: {facts["pack_name"]} {facts["pack_version"]}

RESEARCH USE ONLY - NOT A MEDICAL DEVICE

**What it is.** A residual U-Net with a context block, {weights:,} weights, {model_bytes / 1e6:.2f} MB as ONNX (FP32), input 256 x 256 RGB.{mirror}
Trained from scratch: no weights of others, no other data.

**For.** {facts["intended_use"]}

**Not for.** {facts["not_for"]}

## Training data

- {source["data_id"]}: Kvasir-SEG, 700 of 1000 pairs (white-light colonoscopy stills, Vestre Viken hospitals, Norway), resized to 352 x 352 by
  the copy used. Digest {source["digest"]}.
- Split: {source["split"]}.
- Licence: {source["licence"]}. The weights inherit these limits.
- Every image shows at least one polyp; age, sex, preparation and equipment of the patients are not given in the source.

## Training

{len(epochs)} epochs, batch {config["batch_size"]}, seed {config["seed"]}; rotation, mirror, zoom, shear, colour, blur, compression, specular highlights, insets
and pasted rectangles as augmentation; the averaged weights with the best validation Dice were kept.

## Figures on the test side (never trained on, never used to choose anything)

{_table(test)}

95 % bootstrap intervals over near-duplicate groups (10,000 replicates), each image at its own size, through the device's unit.
Threshold {facts["threshold"]["value"]}: {facts["threshold"]["chosen_by"]}.

For comparison, validation side (used to choose weights and threshold, so not an unbiased figure):

{_table(validation)}

## Parity of the ONNX file with torch

{parity["image_count"]} test images: largest difference of a probability {parity["prob_difference_max"]:.2e}, of an image's Dice {parity["dice_difference_max"]:.2e},
smallest Dice between both masks {parity["mask_dice_min"]:.6f}.

## Known limits

- One hospital group, one country, stills chosen because they show a polyp: no claim about other hospitals, devices or live video follows.
- False outlines on frames without a polyp were not measured: the data has no such frames.
- Small and flat polyps are found worse than large ones; see the table.
- The probability is not calibrated; it is a score for the threshold above and nothing else.
"""


def _table(figures: dict[str, MeanInterval]) -> str:
    """Return figures as a Markdown table."""
    rows = [
        f"| {name} | {one.mean:.4f} | {one.lower:.4f} to {one.upper:.4f} | {one.item_count} | {one.group_count} |"
        for name, one in figures.items()
    ]
    return "\n".join(["| figure | value | 95 % interval | images | groups |", "|---|---|---|---|---|", *rows])
