"""``python -m trocar_lab``: train, evaluate and pack the models of the units."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from trocar_lab.datasets.data_root import DataRootMissingError
from trocar_lab.datasets.registered import UnregisteredDataError
from trocar_lab.optimise import commands as optimise
from trocar_lab.signing import commands as signing
from trocar_lab.tool_detection import commands as tools

_POLYP: Final = "polyp_segmentation"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trocar_lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train a unit's model, or continue a run")
    train_units = train.add_subparsers(dest="unit", required=True)
    _add_polyp_train_options(train_units.add_parser(_POLYP))
    tools.add_train_options(train_units.add_parser(tools.UNIT))
    evaluate = commands.add_parser("evaluate", help="compare the device's record with the labels")
    evaluate_units = evaluate.add_subparsers(dest="unit", required=True)
    tools.add_evaluate_options(evaluate_units.add_parser(tools.UNIT))
    pack = commands.add_parser("pack", help="export, measure and pack the weights of a run")
    pack_units = pack.add_subparsers(dest="unit", required=True)
    _add_polyp_pack_options(pack_units.add_parser(_POLYP))
    tools.add_pack_options(pack_units.add_parser(tools.UNIT))
    signing.add_options(
        commands.add_parser(signing.COMMAND, help="make keys, sign packs, write them as one file")
    )
    optimise.add_options(
        commands.add_parser(optimise.COMMAND, help="measure variants of a unit's model, pack one")
    )
    options = parser.parse_args(arguments)
    try:
        if options.command == optimise.COMMAND:
            return optimise.run(options)
        return _COMMANDS[options.command, options.unit](options)
    except (DataRootMissingError, UnregisteredDataError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1


def _add_polyp_train_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a training run of polyp segmentation."""
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--from", dest="initial", type=Path, help="run whose weights to begin with")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--threads", type=int, default=2)


def _add_polyp_pack_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of packing polyp segmentation."""
    parser.add_argument(
        "--run", type=Path, required=True, nargs="+", help="folders of the runs to average"
    )
    parser.add_argument(
        "--clip", type=Path, required=True, help="rendered clip for the reference case"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the pack")
    parser.add_argument("--version", required=True)
    parser.add_argument("--mirror", action="store_true", help="average over the mirror image")


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


_COMMANDS: Final[Mapping[tuple[str, str], Callable[[argparse.Namespace], int]]] = {
    ("train", _POLYP): _train,
    ("pack", _POLYP): _pack,
    ("train", tools.UNIT): tools.run_train,
    ("evaluate", tools.UNIT): tools.run_evaluate,
    ("pack", tools.UNIT): tools.run_pack,
    (signing.COMMAND, "new-key"): signing.run,
    (signing.COMMAND, "packs"): signing.run,
    (signing.COMMAND, "bundle"): signing.run,
}


if __name__ == "__main__":
    sys.exit(main())
