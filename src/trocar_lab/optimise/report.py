"""A study as files: ``optimise.json``, a Markdown table, the picture, and the models."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from trocar_lab.optimise.gate import LOSS_MAX, RULE
from trocar_lab.optimise.plot import write_plot
from trocar_lab.optimise.study import Judged, Scale, Study, Timed, sha256_of
from trocar_lab.optimise.tasks import Difference

__all__ = ["MODELS", "STUDY_FILE", "TABLE_FILE", "markdown", "write_study"]

STUDY_FILE: Final = "optimise.json"
TABLE_FILE: Final = "optimise.md"
MODELS: Final = "models"
_SCHEMA: Final = "trocar.optimise/1"
_PACKAGES: Final = ("numpy", "onnx", "onnxruntime", "openvino")


def write_study(study: Study, scale: Scale, folder: Path) -> None:
    """Write everything into a folder, which is made."""
    (folder / MODELS).mkdir(parents=True, exist_ok=True)
    for one in study.variants:
        (folder / MODELS / f"{one.name}.onnx").write_bytes(one.model)
    text = json.dumps(as_json(study, scale), indent=1) + "\n"
    (folder / STUDY_FILE).write_text(text, encoding="utf-8")
    (folder / TABLE_FILE).write_text(markdown(study), encoding="utf-8")
    write_plot(study, folder)


def as_json(study: Study, scale: Scale) -> dict[str, Any]:
    """Return everything that was measured, and on what."""
    manifest = study.pack.manifest
    return {
        "schema": _SCHEMA,
        "unit": manifest.unit,
        "pack": {"pack_id": manifest.pack_id, "digest": study.pack.digest},
        "metric": study.metric,
        "limit": LOSS_MAX,
        "rule": RULE,
        "machine": _machine(study),
        "scale": asdict(scale),
        "calibration": {
            "data_id": study.calibration.data_id,
            "side": study.calibration.side,
            "digest": study.calibration.digest,
            "ids": list(study.calibration.ids),
        },
        "cleaned_away": dict(study.removed),
        "structures_left_out": dict(study.left_out),
        "not_run": dict(study.refused),
        "variants": [
            {
                "name": one.name,
                "structure": one.structure,
                "method": one.method,
                "precision": one.precision.value,
                "is_same_function": one.is_same_function,
                "integer_layer_count": one.integer_layer_count,
                "size_bytes": len(one.model),
                "sha256": sha256_of(one),
            }
            for one in study.variants
        ],
        "judged": [asdict(one) for one in study.judged],
        "timed": [asdict(one) for one in study.timed],
        "recommended": [asdict(one) for one in study.finals],
    }


def _machine(study: Study) -> dict[str, Any]:
    """Return on what it was measured, without names of the place."""
    return {
        "processor": platform.machine(),
        "core_count": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "load_averages": [list(one) for one in study.load],
        "measured_at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
    }


def markdown(study: Study) -> str:
    """Return the tables of a study."""
    manifest = study.pack.manifest
    lines = [
        f"# Variants of {manifest.pack_id}",
        "",
        (
            f"Calibration: {len(study.calibration.ids)} frames of {study.calibration.data_id}, "
            f"{study.calibration.side}; digest of their ids `{study.calibration.digest}`."
        ),
        f"Load averages before and after: {study.load}.",
        "",
        "## Speed and figure, variants that were timed",
        "",
        (
            "Ratios are against the original on ONNX Runtime in FP32 with the same threads, by "
            "turns. "
            f"The difference is that of {study.metric} on the side for choosing, with its 95 % "
            "interval."
        ),
        "",
        (
            "| variant | engine | precision | MB | threads x calls | p50 ms | p90 ms | frames/s | "
            "times faster | quiet | difference |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(_timed_line(one, study) for one in study.timed),
        "",
        "## Agreement of every variant",
        "",
        (
            f"| variant | engine | precision | side | {study.metric} | difference | "
            "largest difference of a score | mean mask Dice |"
        ),
        "|---|---|---|---|---|---|---|---|",
        *(_judged_line(one) for one in study.judged),
        "",
        "## What does not run",
        "",
        *(f"- {name}: {reason}" for name, reason in study.refused.items()),
        *(f"- {name}: {reason}" for name, reason in study.left_out.items()),
        "",
        "## Recommended",
        "",
        RULE,
        "",
        *(
            f"- {one.variant}, {one.engine}, {one.precision}: {one.speed.ratio:.2f} times faster "
            f"[{one.speed.ratio_lower:.2f}, {one.speed.ratio_upper:.2f}]"
            for one in study.finals
        ),
        "",
    ]
    return "\n".join(lines)


def _timed_line(one: Timed, study: Study) -> str:
    """Return one line of the first table."""
    size = next(len(v.model) for v in study.variants if v.name == one.variant)
    found = next(
        row.difference
        for row in study.judged
        if (row.variant, row.engine, row.precision, row.side)
        == (one.variant, one.engine, one.precision, "validation")
    )
    speed = one.speed
    return (
        f"| {one.variant} | {one.engine} | {one.precision} | {size / 1e6:.1f} | "
        f"{one.thread_count} x {one.call_count} | {speed.p50_ms:.2f} | {speed.p90_ms:.2f} | "
        f"{speed.frames_per_s:.1f} | "
        f"{speed.ratio:.2f} [{speed.ratio_lower:.2f}, {speed.ratio_upper:.2f}] | "
        f"{speed.quiet_share:.0%} | {_interval(found)} |"
    )


def _judged_line(one: Judged) -> str:
    """Return one line of the second table."""
    return (
        f"| {one.variant} | {one.engine} | {one.precision} | {one.side} | "
        f"{one.difference.variant:.4f} | {_interval(one.difference)} | "
        f"{one.prob_difference_max:.2g} | {one.mask_dice:.4f} |"
    )


def _interval(one: Difference) -> str:
    """Return a difference with its interval."""
    return f"{one.value:+.4f} [{one.lower:+.4f}, {one.upper:+.4f}]"
