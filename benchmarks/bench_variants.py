"""Variants of a study, timed again by turns: ``python -m benchmarks.bench_variants STUDY``.

A study takes long and other work may run beside it. This times its recommended variants, and what
they are compared with, when the machine is quiet; it judges and chooses nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from trocar.apps.opening import ASSETS
from trocar.backends.choices import Engine, Precision
from trocar.contracts.manifest import ModelManifest, PackPrecision
from trocar_lab.optimise.pack_variant import read_study
from trocar_lab.optimise.turns import Arm, measure_by_turns
from trocar_lab.optimise.variants import ORIGINAL, Variant, manifest_of
from trocar_lab.packing.drafts import read_draft

__all__ = ["main"]

_FLOAT = (
    (Engine.ONNXRUNTIME_CPU, Precision.FP32),
    (Engine.OPENVINO_CPU, Precision.FP32),
    (Engine.OPENVINO_CPU, Precision.BF16),
)
_WHOLE = ((Engine.ONNXRUNTIME_CPU, Precision.INT8), (Engine.OPENVINO_CPU, Precision.INT8))


def _arms(
    folder: Path, manifest: ModelManifest, names: list[str], threads: int, calls: int
) -> list[Arm]:
    """Return the variants in every engine that ran them, the original on ONNX Runtime first."""
    study = read_study(folder)
    arms = []
    for name in dict.fromkeys([ORIGINAL, *names]):
        row = study.variant(name)
        whole = row["precision"] == "int8"
        variant = Variant(
            name,
            row["structure"],
            row["method"],
            (folder / "models" / f"{name}.onnx").read_bytes(),
            PackPrecision(row["precision"]),
            row["is_same_function"],
            row["integer_layer_count"],
        )
        arms += [
            Arm(
                f"{name} {engine} {precision}",
                variant.model,
                manifest_of(manifest, variant),
                engine,
                precision,
                threads,
                calls,
            )
            for engine, precision in (_WHOLE if whole else _FLOAT)
        ]
    return arms


def main() -> int:
    """Time and write ``times.json`` into the folder of the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--variants", nargs="*", default=[], help="beside the recommended ones")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--patience", type=float, default=240.0, help="seconds for each table")
    options = parser.parse_args()
    fields = read_study(options.study).fields
    names = [one["variant"] for one in fields["recommended"]] + options.variants
    manifest = read_draft(ASSETS / "packs" / fields["unit"]).manifest
    rows = []
    for threads, calls in ((2, 1), (1, 1), (1, 2)):
        before = os.getloadavg()
        arms = _arms(options.study, manifest, names, threads, calls)
        speeds, _ = measure_by_turns(
            arms, round_count=options.rounds, call_count=6, patience_s=options.patience
        )
        for name, one in speeds.items():
            print(
                f"{threads} x {calls} | {name} | p50 {one.p50_ms:.2f} ms | p90 {one.p90_ms:.2f} | "
                f"{one.frames_per_s:.1f}/s | {one.ratio:.2f} [{one.ratio_lower:.2f}, "
                f"{one.ratio_upper:.2f}] | quiet {one.quiet_share:.0%} | load {before[0]:.1f}",
                flush=True,
            )
            rows.append({
                "threads": threads,
                "calls": calls,
                "arm": name,
                "load": before,
                **vars(one),
            })
    (options.study / "times.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
