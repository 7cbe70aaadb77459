"""``python -m trocar_lab optimise UNIT``: try the variants of a model, recommend, pack one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from trocar.apps.opening import ASSETS
from trocar.contracts.errors import TrocarError
from trocar_lab.packing.drafts import read_draft

__all__ = ["COMMAND", "add_options", "run"]

COMMAND: Final = "optimise"
_UNITS: Final = ("polyp_segmentation", "tool_detection", "tool_tracking")
_WITHOUT_MODEL: Final = frozenset({"tool_tracking"})


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("unit", choices=_UNITS)
    parser.add_argument("--from", dest="base", type=Path, help="pack to begin from (the shipped)")
    parser.add_argument("-o", "--output", type=Path, help="folder of the study, or of the pack")
    parser.add_argument("--quick", action="store_true", help="few frames and rounds: to try it out")
    parser.add_argument("--pack", metavar="VARIANT", help="pack this variant of a study")
    parser.add_argument("--study", type=Path, help="folder of the study to pack from")


def run(options: argparse.Namespace) -> int:
    """Study the variants, or pack one of them; return the exit code."""
    from trocar_lab.optimise.gate import VariantRefusedError  # noqa: PLC0415 - onnx takes a second

    if options.unit in _WITHOUT_MODEL:
        print(
            f"error: {options.unit} has no model: it follows boxes by arithmetic of its own; "
            "optimise tool_detection, whose boxes it follows",
            file=sys.stderr,
        )
        return 1
    try:
        return _pack(options) if options.pack else _study(options)
    except VariantRefusedError as exc:
        print(f"refused: {exc}", file=sys.stderr)
        return 1
    except TrocarError as exc:
        print(exc.diagnostics(), file=sys.stderr)
        return exc.exit_code


def _base(options: argparse.Namespace) -> Path:
    """Return the folder of the pack to begin from."""
    given: Path | None = options.base
    return ASSETS / "packs" / str(options.unit) if given is None else given


def _study_folder(options: argparse.Namespace) -> Path:
    """Return the folder of the study."""
    given: Path | None = options.study if options.pack else options.output
    return Path(f"optimise_{options.unit}") if given is None else given


def _study(options: argparse.Namespace) -> int:
    """Run a study and write it."""
    from trocar_lab.optimise.report import TABLE_FILE, write_study  # noqa: PLC0415 - as above
    from trocar_lab.optimise.study import QUICK, Scale, run_study  # noqa: PLC0415 - as above
    from trocar_lab.optimise.tasks import open_task  # noqa: PLC0415 - as above

    pack = read_draft(_base(options))
    scale = QUICK if options.quick else Scale()
    study = run_study(pack, open_task(pack.manifest), scale, lambda line: print(line, flush=True))
    folder = _study_folder(options)
    write_study(study, scale, folder)
    for one in study.finals:
        print(
            f"recommended: {one.variant} on {one.engine} in {one.precision}: "
            f"{one.speed.ratio:.2f} times faster "
            f"[{one.speed.ratio_lower:.2f}, {one.speed.ratio_upper:.2f}]"
        )
    if not study.finals:
        print("recommended: none, no variant keeps the limit")
    print(f"table in {folder / TABLE_FILE}")
    return 0


def _pack(options: argparse.Namespace) -> int:
    """Pack one variant of a study."""
    from trocar_lab.optimise.pack_variant import pack_variant, read_study  # noqa: PLC0415 - as above

    base = read_draft(_base(options))
    folder = options.output or Path(f"{base.manifest.pack_name}_{options.pack}")
    pack = pack_variant(base, read_study(_study_folder(options)), options.pack, folder)
    size = sum(entry.size_bytes for entry in pack.manifest.files)
    print(
        f"pack {pack.manifest.pack_id} digest {pack.digest}, {size} bytes, in {folder}; it opens "
        "once it is signed: python -m trocar_lab sign packs"
    )
    return 0
