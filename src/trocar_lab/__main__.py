"""``python -m trocar_lab``: train, evaluate and pack the models of the units."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from trocar_lab.datasets.data_root import DataRootMissingError
from trocar_lab.datasets.registered import UnregisteredDataError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trocar_lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train a unit's model, or continue a run")
    train.add_argument("unit", choices=["polyp_segmentation"])
    train.add_argument("--run", type=Path, required=True, help="folder of the run")
    train.add_argument("--from", dest="initial", type=Path, help="run whose weights to begin with")
    train.add_argument("--epochs", type=int, default=300)
    train.add_argument("--size", type=int, default=256)
    train.add_argument("--seed", type=int, default=20261121)
    train.add_argument("--threads", type=int, default=2)
    pack = commands.add_parser("pack", help="export, measure and pack the best weights of a run")
    pack.add_argument("unit", choices=["polyp_segmentation"])
    pack.add_argument(
        "--run", type=Path, required=True, nargs="+", help="folders of the runs to average"
    )
    pack.add_argument(
        "--clip", type=Path, required=True, help="rendered clip for the reference case"
    )
    pack.add_argument("-o", "--output", type=Path, required=True, help="folder of the pack")
    pack.add_argument("--version", required=True)
    pack.add_argument("--mirror", action="store_true", help="average over the mirror image")
    options = parser.parse_args(arguments)
    try:
        return _train(options) if options.command == "train" else _pack(options)
    except (DataRootMissingError, UnregisteredDataError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1


def _train(options: argparse.Namespace) -> int:
    """Train or continue."""
    from trocar_lab.polyp.train import train  # noqa: PLC0415 - torch takes seconds to import
    from trocar_lab.training.segmentation import TrainingConfig  # noqa: PLC0415

    config = TrainingConfig(epoch_count=options.epochs, size=options.size, seed=options.seed)
    best = train(options.run, config=config, thread_count=options.threads, initial=options.initial)
    print(
        f"best validation Dice {best:.4f} (threshold 0.5); continue with the same command and "
        "more --epochs"
    )
    return 0


def _pack(options: argparse.Namespace) -> int:
    """Pack and print what was measured."""
    from trocar_lab.polyp.pack import pack_polyp  # noqa: PLC0415 - torch takes seconds to import

    report = pack_polyp(
        options.run,
        options.clip,
        options.output,
        version=options.version,
        use_mirror=options.mirror,
    )
    print(
        f"pack {report.pack.manifest.pack_id} digest {report.pack.digest}, threshold "
        f"{report.threshold}"
    )
    for name, figure in report.test.items():
        print(
            f"test {name}: {figure.mean:.4f} [{figure.lower:.4f}, {figure.upper:.4f}] "
            f"n={figure.item_count} images, {figure.group_count} groups"
        )
    print(f"parity {asdict(report.parity)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
