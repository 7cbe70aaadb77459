"""The commands of tool detection: ``python -m trocar_lab train|evaluate|pack tool_detection``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from trocar_lab.datasets.cholect50 import PROCEDURES
from trocar_lab.metrics.average_precision import ClassFigure

__all__ = [
    "UNIT",
    "add_evaluate_options",
    "add_pack_options",
    "add_train_options",
    "run_evaluate",
    "run_pack",
    "run_train",
]

UNIT = "tool_detection"


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a training run."""
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--from", dest="initial", type=Path, help="run whose weights to begin with")
    parser.add_argument("--on", nargs="+", choices=PROCEDURES, default=[], help="procedures")
    parser.add_argument("--watch", nargs="*", choices=PROCEDURES, default=[], help="validate on")
    parser.add_argument("--rendered", type=int, default=0, help="rendered scenes instead of frames")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--width", type=int, default=288)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--threads", type=int, default=2)


def run_train(options: argparse.Namespace) -> int:
    """Train, or continue."""
    from trocar_lab.tool_detection.pretrain import pretrain  # noqa: PLC0415 - torch is slow
    from trocar_lab.tool_detection.train import train  # noqa: PLC0415 - torch is slow
    from trocar_lab.training.detection import DetectionConfig  # noqa: PLC0415 - torch is slow

    config = DetectionConfig(
        epoch_count=options.epochs,
        height_px=options.height,
        width_px=options.width,
        seed=options.seed,
    )
    if options.rendered:
        pretrain(
            options.run,
            scene_count=options.rendered,
            config=config,
            thread_count=options.threads,
        )
        print(f"trained on {options.rendered} rendered scenes; begin from them with --from")
        return 0
    score = train(
        options.run,
        train_on=options.on,
        watch=options.watch,
        config=config,
        thread_count=options.threads,
        initial=options.initial,
    )
    print(f"mean AP50 of the last weights on {options.watch or 'nothing'}: {score:.4f}")
    return 0


def add_evaluate_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a measurement."""
    parser.add_argument("results", type=Path, help="results.jsonl of `trocar run tool_detection`")
    parser.add_argument("--on", required=True, choices=PROCEDURES, help="procedure it was run on")


def run_evaluate(options: argparse.Namespace) -> int:
    """Compare a record of the device with the labels and print the figures."""
    from trocar_lab.datasets.cholect50 import read_registered, select  # noqa: PLC0415 - see below
    from trocar_lab.datasets.data_root import require_data_root  # noqa: PLC0415 - see below
    from trocar_lab.tool_detection.evaluate import read_results, summarise  # noqa: PLC0415 - the device's contracts are not needed to train

    items = select(read_registered(require_data_root()), [options.on])
    judged = read_results(options.results, items)
    print(f"{options.on}: {sum(one.is_withheld for one in judged)} of {len(judged)} withheld")
    print_figures(summarise(judged))
    return 0


def add_pack_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of packing."""
    parser.add_argument("--run", type=Path, required=True, nargs="+", help="runs, last one ships")
    parser.add_argument("--chooser", type=Path, required=True, help="run to choose with")
    parser.add_argument("--trained-on", required=True, nargs="+", choices=PROCEDURES)
    parser.add_argument("--choose-on", required=True, choices=PROCEDURES)
    parser.add_argument("--test-on", required=True, choices=PROCEDURES)
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--width", type=int, default=288)
    parser.add_argument("--mirror", action="store_true", help="average over the mirror image")
    parser.add_argument("--note", required=True, help="what rendered scenes brought, for the card")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the pack")
    parser.add_argument("--version", required=True)


def run_pack(options: argparse.Namespace) -> int:
    """Pack and print what was measured."""
    from trocar_lab.tool_detection.pack import PackPlan, pack_tool_detection  # noqa: PLC0415 - torch is slow

    plan = PackPlan(
        runs=options.run,
        chooser=options.chooser,
        train_on=tuple(options.trained_on),
        choose_on=options.choose_on,
        test_on=options.test_on,
        height_px=options.height,
        width_px=options.width,
        use_mirror=options.mirror,
        rendered_note=options.note,
    )
    report = pack_tool_detection(plan, options.output, version=options.version)
    manifest = report.pack.manifest
    print(f"pack {manifest.pack_id} digest {report.pack.digest}, {report.point}")
    print(f"{plan.choose_on}, chosen on:")
    print_figures(report.validation)
    print(f"{plan.test_on}, test:")
    print_figures(report.test)
    print(f"largest difference to torch: {report.difference:.6f}")
    return 0


def print_figures(figures: Mapping[str, ClassFigure]) -> None:
    """Print one line a class."""
    for name, one in figures.items():
        (low, high), (low_all, high_all) = one.ap50_interval, one.ap50_95_interval
        print(
            f"  {name:10s} AP50 {one.ap50:.3f} [{low:.3f}, {high:.3f}]  "
            f"AP50:95 {one.ap50_95:.3f} [{low_all:.3f}, {high_all:.3f}]  "
            f"{one.box_count} boxes, {one.frame_count} frames, {one.group_count} runs"
        )
